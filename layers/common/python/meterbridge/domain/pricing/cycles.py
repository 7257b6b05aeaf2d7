"""Billing cycles: the spans by which tiers, included quantities and minimums begin anew.

The ledger's period stays the calendar month (`windows.BillingPeriod`); a cycle only decides how
usage is priced.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum

from meterbridge.domain.errors import InvariantError
from meterbridge.domain.money import multiply, quotient
from meterbridge.domain.windows import HOUR, hour_of


class CycleKind(StrEnum):
    """What a cycle is.

    CALENDAR_MONTH: the UTC month. ANNIVERSARY: a month from the agreement's start; where a month is
    too short for its day, from that month's last day. ANNUAL: twelve of those (Azure's included
    quantities run by the subscription's term, contracts.md §2.1.5).
    """

    CALENDAR_MONTH = "calendar_month"
    ANNIVERSARY = "anniversary"
    ANNUAL = "annual"


@dataclass(frozen=True, slots=True)
class Cycle:
    """One cycle, [start, end), at full hours. `index` counts from 0, the agreement's first."""

    index: int
    start: datetime
    end: datetime

    @property
    def hours(self) -> int:
        """Its length in hours."""
        return hours_in(self.start, self.end)


@dataclass(frozen=True, slots=True)
class BilledSpan:
    """The hours that an agreement bills: [first_hour, end_hour); None has no end yet.

    Attributes:
        starts_at: the agreement's start, from which anniversaries count.
        first_hour: later than the start's hour where that hour belongs to another agreement.
    """

    starts_at: datetime
    first_hour: datetime
    end_hour: datetime | None = None

    @classmethod
    def since(cls, starts_at: datetime, end_hour: datetime | None = None) -> BilledSpan:
        """From the hour of a start."""
        return cls(starts_at, hour_of(starts_at), end_hour)

    def first_of(self, cycle: Cycle) -> datetime:
        """The cycle's first billed hour."""
        return max(cycle.start, self.first_hour)

    def end_of(self, cycle: Cycle) -> datetime:
        """The end of the cycle's last billed hour."""
        return cycle.end if self.end_hour is None else min(cycle.end, self.end_hour)

    def last_of(self, cycle: Cycle) -> datetime:
        """The cycle's last billed hour."""
        return self.end_of(cycle) - HOUR

    def is_last(self, hour: datetime) -> bool:
        """Whether the agreement ends with this hour."""
        return self.end_hour is not None and hour + HOUR >= self.end_hour


def cycle_of(kind: CycleKind, agreement_start: datetime, moment: datetime) -> Cycle:
    """The cycle that holds a moment.

    Raises:
        InvariantError: the moment lies before the agreement's first hour.
    """
    anchor = hour_of(agreement_start)
    if moment < anchor:
        raise InvariantError(f"{moment} is before the agreement's start {agreement_start}")
    if kind is CycleKind.CALENDAR_MONTH:
        first = datetime(anchor.year, anchor.month, 1, tzinfo=UTC)
        return cycle_at(kind, agreement_start, _months(first, moment))
    index = _months(anchor, moment)
    if _plus_months(anchor, index) > moment:
        index -= 1
    return cycle_at(kind, agreement_start, index // 12 if kind is CycleKind.ANNUAL else index)


def cycle_at(kind: CycleKind, agreement_start: datetime, index: int) -> Cycle:
    """An agreement's cycle by its index."""
    anchor = hour_of(agreement_start)
    length = 1
    if kind is CycleKind.CALENDAR_MONTH:
        anchor = datetime(anchor.year, anchor.month, 1, tzinfo=UTC)
    elif kind is CycleKind.ANNUAL:
        length = 12
    start = _plus_months(anchor, index * length)
    return Cycle(index, start, _plus_months(anchor, (index + 1) * length))


def hours_in(start: datetime, end: datetime) -> int:
    """Whole hours in [start, end); none where it is empty."""
    return max((end - start) // HOUR, 0)


def prorated(amount: Decimal, hours: int, of_hours: int) -> Decimal:
    """An amount's share for some of its hours, rounded down to 12 places where it does not end."""
    if hours == of_hours:
        return amount
    return quotient(multiply(amount, Decimal(hours)), Decimal(of_hours))


def _months(start: datetime, end: datetime) -> int:
    return (end.year - start.year) * 12 + end.month - start.month


def _plus_months(anchor: datetime, months: int) -> datetime:
    """Counted from the anchor each time, so that the 31st comes back after a short month."""
    years, month = divmod(anchor.month - 1 + months, 12)
    year = anchor.year + years
    day = min(anchor.day, monthrange(year, month + 1)[1])
    return anchor.replace(year=year, month=month + 1, day=day)
