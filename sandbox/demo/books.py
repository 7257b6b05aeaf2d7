"""What came out: every statement, the marketplaces' own bills, and the trace's totals, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox.demo.seller import DIMENSIONS, Dimension, Seller
from sandbox.marketplaces.client import Bill

ZERO = Decimal(0)
UNFINISHED = ("in_flight", "released", "unsettled")


@dataclass(frozen=True, slots=True)
class Sold:
    """An agreement of the demo.

    Attributes:
        customer: the seller's own id of the buyer.
        channel: where it was bought.
        agreement_id: the agreement here.
        reference: what the marketplace's bill names it by.
    """

    customer: str
    channel: str
    agreement_id: str
    reference: str


@dataclass(frozen=True, slots=True)
class BookLine:
    """One customer and dimension, in metered quantity.

    Attributes:
        expected: from the trace.
        metered: by Meterbridge.
        reported: in records that the marketplace has answered or is about to.
        billed: by the marketplace, from its own books.
        carried: too little for a unit, kept for later.
        unfinished: on its way: pending records and usage that is not settled yet.
        balanced: the statement's own verdict, the recount from the raw log included.
    """

    channel: str
    customer: str
    dimension: Dimension
    expected: Decimal
    metered: Decimal
    reported: Decimal
    billed: Decimal
    carried: Decimal
    unfinished: Decimal
    balanced: bool

    @property
    def right(self) -> bool:
        """Whether everything used was billed, once, but for less than a whole unit."""
        return (
            self.balanced
            and self.expected == self.metered
            and self.reported == self.billed
            and self.billed + self.carried == self.metered
            and self.unfinished == 0
            and 0 <= self.carried < self._carries
        )

    @property
    def _carries(self) -> Decimal:
        """Carried is less than this: a unit, or the sixth decimal of one."""
        step = Decimal(1) if self.dimension.kind == "integer" else Decimal("0.000001")
        return step * self.dimension.per_unit


def read_books(
    seller: Seller,
    sold: Iterable[Sold],
    periods: Iterable[str],
    expected: Mapping[str, Mapping[str, Decimal]],
    bill: Bill,
    *,
    verify: bool,
) -> list[BookLine]:
    """The books of all customers; several periods are added up.

    Args:
        expected: quantity by customer id and meter.
        bill: of all marketplaces.
        verify: have every statement recounted from the raw usage log.
    """
    months = tuple(periods)
    lines = []
    for agreement in sold:
        statements = [
            seller.statement(agreement.agreement_id, month, verify=verify) for month in months
        ]
        for dimension in DIMENSIONS:
            parts = [
                line
                for statement in statements
                for line in statement["lines"]
                if line["dimension"] == dimension.code
            ]
            billed = bill.quantity(agreement.reference, dimension.code)
            lines.append(
                BookLine(
                    channel=agreement.channel,
                    customer=agreement.customer,
                    dimension=dimension,
                    expected=expected[agreement.customer][dimension.meter],
                    metered=_sum(part["metered"] for part in parts),
                    reported=_buckets(parts, "accepted", "in_flight", "conflicted"),
                    billed=billed * dimension.per_unit,
                    carried=_buckets(parts, "carried"),
                    unfinished=_buckets(parts, *UNFINISHED),
                    balanced=bool(parts) and all(part["balanced"] for part in parts),
                )
            )
    return lines


def oddities(sold: Iterable[Sold], bill: Bill) -> list[str]:
    """What the marketplaces billed that nobody should have been billed for."""
    channels = {each.reference: each.channel for each in sold}
    strays = [
        f"{total.marketplace} billed {total.agreement} for {total.dimension}"
        for total in bill.totals
        if channels.get(total.agreement) != total.marketplace or total.unbillable_quantity
    ]
    zeros = [
        f"azure was sent a zero for {record.agreement}"
        for record in bill.records
        if record.marketplace == "azure" and record.quantity <= 0
    ]
    hours = Counter(
        (row.marketplace, row.agreement, row.dimension, row.hour) for row in bill.records
    )
    twice = [f"billed {count} times: {hour}" for hour, count in hours.items() if count > 1]
    return [*strays, *zeros, *twice]


def totals_by_meter(lines: Iterable[BookLine]) -> dict[str, dict[str, Decimal]]:
    """Quantities by meter: used, metered, reported, billed, carried."""
    totals: dict[str, dict[str, Decimal]] = {}
    for line in lines:
        amounts = {
            "csv": line.expected,
            "metered": line.metered,
            "reported": line.reported,
            "billed": line.billed,
            "carried": line.carried,
        }
        before = totals.setdefault(line.dimension.meter, dict.fromkeys(amounts, ZERO))
        for name, amount in amounts.items():
            before[name] += amount
    return totals


def _buckets(parts: Iterable[Mapping[str, Any]], *names: str) -> Decimal:
    return _sum(part["buckets"][name] for part in parts for name in names)


def _sum(texts: Iterable[str]) -> Decimal:
    return sum(map(Decimal, texts), ZERO)
