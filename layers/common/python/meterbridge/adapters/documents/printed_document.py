"""An invoice or credit note as texts, the same for every format that a person reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from meterbridge.adapters.documents.printable_text import day_of, moment_of, readable, span_of
from meterbridge.domain.channels import Channel
from meterbridge.domain.invoicing.billing_documents import (
    BillingDocument,
    DocumentKind,
    DocumentState,
)
from meterbridge.domain.invoicing.invoice_lines import DEDUCTIONS, FREE, InvoiceLine, LineKind
from meterbridge.domain.invoicing.line_wording import padded, percent_text
from meterbridge.domain.invoicing.marketplace_lines import DifferenceCause, MarketplaceLine
from meterbridge.domain.money import CURRENCY_EXPONENTS, subtract

MARKETPLACES = {
    Channel.AWS: "AWS Marketplace",
    Channel.AZURE: "Microsoft Marketplace",
    Channel.GCP: "Google Cloud Marketplace",
}
_CAUSES = {
    DifferenceCause.IN_FLIGHT: "reported and not answered yet",
    DifferenceCause.CONFLICTED: "reported, the outcome is in doubt",
    DifferenceCause.REFUSED: "refused by the marketplace and not billed again yet",
    DifferenceCause.WRITTEN_OFF: "written off",
    DifferenceCause.CARRIED: "carried to a later hour of reporting",
    DifferenceCause.PRICING: "priced differently by the marketplace",
}
_CARRIED_IN = "reported in this period for an earlier one"
_REFERENCES = {
    "customer_aws_account_id": "AWS account",
    "license_arn": "License",
    "resource_id": "Subscription",
    "resource_uri": "Resource",
    "plan_id": "Marketplace plan",
    "usage_reporting_id": "Usage reporting id",
}
_SECTIONS = (
    ("Usage", frozenset({LineKind.USAGE, *FREE})),
    ("Fees and minimum charges", frozenset({LineKind.FEE, LineKind.TRUE_UP, LineKind.TOP_UP})),
    ("Trial, discounts and credits", DEDUCTIONS),
    ("Corrections of earlier periods", frozenset({LineKind.ADJUSTMENT, LineKind.COVERED})),
    ("Credited", frozenset({LineKind.CREDITED})),
    ("Rounding", frozenset({LineKind.ROUNDING})),
)


@dataclass(frozen=True, slots=True)
class PrintedRow:
    """A line: number, description with a remark under it, quantity, unit price, amount."""

    number: str
    description: str
    remark: str
    quantity: str
    unit_price: str
    amount: str


@dataclass(frozen=True, slots=True)
class PrintedSection:
    """Lines under a heading."""

    heading: str
    rows: tuple[PrintedRow, ...]


@dataclass(frozen=True, slots=True)
class PrintedMarketplaceRow:
    """A dimension of the marketplace's bill, and what explains the difference."""

    dimension: str
    quantity: str
    unit_price: str
    amount: str
    expected: str
    difference: str
    causes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PrintedDocument:
    """Everything on the paper, in its order.

    Attributes:
        notice: what has to be said above everything: that it is a draft.
        details: (label, text) at the head.
        totals: (label, amount), the last of them the total.
        shares: (label, amount) of who bills it.
        statement: what is said before the marketplace's rows; "" without.
        notes: at the end.
    """

    title: str
    number: str
    currency: str
    notice: str
    seller: tuple[str, ...]
    buyer: tuple[str, ...]
    details: tuple[tuple[str, str], ...]
    sections: tuple[PrintedSection, ...]
    totals: tuple[tuple[str, str], ...]
    shares: tuple[tuple[str, str], ...]
    marketplace: str
    statement: str
    marketplace_rows: tuple[PrintedMarketplaceRow, ...]
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """Title and number, as "Invoice MB-000001"."""
        return f"{self.title} {self.number}".strip()


def printed(document: BillingDocument) -> PrintedDocument:
    """A document in words and formatted numbers; nothing of it is rounded or left out."""
    draft = document.state is DocumentState.DRAFT
    credit = document.kind is DocumentKind.CREDIT_NOTE
    marketplace = MARKETPLACES.get(document.subject.channel, "")
    title = "Credit note" if credit else "Invoice"
    return PrintedDocument(
        title=f"Draft {title.lower()}" if draft else title,
        number=document.number,
        currency=document.currency,
        notice=_notice(document) if draft else "",
        seller=_clean(_seller(document)),
        buyer=_clean(_buyer(document)),
        details=tuple((label, readable(text)) for label, text in _details(document, marketplace)),
        sections=tuple(_sections(document)),
        totals=tuple(_totals(document)),
        shares=tuple(_shares(document, marketplace)),
        marketplace=marketplace,
        statement=_statement(document, marketplace),
        marketplace_rows=tuple(_marketplace_row(document, row) for row in document.marketplace),
        notes=_clean(_notes(document, marketplace)),
    )


def _clean(texts: Iterator[str]) -> tuple[str, ...]:
    return tuple(readable(text) for text in texts if text)


def _notice(document: BillingDocument) -> str:
    return (
        f"Draft, not an invoice. It says what was known on {moment_of(document.as_of)} and becomes "
        f"final on {day_of(document.final_at)}."
    )


def _seller(document: BillingDocument) -> Iterator[str]:
    seller = document.seller
    yield seller.name
    yield from seller.address
    yield seller.tax_id
    yield seller.email


def _buyer(document: BillingDocument) -> Iterator[str]:
    buyer = document.buyer
    if buyer.name:
        yield buyer.name
    yield f"Customer {buyer.customer_id}"
    for name, value in buyer.reference.items():
        yield f"{_REFERENCES.get(name, name)} {value}"


def _details(document: BillingDocument, marketplace: str) -> Iterator[tuple[str, str]]:
    subject = document.subject
    if document.number:
        yield "Number", document.number
    if document.issued_at is not None:
        yield "Date", day_of(document.issued_at)
    yield "Period", span_of(document.period_start, document.period_end)
    if document.refers_to is not None:
        yield "Corrects invoice", document.refers_to.number
    if document.reason:
        yield "Reason", document.reason
    yield "Product", subject.product_name
    yield "Plan", f"{subject.plan_name or subject.plan_code} (version {subject.offering_version})"
    yield "Agreement", subject.agreement_id
    if marketplace:
        yield "Bought through", marketplace
    yield "Currency", document.currency


def _sections(document: BillingDocument) -> Iterator[PrintedSection]:
    for heading, kinds in _SECTIONS:
        rows = tuple(_row(document, line) for line in document.lines if line.kind in kinds)
        if rows:
            yield PrintedSection(heading, rows)


def _row(document: BillingDocument, line: InvoiceLine) -> PrintedRow:
    price = ""
    if line.unit_price is not None:
        price = percent_text(line.unit_price) if line.percent else _money(document, line.unit_price)
    shown = line.units if line.unit_price is not None else line.quantity
    used = line.quantity if line.unit_price is not None and line.quantity != line.units else None
    return PrintedRow(
        number=str(line.number),
        description=readable(line.description),
        remark=f"{padded(used, 0)} used" if used else "",
        quantity=padded(shown, 0) if shown else "",
        unit_price=price,
        amount=_money(document, line.amount),
    )


def _totals(document: BillingDocument) -> Iterator[tuple[str, str]]:
    parts = (
        ("Usage, fees and minimum charges", document.charges),
        ("Trial, discounts and credits", document.deductions),
        ("Corrections and credits", document.adjustments),
        ("Rounding", document.rounding),
    )
    shown = [(label, amount) for label, amount in parts if amount]
    if len(shown) > 1:
        for label, amount in shown:
            yield label, _money(document, amount)
    credit = document.kind is DocumentKind.CREDIT_NOTE
    yield "Total credited" if credit else "Total", _money(document, document.total)


def _shares(document: BillingDocument, marketplace: str) -> Iterator[tuple[str, str]]:
    if marketplace:
        yield f"Billed by {marketplace}", _money(document, document.billed_by_marketplace)
        yield (
            f"Billed directly by {document.seller.name or 'the seller'}",
            _money(document, document.billed_directly),
        )


def _statement(document: BillingDocument, marketplace: str) -> str:
    if not document.marketplace:
        return ""
    return (
        f"What {marketplace} bills for hours of {span_of(document.period_start, document.period_end)}: "
        f"usage that it had accepted by {moment_of(document.as_of)}."
    )


def _marketplace_row(document: BillingDocument, line: MarketplaceLine) -> PrintedMarketplaceRow:
    name = f"{line.name} ({line.dimension})" if line.name else line.dimension
    return PrintedMarketplaceRow(
        dimension=readable(name),
        quantity=padded(line.quantity, 0),
        unit_price=_money(document, line.unit_price),
        amount=_money(document, line.amount),
        expected=_money(document, line.expected_amount),
        difference=_money(document, subtract(line.expected_amount, line.amount)),
        causes=tuple(
            f"Difference of {_money(document, amount)}: {_cause(cause, amount)}"
            for cause, amount in line.differences.items()
        ),
    )


def _cause(cause: DifferenceCause, amount: Decimal) -> str:
    if cause is DifferenceCause.CARRIED and amount < 0:
        return _CARRIED_IN
    return _CAUSES[cause]


def _notes(document: BillingDocument, marketplace: str) -> Iterator[str]:
    yield "Lines are exact; the total is rounded once, by the rounding line. Amounts are before tax."
    if marketplace and document.billed_by_marketplace:
        yield (
            f"What {marketplace} bills is paid to {marketplace}, with its own invoice and its taxes. "
            "Only what is billed directly is owed to the seller."
        )


def _money(document: BillingDocument, amount: Decimal) -> str:
    return padded(amount, CURRENCY_EXPONENTS[document.currency])
