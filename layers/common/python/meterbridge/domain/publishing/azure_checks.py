"""Whether a configure request is what is known of Microsoft's schemas (contracts.md §2.3)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from meterbridge.domain.pricing.faults import Fault
from meterbridge.domain.publishing.azure_resources import PLAN, PRODUCT, SCHEMAS, SUBMISSION

_NEEDED: Mapping[str, Sequence[str]] = {
    PRODUCT: ("identity", "type", "alias"),
    "setup": ("product", "sellThroughMicrosoft"),
    PLAN: ("product", "identity", "alias"),
    "meters": ("product", "customMeters"),
    "prices": ("product", "plan", "visibility", "markets", "audience", "pricing"),
    SUBMISSION: ("product", "target"),
}
_KINDS = {schema: kind for kind, schema in SCHEMAS.items()}
_MOST_TEXT = 50
"""Longest external id (Partner Center's own limit)."""


def configure_faults(body: str) -> tuple[Fault, ...]:
    """All that is wrong with a configure request, with pointers into it."""
    return tuple(_faults(json.loads(body, parse_float=Decimal)))


def _faults(request: Mapping[str, Any]) -> Iterator[Fault]:
    if _KINDS.get(request.get("$schema", "")) != "configure":
        yield Fault("/$schema", "unknown_schema", "it is no configure request")
    names: set[str] = set()
    declared: set[str] = set()
    for number, resource in enumerate(request["resources"]):
        at = f"/resources/{number}"
        kind = _KINDS.get(resource.get("$schema", ""))
        if kind is None:
            yield Fault(f"{at}/$schema", "unknown_schema", "a version that is not known here")
            continue
        for member in _NEEDED[kind]:
            if member not in resource:
                yield Fault(f"{at}/{member}", "missing", f"a {kind} needs it")
        for member in (PRODUCT, PLAN):
            reference = resource.get(member)
            if isinstance(reference, dict) and reference.get("resourceName", "") not in (
                names | {""}
            ):
                detail = "it refers to no resource before it"
                yield Fault(f"{at}/{member}/resourceName", "unknown_resource", detail)
        external = resource.get("identity", {}).get("externalId", "")
        if len(external) > _MOST_TEXT:
            yield Fault(f"{at}/identity/externalId", "too_long", f"at most {_MOST_TEXT}")
        names.add(resource.get("resourceName", ""))
        if kind == "meters":
            declared |= set(resource.get("customMeters", {}))
        if kind == "prices":
            yield from _price_faults(f"{at}/pricing", resource.get("pricing", {}), declared)


def _price_faults(at: str, pricing: Mapping[str, Any], declared: set[str]) -> Iterator[Fault]:
    for number, price in enumerate(pricing.get("recurrentPrice", {}).get("prices", [])):
        where = f"{at}/recurrentPrice/prices/{number}/pricePerPaymentInUsd"
        yield from _amount_faults(where, price.get("pricePerPaymentInUsd"))
    for code, meter in pricing.get("customMeters", {}).get("meters", {}).items():
        where = f"{at}/customMeters/meters/{code}"
        if code not in declared:
            yield Fault(where, "unknown_meter", "no custom meter of the offer has this id")
        yield from _amount_faults(f"{where}/pricePerPaymentInUsd", meter["pricePerPaymentInUsd"])


def _amount_faults(at: str, amount: object) -> Iterator[Fault]:
    if isinstance(amount, bool) or not isinstance(amount, int | Decimal) or amount < 0:
        yield Fault(at, "not_an_amount", "it must be a number of at least 0")
