"""Invoices in DynamoDB: final documents, gapless numbers, and where invoicing stands."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from pynamodb.connection import Connection
from pynamodb.expressions.condition import Condition

from meterbridge.adapters.dynamodb import invoice_items as items
from meterbridge.adapters.dynamodb.invoice_items import InvoiceItem, from_body, to_body
from meterbridge.adapters.dynamodb.tables import bind, store_errors
from meterbridge.adapters.dynamodb.transactions import Transaction
from meterbridge.application.invoice_ports import (
    DocumentQuery,
    DocumentSummary,
    IssuingFailure,
    IssuingRun,
)
from meterbridge.domain.errors import NotFoundError, StaleVersionError, StoreUnavailableError
from meterbridge.domain.invoicing.billing_documents import BillingDocument, DocumentKind
from meterbridge.domain.invoicing.crediting import CreditedLines
from meterbridge.domain.invoicing.invoice_account import InvoiceAccount
from meterbridge.domain.invoicing.invoicing_rules import InvoicingRules, number_in
from meterbridge.domain.invoicing.issuing import Issue, numbered_account

_T = TypeVar("_T")
_ATTEMPTS = 20
_ABSENT = InvoiceItem.pk.does_not_exist()
_AFTER = "~"


class _NumberTakenError(StaleVersionError):
    """Another document took the number first: not this one's fault."""


class InvoiceStore:
    """The InvoiceStore port on one table."""

    def __init__(self, table_name: str) -> None:
        """Bind to a table; nothing is called yet."""
        self._items = bind(InvoiceItem, table_name)
        self._connection = Connection()

    def account(self, agreement_id: str) -> InvoiceAccount | None:
        """See InvoiceStore."""
        item = self._find(items.agreement_pk(agreement_id), items.ACCOUNT)
        return None if item is None else from_body(item.body, InvoiceAccount)

    def accounts(self, agreement_ids: Iterable[str]) -> dict[str, InvoiceAccount]:
        """See InvoiceStore."""
        keys = [(items.agreement_pk(each), items.ACCOUNT) for each in dict.fromkeys(agreement_ids)]
        with store_errors("invoice accounts"):
            found = [
                from_body(item.body, InvoiceAccount)
                for item in self._items.batch_get(keys, consistent_read=True)
            ]
        return {account.agreement_id: account for account in found}

    def issue(
        self, made: Issue, rules: InvoicingRules, at: datetime
    ) -> tuple[BillingDocument, ...]:
        """See InvoiceStore."""

        def attempt() -> tuple[BillingDocument, ...]:
            change = Transaction(self._connection)
            documents, counters = self._with_numbers(made.documents, rules, at)
            self._put_account(change, numbered_account(made.account, documents))
            for series, last in counters.items():
                self._put_counter(change, series, *last)
            for document in documents:
                self._put_document(change, document)
                if document.kind is DocumentKind.CREDIT_NOTE and document.refers_to is not None:
                    credited = self.credited(document.refers_to.id)
                    after = credited.with_correction(document.total.copy_negate())
                    self._put_credited(change, after)
            change.commit()
            return tuple(documents)

        return self._repeat(made.account.agreement_id, attempt)

    def document(self, document_id: str) -> BillingDocument:
        """See InvoiceStore."""
        pk, place = items.document_place(document_id)
        prefix = f"{items.PARTS}{place}#"
        with store_errors(f"document {document_id}"):
            found = self._items.query(pk, InvoiceItem.sk.startswith(prefix), consistent_read=True)
            parts = [bytes(item.packed or b"") for item in found]
        if not parts:
            raise NotFoundError(document_id)
        return items.document_from_parts(parts)

    def credited(self, invoice_id: str) -> CreditedLines:
        """See InvoiceStore."""
        pk, place = items.document_place(invoice_id)
        item = self._find(pk, items.CREDITED + place)
        return CreditedLines(invoice_id) if item is None else from_body(item.body, CreditedLines)

    def of_agreement(self, agreement_id: str, after: str, limit: int) -> list[DocumentSummary]:
        """See InvoiceStore."""
        begin = items.DOCUMENTS + (items.document_place(after)[1] if after else "")
        with store_errors(f"documents of {agreement_id}"):
            found = self._items.query(
                items.agreement_pk(agreement_id),
                InvoiceItem.sk.between(begin, items.DOCUMENTS + _AFTER),
                consistent_read=True,
                limit=limit + 1,
            )
            summaries = [from_body(item.body, DocumentSummary) for item in found if item.sk > begin]
        return summaries[:limit]

    def documents(self, query: DocumentQuery, after: str) -> Iterator[DocumentSummary]:
        """See InvoiceStore."""
        lists = [self._of_product(product, query, after) for product in sorted(query.products)]
        for summary in heapq.merge(*lists, key=lambda each: each.place, reverse=True):
            if query.shows(summary):
                yield summary

    def numbered(self, number: str) -> str:
        """See InvoiceStore."""
        item = self._find(items.number_pk(number), items.NUMBER)
        if item is None:
            raise NotFoundError(number)
        return from_body(item.body, str)

    def note_failure(self, agreement_id: str, period_key: str, reason: str, at: datetime) -> None:
        """See InvoiceStore."""
        item = self._find(items.ISSUING, items.FAILURES + agreement_id)
        failure = IssuingFailure(agreement_id, period_key, reason, at, at, 1)
        if item is not None and item.body:
            before = from_body(item.body, IssuingFailure)
            failure = replace(failure, since=before.since, attempts=before.attempts + 1)
        with store_errors(f"failure of {agreement_id}"):
            self._items(items.ISSUING, items.FAILURES + agreement_id, body=to_body(failure)).save()

    def clear_failure(self, agreement_id: str) -> None:
        """See InvoiceStore. What is over stays as an item without body: nothing here is deleted."""
        with store_errors(f"failure of {agreement_id}"):
            self._items(items.ISSUING, items.FAILURES + agreement_id).save()

    def failures(self, among: Collection[str] | None = None) -> list[IssuingFailure]:
        """See InvoiceStore."""
        with store_errors("issuing failures"):
            found = self._items.query(
                items.ISSUING, InvoiceItem.sk.startswith(items.FAILURES), consistent_read=True
            )
            failures = [from_body(item.body, IssuingFailure) for item in found if item.body]
        return [each for each in failures if among is None or each.agreement_id in among]

    def run(self) -> IssuingRun | None:
        """See InvoiceStore."""
        item = self._find(items.ISSUING, items.RUN)
        return None if item is None else from_body(item.body, IssuingRun)

    def save_run(self, run: IssuingRun) -> None:
        """See InvoiceStore."""
        with store_errors("issuing run"):
            self._items(items.ISSUING, items.RUN, body=to_body(run)).save()

    def _of_product(
        self, product_id: str, query: DocumentQuery, after: str
    ) -> Iterator[DocumentSummary]:
        low = f"{query.issued_from:%Y-%m-%dT%H:%M:%S.%fZ}" if query.issued_from else ""
        high = f"{query.issued_before:%Y-%m-%dT%H:%M:%S.%fZ}" if query.issued_before else _AFTER
        high = min(high, after) if after else high
        if low > high:
            return
        with store_errors(f"documents of {product_id}"):
            for item in self._items.listed.query(
                product_id,
                InvoiceItem.listed_sk.between(low or "0", high),
                scan_index_forward=False,
                page_size=100,
            ):
                if item.listed_sk != after:
                    yield from_body(item.body, DocumentSummary)

    def _with_numbers(
        self, documents: Sequence[BillingDocument], rules: InvoicingRules, at: datetime
    ) -> tuple[list[BillingDocument], dict[str, tuple[int, int]]]:
        """Documents as they are final, and by series the last number given before and after."""
        counters: dict[str, tuple[int, int]] = {}
        found = []
        for document in documents:
            series = rules.series(document.kind)
            if series not in counters:
                item = self._find(items.series_pk(series), items.COUNTER)
                last = int(item.version or 0) if item is not None else 0
                counters[series] = (last, last)
            before, last = counters[series]
            counters[series] = (before, last + 1)
            found.append(document.final(number_in(series, last + 1), at))
        return found, counters

    def _put_account(self, change: Transaction, account: InvoiceAccount) -> None:
        self._put_version(
            change,
            items.agreement_pk(account.agreement_id),
            items.ACCOUNT,
            account.version,
            to_body(account),
            StaleVersionError(f"{account.agreement_id} was invoiced meanwhile"),
        )

    def _put_credited(self, change: Transaction, credited: CreditedLines) -> None:
        pk, place = items.document_place(credited.invoice_id)
        self._put_version(
            change,
            pk,
            items.CREDITED + place,
            credited.version,
            to_body(credited),
            StaleVersionError(f"{credited.invoice_id} was credited meanwhile"),
        )

    def _put_version(
        self,
        change: Transaction,
        pk: str,
        sk: str,
        version: int,
        body: str,
        failure: StaleVersionError,
    ) -> None:
        known: Condition = InvoiceItem.version == version - 1 if version > 1 else _ABSENT
        change.put(self._items(pk, sk, body=body, version=version), known, failure)

    def _put_counter(self, change: Transaction, series: str, before: int, last: int) -> None:
        known: Condition = InvoiceItem.version == before if before else _ABSENT
        change.put(
            self._items(items.series_pk(series), items.COUNTER, version=last),
            known,
            _NumberTakenError(series),
        )

    def _put_document(self, change: Transaction, document: BillingDocument) -> None:
        """Write a document and that its number is its own, if neither is there."""
        for item in items.document_to_items(document, self._items):
            change.put(item, _ABSENT, StaleVersionError(document.id))
        change.put(
            self._items(items.number_pk(document.number), items.NUMBER, body=to_body(document.id)),
            _ABSENT,
            StaleVersionError(document.number),
        )

    def _find(self, pk: str, sk: str) -> InvoiceItem | None:
        with store_errors(f"{pk} {sk}"):
            try:
                return self._items.get(pk, sk, consistent_read=True)
            except self._items.DoesNotExist:
                return None

    def _repeat(self, name: str, attempt: Callable[[], _T]) -> _T:
        """Count again and repeat when only somebody else's document took the number."""
        for _ in range(_ATTEMPTS):
            try:
                return attempt()
            except _NumberTakenError:
                continue
        raise StoreUnavailableError(f"{name}: numbers were taken {_ATTEMPTS} times")
