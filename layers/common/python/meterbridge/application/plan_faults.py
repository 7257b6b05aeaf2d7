"""What is wrong with an offering's plans, and how they do not fit the product's meters: all at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from meterbridge.application.registry_admin import (
    MAX_METERS_PER_OFFERING,
    RegistryAdmin,
    Versioned,
)
from meterbridge.domain.errors import NotFoundError
from meterbridge.domain.meters import ADDITIVE, Meter
from meterbridge.domain.offerings import Plan
from meterbridge.domain.plan_meters import meters_of
from meterbridge.domain.pricing.faults import Fault
from meterbridge.domain.pricing.models import Dimensional
from meterbridge.domain.pricing.plan_terms import PlanTerms, PricedDimension
from meterbridge.domain.pricing.validation import validate

Meters = Mapping[str, Versioned[Meter] | None]
"""Entries of a product's meters by id; None where it has none of that id."""


def read_meters(product_id: str, plans: Iterable[Plan], registry: RegistryAdmin) -> Meters:
    """The meters that plans refer to; none are looked up of more than an offering may have."""
    names = meters_of(plans)
    if len(names) > MAX_METERS_PER_OFFERING:
        return dict.fromkeys(names)
    return {name: _meter_of(product_id, name, registry) for name in sorted(names)}


def _meter_of(product_id: str, meter_id: str, registry: RegistryAdmin) -> Versioned[Meter] | None:
    try:
        entry = registry.meter_entry(meter_id)
    except NotFoundError:
        return None
    return entry if entry.value.product_id == product_id else None


def plan_faults(plans: Mapping[int, Plan], meters: Meters) -> Iterator[Fault]:
    """Every fault, with pointers such as /plans/0/terms/dimensions/1/meter_id.

    Args:
        plans: by their place in what was sent.
    """
    if len(meters) > MAX_METERS_PER_OFFERING:
        yield Fault("/plans", "too_many_meters", f"more than {MAX_METERS_PER_OFFERING}")
        return
    yield from _faults(plans, meters)


def _faults(plans: Mapping[int, Plan], meters: Meters) -> Iterator[Fault]:
    codes: set[str] = set()
    for number, plan in plans.items():
        at = f"/plans/{number}"
        if plan.code in codes:
            yield Fault(f"{at}/code", "repeated_code", f"plan {plan.code} is there twice")
        codes.add(plan.code)
        yield from _dimension_faults(at, plan, meters)
        if plan.terms is not None:
            yield from _terms_faults(f"{at}/terms", plan.terms, meters)


def _dimension_faults(at: str, plan: Plan, meters: Meters) -> Iterator[Fault]:
    for number, dimension in enumerate(plan.dimensions):
        where = f"{at}/dimensions/{number}"
        if dimension.code in [other.code for other in plan.dimensions[:number]]:
            yield Fault(f"{where}/code", "repeated_code", f"{dimension.code} is there twice")
        yield from _meter_faults(f"{where}/meter_id", dimension.meter_id, meters)
        meter = meters[dimension.meter_id]
        if meter is not None:
            yield from _group_faults(f"{where}/group", dimension.group, meter.value)


def _terms_faults(at: str, terms: PlanTerms, meters: Meters) -> Iterator[Fault]:
    if not (terms.dimensions or terms.fees):
        yield Fault(at, "nothing_charged", "a dimension or a fee is needed")
    for fault in validate(terms):
        yield replace(fault, pointer=at + fault.pointer)
    for number, dimension in enumerate(terms.dimensions):
        where = f"{at}/dimensions/{number}"
        yield from _meter_faults(f"{where}/meter_id", dimension.meter_id, meters)
        meter = meters.get(dimension.meter_id)
        if meter is not None:
            yield from _group_faults(f"{where}/group", dimension.group, meter.value)
            yield from _price_group_faults(f"{where}/price", dimension, meter.value)
        if dimension.event_meter_id:
            yield from _event_meter_faults(f"{where}/event_meter_id", dimension, meters)


def _meter_faults(at: str, meter_id: str, meters: Meters) -> Iterator[Fault]:
    entry = meters.get(meter_id)
    if entry is None:
        yield Fault(at, "unknown_meter", f"the product has no meter {meter_id}")
    elif entry.value.archived_at is not None:
        yield Fault(at, "archived_meter", "the meter is archived")


def _group_faults(at: str, names: Iterable[str], meter: Meter) -> Iterator[Fault]:
    for name in sorted(set(names) - {each.name for each in meter.group_by}):
        yield Fault(at, "unknown_group", f"the meter has no group {name}")


def _price_group_faults(at: str, dimension: PricedDimension, meter: Meter) -> Iterator[Fault]:
    """A price names a group by one value for each name of the meter's group-by."""
    price = dimension.price
    for number, each in enumerate(price.prices if isinstance(price, Dimensional) else ()):
        if len(each.group) != len(meter.group_by):
            detail = f"the meter has {len(meter.group_by)} names to group by"
            yield Fault(f"{at}/prices/{number}/group", "group_length", detail)


def _event_meter_faults(at: str, dimension: PricedDimension, meters: Meters) -> Iterator[Fault]:
    yield from _meter_faults(at, dimension.event_meter_id, meters)
    entry, priced = meters[dimension.event_meter_id], meters.get(dimension.meter_id)
    if entry is None:
        return
    grouped = isinstance(dimension.price, Dimensional)
    if entry.value.aggregation not in ADDITIVE:
        yield Fault(at, "not_a_count", "events are counted by a count or sum meter")
    yield from _group_faults(at, dimension.group, entry.value)
    if grouped and priced is not None and _names(entry.value) != _names(priced.value):
        yield Fault(at, "other_groups", "it has to group as the meter of a price by group does")


def _names(meter: Meter) -> list[str]:
    return [each.name for each in meter.group_by]
