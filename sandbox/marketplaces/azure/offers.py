"""Offers as configure jobs make them (contracts.md §2.3): schemas, references, and submissions.

Only what is known of the preview schemas is checked: the members of a product, a plan, its meters and
its prices, and that every reference leads somewhere. A resource of another known schema is kept.
"""

from __future__ import annotations

import copy
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from .errors import AzureError

_SCHEMA = re.compile(
    r"https://(schema\.mp\.microsoft\.com|product-ingestion\.azureedge\.net)/schema/"
    r"(?P<kind>[a-z0-9-]+)/(?P<version>[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview[0-9])?)"
)
CONFIGURE = "configure"
_EXTERNAL_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,49}")
_NAMESPACE = uuid.UUID("8d0f1b1e-5a0e-5f55-9d7a-b1a9d6b0c001")
_KINDS = frozenset(
    [
        "product",
        "plan",
        "plan-listing",
        "listing",
        "property",
        "price-and-availability-offer",
        "price-and-availability-plan",
        "price-and-availability-custom-meter",
        "price-and-availability-update-private-audiences",
        "commercial-marketplace-setup",
        "submission",
        "software-as-a-service-technical-configuration",
    ]
)


class ResourceError(Exception):
    """A resource cannot be configured: what is wrong, and with which."""

    def __init__(self, message: str, resource: str = "", code: str = "badRequest") -> None:
        super().__init__(message)
        self.message = message
        self.resource = resource
        self.code = code


@dataclass
class Offers:
    """Drafts of all resources by durable id, and submissions by offer."""

    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    submissions: dict[str, dict[str, str]] = field(default_factory=dict)

    def copied(self) -> Offers:
        """The same, to be changed and perhaps thrown away."""
        return copy.deepcopy(self)

    def found(self, kind: str, external_id: str, product: str = "") -> dict[str, Any] | None:
        """A product, or a plan of one, by the id that people know."""
        for durable, resource in self.resources.items():
            same = resource.get("identity", {}).get("externalId") == external_id
            if durable.startswith(f"{kind}/") and same and product in ("", resource.get("product")):
                return resource
        return None

    def configure(self, resources: list[Any]) -> list[dict[str, Any]]:
        """Every resource in its order, as it is kept.

        Raises:
            ResourceError: one of them cannot be; the caller throws away what was changed.
        """
        names: dict[str, str] = {}
        kept = []
        for resource in resources:
            kind = kind_of(resource)
            name = str(resource.get("resourceName", ""))
            try:
                done = self._configured(kind, dict(resource), names)
            except ResourceError as error:
                raise ResourceError(error.message, name or kind, error.code) from error
            if name:
                names[name] = done["id"]
            kept.append(done)
        return kept

    def _configured(
        self, kind: str, resource: dict[str, Any], names: Mapping[str, str]
    ) -> dict[str, Any]:
        resource.pop("resourceName", None)
        for member in ("product", "plan"):
            if member in resource and kind != member:
                resource[member] = self._resolved(member, resource[member], resource, names)
        if kind != "product" and not resource.get("product"):
            raise ResourceError("it needs a product")
        if kind == "submission":
            return self._submitted(resource)
        durable = self._durable_id(kind, resource)
        _CHECKS.get(kind, _anything)(resource, self)
        self.resources[durable] = {**resource, "id": durable}
        return self.resources[durable]

    def _resolved(
        self, kind: str, given: Any, resource: Mapping[str, Any], names: Mapping[str, str]
    ) -> str:
        """The durable id behind a reference: itself, by resource name, or by external id."""
        if isinstance(given, str) and given in self.resources:
            return given
        if isinstance(given, Mapping) and "resourceName" in given:
            durable = names.get(str(given["resourceName"]), "")
            if durable.startswith(f"{kind}/"):
                return durable
        if isinstance(given, Mapping) and "externalId" in given:
            product = str(resource.get("product", "")) if kind == "plan" else ""
            found = self.found(kind, str(given["externalId"]), product)
            if found is not None:
                return str(found["id"])
        raise ResourceError(f"the reference to a {kind} leads nowhere: {given!r}")

    def _durable_id(self, kind: str, resource: Mapping[str, Any]) -> str:
        given = resource.get("id")
        if given is not None:
            if given not in self.resources:
                raise ResourceError(f"there is no {given!r}", code="notFound")
            return str(given)
        if kind not in ("product", "plan"):
            return f"{kind}/{_rest(resource.get('plan') or resource['product'])}"
        external = resource.get("identity", {}).get("externalId")
        if not isinstance(external, str) or not _EXTERNAL_ID.fullmatch(external):
            raise ResourceError("identity.externalId must be lower-case letters, digits, _ and -")
        product = str(resource.get("product", ""))
        if self.found(kind, external, product) is not None:
            raise ResourceError(f"the id {external!r} is taken", code="conflict")
        number = str(uuid.uuid5(_NAMESPACE, f"{kind}/{product}/{external}"))
        return f"plan/{_rest(product)}/{number}" if kind == "plan" else f"product/{number}"

    def _submitted(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        product = str(resource["product"])
        target = resource.get("target", {}).get("targetType")
        known = self.submissions.setdefault(product, {})
        if target == "preview":
            known["count"] = str(int(known.get("count", "0")) + 1)
            known["preview"] = f"submission/{_rest(product)}/{known['count']}"
            return {**resource, "id": known["preview"]}
        if target != "live":
            raise ResourceError("target.targetType must be preview or live")
        if resource.get("id") != known.get("preview"):
            raise ResourceError("only the submission that is in preview goes live")
        known["live"] = str(resource["id"])
        return dict(resource)


def kind_of(resource: Any) -> str:
    """The kind of a resource by its schema.

    Raises:
        AzureError: 400, a schema that is not known.
    """
    schema = resource.get("$schema") if isinstance(resource, Mapping) else None
    match = _SCHEMA.fullmatch(schema) if isinstance(schema, str) else None
    if match is None or match["kind"] not in _KINDS | {CONFIGURE}:
        raise AzureError(400, "badRequest", f"The schema is not known: {schema!r}.", "$schema")
    return match["kind"]


def _anything(_: Mapping[str, Any], __: Offers) -> None:
    """Its shape is not known."""


def _product(resource: Mapping[str, Any], _: Offers) -> None:
    if resource.get("type") != "softwareAsAService":
        raise ResourceError("only softwareAsAService is served")
    if not resource.get("alias"):
        raise ResourceError("alias is required")


def _plan(resource: Mapping[str, Any], _: Offers) -> None:
    if not resource.get("alias"):
        raise ResourceError("alias is required")


def _meters(resource: Mapping[str, Any], _: Offers) -> None:
    meters = resource.get("customMeters")
    if not isinstance(meters, Mapping) or not 1 <= len(meters) <= 30:
        raise ResourceError("customMeters must hold 1 to 30 meters")


def _prices(resource: Mapping[str, Any], offers: Offers) -> None:
    if not resource.get("plan"):
        raise ResourceError("it needs a plan")
    if resource.get("audience") not in ("public", "private"):
        raise ResourceError("audience must be public or private")
    if not resource.get("markets"):
        raise ResourceError("markets are required")
    pricing = resource.get("pricing", {})
    recurrent = pricing.get("recurrentPrice", {})
    mode = recurrent.get("recurrentPriceMode")
    if mode not in ("flatRate", "perUser"):
        raise ResourceError("recurrentPriceMode must be flatRate or perUser")
    for row in recurrent.get("prices", []):
        _amount(row.get("pricePerPaymentInUsd"))
        if row.get("billingTerm", {}).get("type") not in ("month", "year"):
            raise ResourceError("billingTerm.type must be month or year")
    meters = pricing.get("customMeters", {}).get("meters", {})
    if meters and mode == "perUser":
        raise ResourceError("a plan by the user has no meters")
    shared = offers.resources.get(
        f"price-and-availability-custom-meter/{_rest(resource['product'])}", {}
    ).get("customMeters", {})
    for code, meter in meters.items():
        if code not in shared:
            raise ResourceError(f"the offer has no meter {code!r}")
        _amount(meter.get("pricePerPaymentInUsd"))
        for row in meter.get("includedQuantities", []):
            if not row.get("isInfinite") and type(row.get("quantity")) is not int:
                raise ResourceError("an included quantity is a whole number")


_CHECKS: Mapping[str, Callable[[Mapping[str, Any], Offers], None]] = {
    "product": _product,
    "plan": _plan,
    "price-and-availability-custom-meter": _meters,
    "price-and-availability-plan": _prices,
}


def _amount(value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or value < 0:
        raise ResourceError("pricePerPaymentInUsd must be a number of at least 0")


def _rest(durable: Any) -> str:
    return str(durable).partition("/")[2]
