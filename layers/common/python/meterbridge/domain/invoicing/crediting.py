"""Credit notes that a person asks for: never more than a line, never more than the invoice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from meterbridge.domain.errors import InvariantError
from meterbridge.domain.invoicing.billing_documents import (
    BillingDocument,
    DocumentKind,
    DocumentReference,
    DocumentState,
)
from meterbridge.domain.invoicing.invoice_lines import InvoiceLine, LineKind
from meterbridge.domain.invoicing.line_building import numbered
from meterbridge.domain.money import ZERO, Money, exact_sum, subtract
from meterbridge.domain.pricing.faults import Fault


@dataclass(frozen=True, slots=True)
class LineCredit:
    """An amount to be given back of a line of an invoice."""

    line_number: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class CreditedLines:
    """What was given back of an invoice so far.

    Attributes:
        version: counts its changes; 0 before the first.
        amounts: by persons, by line number.
        corrected: by credit notes that were made by themselves.
    """

    invoice_id: str
    version: int = 0
    amounts: Mapping[int, Decimal] = field(default_factory=dict)
    corrected: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """Everything that was given back."""
        return exact_sum((self.corrected, *self.amounts.values()))

    def with_correction(self, amount: Decimal) -> CreditedLines:
        """With what a credit note gave back that was made by itself."""
        corrected = exact_sum((self.corrected, amount))
        return replace(self, version=self.version + 1, corrected=corrected)

    def plus(self, given: Sequence[LineCredit]) -> CreditedLines:
        """With more given back."""
        amounts = dict(self.amounts)
        for credit in given:
            before = amounts.get(credit.line_number, ZERO)
            amounts[credit.line_number] = exact_sum((before, credit.amount))
        return replace(self, version=self.version + 1, amounts=amounts)


def credit_faults(
    invoice: BillingDocument, given: Sequence[LineCredit], credited: CreditedLines
) -> list[Fault]:
    """Everything that is wrong with giving these amounts back."""
    faults: list[Fault] = []
    after = dict(credited.amounts)
    for place, credit in enumerate(given):
        line = invoice.line(credit.line_number)
        if line is None or line.kind is LineKind.ROUNDING:
            detail = f"invoice {invoice.number} has no line {credit.line_number} to credit"
            faults.append(Fault(f"/lines/{place}/line", "unknown_line", detail))
            continue
        at = f"/lines/{place}/amount"
        if Money(credit.amount, invoice.currency).rounded().amount != credit.amount:
            faults.append(Fault(at, "too_fine", f"{invoice.currency} has no unit so small"))
        if credit.amount <= 0:
            faults.append(Fault(at, "not_positive", "it must be greater than zero"))
        before = after.get(credit.line_number, ZERO)
        after[credit.line_number] = exact_sum((before, credit.amount))
        left = max(subtract(line.amount, before), ZERO)
        if credit.amount > left:
            faults.append(Fault(at, "more_than_line", f"{left} is left of this line"))
    if not faults and exact_sum((credited.corrected, *after.values())) > invoice.total:
        left = max(subtract(invoice.total, credited.total), ZERO)
        faults.append(Fault("/lines", "more_than_invoice", f"{left} is left of this invoice"))
    return faults


def credit_note(
    invoice: BillingDocument,
    given: Sequence[LineCredit],
    *,
    document_id: str,
    reason: str,
    issued_by: str,
    at: datetime,
) -> BillingDocument:
    """The credit note, without a number yet. Its amounts have been found right.

    Raises:
        InvariantError: what is credited is no invoice: a defect.
    """
    if invoice.kind is not DocumentKind.INVOICE or invoice.state is not DocumentState.FINAL:
        raise InvariantError(f"{invoice.id} cannot be credited")
    lines = [_line(invoice, credit) for credit in given]
    total = exact_sum(line.amount for line in lines)
    # What was billed directly is given back first: the seller can do that alone.
    direct = max(total, min(invoice.billed_directly, -total).copy_negate())
    direct = min(direct, ZERO)
    return replace(
        invoice,
        id=document_id,
        kind=DocumentKind.CREDIT_NOTE,
        state=DocumentState.DRAFT,
        as_of=at,
        lines=numbered(lines),
        total=total,
        billed_by_marketplace=subtract(total, direct),
        billed_directly=direct,
        rounding_before=ZERO,
        marketplace=(),
        number="",
        issued_at=None,
        refers_to=DocumentReference(invoice.id, invoice.number),
        reason=reason,
        issued_by=issued_by,
    )


def _line(invoice: BillingDocument, credit: LineCredit) -> InvoiceLine:
    line = invoice.line(credit.line_number)
    if line is None:
        raise InvariantError(f"{invoice.id} has no line {credit.line_number}")
    return InvoiceLine(
        kind=LineKind.CREDITED,
        description=f"Line {line.number} of {invoice.number}: {line.description}",
        amount=credit.amount.copy_negate(),
        code=line.code,
        group=line.group,
        period_key=invoice.period_key,
        period_start=invoice.period_start,
        period_end=invoice.period_end,
        line_number=line.number,
    )
