"""Usage that is known as totals, spread over hours so that it can be rated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from meterbridge.domain.money import ZERO, exact_sum, multiply, subtract, whole_count
from meterbridge.domain.pricing.rated import MeteredHour
from meterbridge.domain.usage import GroupKey
from meterbridge.domain.windows import HOUR

_DAY = timedelta(days=1)


class Spread(StrEnum):
    """How a total comes about: at the first hour of every 24, or in every hour."""

    DAILY = "daily"
    HOURLY = "hourly"


@dataclass(frozen=True, slots=True)
class UsageTotal:
    """What is used of a dimension in [start, end), at full hours.

    Attributes:
        events: number of events, for a fixed part per event.
    """

    code: str
    start: datetime
    end: datetime
    quantity: Decimal
    events: Decimal = ZERO
    group: GroupKey = ()

    def hours(self, spread: Spread) -> int:
        """In how many hours it is used."""
        step = HOUR if spread is Spread.HOURLY else _DAY
        return max(-((self.start - self.end) // step), 1)


def spread_usage(totals: Iterable[UsageTotal], spread: Spread) -> tuple[MeteredHour, ...]:
    """Hours with usage, ascending: even shares, in whole steps of a total's last digit.

    Whatever the spread, the hours add up to the totals.
    """
    quantities: _ByHour = {}
    events: _ByHour = {}
    step = HOUR if spread is Spread.HOURLY else _DAY
    for total in totals:
        count = total.hours(spread)
        for number in range(count):
            hour = total.start + number * step
            _add(quantities, hour, total, _share(total.quantity, number, count))
            _add(events, hour, total, _share(total.events, number, count))
    return tuple(
        MeteredHour(hour, quantities.get(hour, {}), events.get(hour, {}))
        for hour in sorted({*quantities, *events})
    )


_ByHour = dict[datetime, dict[str, dict[GroupKey, Decimal]]]


def _share(total: Decimal, number: int, of: int) -> Decimal:
    return subtract(_up_to(total, number + 1, of), _up_to(total, number, of))


def _up_to(total: Decimal, number: int, of: int) -> Decimal:
    """The first shares together."""
    exponent = total.as_tuple().exponent
    step = Decimal(1).scaleb(min(exponent, 0)) if isinstance(exponent, int) else Decimal(1)
    shares = whole_count(multiply(total, Decimal(number)), multiply(step, Decimal(of)))
    return multiply(shares, step)


def _add(found: _ByHour, hour: datetime, total: UsageTotal, share: Decimal) -> None:
    if not share:
        return
    by_group = found.setdefault(hour, {}).setdefault(total.code, {})
    by_group[total.group] = exact_sum((by_group.get(total.group, ZERO), share))
