"""In-memory invoices."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from threading import RLock

from fakes.registry import FakeRegistry
from meterbridge.application.invoice_ports import (
    DocumentQuery,
    DocumentSummary,
    IssuingFailure,
    IssuingRun,
)
from meterbridge.application.registry_admin import Answer
from meterbridge.domain.errors import NotFoundError, StaleVersionError
from meterbridge.domain.invoicing.billing_documents import (
    BillingDocument,
    DocumentKind,
    agreement_of,
)
from meterbridge.domain.invoicing.crediting import CreditedLines
from meterbridge.domain.invoicing.invoice_account import InvoiceAccount
from meterbridge.domain.invoicing.invoicing_rules import InvoicingRules, number_in
from meterbridge.domain.invoicing.issuing import Issue, numbered_account


class FakeInvoiceStore:
    """Documents and accounts in dicts; every method is atomic."""

    def __init__(self, registry: FakeRegistry | None = None) -> None:
        """Args: registry: where answers to requests with an idempotency key are kept."""
        self._registry = registry
        self._lock = RLock()
        self._accounts: dict[str, InvoiceAccount] = {}
        self._documents: dict[str, BillingDocument] = {}
        self._credited: dict[str, CreditedLines] = {}
        self._last: dict[str, int] = {}
        self._failures: dict[str, IssuingFailure] = {}
        self._run: IssuingRun | None = None

    def account(self, agreement_id: str) -> InvoiceAccount | None:
        return self._accounts.get(agreement_id)

    def accounts(self, agreement_ids: Iterable[str]) -> dict[str, InvoiceAccount]:
        return {each: self._accounts[each] for each in agreement_ids if each in self._accounts}

    def issue(
        self, made: Issue, rules: InvoicingRules, at: datetime
    ) -> tuple[BillingDocument, ...]:
        with self._lock:
            self._require(made.account)
            documents = self._numbered(made.documents, rules, at)
            for document in documents:
                if document.kind is DocumentKind.CREDIT_NOTE and document.refers_to is not None:
                    before = self.credited(document.refers_to.id)
                    self._credited[before.invoice_id] = before.with_correction(-document.total)
            account = numbered_account(made.account, documents)
            self._accounts[account.agreement_id] = account
            return tuple(documents)

    def credit(
        self,
        document: BillingDocument,
        credited: CreditedLines,
        account: InvoiceAccount | None,
        rules: InvoicingRules,
        at: datetime,
        answering: Callable[[BillingDocument], Answer | None],
    ) -> BillingDocument:
        with self._lock:
            if self.credited(credited.invoice_id).version != credited.version - 1:
                raise StaleVersionError(credited.invoice_id)
            if account is not None:
                self._require(account)
            before = dict(self._last)
            (numbered,) = self._numbered([document], rules, at)
            try:
                kept = answering(numbered)
                with self._registry.answering(kept) if self._registry else nullcontext():
                    self._credited[credited.invoice_id] = credited
            except Exception:
                self._last = before
                del self._documents[numbered.id]
                raise
            if account is not None:
                self._accounts[account.agreement_id] = account
            return numbered

    def document(self, document_id: str) -> BillingDocument:
        if document_id not in self._documents:
            raise NotFoundError(document_id)
        return self._documents[document_id]

    def credited(self, invoice_id: str) -> CreditedLines:
        return self._credited.get(invoice_id, CreditedLines(invoice_id))

    def of_agreement(self, agreement_id: str, after: str, limit: int) -> list[DocumentSummary]:
        found = sorted(
            (_place(document.id), document)
            for document in self._documents.values()
            if document.subject.agreement_id == agreement_id
        )
        shown = [
            DocumentSummary.of(document)
            for place, document in found
            if not after or place > _place(after)
        ]
        return shown[:limit]

    def documents(self, query: DocumentQuery, after: str) -> Iterator[DocumentSummary]:
        found = [DocumentSummary.of(document) for document in self._documents.values()]
        for summary in sorted(found, key=lambda each: each.place, reverse=True):
            begun = query.issued_from is None or summary.issued_at >= query.issued_from
            over = query.issued_before is not None and summary.issued_at >= query.issued_before
            in_time = begun and not over and (not after or summary.place < after)
            if in_time and summary.product_id in query.products and query.shows(summary):
                yield summary

    def numbered(self, number: str) -> str:
        for document in self._documents.values():
            if document.number == number:
                return document.id
        raise NotFoundError(number)

    def note_failure(self, agreement_id: str, period_key: str, reason: str, at: datetime) -> None:
        before = self._failures.get(agreement_id)
        failure = IssuingFailure(agreement_id, period_key, reason, at, at, 1)
        if before is not None:
            failure = replace(failure, since=before.since, attempts=before.attempts + 1)
        self._failures[agreement_id] = failure

    def clear_failure(self, agreement_id: str) -> None:
        self._failures.pop(agreement_id, None)

    def failures(self, among: Collection[str] | None = None) -> list[IssuingFailure]:
        return [
            failure
            for agreement_id, failure in sorted(self._failures.items())
            if among is None or agreement_id in among
        ]

    def run(self) -> IssuingRun | None:
        return self._run

    def save_run(self, run: IssuingRun) -> None:
        self._run = run

    def _require(self, account: InvoiceAccount) -> None:
        known = self._accounts.get(account.agreement_id)
        if (known.version if known else 0) != account.version - 1:
            raise StaleVersionError(account.agreement_id)

    def _numbered(
        self, documents: Sequence[BillingDocument], rules: InvoicingRules, at: datetime
    ) -> list[BillingDocument]:
        found = []
        for document in documents:
            if document.id in self._documents:
                raise StaleVersionError(document.id)
            series = rules.series(document.kind)
            self._last[series] = self._last.get(series, 0) + 1
            final = document.final(number_in(series, self._last[series]), at)
            self._documents[final.id] = final
            found.append(final)
        return found


def _place(document_id: str) -> tuple[str, str]:
    return agreement_of(document_id)[1], document_id.partition("_")[0]
