"""Draft what is to be given back to a buyer, after an agreement was settled."""

from __future__ import annotations

from collections.abc import Sequence

from meterbridge.application.billing_terms import agreement_terms
from meterbridge.application.correction_ledger import CorrectionLedger
from meterbridge.application.ports import Clock, Registry
from meterbridge.domain.agreements import Agreement
from meterbridge.domain.corrections import Correction, CorrectionState
from meterbridge.domain.errors import StaleVersionError
from meterbridge.domain.ledger_head import LedgerHead
from meterbridge.domain.over_reported import (
    Overview,
    ReportedFrom,
    draft_corrections,
    is_over_reported,
)
from meterbridge.domain.plan_pricing import reported_dimensions
from meterbridge.domain.policy import LONGEST_LATENESS, reporting_policy


def draft_agreement(
    agreement_id: str, *, registry: Registry, ledger: CorrectionLedger, clock: Clock
) -> list[Correction]:
    """Bring an agreement's drafts up to date with its newest settlement; those that changed.

    Safe to repeat, to kill, and to run twice at once: a draft's key is derived. One that a settlement
    has overtaken is put right after that settlement, and cannot be approved until then.

    Raises:
        NotFoundError: no such agreement, or it names what does not exist.
        StoreUnavailableError: a store failed.
    """
    # The head is read first: what is read after it knows as much or more.
    head = ledger.head(agreement_id)
    if head is None:
        return []
    known = ledger.corrections(agreement_id)
    drafted = any(each.state is CorrectionState.DRAFTED for each in known)
    if not drafted and not is_over_reported(head):
        return []
    overview = read_overview(registry.agreement(agreement_id), head, known, registry, ledger, clock)
    written = []
    for write in draft_corrections(overview):
        try:
            ledger.write_correction(write)
        except StaleVersionError:
            # Another run, or a person, has just changed it; the next settlement looks again.
            continue
        written.append(write.after)
    return written


def read_overview(
    agreement: Agreement,
    head: LedgerHead,
    corrections: Sequence[Correction],
    registry: Registry,
    ledger: CorrectionLedger,
    clock: Clock,
) -> Overview:
    """What drafting looks at, on top of a head.

    Raises:
        NotFoundError: the agreement names an offering or plan that does not exist.
        StoreUnavailableError: something could not be read.
    """
    now = clock.now()
    over = [
        period
        for positions in head.positions.values()
        for period, position in positions.items()
        if position.carried < 0
    ]
    start = min(over).start - LONGEST_LATENESS if over else None
    return Overview(
        agreement=agreement,
        reported=_reported(agreement, registry),
        head=head,
        records=ledger.records(agreement.id, start=start) if over else (),
        corrections=corrections,
        policy=reporting_policy(agreement.channel, now),
        now=now,
    )


def _reported(agreement: Agreement, registry: Registry) -> list[ReportedFrom]:
    siblings = registry.agreements_of(agreement.product_id, agreement.customer_id)
    return [
        ReportedFrom(version.starts_at, reported_dimensions(version.plan, agreement.channel))
        for version in agreement_terms(agreement, registry, siblings).versions
    ]
