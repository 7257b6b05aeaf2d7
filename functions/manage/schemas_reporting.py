"""How reporting stands: what is answered."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import BaseModel, Field

from manage.answers import Listing
from meterbridge.application.reporting_status import ReportingStatus
from meterbridge.application.waiting_agreements import WaitingAgreement
from meterbridge.domain.agreements import AgreementState
from meterbridge.domain.deadlines import ClockState, WaitingUsage, WaitsFor
from meterbridge.domain.metering_record import MeteringRecord
from meterbridge.domain.money import plain
from meterbridge.domain.offerings import Channel

_STATE = (
    "The worst of what waits. on_schedule: it has its time; behind: it should have been accepted by "
    "now; critical: behind, and within the policy's safety margin of its deadline; missed: it was not "
    "reported for its hour and is billed in a later hour, waits for a decision, or is lost"
)
_MINUTES = "Whole minutes until deadline_at; null when nothing can be missed any more"


class WaitingUsageView(BaseModel):
    """A quantity of one dimension that was used and is not accepted."""

    dimension: str
    hour: datetime = Field(description="The hour it is, or would be, reported for")
    quantity: str = Field(description="In the marketplace's units")
    metered: str
    waits_for: WaitsFor = Field(
        description="hour: to be closed; settlement; marketplace: to accept the record; agreement: "
        "to become active; decision: on an expired record; nothing: it is lost"
    )
    reason: str
    expected_at: datetime = Field(description="When it is accepted in the ordinary course")
    deadline_at: datetime = Field(
        description="The marketplace takes it for that hour until, and not at, this moment"
    )
    minutes_left: int = Field(description="Until deadline_at; negative when that is over")

    @classmethod
    def of(cls, waiting: WaitingUsage, now: datetime) -> WaitingUsageView:
        return cls(
            dimension=waiting.dimension,
            hour=waiting.hour,
            quantity=plain(waiting.quantity),
            metered=plain(waiting.metered),
            waits_for=waiting.waits_for,
            reason=waiting.reason,
            expected_at=waiting.expected_at,
            deadline_at=waiting.deadline,
            minutes_left=_minutes(waiting.deadline - now),
        )


class AcceptedRecordView(BaseModel):
    """The newest record that the marketplace has accepted."""

    dimension: str
    hour: datetime
    quantity: str
    receipt: str
    accepted_at: datetime | None

    @classmethod
    def of(cls, record: MeteringRecord) -> AcceptedRecordView:
        return cls(
            dimension=record.key.dimension,
            hour=record.key.hour,
            quantity=plain(record.quantity),
            receipt=record.receipt,
            accepted_at=record.finished_at,
        )


class ReportingView(BaseModel):
    """How the reporting of one agreement stands: its deadline clock, and how fresh its usage is."""

    agreement_id: str
    product_id: str
    customer_id: str
    channel: Channel
    agreement_state: AgreementState
    at: datetime = Field(description="The moment that all of this is true of")
    state: ClockState = Field(description=_STATE)
    reason: str = Field(description="Why what is next waits, or why nothing can wait")
    deadline_at: datetime | None = Field(
        description="When usage can next no longer be reported for its hour"
    )
    report_by: datetime | None = Field(description="deadline_at less the safety margin")
    minutes_left: int | None = Field(description=_MINUTES)
    waiting: list[WaitingUsageView] = Field(description="Earliest deadline first; at most 500")
    waiting_count: int
    missed: dict[str, str] = Field(
        description="Metered quantity by dimension whose own hour was missed and that is in no "
        "record; what an open hour takes of it is also waiting"
    )
    usage_fresh_through: datetime | None = Field(
        description="Newest receipt of what is counted of this customer; null where nothing was "
        "used in the periods that can still change. usage_counted_through holds all the same"
    )
    usage_counted_through: datetime = Field(
        description="All usage that was received before this moment is counted, anybody's"
    )
    settled_through: datetime | None = Field(description="Newest hour that was settled")
    settled_at: datetime | None
    last_accepted: AcceptedRecordView | None = Field(
        description="Of the periods that can still change"
    )

    @classmethod
    def of(cls, status: ReportingStatus) -> ReportingView:
        agreement, clock, head = status.agreement, status.clock, status.head
        first, accepted = clock.next, status.last_accepted
        reasons = [clock.reason, *(each.reason for each in (first, *clock.waiting) if each)]
        return cls(
            agreement_id=agreement.id,
            product_id=agreement.product_id,
            customer_id=agreement.customer_id,
            channel=agreement.channel,
            agreement_state=agreement.state,
            at=clock.now,
            state=clock.state,
            reason=next((reason for reason in reasons if reason), ""),
            deadline_at=first.deadline if first else None,
            report_by=first.deadline - clock.safety_margin if first else None,
            minutes_left=None if clock.time_left is None else _minutes(clock.time_left),
            waiting=[WaitingUsageView.of(each, clock.now) for each in clock.waiting[:MAX_WAITING]],
            waiting_count=len(clock.waiting),
            missed={dimension: plain(amount) for dimension, amount in clock.missed.items()},
            usage_fresh_through=status.usage_through,
            usage_counted_through=status.freshness.counted_through,
            settled_through=head.settled_through if head else None,
            settled_at=head.settled_at if head else None,
            last_accepted=AcceptedRecordView.of(accepted) if accepted else None,
        )


MAX_WAITING = 500


class WaitingAgreementView(BaseModel):
    """An agreement with usage that is not accepted: open records, or closed hours not settled."""

    agreement_id: str
    product_id: str
    customer_id: str
    channel: Channel
    agreement_state: AgreementState
    state: ClockState = Field(description=_STATE)
    waits_for: WaitsFor
    reason: str
    hour: datetime = Field(description="Whose window closes at deadline_at")
    deadline_at: datetime
    minutes_left: int = Field(description="Until deadline_at; negative when that is over")
    open_records: int
    settled_through: datetime | None
    settled_at: datetime | None

    @classmethod
    def of(cls, waiting: WaitingAgreement, now: datetime) -> WaitingAgreementView:
        agreement = waiting.agreement
        return cls(
            agreement_id=agreement.id,
            product_id=agreement.product_id,
            customer_id=agreement.customer_id,
            channel=agreement.channel,
            agreement_state=agreement.state,
            state=waiting.state,
            waits_for=waiting.waits_for,
            reason=waiting.reason,
            hour=waiting.hour,
            deadline_at=waiting.deadline,
            minutes_left=_minutes(waiting.deadline - now),
            open_records=waiting.open_records,
            settled_through=waiting.settled_through,
            settled_at=waiting.settled_at,
        )


class WaitingAgreementList(Listing):
    """A page of agreements with usage that is not accepted, earliest deadline first."""

    items: list[WaitingAgreementView]
    usage_counted_through: datetime = Field(
        description="All usage that was received before this moment is counted"
    )


def _minutes(left: timedelta) -> int:
    return left // timedelta(minutes=1)
