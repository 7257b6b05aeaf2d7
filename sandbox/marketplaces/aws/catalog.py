"""Products and agreements: what AWS Marketplace knows before the first usage record arrives."""

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

LICENSE_ARN = re.compile(
    r"arn:aws[a-zA-Z-]*:[A-Za-z0-9][A-Za-z0-9_/.-]{0,62}:[A-Za-z0-9_/.-]{0,63}"
    r":[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9][A-Za-z0-9:_/+=,@.-]{0,1023}"
)
_PRODUCT_CODE = re.compile(r"[-a-zA-Z0-9/=:_.@]{1,255}")


@dataclass(frozen=True)
class Dimension:
    """A billable unit of a product.

    Attributes:
        key: The API name; case matters.
        allow_decimal: Whether a fraction may be metered.
        unit_price: Price of one unit, when the bill should show a charge.
    """

    key: str
    allow_decimal: bool = True
    unit_price: Decimal | None = None


@dataclass(frozen=True)
class Product:
    """A listed SaaS product with its dimensions by key."""

    code: str
    dimensions: Mapping[str, Dimension]

    def to_json(self) -> dict[str, Any]:
        """The product as JSON."""
        return {
            "product_code": self.code,
            "dimensions": [
                {
                    "key": dimension.key,
                    "allow_decimal": dimension.allow_decimal,
                    "unit_price": None
                    if dimension.unit_price is None
                    else exact(dimension.unit_price),
                }
                for dimension in self.dimensions.values()
            ],
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Product:
        """Reads a product; a dimension may also be given as its bare key.

        Raises:
            BadControlRequestError: A value is missing or of the wrong kind.
        """
        try:
            rows = [{"key": row} if isinstance(row, str) else row for row in body["dimensions"]]
            dimensions = {row["key"]: _dimension(row) for row in rows}
            code = body["product_code"]
            known = _PRODUCT_CODE.fullmatch(code)
        except (KeyError, TypeError) as exc:
            raise BadControlRequestError(f"not a product: {exc!r}") from exc
        if not known or not dimensions:
            raise BadControlRequestError("a product needs a code and at least one dimension")
        return cls(code, dimensions)


def _dimension(row: Mapping[str, Any]) -> Dimension:
    return Dimension(
        key=str(row["key"]),
        allow_decimal=bool(row.get("allow_decimal", True)),
        unit_price=price_of(row),
    )


@dataclass(frozen=True)
class Agreement:
    """A buyer's accepted contract for a product, with its granted licence.

    Attributes:
        license_arn: Empty for a product of the legacy style.
        customer_identifier: The legacy id of the buyer, if there is one.
        start, end: The active period, end exclusive; no end for pay as you go.
        suspended: The buyer's AWS account is suspended.
        unpriced_dimensions: Dimensions added to the product after this buyer's private offer:
            metering them succeeds and is charged nothing (contracts.md §1.1.5).
    """

    product_code: str
    account_id: str
    start: datetime
    license_arn: str = ""
    customer_identifier: str = ""
    end: datetime | None = None
    suspended: bool = False
    unpriced_dimensions: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        """The id of the agreement in the sandbox."""
        return self.license_arn or f"{self.product_code}/{self.account_id}"

    def covers(self, instant: datetime) -> bool:
        """Whether the agreement is active at that time."""
        return self.start <= instant and (self.end is None or instant < self.end)

    def to_json(self) -> dict[str, Any]:
        """The agreement as JSON."""
        return {
            "license_arn": self.license_arn,
            "account_id": self.account_id,
            "customer_identifier": self.customer_identifier,
            "product_code": self.product_code,
            "start": format_instant(self.start),
            "end": format_instant(self.end) if self.end else None,
            "suspended": self.suspended,
            "unpriced_dimensions": list(self.unpriced_dimensions),
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Agreement:
        """Reads an agreement.

        Raises:
            BadControlRequestError: A value is missing or of the wrong kind.
        """
        try:
            agreement = cls(
                product_code=str(body["product_code"]),
                account_id=str(body["account_id"]),
                start=parse_instant(body["start"]),
                license_arn=str(body.get("license_arn", "")),
                customer_identifier=str(body.get("customer_identifier", "")),
                end=parse_instant(body["end"]) if body.get("end") else None,
                suspended=bool(body.get("suspended", False)),
                unpriced_dimensions=tuple(map(str, body.get("unpriced_dimensions", ()))),
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise BadControlRequestError(f"not an agreement: {exc!r}") from exc
        if not re.fullmatch(r"[0-9]{12}", agreement.account_id):
            raise BadControlRequestError("account_id must be 12 digits")
        if agreement.license_arn and not LICENSE_ARN.fullmatch(agreement.license_arn):
            raise BadControlRequestError("license_arn is malformed")
        return agreement
