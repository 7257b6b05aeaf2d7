"""Usage that somebody supposes: which dimensions of a plan it belongs to, and when it is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from meterbridge.application.refusals import Faults
from meterbridge.domain.meters import Meter
from meterbridge.domain.money import ZERO
from meterbridge.domain.pricing.cycles import BilledSpan, Cycle
from meterbridge.domain.pricing.plan_terms import PlanTerms, PricedDimension
from meterbridge.domain.pricing.usage_spread import Spread, UsageTotal
from meterbridge.domain.usage import GroupKey
from meterbridge.domain.windows import HOUR

MAX_HOURLY_QUANTITIES = 10_000
"""Quantities that one preview rates: usage of a dimension and group in an hour is one."""

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class GivenUsage:
    """Usage of a dimension, or of a meter, in all of the cycle, a day or an hour.

    Attributes:
        dimension, meter_id: exactly one is not "".
        events: number of events, where a dimension has a fixed part for each.
        group: values of the meter's group-by names; empty is usage that no group is known of.
        day, hour: UTC; neither is the whole cycle.
    """

    quantity: Decimal
    dimension: str = ""
    meter_id: str = ""
    events: Decimal = ZERO
    group: Mapping[str, str] = field(default_factory=dict)
    day: datetime | None = None
    hour: datetime | None = None


def usage_totals(
    given: Sequence[GivenUsage],
    plan: PlanTerms,
    meters: Mapping[str, Meter],
    span: BilledSpan,
    cycle: Cycle,
    *,
    spread: Spread,
    faults: Faults,
) -> list[UsageTotal]:
    """What is used of each dimension, as far as it makes sense; the rest are faults.

    Args:
        meters: those of the plan.
    """
    found: list[UsageTotal] = []
    for number, usage in enumerate(given):
        at = f"/usage/{number}"
        start, end = _when(usage, span, cycle)
        if start < span.first_of(cycle) or end > span.end_of(cycle) or start >= end:
            detail = f"it must lie in {span.first_of(cycle).isoformat()} to {cycle.end.isoformat()}"
            faults.add("outside_cycle", detail, f"{at}/day" if usage.day else f"{at}/hour")
            continue
        bills = list(_billed(usage, plan, meters, at, faults))
        found += [
            UsageTotal(code, start, end, quantity, events, group)
            for code, group, quantity, events in bills
        ]
    if sum(each.hours(spread) for each in found) > MAX_HOURLY_QUANTITIES:
        detail = f"it makes more than {MAX_HOURLY_QUANTITIES} hourly quantities"
        faults.add("too_much_usage", detail, "/usage")
    return found


def _when(usage: GivenUsage, span: BilledSpan, cycle: Cycle) -> tuple[datetime, datetime]:
    if usage.hour is not None:
        return usage.hour, usage.hour + HOUR
    first, end = span.first_of(cycle), span.end_of(cycle)
    if usage.day is not None:
        # The part of the day that the agreement covers.
        if usage.day + _DAY <= first or usage.day >= end:
            return usage.day, usage.day
        return max(usage.day, first), min(usage.day + _DAY, end)
    return first, end


def _billed(
    usage: GivenUsage, plan: PlanTerms, meters: Mapping[str, Meter], at: str, faults: Faults
) -> Iterator[tuple[str, GroupKey, Decimal, Decimal]]:
    """(code, group, quantity, events) of the dimensions that bill it."""
    name = "dimension" if usage.dimension else "meter_id"
    if usage.dimension:
        chosen = [each for each in plan.dimensions if each.code == usage.dimension]
    else:
        chosen = [
            each
            for each in plan.dimensions
            if usage.meter_id in (each.meter_id, each.event_meter_id)
        ]
    if not chosen:
        faults.add("unknown_code", "the plan bills no such usage", f"{at}/{name}")
        return
    if not any(_with_group(usage, chosen, meters)):
        faults.add("unknown_group", "its meter has other group-by names", f"{at}/group")
        return
    billing = False
    for dimension, group in _with_group(usage, chosen, meters):
        others = any(usage.group.get(key) != value for key, value in dimension.group.items())
        if others and (usage.group or not usage.dimension):
            continue
        billing = True
        counted = bool(usage.dimension) or usage.meter_id == dimension.meter_id
        events = usage.events
        if not usage.dimension and usage.meter_id == dimension.event_meter_id:
            events = usage.quantity
        yield dimension.code, group, usage.quantity if counted else ZERO, events
    if not billing:
        faults.add("not_billed", "no dimension of the plan bills this group", f"{at}/group")


def _with_group(
    usage: GivenUsage, chosen: Sequence[PricedDimension], meters: Mapping[str, Meter]
) -> Iterator[tuple[PricedDimension, GroupKey]]:
    """Each dimension with the group as its meter has it; left out where the meter has no such."""
    for dimension in chosen:
        names = [each.name for each in meters[dimension.meter_id].group_by]
        if not usage.group:
            yield dimension, ()
        elif usage.group.keys() == set(names):
            yield dimension, tuple(usage.group[name] for name in names)
