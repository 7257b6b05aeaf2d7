"""The deadline clock: until when what was used and is not accepted yet can be reported for its hour.

A deadline is the marketplace's own (contracts.md §8, in policy.py): exclusive, the month end and the
end of the agreement included. Google's is our 48 hours; its contract's one hour is no refusal, and an
item is BEHIND before that hour is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from meterbridge.domain.agreements import Agreement
from meterbridge.domain.metering_record import MeteringRecord
from meterbridge.domain.offerings import Channel
from meterbridge.domain.policy import MarketplacePolicy
from meterbridge.domain.windows import HOUR

ORDINARY_DELAY = timedelta(minutes=15)
"""What a step (settling, reporting) ordinarily takes at most: three runs of its schedule."""


class ClockState(StrEnum):
    """How an agreement stands with the clock; the worst of what waits.

    ON_SCHEDULE: something waits, and has its time. BEHIND: it should have been accepted by now.
    CRITICAL: behind, and within the policy's safety margin. MISSED: its hour was not reported in
    time: it is billed in a later hour, or waits for a person's decision, or is lost.
    """

    NOTHING_WAITING = "nothing_waiting"
    ON_SCHEDULE = "on_schedule"
    BEHIND = "behind"
    CRITICAL = "critical"
    MISSED = "missed"


class WaitsFor(StrEnum):
    """What has to happen next.

    HOUR: its hour to be closed. SETTLEMENT. MARKETPLACE: a record's acceptance. AGREEMENT: to become
    active (again). DECISION: of a person, on an expired record. NOTHING: it is lost.
    """

    HOUR = "hour"
    SETTLEMENT = "settlement"
    MARKETPLACE = "marketplace"
    AGREEMENT = "agreement"
    DECISION = "decision"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class WaitingUsage:
    """A quantity of one dimension that was used and is not accepted.

    Attributes:
        hour: the hour it is, or would be, reported for.
        quantity: in the marketplace's units.
        metered: the same in metered quantity.
        expected_at: when it is accepted in the ordinary course.
        deadline: last moment (exclusive) at which the marketplace takes it for that hour.
        reason: why it waits, for a person.
    """

    dimension: str
    hour: datetime
    quantity: Decimal
    metered: Decimal
    waits_for: WaitsFor
    expected_at: datetime
    deadline: datetime
    reason: str

    def is_missed(self, now: datetime) -> bool:
        """Whether the marketplace does not take it for its hour any more."""
        return now >= self.deadline

    def is_behind(self, now: datetime) -> bool:
        """Whether it should have been accepted, or cannot be in the ordinary course."""
        return now >= self.expected_at or self.expected_at >= self.deadline


@dataclass(frozen=True, slots=True)
class DeadlineClock:
    """What of an agreement waits, and how long it may.

    Attributes:
        waiting: earliest deadline first.
        missed: metered quantity by dimension whose own hour was missed, and which is in no record;
            what an open hour takes of it is in `waiting` too.
        safety_margin: how long before a deadline we stop counting on being accepted.
        reason: why nothing can wait, where that is so.
    """

    agreement_id: str
    channel: Channel
    now: datetime
    safety_margin: timedelta
    waiting: tuple[WaitingUsage, ...] = ()
    missed: Mapping[str, Decimal] = field(default_factory=dict)
    reason: str = ""

    @property
    def next(self) -> WaitingUsage | None:
        """What is lost to its hour next; None when nothing can be any more."""
        return next((each for each in self.waiting if not each.is_missed(self.now)), None)

    @property
    def time_left(self) -> timedelta | None:
        """Until the next deadline; None when there is none."""
        return self.next.deadline - self.now if self.next else None

    @property
    def state(self) -> ClockState:
        """The worst of what waits."""
        if self.missed or any(each.is_missed(self.now) for each in self.waiting):
            return ClockState.MISSED
        if not self.waiting:
            return ClockState.NOTHING_WAITING
        behind = [each.deadline for each in self.waiting if each.is_behind(self.now)]
        nearest = min(behind, default=self.waiting[0].deadline)
        return state_of(nearest, self.safety_margin, self.now, behind=bool(behind))


def state_of(
    deadline: datetime, safety_margin: timedelta, now: datetime, *, behind: bool
) -> ClockState:
    """How something that waits until a deadline stands."""
    if now >= deadline:
        return ClockState.MISSED
    if not behind:
        return ClockState.ON_SCHEDULE
    return ClockState.CRITICAL if now >= deadline - safety_margin else ClockState.BEHIND


def record_deadline(
    record: MeteringRecord, agreement: Agreement, policy: MarketplacePolicy
) -> datetime:
    """Until when a record is sent and taken.

    Also an end of the agreement that came after it was written counts, and the shorter time of one
    whose outcome is unknown, where the marketplace would book it twice.
    """
    return min(record.open_until, policy.deadline(record.reported_hour_start, agreement.ends_at))


def closes_at(agreement: Agreement, hour: datetime, grace: timedelta) -> datetime:
    """When an hour is closed (see closed_hours)."""
    end = hour + HOUR
    return (end if agreement.ends_at is None else min(end, agreement.ends_at)) + grace
