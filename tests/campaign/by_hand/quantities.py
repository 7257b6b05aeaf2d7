"""A cycle's quantities to date, each counted anew from the usage of its hours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from fractions import Fraction

from campaign.by_hand.agreed import Used
from campaign.by_hand.prices import ZERO, F, counted
from meterbridge.domain.pricing.increments import Interval
from meterbridge.domain.pricing.models import Dimensional
from meterbridge.domain.pricing.plan_terms import PricedDimension


class Quantities:
    """Of one dimension's group."""

    def __init__(self, dimension: PricedDimension, group: str, used: Used) -> None:
        """Args: used: the cycle's hours, in order."""
        self.dimension, self.group = dimension, group
        self._used = {hour: self._of(dimension.meter_id, hour, used) for hour in used}
        self._events = {hour: self._of(dimension.event_meter_id, hour, used) for hour in used}

    def metered(self, hour: datetime) -> Fraction:
        return self._used.get(hour, ZERO)

    def events(self, through: datetime, is_free: Callable[[datetime], bool]) -> Fraction:
        """In hours that are not free."""
        paid = (n for hour, n in self._events.items() if hour <= through and not is_free(hour))
        return sum(paid, ZERO)

    def total(self, through: datetime) -> Fraction:
        """In increments."""
        increment = self.dimension.increment
        within = [(hour, amount) for hour, amount in self._used.items() if hour <= through]
        if increment is None:
            return sum((amount for _, amount in within), ZERO)
        parts: dict[object, Fraction] = defaultdict(Fraction)
        for hour, amount in within:
            by = {Interval.HOUR: hour, Interval.DAY: hour.date(), Interval.CYCLE: None}
            parts[by[increment.interval]] += amount
        return sum((counted(part, increment) for part in parts.values()), ZERO)

    def included(self, total: Fraction) -> Fraction:
        entitlement = self.dimension.entitlement
        if entitlement is None:
            return ZERO
        return total if entitlement.quantity is None else min(total, F(entitlement.quantity))

    def over_limit(self, total: Fraction) -> Fraction:
        entitlement = self.dimension.entitlement
        if entitlement is None or entitlement.overage_allowed:
            return ZERO
        return total - self.included(total)

    def _of(self, meter: str, hour: datetime, used: Used) -> Fraction:
        return sum(
            (n for (name, group), n in used[hour].items() if name == meter and self._takes(group)),
            ZERO,
        )

    def _takes(self, group: str) -> bool:
        price = self.dimension.price
        if not isinstance(price, Dimensional):
            return True
        named = {each.group[0] for each in price.prices}
        return group == self.group if group in named else not self.group


def of_cycle(dimensions: Iterable[PricedDimension], used: Used) -> dict[str, list[Quantities]]:
    """By dimension, for all others together first and then for each group with a price of its own."""
    found = {}
    for each in dimensions:
        named = each.price.prices if isinstance(each.price, Dimensional) else ()
        groups = ["", *(price.group[0] for price in named)]
        found[each.code] = [Quantities(each, group, used) for group in groups]
    return found
