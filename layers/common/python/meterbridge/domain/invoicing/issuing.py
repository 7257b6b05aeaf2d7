"""What is to be issued of a period: its invoice, and credit notes for earlier periods that cost less.

    Σ totals + what rounding left = net charge to date − what persons gave back

What became of an earlier period since it was invoiced is a subtraction by code, like everything that
is billed late here. Where it comes to more, the next invoice has it in lines that name the period;
where it comes to less, a credit note refers to that period's invoice. What persons gave back of that
invoice already covers a correction, so that nobody is credited twice for one thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from meterbridge.domain.invoicing.billing_documents import (
    BillingDocument,
    DocumentKind,
    DocumentReference,
    DocumentState,
    correction_id,
    draft_id,
    invoice_id,
)
from meterbridge.domain.invoicing.invoice_account import InvoiceAccount, InvoicedPeriod
from meterbridge.domain.invoicing.invoice_facts import InvoiceFacts
from meterbridge.domain.invoicing.invoice_lines import InvoiceLine, LineKind
from meterbridge.domain.invoicing.invoice_periods import LATE_USAGE, InvoicePeriod, period_at
from meterbridge.domain.invoicing.line_building import billed_by_code, lines_of, numbered
from meterbridge.domain.invoicing.period_corrections import PeriodCorrections, span_text
from meterbridge.domain.money import Money, exact_sum, subtract


@dataclass(frozen=True, slots=True)
class Issue:
    """What is to be written at once: documents without numbers, and the account after them."""

    documents: tuple[BillingDocument, ...]
    account: InvoiceAccount


def first_hour_needed(account: InvoiceAccount, period: InvoicePeriod) -> datetime:
    """From where on hours have to be rated, to make the documents of a period."""
    return min([each.start for each in account.periods] + [period.start])


def issue(period: InvoicePeriod, account: InvoiceAccount, facts: InvoiceFacts) -> Issue:
    """The documents of the next period that becomes final, and of what changed since the last.

    Raises:
        InvariantError: lines and totals do not agree: a defect.
    """
    making = _Making(period, account, facts)
    document = making.period_document(invoice_id(account.agreement_id, period.key))
    if not document.empty:
        making.add(document)
    for earlier in account.periods:
        making.correct(earlier)
    return Issue(tuple(making.documents), making.account_after())


def draft(period: InvoicePeriod, account: InvoiceAccount, facts: InvoiceFacts) -> BillingDocument:
    """What a period's document would be now, corrections of earlier periods included.

    A correction that would be a credit note of its own is not in it.
    """
    known = account if period.index == account.next_index else replace(account, periods=())
    return _Making(period, known, facts).period_document(draft_id(account.agreement_id, period.key))


def numbered_account(
    account: InvoiceAccount, documents: Sequence[BillingDocument]
) -> InvoiceAccount:
    """The account, referring to its invoices by the numbers that they were given."""
    numbers = {document.id: document.number for document in documents}

    def known(reference: DocumentReference | None) -> DocumentReference | None:
        if reference is None or reference.id not in numbers:
            return reference
        return DocumentReference(reference.id, numbers[reference.id])

    return replace(
        account,
        periods=tuple(replace(each, invoice=known(each.invoice)) for each in account.periods),
        last_invoice=known(account.last_invoice),
    )


class _Making:
    """Documents while they are made; each takes over what rounding left of the one before."""

    def __init__(self, period: InvoicePeriod, account: InvoiceAccount, facts: InvoiceFacts) -> None:
        self.documents: list[BillingDocument] = []
        self._period = period
        self._account = account
        self._facts = facts
        self._rounding = account.rounding
        self._corrections = PeriodCorrections(account, facts)
        self._goodwill = {each.key: each.goodwill for each in account.periods}
        self._own = facts.hours_of(period.start, period.end)
        self._plan = facts.plan_of(period.start)

    def period_document(self, document_id: str) -> BillingDocument:
        """The period's own lines with what earlier periods come to more."""
        later = [each for each in self._account.periods if not self._corrections.is_less(each)]
        adjustments = [line for each in later for line in self._corrections.lines(each)]
        metered = self._facts.metered_codes(self._period.start)
        charges = (charge for hour in self._own for charge in hour.charges)
        direct = exact_sum(charge.net for charge in charges if charge.code not in metered)
        return self._document(
            document_id,
            [*lines_of(self._plan, self._own), *adjustments],
            exact_sum((direct, self._corrections.direct_amount(adjustments))),
            span=(self._period.key, self._period.start, self._period.end),
            refers_to=self._account.last_invoice,
            reason="The charges of the period come to less than nothing",
        )

    def correct(self, earlier: InvoicedPeriod) -> None:
        """Make the credit note of a period that comes to less than was invoiced."""
        if not self._corrections.is_less(earlier):
            return
        lines = self._corrections.lines(earlier)
        direct = self._corrections.direct_amount(lines)
        less = self._corrections.missing(earlier).copy_negate()
        covered = min(less, earlier.goodwill)
        if covered:
            self._goodwill[earlier.key] = subtract(earlier.goodwill, covered)
            lines.append(_covered_line(earlier, covered))
        owed = exact_sum((covered, less.copy_negate(), self._rounding))
        if Money(owed, self._plan.currency).rounded().amount >= 0:
            # Nothing that could be paid is left; what is, goes into the rounding of the next one.
            self._rounding = owed
            return
        self.add(
            self._document(
                correction_id(self._account.agreement_id, self._period.key, earlier.key),
                lines,
                direct,
                span=(earlier.key, earlier.start, earlier.end),
                refers_to=earlier.invoice or self._account.last_invoice,
                reason=f"Usage or terms of {span_text(earlier.start, earlier.end)} changed after "
                "it was invoiced",
            )
        )

    def add(self, document: BillingDocument) -> None:
        """Have it issued."""
        self.documents.append(document)
        self._rounding = subtract(self._rounding, document.rounding)

    def account_after(self) -> InvoiceAccount:
        """The account once all documents are written."""
        account, facts = self._account, self._facts
        following = period_at(facts.terms, self._period.index + 1)
        corrected = [
            replace(each, billed=self._corrections.billed(each), goodwill=self._goodwill[each.key])
            for each in account.periods
        ]
        oldest = facts.as_of - LATE_USAGE
        invoice = self._own_invoice()
        return replace(
            account,
            version=account.version + 1,
            next_index=following.index,
            next_opens=following.opens,
            next_closes=following.closes,
            as_of=facts.as_of,
            periods=tuple(
                each for each in (*corrected, self._invoiced(invoice)) if each.closes > oldest
            ),
            rounding=self._rounding,
            last_invoice=invoice or account.last_invoice,
        )

    def _own_invoice(self) -> DocumentReference | None:
        own = invoice_id(self._account.agreement_id, self._period.key)
        for document in self.documents:
            if document.id == own and document.kind is DocumentKind.INVOICE:
                return DocumentReference(document.id, document.number)
        return None

    def _invoiced(self, invoice: DocumentReference | None) -> InvoicedPeriod:
        period = self._period
        return InvoicedPeriod(
            index=period.index,
            key=period.key,
            start=period.start,
            end=period.end,
            closes=period.closes,
            billed=billed_by_code(self._own),
            invoice=invoice,
        )

    def _document(
        self,
        document_id: str,
        lines: Sequence[InvoiceLine],
        direct: Decimal,
        *,
        span: tuple[str, datetime, datetime],
        refers_to: DocumentReference | None,
        reason: str,
    ) -> BillingDocument:
        facts, currency = self._facts, self._plan.currency
        exact = exact_sum(line.amount for line in lines)
        owed = exact_sum((exact, self._rounding)) if lines else exact
        total = Money(owed, currency).rounded().amount
        rounding = subtract(total, exact)
        if rounding:
            lines = [*lines, self._rounding_line(rounding)]
        # What is billed in one way only has no share that could be rounded by itself.
        one_way = direct == exact or not facts.metered_codes(span[1])
        direct = total if one_way and lines else Money(direct, currency).rounded().amount
        credit = total < 0
        return BillingDocument(
            id=document_id,
            kind=DocumentKind.CREDIT_NOTE if credit else DocumentKind.INVOICE,
            state=DocumentState.DRAFT,
            subject=facts.subject,
            seller=facts.seller,
            buyer=facts.buyer,
            currency=currency,
            period_key=span[0],
            period_start=span[1],
            period_end=span[2],
            as_of=facts.as_of,
            final_at=self._period.final_at(facts.delay),
            lines=numbered(lines),
            total=total,
            billed_by_marketplace=subtract(total, direct),
            billed_directly=direct,
            rounding_before=self._rounding,
            marketplace=facts.marketplace if span[0] == self._period.key else (),
            refers_to=refers_to if credit else None,
            reason=reason if credit else "",
        )

    def _rounding_line(self, rounding: Decimal) -> InvoiceLine:
        carried = ", with what was left by earlier documents" if self._rounding else ""
        return InvoiceLine(
            kind=LineKind.ROUNDING,
            description=f"Rounding to the smallest unit of {self._plan.currency}{carried}",
            amount=rounding,
        )


def _covered_line(period: InvoicedPeriod, covered: Decimal) -> InvoiceLine:
    return InvoiceLine(
        kind=LineKind.COVERED,
        description="Credited already by an earlier credit note",
        amount=covered,
        period_key=period.key,
        period_start=period.start,
        period_end=period.end,
    )
