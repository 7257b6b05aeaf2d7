"""Usage events and usage: what is answered."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from manage.answers import Listing
from meterbridge.application.list_events import ListedEvent
from meterbridge.application.unmatched_events import ConflictCounts, UnmatchedEvent
from meterbridge.application.usage_report import WindowQuantity
from meterbridge.domain.event_values import Reason
from meterbridge.domain.events import Standing
from meterbridge.domain.money import plain
from meterbridge.domain.unbilled import UnbilledReason, UnbilledUsage


class EventView(BaseModel):
    """A usage event as it was sent."""

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    data: dict[str, Any] = Field(description="Numbers are exact, as they were sent")
    received_at: datetime
    standing: Standing = Field(
        description="first counts; a duplicate or conflict of it is never added"
    )


class EventList(Listing):
    """A page of events. It may be empty and still have a next one."""

    items: list[EventView]


def event_to_wire(listed: ListedEvent) -> dict[str, Any]:
    """Members of an EventView; numbers stay exact."""
    event = listed.event
    return {
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "time": event.occurred_at,
        "data": event.values,
        "received_at": listed.received_at,
        "standing": listed.standing.value,
    }


class UnmatchedEventView(BaseModel):
    """A usage event that was kept and is not billed."""

    product_id: str
    id: str
    source: str
    type: str
    subject: str
    time: datetime
    data: dict[str, Any] = Field(description="Numbers are exact, as they were sent")
    received_at: datetime
    reason: Reason
    detail: str


class UnmatchedEventList(Listing):
    """A page of unmatched events. It may be empty and still have a next one."""

    items: list[UnmatchedEventView]


def unmatched_to_wire(unmatched: UnmatchedEvent) -> dict[str, Any]:
    """Members of an UnmatchedEventView; numbers stay exact."""
    event = unmatched.event
    return {
        "product_id": event.product_id,
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "time": event.occurred_at,
        "data": event.values,
        "received_at": unmatched.received_at,
        "reason": unmatched.reason.value,
        "detail": unmatched.detail,
    }


class HourConflicts(BaseModel):
    """Conflicting repeats of one hour."""

    hour: datetime
    conflicts: int


class ConflictsView(BaseModel):
    """Repeats of events, as far as they have been folded."""

    events: int = Field(description="Distinct events")
    duplicates: int = Field(description="Repeats with the same content; never added")
    conflicts: int = Field(description="Repeats of an identity with other content; never added")
    hours: list[HourConflicts] = Field(description="Hours with conflicts")

    @classmethod
    def of(cls, counts: ConflictCounts) -> ConflictsView:
        hours = [HourConflicts(hour=hour, conflicts=n) for hour, n in counts.by_hour.items()]
        return cls(
            events=counts.events,
            duplicates=counts.duplicates,
            conflicts=counts.total,
            hours=hours,
        )


class QuantityView(BaseModel):
    """A quantity of one meter and group in one window."""

    start: datetime
    end: datetime
    meter_id: str
    group: dict[str, str]
    quantity: str
    live: bool = Field(description="Some hour of it is still open for late events")

    @classmethod
    def of(cls, found: WindowQuantity) -> QuantityView:
        return cls(
            start=found.start,
            end=found.end,
            meter_id=found.meter_id,
            group=dict(found.group),
            quantity=plain(found.quantity),
            live=found.live,
        )


class UsageView(Listing):
    """Usage of a customer, by window, meter and group; what is zero is left out."""

    items: list[QuantityView]
    fresh_through: datetime | None = Field(
        description="When the newest event that is included was received; null without usage"
    )
    folded_at: datetime | None


class UnbilledUsageView(BaseModel):
    """What one meter and group show in hours that nothing bills."""

    customer_id: str
    meter_id: str
    group: dict[str, str] = Field(
        description="Value by name; empty if it was counted under an earlier group_by of the meter"
    )
    agreement_id: str | None = Field(
        description="Whose plan has no dimension for it; null where no agreement owns the hours"
    )
    reason: UnbilledReason
    quantity: str
    first_hour: datetime = Field(description="The first hour in the range with a quantity")
    last_hour: datetime = Field(description="The last hour in the range with a quantity")

    @classmethod
    def of(cls, found: UnbilledUsage) -> UnbilledUsageView:
        return cls(
            customer_id=found.customer_id,
            meter_id=found.meter_id,
            group=dict(found.group),
            agreement_id=found.agreement_id,
            reason=found.reason,
            quantity=plain(found.quantity),
            first_hour=found.first_hour,
            last_hour=found.last_hour,
        )


class UnbilledUsageList(Listing):
    """A page of unbilled usage, by customer. It may be empty and still have a next one."""

    items: list[UnbilledUsageView]
