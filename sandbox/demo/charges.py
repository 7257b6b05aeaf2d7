"""What the customers with terms were charged: the books, the marketplace's bill, and sums of our own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox.demo.books import UNFINISHED, Sold
from sandbox.demo.deals import CENT, CHARGES, Deal, expected_charge
from sandbox.demo.seller import Seller
from sandbox.marketplaces.client import Bill


@dataclass(frozen=True, slots=True)
class ChargeBook:
    """One customer's charges, in USD.

    Attributes:
        expected: worked out from the trace without Meterbridge.
        charged: the statement's net charge; `listed` is before trial, discounts and credits.
        reported: in records that the marketplace has answered or is about to.
        billed: by the marketplace, from its own books.
        carried: less than a cent, kept for later.
        unfinished: on its way.
        balanced: the statement's own verdict, the recount from the raw log included.
    """

    channel: str
    customer: str
    deal: Deal
    expected: Decimal
    listed: Decimal
    charged: Decimal
    reported: Decimal
    billed: Decimal
    carried: Decimal
    unfinished: Decimal
    balanced: bool

    @property
    def right(self) -> bool:
        """Whether all that is owed was billed, once, but for less than a cent."""
        return (
            self.balanced
            and self.expected == self.charged
            and self.reported == self.billed
            and self.billed + self.carried == self.charged
            and self.unfinished == 0
            and 0 <= self.carried < CENT
        )


def read_charges(
    seller: Seller,
    sold: Iterable[tuple[Sold, Deal]],
    periods: Sequence[str],
    used: Mapping[str, Mapping[str, Decimal]],
    bill: Bill,
    *,
    verify: bool,
) -> list[ChargeBook]:
    """The charges of all customers with terms; several periods are added up.

    Args:
        used: quantity by customer id and meter.
        bill: of all marketplaces.
        verify: have every statement recounted from the raw usage log.
    """
    return [
        _book(
            each,
            deal,
            [seller.statement(each.agreement_id, month, verify=verify) for month in periods],
            expected_charge(deal, used[each.customer]),
            bill,
        )
        for each, deal in sold
    ]


def _book(
    sold: Sold,
    deal: Deal,
    statements: Sequence[Mapping[str, Any]],
    expected: Decimal,
    bill: Bill,
) -> ChargeBook:
    lines = [line for statement in statements for line in statement["lines"]]
    charges = [line for statement in statements for line in statement["charge_lines"]]
    return ChargeBook(
        channel=sold.channel,
        customer=sold.customer,
        deal=deal,
        expected=expected,
        listed=_sum(line["list_charge"]["amount"] for line in charges),
        charged=_sum(line["net"]["amount"] for line in charges),
        reported=_buckets(lines, "accepted", "in_flight", "conflicted"),
        billed=bill.quantity(sold.reference, CHARGES) * CENT,
        carried=_buckets(lines, "carried"),
        unfinished=_buckets(lines, *UNFINISHED),
        balanced=bool(statements) and all(each["balanced"] for each in statements),
    )


def _buckets(lines: Iterable[Mapping[str, Any]], *names: str) -> Decimal:
    return _sum(line["buckets"][name] for line in lines for name in names)


def _sum(texts: Iterable[str]) -> Decimal:
    return sum(map(Decimal, texts), Decimal(0))
