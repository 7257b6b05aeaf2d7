"""Make final what is due: each agreement's next invoice, and credit notes for what costs less now.

Safe to repeat, to kill, and to run twice at once: documents, their numbers and the agreement's account
are written in one transaction, so that the next run goes on where this one ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from meterbridge.application.invoice_ports import IssuingRun
from meterbridge.application.ports import Clock
from meterbridge.application.read_invoices import (
    InvoiceSources,
    account_of,
    invoice_facts,
    terms_of,
)
from meterbridge.domain.agreements import Agreement, AgreementState
from meterbridge.domain.errors import (
    MeterbridgeError,
    StaleVersionError,
    StoreUnavailableError,
)
from meterbridge.domain.invoicing.billing_documents import BillingDocument, DocumentKind
from meterbridge.domain.invoicing.invoice_account import InvoiceAccount
from meterbridge.domain.invoicing.invoice_periods import InvoicePeriod, is_over, period_at
from meterbridge.domain.invoicing.issuing import issue
from meterbridge.domain.windows import BillingPeriod

_BATCH = 100


@dataclass(slots=True)
class IssueSummary:
    """What one run did.

    Attributes:
        failed: why, by agreement, of those that could not be invoiced now.
        failing: how many agreements cannot be invoiced, those of earlier runs included.
        finished: False when something is left for the next run.
    """

    invoices: int = 0
    credit_notes: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    failing: int = 0
    finished: bool = True

    def count(self, documents: Iterable[BillingDocument]) -> None:
        """More documents were issued."""
        for document in documents:
            if document.kind is DocumentKind.INVOICE:
                self.invoices += 1
            else:
                self.credit_notes += 1


def issue_invoices(
    sources: InvoiceSources, *, clock: Clock, may_go_on: Callable[[], bool]
) -> IssueSummary:
    """Issue what is due. Where the time ends, the next run begins with the agreements not seen yet.

    An agreement that cannot be invoiced is noted with the reason, and the others go on.

    Raises:
        StoreUnavailableError: a store failed; the next run goes on from here.
    """
    summary, store = IssueSummary(), sources.invoices
    if not sources.rules.issues:
        return summary
    before = store.run()
    failing = {failure.agreement_id for failure in store.failures()}
    last = ""
    resume_after = before.resume_after if before else ""
    for agreement in _from(resume_after, sources, failing, clock.now()):
        if not may_go_on():
            summary.finished = False
            break
        _issue_agreement(agreement, sources, clock, summary, failing, may_go_on)
        last = agreement.id
    summary.failing = len(failing)
    store.save_run(
        IssuingRun(
            at=clock.now(),
            resume_after="" if summary.finished else last,
            invoices=summary.invoices,
            credit_notes=summary.credit_notes,
            failures=summary.failing,
        )
    )
    return summary


def issue_next(
    agreement: Agreement, sources: InvoiceSources, now: datetime
) -> tuple[BillingDocument, ...] | None:
    """Close an agreement's next period, if it is due; None when nothing is.

    Returns:
        What was issued; nothing where the period had nothing to invoice, or somebody else was first.

    Raises:
        NotFoundError: the agreement names what does not exist.
        InvariantError: a document cannot be right, or not be kept.
        StoreUnavailableError: not known to be issued.
    """
    account = account_of(agreement, sources)
    period = _due(agreement, account, sources, now)
    if period is None:
        return None
    made = issue(period, account, invoice_facts(agreement, period, account, sources, now))
    try:
        return sources.invoices.issue(made, sources.rules, now)
    except StaleVersionError:
        return ()


def _issue_agreement(
    agreement: Agreement,
    sources: InvoiceSources,
    clock: Clock,
    summary: IssueSummary,
    failing: set[str],
    may_go_on: Callable[[], bool],
) -> None:
    try:
        issued = issue_next(agreement, sources, clock.now())
        while issued is not None:
            summary.count(issued)
            if not may_go_on():
                summary.finished = False
                break
            issued = issue_next(agreement, sources, clock.now())
    except StoreUnavailableError:
        raise
    except MeterbridgeError as exc:
        # One agreement's fault must not keep the others from being invoiced. It stays on the list
        # of failures, is tried again by every run, and raises the alarm until it is gone.
        reason = f"{type(exc).__name__}: {exc}"
        summary.failed[agreement.id] = reason
        failing.add(agreement.id)
        key = _next_key(agreement, sources)
        sources.invoices.note_failure(agreement.id, key, reason, clock.now())
    else:
        if agreement.id in failing:
            sources.invoices.clear_failure(agreement.id)
            failing.discard(agreement.id)


def _next_key(agreement: Agreement, sources: InvoiceSources) -> str:
    opens = account_of(agreement, sources).next_opens
    return "" if opens is None else opens.strftime("%Y%m%d")


def _due(
    agreement: Agreement, account: InvoiceAccount, sources: InvoiceSources, now: datetime
) -> InvoicePeriod | None:
    terms = terms_of(agreement, sources)
    period = period_at(terms, account.next_index)
    if is_over(terms, period) or now < period.final_at(sources.rules.delay):
        return None
    return period


def _from(
    resume_after: str, sources: InvoiceSources, failing: set[str], now: datetime
) -> Iterator[Agreement]:
    """Agreements that may have something due: those after one first, then those up to it."""
    agreements = sources.registry.agreements
    later = (each for each in agreements() if each.id > resume_after)
    yield from _promising(later, sources, failing, now)
    if resume_after:
        earlier = (each for each in agreements() if each.id <= resume_after)
        yield from _promising(earlier, sources, failing, now)


def _promising(
    agreements: Iterator[Agreement], sources: InvoiceSources, failing: set[str], now: datetime
) -> Iterator[Agreement]:
    """Without those of which one look at their account tells that nothing is due, and did not fail."""
    while batch := list(islice(agreements, _BATCH)):
        accounts = sources.invoices.accounts(agreement.id for agreement in batch)
        for agreement in batch:
            account = accounts.get(agreement.id)
            due = _may_be_due(agreement, account, sources.rules.delay, now)
            if due or agreement.id in failing:
                yield agreement


def _may_be_due(
    agreement: Agreement, account: InvoiceAccount | None, delay: timedelta, now: datetime
) -> bool:
    if agreement.state is AgreementState.PENDING:
        return False
    if account is None:
        # No first period closes before the month in which the agreement began.
        return now >= BillingPeriod.of(agreement.starts_at).end + delay
    return account.has_due(now, delay, agreement.ends_at)
