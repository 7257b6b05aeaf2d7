"""How a line of an invoice came about: what is answered."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from pydantic import BaseModel, Field

from manage.schemas_books import RecordView
from manage.schemas_invoices import InvoiceLineView
from meterbridge.application.explain_line import ExplainedEvent, LineExplanation
from meterbridge.domain.invoicing.line_trace import HourShare
from meterbridge.domain.meters import Aggregation, Meter
from meterbridge.domain.money import plain
from meterbridge.domain.pricing.plan_terms import PricedDimension

MAX_HOURS_SHOWN = 2_000
MAX_RECORDS_SHOWN = 1_000
"""What an answer has room for; a line of everything can have hours and records of many dimensions."""


class HourShareView(BaseModel):
    """What one hour put into the line."""

    hour: datetime
    code: str = Field(description="What was charged for; of a deduction, what it was taken off")
    quantity: str
    amount: str

    @classmethod
    def of(cls, share: HourShare) -> HourShareView:
        return cls(
            hour=share.hour,
            code=share.code,
            quantity=plain(share.quantity),
            amount=plain(share.amount),
        )


class PriceView(BaseModel):
    """The rule by which a quantity became an amount."""

    code: str
    meter_id: str
    group: dict[str, str] = Field(description="Values of the meter's group-by that it bills")
    terms: dict[str, Any] = Field(description="The price model, with its tiers or steps")

    @classmethod
    def of(cls, dimension: PricedDimension) -> PriceView:
        terms: dict[str, Any] = msgspec.to_builtins(dimension.price)
        return cls(
            code=dimension.code,
            meter_id=dimension.meter_id,
            group=dict(dimension.group),
            terms=terms,
        )


class MeterUsedView(BaseModel):
    """A meter that counted the events."""

    id: str
    name: str
    event_type: str
    aggregation: Aggregation
    value_path: str
    group_by: list[str]

    @classmethod
    def of(cls, meter: Meter) -> MeterUsedView:
        return cls(
            id=meter.id,
            name=meter.name,
            event_type=meter.event_type,
            aggregation=meter.aggregation,
            value_path=meter.value_path,
            group_by=[each.name for each in meter.group_by],
        )


class ExplainedEventView(BaseModel):
    """A usage event that a meter counted for the line."""

    source: str
    id: str
    occurred_at: datetime
    received_at: datetime
    meter_id: str
    group: list[str]
    quantity: str = Field(description="What it counts by itself")

    @classmethod
    def of(cls, event: ExplainedEvent) -> ExplainedEventView:
        return cls(
            source=event.source,
            id=event.id,
            occurred_at=event.occurred_at,
            received_at=event.received_at,
            meter_id=event.meter_id,
            group=list(event.group),
            quantity=plain(event.quantity),
        )


class EventsKeptView(BaseModel):
    """Which events can be listed."""

    complete: bool = Field(description="False: the line has hours whose events are not kept here")
    listed_from: datetime = Field(description="Events of earlier hours are in the archive only")
    archive: str | None = Field(description="Where those are: Parquet, by day of the usage")
    note: str


class LineExplanationView(BaseModel):
    """From an amount to the events. Next pages hold events only as far as the line has more."""

    document_id: str
    number: str | None
    line: InvoiceLineView
    credited_line: InvoiceLineView | None = Field(
        description="Of a line that was credited, the invoice's line that the rest is about"
    )
    price: PriceView | None
    meters: list[MeterUsedView]
    hours: list[HourShareView] = Field(description="At most 2,000, ascending")
    hour_count: int = Field(description="How many there are")
    amount_now: str = Field(description="What the hours come to by what is known now")
    changed: str = Field(
        description="amount_now less the line's amount: late usage, which a later document has"
    )
    records: list[RecordView] = Field(
        description="What was reported of those hours; at most 1,000, and all in …/records"
    )
    record_count: int = Field(description="How many there are")
    events: list[ExplainedEventView] = Field(
        description="A page; may be short, even empty, though next_cursor goes on"
    )
    events_kept: EventsKeptView
    next_cursor: str | None

    @classmethod
    def of(cls, found: LineExplanation, bucket: str) -> LineExplanationView:
        credited = found.traced if found.traced is not found.line else None
        return cls(
            document_id=found.document.id,
            number=found.document.number or None,
            line=InvoiceLineView.of(found.line),
            credited_line=None if credited is None else InvoiceLineView.of(credited),
            price=None if found.dimension is None else PriceView.of(found.dimension),
            meters=[MeterUsedView.of(meter) for meter in found.meters],
            hours=[HourShareView.of(share) for share in found.shares[:MAX_HOURS_SHOWN]],
            hour_count=len(found.shares),
            amount_now=plain(found.amount_now),
            changed=plain(found.changed),
            records=[RecordView.of(record) for record in found.records[:MAX_RECORDS_SHOWN]],
            record_count=len(found.records),
            events=[ExplainedEventView.of(event) for event in found.events],
            events_kept=_kept(found, bucket),
            next_cursor=found.next_cursor or None,
        )


def _kept(found: LineExplanation, bucket: str) -> EventsKeptView:
    days = sorted({f"{share.hour:%Y-%m-%d}" for share in found.shares})
    archive = f"s3://{bucket}/events/day={days[0]}/" if bucket and days else None
    note = "The usage log keeps events for 45 days; the archive keeps them for good."
    return EventsKeptView(
        complete=found.events_complete,
        listed_from=found.events_from,
        archive=None if found.events_complete else archive,
        note=note,
    )
