"""Which meters an offering's plans bill, whichever way they are written down."""

from __future__ import annotations

from meterbridge.domain.offerings import Offering, Plan


def meters_of(offering: Offering) -> set[str]:
    """Ids of the meters that a version refers to."""
    return set().union(*(_meters_of_plan(plan) for plan in offering.plans))


def _meters_of_plan(plan: Plan) -> set[str]:
    found = {dimension.meter_id for dimension in plan.dimensions}
    if plan.terms is not None:
        for priced in plan.terms.dimensions:
            found |= {priced.meter_id, priced.event_meter_id} - {""}
    return found
