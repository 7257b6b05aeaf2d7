"""What becomes of a correction, and what that does to the books. Pure.

A correction in force is a negative commitment of its period: the head keeps, by dimension and period,
the quantity that is given back, and every settlement adds it to what is outstanding. So

    carried = metered − (accepted − corrected)

holds before and after, and what the buyer gets back as money is not made up for by usage as well.
The change of state and the head are written in one transaction, on the head that was read: a
settlement in between makes it fail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from meterbridge.domain.corrections import (
    Actor,
    Correction,
    CorrectionChange,
    CorrectionState,
)
from meterbridge.domain.errors import RefusedDecisionError
from meterbridge.domain.ledger_head import LedgerHead, Position
from meterbridge.domain.money import ZERO, exact_sum, subtract
from meterbridge.domain.over_reported import SYSTEM, CorrectionWrite

_REFUSALS: Mapping[CorrectionState, str] = {
    CorrectionState.DRAFTED: "it has to be approved first",
    CorrectionState.APPROVED: "it is approved",
    CorrectionState.SUBMITTED: "the marketplace may have it, and takes nothing back",
    CorrectionState.COMPLETED: "it is completed, which is for ever",
    CorrectionState.FAILED: "the marketplace refused it; a new one is drafted",
    CorrectionState.WITHDRAWN: "it was withdrawn; a new one is drafted if it is due again",
}


def approved(
    correction: Correction,
    head: LedgerHead,
    due: Decimal,
    *,
    at: datetime,
    by: Actor,
    reason: str,
    marketplace_agreement_id: str = "",
    invoice_id: str = "",
) -> CorrectionWrite:
    """Approved by a person: from now on it counts as given back.

    Args:
        head: the newest settlement.
        due: what is to be given back by that settlement.

    Raises:
        RefusedDecisionError: it is no draft, or `correction_outdated`: less is due than it says.
    """
    _require(correction, CorrectionState.DRAFTED)
    if due < correction.quantity:
        detail = f"{correction.key}: less is over-reported by now, and the draft is being renewed"
        raise RefusedDecisionError("correction_outdated", detail)
    changed = _changed(correction, CorrectionState.APPROVED, at, by, reason)
    after = replace(
        changed, marketplace_agreement_id=marketplace_agreement_id, invoice_id=invoice_id
    )
    return CorrectionWrite(correction, after, _given_back(head, correction, correction.quantity))


def withdrawn(
    correction: Correction, head: LedgerHead, *, at: datetime, by: Actor, reason: str
) -> CorrectionWrite:
    """Decided against by a person: later usage makes up for it, or nothing does.

    Raises:
        RefusedDecisionError: the marketplace may have it, or it is over.
    """
    _require(correction, CorrectionState.DRAFTED, CorrectionState.APPROVED)
    after = _changed(correction, CorrectionState.WITHDRAWN, at, by, reason)
    return CorrectionWrite(correction, after, _taken_back(correction, head))


def completed(
    correction: Correction, *, at: datetime, by: Actor, reason: str, reference: str = ""
) -> CorrectionWrite:
    """The buyer has the money. The books know already.

    Args:
        reference: the marketplace's id for it, where it is not known yet.

    Raises:
        RefusedDecisionError: it was not approved, or is over.
    """
    _require(correction, CorrectionState.APPROVED, CorrectionState.SUBMITTED)
    after = _changed(correction, CorrectionState.COMPLETED, at, by, reason)
    return CorrectionWrite(
        correction, replace(after, reference=correction.reference or reference, note="")
    )


def submitting(
    correction: Correction, request: Mapping[str, str], *, at: datetime
) -> CorrectionWrite:
    """About to be sent (again); written before the call. The first request stays for ever.

    Raises:
        RefusedDecisionError: it was not approved, or is over, or another request was sent before.
    """
    _require(correction, CorrectionState.APPROVED, CorrectionState.SUBMITTED)
    if correction.request and dict(correction.request) != dict(request):
        raise RefusedDecisionError("correction_submitted", f"{correction.key}: sent as another")
    first = correction.state is CorrectionState.APPROVED
    after = replace(
        _changed(correction, CorrectionState.SUBMITTED, at, SYSTEM, "sent to the marketplace")
        if first
        else replace(correction, version=correction.version + 1),
        request=dict(request),
        marketplace_agreement_id=request["agreementId"],
        invoice_id=request["originalInvoiceId"],
        attempts=correction.attempts + 1,
        first_sent_at=at if first else correction.first_sent_at,
        note="",
    )
    return CorrectionWrite(correction, after)


def unsent(correction: Correction, *, reason: str) -> CorrectionWrite:
    """The last send surely did not reach the marketplace: as if it had not begun.

    Only the very first can be taken back; later ones leave the doubt of the earlier.
    """
    _require(correction, CorrectionState.SUBMITTED)
    if correction.attempts != 1:
        return noted(correction, reason)
    after = replace(
        correction,
        state=CorrectionState.APPROVED,
        history=correction.history[:-1],
        request={},
        attempts=0,
        first_sent_at=None,
        note=reason,
    )
    return _quietly(correction, after)


def received(correction: Correction, reference: str) -> CorrectionWrite:
    """The marketplace has it, under this id."""
    _require(correction, CorrectionState.SUBMITTED)
    return _quietly(correction, replace(correction, reference=reference, note=""))


def noted(correction: Correction, note: str) -> CorrectionWrite:
    """It waits for something, told to a person."""
    return _quietly(correction, replace(correction, note=note))


def failed(
    correction: Correction, head: LedgerHead, *, at: datetime, reason: str
) -> CorrectionWrite:
    """The marketplace surely gave nothing back, and will not.

    Raises:
        RefusedDecisionError: it was not sent, or is over.
    """
    _require(correction, CorrectionState.SUBMITTED)
    after = _changed(correction, CorrectionState.FAILED, at, SYSTEM, reason)
    return CorrectionWrite(correction, replace(after, note=reason), _taken_back(correction, head))


def _require(correction: Correction, *states: CorrectionState) -> None:
    if correction.state not in states:
        detail = f"{correction.key}: {_REFUSALS[correction.state]}"
        raise RefusedDecisionError(f"correction_{correction.state}", detail)


def _changed(
    correction: Correction, state: CorrectionState, at: datetime, by: Actor, reason: str
) -> Correction:
    change = CorrectionChange(at, state, correction.quantity, reason, by)
    return replace(
        correction,
        state=state,
        history=(*correction.history, change),
        version=correction.version + 1,
    )


def _quietly(before: Correction, after: Correction) -> CorrectionWrite:
    return CorrectionWrite(before, replace(after, version=before.version + 1))


def _taken_back(correction: Correction, head: LedgerHead) -> LedgerHead | None:
    if not correction.in_force:
        return None
    return _given_back(head, correction, correction.quantity.copy_negate())


def _given_back(head: LedgerHead, correction: Correction, quantity: Decimal) -> LedgerHead:
    """The head one version on, with so much more given back of the correction's period."""
    code, period = correction.key.dimension, correction.key.period
    known = head.position(code, period)
    position = Position(
        known.metered,
        subtract(known.committed, quantity),
        exact_sum((known.carried, quantity)),
    )
    balances = dict(head.corrected.get(code, {}))
    balances[period] = exact_sum((balances.get(period, ZERO), quantity))
    corrected = {
        **head.corrected,
        code: {each: amount for each, amount in balances.items() if amount},
    }
    return replace(
        head,
        version=head.version + 1,
        corrected={each: amounts for each, amounts in corrected.items() if amounts},
        positions={
            **head.positions,
            code: {**head.positions.get(code, {}), period: position},
        },
    )
