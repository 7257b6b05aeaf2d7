"""Faults of the plans of a body that is not of the right form as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from manage.resolver import Resolver
from manage.schemas_offerings import NewPlan
from manage.services import Services
from meterbridge.application.manage_catalog import sees_product, visible_offering
from meterbridge.application.plan_faults import plan_faults, read_meters
from meterbridge.domain.errors import NotFoundError
from meterbridge.domain.money import CURRENCY_EXPONENTS
from meterbridge.domain.offerings import Plan
from meterbridge.domain.pricing.faults import Fault

_MOST_PLANS = 50


def add_offering_faults(app: Resolver, services: Services) -> None:
    """Tell what is wrong with those plans of an offering that have their form, too."""
    registry = services.registry

    def of_offering(body: Any) -> Iterator[Fault]:
        product_id = body.get("product_id") if isinstance(body, dict) else None
        if not isinstance(product_id, str):
            return
        if not sees_product(product_id, app.caller, registry):
            yield Fault("/product_id", "unknown_product", f"no product {product_id}")
        yield from of_plans(body, product_id)

    def of_version(body: Any, offering_id: str) -> Iterator[Fault]:
        try:
            newest = visible_offering(offering_id, caller=app.caller, registry=registry)
        except NotFoundError:
            return
        yield from of_plans(body, newest.value.product_id)

    def of_plans(body: Any, product_id: str) -> Iterator[Fault]:
        plans = _plans_of_right_form(body)
        yield from plan_faults(plans, read_meters(product_id, plans.values(), registry))

    app.tell_more_faults("/v1/offerings", of_offering)
    app.tell_more_faults("/v1/offerings/(?P<offering_id>[^/]+)/versions", of_version)


def _plans_of_right_form(body: Any) -> dict[int, Plan]:
    """By their place in the body."""
    plans = body.get("plans") if isinstance(body, dict) else None
    currency = body.get("currency", "USD") if isinstance(body, dict) else None
    if not isinstance(plans, list) or currency not in list(CURRENCY_EXPONENTS):
        return {}
    found: dict[int, Plan] = {}
    for place, sent in enumerate(plans[:_MOST_PLANS]):
        try:
            found[place] = NewPlan.model_validate(sent).plan(currency)
        except ValidationError:
            continue
    return found
