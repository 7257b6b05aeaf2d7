"""Increment and rounding: the quantity that counts, kept exact while an interval is running."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from meterbridge.domain.money import ZERO, Rounding, add, to_increment


class Interval(StrEnum):
    """Over which usage is summed before it is rounded (Paigo's aggregationInterval)."""

    HOUR = "hour"
    DAY = "day"
    CYCLE = "cycle"


@dataclass(frozen=True, slots=True)
class Increment:
    """Quantities count in multiples of `size`, rounded once per interval."""

    size: Decimal
    rounding: Rounding = Rounding.CEILING
    interval: Interval = Interval.CYCLE


class Counted(Struct, frozen=True):
    """A quantity of a cycle on its way through an increment.

    Attributes:
        metered: as used.
        finished: what finished intervals came to.
        running: as used in the interval that is running.
        running_since: that interval's start.
    """

    metered: Decimal = ZERO
    finished: Decimal = ZERO
    running: Decimal = ZERO
    running_since: datetime | None = None

    def plus(
        self, quantity: Decimal, hour: datetime, cycle_start: datetime, increment: Increment | None
    ) -> Counted:
        """With an hour's quantity added."""
        since = _interval_start(hour, cycle_start, increment)
        finished, running = self.finished, self.running
        if since != self.running_since:
            finished, running = self.total(increment), ZERO
        return Counted(
            metered=add(self.metered, quantity),
            finished=finished,
            running=add(running, quantity),
            running_since=since,
        )

    def total(self, increment: Increment | None) -> Decimal:
        """The quantity that counts: finished intervals, and the running one rounded as it stands."""
        running = self.running
        if increment is not None:
            running = to_increment(running, increment.size, increment.rounding)
        return add(self.finished, running)


def _interval_start(hour: datetime, cycle_start: datetime, increment: Increment | None) -> datetime:
    if increment is None or increment.interval is Interval.CYCLE:
        return cycle_start
    return hour if increment.interval is Interval.HOUR else hour.replace(hour=0)
