"""Which meters plans bill, whichever way they are written down."""

from __future__ import annotations

from collections.abc import Iterable

from meterbridge.domain.offerings import Plan


def meters_of(plans: Iterable[Plan]) -> set[str]:
    """Ids of the meters that plans refer to."""
    return set().union(*(_meters_of_plan(plan) for plan in plans))


def _meters_of_plan(plan: Plan) -> set[str]:
    found = {dimension.meter_id for dimension in plan.dimensions}
    if plan.terms is not None:
        for priced in plan.terms.dimensions:
            found |= {priced.meter_id, priced.event_meter_id} - {""}
    return found
