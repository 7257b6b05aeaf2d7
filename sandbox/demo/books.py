"""What came out: every statement, the marketplace's own bill, and the trace's totals, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox.demo.seller import DIMENSIONS, Seller
from sandbox.marketplaces.client import Bill

ZERO = Decimal(0)
UNFINISHED = ("in_flight", "released", "unsettled")


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

    customer: str
    dimension: str
    meter: str
    expected: Decimal
    metered: Decimal
    reported: Decimal
    billed: Decimal
    carried: Decimal
    unfinished: Decimal
    balanced: bool

    @property
    def right(self) -> bool:
        """Whether everything used was billed, once, but for what is carried."""
        return (
            self.balanced
            and self.expected == self.metered
            and self.billed + self.carried == self.metered
            and self.unfinished == 0
        )


def read_books(
    seller: Seller,
    agreements: Mapping[str, str],
    licenses: Mapping[str, str],
    periods: Iterable[str],
    expected: Mapping[str, Mapping[str, Decimal]],
    bill: Bill,
    *,
    verify: bool,
) -> list[BookLine]:
    """The books of all customers; several periods are added up.

    Args:
        agreements, licenses: by customer id.
        expected: quantity by customer id and meter.
        bill: the marketplace's.
        verify: have every statement recounted from the raw usage log.
    """
    months = tuple(periods)
    lines = []
    for customer, agreement_id in agreements.items():
        statements = [seller.statement(agreement_id, month, verify=verify) for month in months]
        for code, (meter, _, per_unit, _) in DIMENSIONS.items():
            parts = [
                line
                for statement in statements
                for line in statement["lines"]
                if line["dimension"] == code
            ]
            lines.append(
                BookLine(
                    customer=customer,
                    dimension=code,
                    meter=meter,
                    expected=expected[customer][meter],
                    metered=_sum(part["metered"] for part in parts),
                    reported=_buckets(parts, "accepted", "in_flight", "conflicted"),
                    billed=bill.quantity(licenses[customer], code) * Decimal(per_unit),
                    carried=_buckets(parts, "carried"),
                    unfinished=_buckets(parts, *UNFINISHED),
                    balanced=all(part["balanced"] for part in parts),
                )
            )
    return lines


def totals_by_meter(lines: Iterable[BookLine]) -> dict[str, dict[str, str]]:
    """From the trace, metered, and accepted by the marketplace, by meter."""
    totals: dict[str, dict[str, Decimal]] = {}
    for line in lines:
        one = totals.setdefault(line.meter, {"csv": ZERO, "metered": ZERO, "accepted": ZERO})
        one["csv"] += line.expected
        one["metered"] += line.metered
        one["accepted"] += line.billed
    return {
        meter: {name: number(amount) for name, amount in one.items()}
        for meter, one in totals.items()
    }


def table(lines: Iterable[BookLine]) -> str:
    """The books for a person to read."""
    head = f"{'customer':<12} {'dimension':<19}" + "".join(
        f"{name:>14}" for name in ("used (CSV)", "metered", "reported", "billed", "carried")
    )
    rows = [head, "-" * len(head)]
    for line in lines:
        amounts = (line.expected, line.metered, line.reported, line.billed, line.carried)
        rows.append(
            f"{line.customer:<12} {line.dimension:<19}"
            + "".join(f"{number(amount):>14}" for amount in amounts)
            + ("" if line.right else "   ✗")
        )
    return "\n".join(rows)


def number(amount: Decimal) -> str:
    """Plain digits, no trailing zeros."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _buckets(parts: Iterable[Mapping[str, Any]], *names: str) -> Decimal:
    return _sum(part["buckets"][name] for part in parts for name in names)


def _sum(texts: Iterable[str]) -> Decimal:
    return sum(map(Decimal, texts), ZERO)
