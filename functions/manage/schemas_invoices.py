"""Invoices and credit notes: what is sent and what is answered."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, Field

from manage.fields import Amount, Input
from manage.schemas_decisions import Reason
from meterbridge.domain.channels import Channel
from meterbridge.domain.invoicing.billing_documents import (
    BillingDocument,
    DocumentKind,
    DocumentReference,
    DocumentState,
    Seller,
)
from meterbridge.domain.invoicing.crediting import LineCredit
from meterbridge.domain.invoicing.invoice_lines import InvoiceLine, LineKind
from meterbridge.domain.invoicing.marketplace_lines import DifferenceCause, MarketplaceLine
from meterbridge.domain.money import plain
from meterbridge.domain.pricing.charges import Rule

MAX_CREDITED_LINES = 200


class NewLineCredit(Input):
    """An amount to be given back of a line."""

    line: Annotated[int, Field(ge=1, le=5000, description="Number of the invoice's line")]
    amount: Amount = Field(description="Never more than is left of the line")


class NewCreditNote(Input):
    """Part of an invoice that is given back. The invoice itself never changes."""

    reason: Reason = Field(description="Printed on the credit note")
    lines: Annotated[list[NewLineCredit], Field(min_length=1, max_length=MAX_CREDITED_LINES)]

    def given(self) -> list[LineCredit]:
        """For the use case."""
        return [LineCredit(each.line, each.amount) for each in self.lines]


class InvoiceLineView(BaseModel):
    """One line. amount = units × unit_price, exactly, where there is a unit price."""

    number: int
    kind: LineKind
    description: str
    code: str = Field(description="What the plan charges for; empty for a line of several")
    group: list[str]
    rule: Rule | None
    tier: int | None = Field(description="Position of the tier, from 1")
    step: str
    quantity: str = Field(description="As used, in the meter's unit")
    units: str = Field(description="What the price is for: quantity, packages, events")
    unit_price: str | None = Field(description="A fraction where percent is true")
    percent: bool
    amount: str = Field(description="Exact, never rounded; a deduction is negative")
    source: str = Field(description="The discount, or grant of credits, of a deduction")
    period_start: datetime | None = Field(description="Of an earlier period that it corrects")
    period_end: datetime | None

    @classmethod
    def of(cls, line: InvoiceLine) -> InvoiceLineView:
        return cls(
            number=line.number,
            kind=line.kind,
            description=line.description,
            code=line.code,
            group=list(line.group),
            rule=line.rule,
            tier=line.tier or None,
            step=line.step,
            quantity=plain(line.quantity),
            units=plain(line.units),
            unit_price=_text(line.unit_price),
            percent=line.percent,
            amount=plain(line.amount),
            source=line.source,
            period_start=line.period_start,
            period_end=line.period_end,
        )


class MarketplaceLineView(BaseModel):
    """What the marketplace's own bill says of a dimension, for records of the period's hours."""

    dimension: str
    in_currency: bool = Field(description="The dimension reports money")
    quantity: str = Field(description="Of accepted records, in the marketplace's units")
    unit_price: str
    amount: str
    records: int
    expected_quantity: str = Field(description="What was to be reported, in metered units or money")
    expected_amount: str = Field(description="What this invoice charges for it")
    difference: str = Field(description="expected_amount less amount: the sum of differences")
    differences: dict[DifferenceCause, str] = Field(
        description="in_flight, conflicted, refused, written_off: in such records. carried: in no "
        "record of the period yet, or reported here for an earlier one. pricing: the marketplace's "
        "price comes to another amount"
    )

    @classmethod
    def of(cls, line: MarketplaceLine) -> MarketplaceLineView:
        return cls(
            dimension=line.dimension,
            in_currency=line.in_currency,
            quantity=plain(line.quantity),
            unit_price=plain(line.unit_price),
            amount=plain(line.amount),
            records=line.records,
            expected_quantity=plain(line.expected_quantity),
            expected_amount=plain(line.expected_amount),
            difference=plain(line.expected_amount - line.amount),
            differences={cause: plain(amount) for cause, amount in line.differences.items()},
        )


class SellerView(BaseModel):
    """Who invoices."""

    name: str
    address: list[str]
    tax_id: str
    email: str

    @classmethod
    def of(cls, seller: Seller) -> SellerView:
        return cls(
            name=seller.name,
            address=list(seller.address),
            tax_id=seller.tax_id,
            email=seller.email,
        )


class BuyerView(BaseModel):
    """Who is invoiced."""

    customer_id: str
    name: str
    reference: dict[str, str] = Field(description="The buyer's ids on the marketplace")


class ReferenceView(BaseModel):
    """Another document."""

    id: str
    number: str

    @classmethod
    def of(cls, reference: DocumentReference | None) -> ReferenceView | None:
        return None if reference is None else cls(id=reference.id, number=reference.number)


class InvoiceView(BaseModel):
    """An invoice or a credit note, whose amounts are negative."""

    id: str
    kind: DocumentKind
    state: DocumentState = Field(description="A draft says what is known now; final never changes")
    number: str | None = Field(description="Without gaps in its series; null for a draft")
    agreement_id: str
    product_id: str
    product_name: str
    channel: Channel
    offering_id: str
    offering_version: int
    plan_code: str
    plan_name: str
    seller: SellerView
    buyer: BuyerView
    currency: str
    period_start: datetime
    period_end: datetime
    as_of: datetime = Field(description="What was known then is in it")
    issued_at: datetime | None
    final_at: datetime = Field(description="When a draft becomes final")
    refers_to: ReferenceView | None = Field(description="The invoice that a credit note corrects")
    reason: str
    issued_by: str = Field(description="Name of the key of who asked for it; empty: made by itself")
    lines: list[InvoiceLineView]
    charges: str
    deductions: str
    adjustments: str
    rounding: str
    total: str = Field(description="The sum of the lines, in whole minor units")
    billed_by_marketplace: str
    billed_directly: str
    marketplace: list[MarketplaceLineView]

    @classmethod
    def of(cls, document: BillingDocument) -> InvoiceView:
        subject, buyer = document.subject, document.buyer
        return cls(
            id=document.id,
            kind=document.kind,
            state=document.state,
            number=document.number or None,
            agreement_id=subject.agreement_id,
            product_id=subject.product_id,
            product_name=subject.product_name,
            channel=subject.channel,
            offering_id=subject.offering_id,
            offering_version=subject.offering_version,
            plan_code=subject.plan_code,
            plan_name=subject.plan_name,
            seller=SellerView.of(document.seller),
            buyer=BuyerView(
                customer_id=buyer.customer_id, name=buyer.name, reference=dict(buyer.reference)
            ),
            currency=document.currency,
            period_start=document.period_start,
            period_end=document.period_end,
            as_of=document.as_of,
            issued_at=document.issued_at,
            final_at=document.final_at,
            refers_to=ReferenceView.of(document.refers_to),
            reason=document.reason,
            issued_by=document.issued_by,
            lines=[InvoiceLineView.of(line) for line in document.lines],
            charges=plain(document.charges),
            deductions=plain(document.deductions),
            adjustments=plain(document.adjustments),
            rounding=plain(document.rounding),
            total=plain(document.total),
            billed_by_marketplace=plain(document.billed_by_marketplace),
            billed_directly=plain(document.billed_directly),
            marketplace=[MarketplaceLineView.of(line) for line in document.marketplace],
        )


def _text(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)
