"""Increment and rounding (Paigo's usageIncrement, rounding and aggregationInterval)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from builders import at
from meterbridge.domain.money import Rounding
from meterbridge.domain.pricing.increments import Counted, Increment, Interval

CYCLE_START = at("2026-11-01T00")
# 40 and 50 minutes in two hours of one day, 65 on the next; in hours of 60 minutes.
USED = [("2026-11-03T10", "40"), ("2026-11-03T11", "50"), ("2026-11-04T10", "65")]


@pytest.mark.parametrize(
    ("interval", "rounding", "totals"),
    [
        ("hour", "ceiling", ["60", "120", "240"]),  # 60; 60; 65 → 120
        ("hour", "floor", ["0", "0", "60"]),
        ("hour", "round", ["60", "120", "180"]),  # 40 → 60, 50 → 60, 65 → 60
        ("day", "ceiling", ["60", "120", "240"]),  # 90 → 120; 65 → 120
        ("day", "floor", ["0", "60", "120"]),
        ("day", "round", ["60", "120", "180"]),  # 90 is half way: away from zero
        ("cycle", "ceiling", ["60", "120", "180"]),  # 155 → 180
        ("cycle", "floor", ["0", "60", "120"]),
        ("cycle", "round", ["60", "120", "180"]),
    ],
)
def test_a_quantity_is_rounded_once_per_interval(
    interval: str, rounding: str, totals: list[str]
) -> None:
    increment = Increment(Decimal(60), Rounding(rounding), Interval(interval))
    counted, found = Counted(), []
    for hour, quantity in USED:
        counted = counted.plus(Decimal(quantity), at(hour), CYCLE_START, increment)
        found.append(counted.total(increment))
    assert found == [Decimal(total) for total in totals]
    assert counted.metered == Decimal(155)


def test_without_an_increment_every_fraction_counts() -> None:
    counted = Counted()
    for part in range(3):
        hour = CYCLE_START + timedelta(hours=part)
        counted = counted.plus(Decimal("0.1"), hour, CYCLE_START, None)
    assert counted.total(None) == Decimal("0.3")
