"""A credit note that a person asks for: part of an invoice's lines is given back, for a reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from meterbridge.application.invoice_ports import InvoiceAdmin
from meterbridge.application.manage_catalog import Answering
from meterbridge.application.refusals import Faults, StateError
from meterbridge.domain.errors import StaleVersionError
from meterbridge.domain.invoicing.billing_documents import (
    BillingDocument,
    DocumentKind,
    DocumentState,
    credit_note_id,
)
from meterbridge.domain.invoicing.crediting import LineCredit, credit_faults, credit_note
from meterbridge.domain.invoicing.invoicing_rules import InvoicingRules

_ATTEMPTS = 10


def credit_invoice(
    invoice: BillingDocument,
    given: Sequence[LineCredit],
    reason: str,
    *,
    issued_by: str,
    token: str,
    invoices: InvoiceAdmin,
    rules: InvoicingRules,
    now: datetime,
    answering: Answering[BillingDocument],
) -> BillingDocument:
    """Issue a credit note for lines of an invoice; the invoice itself never changes.

    Args:
        token: letters and digits that nobody has, for the credit note's id.

    Raises:
        StateError: it is a draft or a credit note.
        InvalidRequestError: more than a line or the invoice would be given back; names all faults.
        StaleVersionError: others kept crediting it at the same moment.
    """
    if invoice.state is DocumentState.DRAFT:
        raise StateError(f"{invoice.id} is a draft: nothing was invoiced yet")
    if invoice.kind is not DocumentKind.INVOICE:
        raise StateError(f"{invoice.number} is a credit note")
    for _ in range(_ATTEMPTS):
        credited = invoices.credited(invoice.id)
        faults = Faults()
        for fault in credit_faults(invoice, given, credited):
            faults.add(fault.code, fault.detail, fault.pointer)
        faults.refuse_any()
        document = credit_note(
            invoice,
            given,
            document_id=credit_note_id(invoice.subject.agreement_id, now, token),
            reason=reason,
            issued_by=issued_by,
            at=now,
        )
        account = invoices.account(invoice.subject.agreement_id)
        if account is not None and account.period(invoice.period_key) is not None:
            account = account.with_goodwill(invoice.period_key, -document.total)
        else:
            account = None
        try:
            return invoices.credit(document, credited.plus(given), account, rules, now, answering)
        except StaleVersionError:
            # Another credit note, or the next invoice, was issued meanwhile: look again.
            continue
    raise StaleVersionError(f"{invoice.number} keeps being credited")
