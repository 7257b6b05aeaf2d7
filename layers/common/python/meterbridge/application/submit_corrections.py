"""Submit approved corrections to a marketplace that takes them by API, and follow them to their end.

A correction is SUBMITTED before it is sent, with the request frozen in it, so that a send of unknown
outcome is only ever repeated identical: its client token makes it the same adjustment. Nothing is
taken back in the books before the marketplace is known not to have it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from meterbridge.application.billing_adjustments import (
    Adjustment,
    AdjustmentStatus,
    BillingAdjustments,
    SendOutcome,
    SendResult,
)
from meterbridge.application.correction_ledger import CorrectionLedger
from meterbridge.application.ports import Clock, Registry
from meterbridge.domain.channels import Channel
from meterbridge.domain.correcting import (
    completed,
    failed,
    noted,
    received,
    submitting,
    unsent,
)
from meterbridge.domain.correction_requests import adjustment_amount, aws_adjustment
from meterbridge.domain.corrections import Correction, CorrectionState
from meterbridge.domain.errors import InvariantError, MarketplaceError, StaleVersionError
from meterbridge.domain.money import plain
from meterbridge.domain.over_reported import SYSTEM, CorrectionWrite

REFUSED_FOR_GOOD_AFTER: Mapping[SendOutcome, timedelta] = {
    SendOutcome.REFUSED: timedelta(hours=1),
    SendOutcome.CONFLICT: timedelta(days=3),
}
"""How long after the first send a refusal is believed, where an earlier send may have been taken.

A conflict may be with another adjustment of the same invoice, which is done with some day.
"""

_CLOCKS_APART = timedelta(minutes=15)
_ATTEMPTS = 5


@dataclass(slots=True)
class SubmitSummary:
    """What one run did.

    Attributes:
        counts: corrections looked at, by the state that they are in now.
        notes: what corrections wait for, by id.
        error: why the run ended early.
    """

    counts: Counter[CorrectionState] = field(default_factory=Counter)
    notes: dict[str, str] = field(default_factory=dict)
    error: MarketplaceError | None = None


def submit_corrections(
    *,
    adjustments: BillingAdjustments,
    registry: Registry,
    ledger: CorrectionLedger,
    clock: Clock,
    may_continue: Callable[[], bool] = lambda: True,
) -> SubmitSummary:
    """One run over all corrections that are approved or on their way, on AWS.

    Safe to repeat, to kill, and to run twice at once.

    Raises:
        StoreUnavailableError: a store failed; the next run goes on from here.
    """
    run = _Run(adjustments, registry, ledger, clock)
    summary = SubmitSummary()
    for state in (CorrectionState.SUBMITTED, CorrectionState.APPROVED):
        for listed in list(ledger.corrections_in(state)):
            if listed.channel is not Channel.AWS:
                continue
            if not may_continue():
                return summary
            # The list may lag behind.
            correction = ledger.correction(listed.key)
            if correction is None or correction.state is not state:
                continue
            try:
                correction = run.advance(correction)
            except StaleVersionError:
                # A person or another run has just changed it; the next run looks again.
                continue
            except MarketplaceError as exc:
                summary.error = exc
                return summary
            summary.counts[correction.state] += 1
            if correction.note:
                summary.notes[str(correction.key)] = correction.note
    return summary


@dataclass(frozen=True, slots=True)
class _Run:
    adjustments: BillingAdjustments
    registry: Registry
    ledger: CorrectionLedger
    clock: Clock

    def advance(self, correction: Correction) -> Correction:
        """One step, or as it is where there is none."""
        if correction.state is CorrectionState.APPROVED:
            return self._begin(correction)
        if correction.reference:
            return self._follow(correction)
        return self._send(correction, correction.request)

    def _begin(self, correction: Correction) -> Correction:
        period = correction.key.period
        agreement_id = correction.marketplace_agreement_id
        if not agreement_id:
            buyer = self.registry.agreement(correction.key.agreement_id).buyer_reference()
            agreement_id = self.adjustments.agreement_of(buyer, period)
        if not agreement_id:
            return self._note(correction, "AWS knows no agreement with the buyer's licence")
        invoice_id = correction.invoice_id
        if not invoice_id:
            invoice_id, missing = self._invoice(correction, agreement_id)
            if not invoice_id:
                return self._note(correction, missing)
        request = aws_adjustment(correction, agreement_id=agreement_id, invoice_id=invoice_id)
        return self._send(correction, request)

    def _invoice(self, correction: Correction, agreement_id: str) -> tuple[str, str]:
        """The invoice to adjust, or why there is none."""
        amount, currency = adjustment_amount(correction), correction.amount.currency
        found = [
            each
            for each in self.adjustments.invoices(agreement_id, correction.key.period)
            if each.currency == currency
        ]
        if not found:
            return "", f"AWS has not invoiced {correction.key.period} in {currency} yet"
        for invoice in found:
            if invoice.adjustable >= amount:
                return invoice.id, ""
        most = max(invoice.adjustable for invoice in found)
        return "", f"no invoice takes {plain(amount)} {currency}; the most is {plain(most)}"

    def _send(self, correction: Correction, request: Mapping[str, str]) -> Correction:
        sent = self._write(submitting(correction, request, at=self.clock.now()))
        try:
            result = self.adjustments.send(sent.request)
        except MarketplaceError as exc:
            self._write(unsent(sent, reason=str(exc)))
            raise
        match result.outcome:
            case SendOutcome.RECEIVED:
                return self._write(received(sent, result.reference))
            case SendOutcome.NOT_SENT:
                return self._write(unsent(sent, reason=result.detail))
            case SendOutcome.UNKNOWN:
                return self._note(sent, result.detail)
            case SendOutcome.REFUSED | SendOutcome.CONFLICT:
                return self._refused(sent, result)

    def _refused(self, sent: Correction, result: SendResult) -> Correction:
        """Failed, unless the marketplace may have it from an earlier send."""
        first_refusal = sent.attempts == 1 and result.outcome is SendOutcome.REFUSED
        if first_refusal:
            return self._fail(sent, result.detail)
        reference = self._taken_before(sent)
        if reference:
            return self._write(received(sent, reference))
        if sent.first_sent_at is None:
            raise InvariantError(f"{sent.key} was sent at no time")
        if self.clock.now() >= sent.first_sent_at + REFUSED_FOR_GOOD_AFTER[result.outcome]:
            return self._fail(sent, result.detail)
        return self._note(sent, result.detail)

    def _taken_before(self, sent: Correction) -> str:
        """The marketplace's id of an earlier send that it took after all; "" where it took none."""
        known = {each.reference for each in self.ledger.corrections(sent.key.agreement_id)}
        for each in self.adjustments.adjustments(sent.request["agreementId"]):
            if each.id not in known and _is_of(each, sent):
                return each.id
        return ""

    def _follow(self, correction: Correction) -> Correction:
        agreement_id = correction.request["agreementId"]
        found = self.adjustments.adjustment(agreement_id, correction.reference)
        if found is None:
            return self._note(correction, f"AWS does not know {correction.reference}")
        match found.status:
            case AdjustmentStatus.PENDING:
                return correction
            case AdjustmentStatus.COMPLETED:
                now = self.clock.now()
                reason = "the marketplace has completed it"
                return self._write(completed(correction, at=now, by=SYSTEM, reason=reason))
            case AdjustmentStatus.FAILED:
                return self._fail(correction, found.message or "the validation failed")

    def _fail(self, correction: Correction, reason: str) -> Correction:
        """With the books, whose head settlements keep moving."""
        for _ in range(_ATTEMPTS):
            head = self.ledger.head(correction.key.agreement_id)
            if head is None:
                raise InvariantError(f"{correction.key}: corrected without ever being settled")
            write = failed(correction, head, at=self.clock.now(), reason=reason)
            try:
                return self._write(write)
            except StaleVersionError:
                if self.ledger.correction(correction.key) != correction:
                    raise
        raise StaleVersionError(f"{correction.key}: its agreement keeps being settled")

    def _note(self, correction: Correction, note: str) -> Correction:
        if correction.note == note:
            return correction
        return self._write(noted(correction, note))

    def _write(self, write: CorrectionWrite) -> Correction:
        self.ledger.write_correction(write)
        return write.after


def _is_of(adjustment: Adjustment, sent: Correction) -> bool:
    if sent.first_sent_at is None:
        return False
    return (
        adjustment.invoice_id == sent.request["originalInvoiceId"]
        and adjustment.amount == Decimal(sent.request["adjustmentAmount"])
        and adjustment.currency == sent.request["currencyCode"]
        and adjustment.created_at >= sent.first_sent_at - _CLOCKS_APART
    )
