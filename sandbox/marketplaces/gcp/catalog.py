"""Services, their metrics, and entitlements: what Google knows before the first report arrives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from ..billed import exact
from ..clock import format_instant, parse_instant
from ..exchange import BadControlRequestError
from ..prices import price_of
from .errors import CHECK_ERRORS

CONSUMER = re.compile(
    r"(project:[a-z][a-z0-9:.-]{1,62}|project_number:[0-9]{1,19}|projects/[a-z0-9:.-]{1,63}"
    r"|folders/[0-9]{1,19}|organizations/[0-9]{1,19}|api_key:[A-Za-z0-9_-]{1,64})"
)
"""The forms of a consumerId (contracts.md §3.1.2)."""

_SERVICE = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")
_METRIC = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]{0,126}")
_KINDS = ("int64", "double")


@dataclass(frozen=True)
class Metric:
    """A metric of a service.

    Attributes:
        id: The part of its name after `<service>/`; case matters.
        kind: `int64` or `double`, as the service configuration defines it.
        unit_price: Price of one unit, when the bill should show a charge.
    """

    id: str
    kind: str = "int64"
    unit_price: Decimal | None = None

    def to_json(self) -> dict[str, Any]:
        """The metric as JSON."""
        price = None if self.unit_price is None else exact(self.unit_price)
        return {"id": self.id, "kind": self.kind, "unit_price": price}


@dataclass(frozen=True)
class Service:
    """A listed product with its metrics by id.

    Attributes:
        reporters: Service accounts that are linked in Producer Portal; empty lets any report.
    """

    name: str
    metrics: Mapping[str, Metric]
    reporters: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The service as JSON."""
        return {
            "service": self.name,
            "metrics": [metric.to_json() for metric in self.metrics.values()],
            "reporters": list(self.reporters),
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Service:
        """Reads a service; an int64 metric may also be given as its bare id.

        Raises:
            BadControlRequestError: A value is missing or of the wrong kind.
        """
        try:
            rows = [{"id": row} if isinstance(row, str) else row for row in body["metrics"]]
            metrics = {row["id"]: _metric(row) for row in rows}
            service = cls(str(body["service"]), metrics, tuple(map(str, body.get("reporters", ()))))
        except (KeyError, TypeError) as exc:
            raise BadControlRequestError(f"not a service: {exc!r}") from exc
        if not _SERVICE.fullmatch(service.name) or not metrics:
            raise BadControlRequestError("a service needs a domain name and at least one metric")
        return service


def _metric(row: Mapping[str, Any]) -> Metric:
    metric = Metric(
        id=str(row["id"]),
        kind=str(row.get("kind", "int64")),
        unit_price=price_of(row),
    )
    if not _METRIC.fullmatch(metric.id) or metric.kind not in _KINDS:
        raise BadControlRequestError(f"{metric.id!r}: a metric is of kind {' or '.join(_KINDS)}")
    return metric


@dataclass(frozen=True)
class Entitlement:
    """A buyer's contract for a product.

    Attributes:
        usage_reporting_id: What a report names as consumerId.
        start, end: The active period, end exclusive; no end until it is cancelled.
        check_error: What check answers while the service is off; empty while it is on.
        off_since: When it went off. Usage from before is still taken.
    """

    service: str
    usage_reporting_id: str
    start: datetime
    end: datetime | None = None
    check_error: str = ""
    off_since: datetime | None = None

    @property
    def reference(self) -> str:
        """The id of the entitlement in the sandbox: a consumer has one for each service."""
        return f"{self.service} {self.usage_reporting_id}"

    def to_json(self) -> dict[str, Any]:
        """The entitlement as JSON."""
        return {
            "service": self.service,
            "usage_reporting_id": self.usage_reporting_id,
            "start": format_instant(self.start),
            "end": format_instant(self.end) if self.end else None,
            "check_error": self.check_error,
            "off_since": format_instant(self.off_since) if self.off_since else None,
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Entitlement:
        """Reads an entitlement.

        Raises:
            BadControlRequestError: A value is missing or of the wrong kind.
        """
        try:
            entitlement = cls(
                service=str(body["service"]),
                usage_reporting_id=str(body["usage_reporting_id"]),
                start=parse_instant(body["start"]),
                end=parse_instant(body["end"]) if body.get("end") else None,
                check_error=str(body.get("check_error", "")),
                off_since=parse_instant(body["off_since"]) if body.get("off_since") else None,
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise BadControlRequestError(f"not an entitlement: {exc!r}") from exc
        if not CONSUMER.fullmatch(entitlement.usage_reporting_id):
            raise BadControlRequestError("usage_reporting_id has none of the forms of a consumerId")
        if entitlement.check_error and entitlement.check_error not in CHECK_ERRORS:
            raise BadControlRequestError(f"check knows no error {entitlement.check_error!r}")
        return entitlement
