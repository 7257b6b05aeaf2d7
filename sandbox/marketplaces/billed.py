"""What was billed: the one question a test of a reporter ends with, the same for every marketplace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Context, Decimal, localcontext
from typing import Any

from .clock import format_instant, parse_instant
from .journal import Fact

_EXACT = Context(prec=100)


def exact(number: Decimal) -> str:
    """A number as a plain decimal string without an exponent or trailing zeros, never rounded."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


@dataclass(frozen=True)
class BilledRecord:
    """A usage record the marketplace accepted and will invoice.

    Attributes:
        agreement: The marketplace's reference of the agreement (AWS: LicenseArn; for the legacy
            style, which has none, the product code).
        buyer: The marketplace's reference of the buyer (AWS: account id).
        hour: Start of the UTC hour that the record occupies.
        used_at: The time the record named.
        received_at: When it was accepted, on the sandbox's clock.
        unit_price: Price of one unit, when the product was registered with one.
        billable: False when the marketplace accepts the record and charges nothing for it.
        answers: How often each status was answered for this key, the first one included.
        refused_quantities: Other quantities sent later for the same key, none of them billed.
    """

    marketplace: str
    region: str
    agreement: str
    buyer: str
    product: str
    dimension: str
    hour: datetime
    used_at: datetime
    quantity: Decimal
    record_id: str
    received_at: datetime
    unit_price: Decimal | None = None
    billable: bool = True
    answers: Mapping[str, int] = field(default_factory=dict)
    refused_quantities: tuple[Decimal, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The record as JSON; numbers are exact decimal strings."""
        return {
            "marketplace": self.marketplace,
            "region": self.region,
            "agreement": self.agreement,
            "buyer": self.buyer,
            "product": self.product,
            "dimension": self.dimension,
            "hour": format_instant(self.hour),
            "used_at": format_instant(self.used_at),
            "quantity": exact(self.quantity),
            "record_id": self.record_id,
            "received_at": format_instant(self.received_at),
            "unit_price": None if self.unit_price is None else exact(self.unit_price),
            "billable": self.billable,
            "answers": dict(self.answers),
            "refused_quantities": [exact(quantity) for quantity in self.refused_quantities],
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> BilledRecord:
        """Reads what `to_json` wrote."""
        price = body["unit_price"]
        return cls(
            marketplace=body["marketplace"],
            region=body["region"],
            agreement=body["agreement"],
            buyer=body["buyer"],
            product=body["product"],
            dimension=body["dimension"],
            hour=parse_instant(body["hour"]),
            used_at=parse_instant(body["used_at"]),
            quantity=Decimal(body["quantity"]),
            record_id=body["record_id"],
            received_at=parse_instant(body["received_at"]),
            unit_price=None if price is None else Decimal(price),
            billable=body["billable"],
            answers=dict(body["answers"]),
            refused_quantities=tuple(Decimal(text) for text in body["refused_quantities"]),
        )

    def to_fact(self) -> Fact:
        """The record as a fact of its own, to be kept over a restart."""
        return {"kind": "billed", "record": self.to_json()}

    @classmethod
    def from_fact(cls, fact: Fact) -> BilledRecord:
        """Reads what `to_fact` wrote."""
        return cls.from_json(fact["record"])


@dataclass(frozen=True)
class BilledTotal:
    """All that was billed for one agreement, buyer and dimension.

    Attributes:
        quantity: Sum of the billable records.
        unbillable_quantity: Sum of what was accepted but is charged nothing.
        records: How many records were accepted.
        charge: Quantity times price, unrounded; None when a record has no price.
    """

    marketplace: str
    agreement: str
    buyer: str
    product: str
    dimension: str
    quantity: Decimal
    unbillable_quantity: Decimal
    records: int
    charge: Decimal | None

    def to_json(self) -> dict[str, Any]:
        """The total as JSON; numbers are exact decimal strings."""
        return {
            "marketplace": self.marketplace,
            "agreement": self.agreement,
            "buyer": self.buyer,
            "product": self.product,
            "dimension": self.dimension,
            "quantity": exact(self.quantity),
            "unbillable_quantity": exact(self.unbillable_quantity),
            "records": self.records,
            "charge": None if self.charge is None else exact(self.charge),
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> BilledTotal:
        """Reads what `to_json` wrote."""
        charge = body["charge"]
        return cls(
            marketplace=body["marketplace"],
            agreement=body["agreement"],
            buyer=body["buyer"],
            product=body["product"],
            dimension=body["dimension"],
            quantity=Decimal(body["quantity"]),
            unbillable_quantity=Decimal(body["unbillable_quantity"]),
            records=body["records"],
            charge=None if charge is None else Decimal(charge),
        )


def totals(records: Iterable[BilledRecord]) -> list[BilledTotal]:
    """Adds records up per marketplace, agreement, buyer and dimension, sorted by those."""
    groups: dict[tuple[str, ...], list[BilledRecord]] = {}
    for record in records:
        key = (
            record.marketplace,
            record.agreement,
            record.buyer,
            record.product,
            record.dimension,
        )
        groups.setdefault(key, []).append(record)
    return [_total(key, group) for key, group in sorted(groups.items())]


def _total(key: tuple[str, ...], group: list[BilledRecord]) -> BilledTotal:
    with localcontext(_EXACT):
        billable = [record for record in group if record.billable]
        charges = [
            None if record.unit_price is None else record.quantity * record.unit_price
            for record in billable
        ]
        known = [charge for charge in charges if charge is not None]
        marketplace, agreement, buyer, product, dimension = key
        return BilledTotal(
            marketplace=marketplace,
            agreement=agreement,
            buyer=buyer,
            product=product,
            dimension=dimension,
            quantity=sum((record.quantity for record in billable), Decimal(0)),
            unbillable_quantity=sum(
                (record.quantity for record in group if not record.billable), Decimal(0)
            ),
            records=len(group),
            charge=sum(known, Decimal(0)) if len(known) == len(charges) else None,
        )
