"""Publishing a version of an offering: everything in it must fit, and then it never changes."""

from __future__ import annotations

from dataclasses import replace

from meterbridge.application.manage_catalog import Answering, sees_product
from meterbridge.application.plan_faults import plan_faults, read_meters
from meterbridge.application.refusals import Faults
from meterbridge.application.registry_admin import RegistryAdmin
from meterbridge.domain.api_keys import Caller
from meterbridge.domain.offerings import Offering, Plan
from meterbridge.domain.pricing.derived_reporting import with_derived_reporting


def publish_offering(
    offering: Offering, *, caller: Caller, registry: RegistryAdmin, answering: Answering[Offering]
) -> Offering:
    """Store version 1 of an offering, or the version after its newest.

    Returns:
        It as published: its terms say how they are reported through every channel that can.

    Raises:
        InvalidRequestError: its terms make no sense, or it does not fit the product's meters;
            names all faults.
        AlreadyExistsError: version 1 of an offering that exists.
        StaleVersionError: another version was published, or a meter changed, at the same moment.
    """
    faults = Faults()
    if not sees_product(offering.product_id, caller, registry):
        faults.add("unknown_product", f"no product {offering.product_id}", "/product_id")
    meters = read_meters(offering.product_id, offering.plans, registry)
    faults.add_all(plan_faults(dict(enumerate(offering.plans)), meters))
    faults.refuse_any()
    published = replace(offering, plans=tuple(_with_reporting(each) for each in offering.plans))
    versions = {name: entry.version for name, entry in meters.items() if entry is not None}
    registry.add_offering(published, versions, answering(published))
    return published


def _with_reporting(plan: Plan) -> Plan:
    if plan.terms is None:
        return plan
    return replace(plan, terms=with_derived_reporting(plan.terms))
