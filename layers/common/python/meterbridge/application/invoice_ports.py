"""What the invoicing use cases need from the outside.

Every method may raise StoreUnavailableError: nothing is known to have been changed, and the call may
be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from meterbridge.application.registry_admin import Answer
from meterbridge.domain.channels import Channel
from meterbridge.domain.invoicing.billing_documents import BillingDocument, DocumentKind
from meterbridge.domain.invoicing.crediting import CreditedLines
from meterbridge.domain.invoicing.invoice_account import InvoiceAccount
from meterbridge.domain.invoicing.invoicing_rules import InvoicingRules
from meterbridge.domain.invoicing.issuing import Issue


@dataclass(frozen=True, slots=True)
class DocumentSummary:
    """A final document, as lists show it."""

    id: str
    kind: DocumentKind
    number: str
    agreement_id: str
    customer_id: str
    product_id: str
    channel: Channel
    currency: str
    period_start: datetime
    period_end: datetime
    issued_at: datetime
    total: Decimal
    refers_to: str = ""

    @classmethod
    def of(cls, document: BillingDocument) -> DocumentSummary:
        """A final document's."""
        return cls(
            id=document.id,
            kind=document.kind,
            number=document.number,
            agreement_id=document.subject.agreement_id,
            customer_id=document.buyer.customer_id,
            product_id=document.subject.product_id,
            channel=document.subject.channel,
            currency=document.currency,
            period_start=document.period_start,
            period_end=document.period_end,
            issued_at=document.issued_at or document.as_of,
            total=document.total,
            refers_to=document.refers_to.number if document.refers_to else "",
        )

    @property
    def place(self) -> str:
        """Where it is in the list of all: by the moment it was issued."""
        return f"{self.issued_at:%Y-%m-%dT%H:%M:%S.%fZ}#{self.id}"


@dataclass(frozen=True, slots=True)
class DocumentQuery:
    """Which documents a list shows; None is any.

    Attributes:
        issued_from, issued_before: [from, before).
    """

    products: frozenset[str]
    customer_id: str | None = None
    kind: DocumentKind | None = None
    issued_from: datetime | None = None
    issued_before: datetime | None = None

    def shows(self, summary: DocumentSummary) -> bool:
        """Whether a document of the products, issued in that time, is shown."""
        return self.customer_id in (None, summary.customer_id) and self.kind in (None, summary.kind)


@dataclass(frozen=True, slots=True)
class IssuingFailure:
    """Why an agreement's invoice could not be made.

    Attributes:
        period_key: of the invoice, "" where not even that is known.
        since: when it failed first.
        attempts: how often it did since then.
    """

    agreement_id: str
    period_key: str
    reason: str
    since: datetime
    failed_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class IssuingRun:
    """What the last run of issuing came to.

    Attributes:
        resume_after: the agreement after which the next run goes on; "" where it saw all.
    """

    at: datetime
    resume_after: str
    invoices: int
    credit_notes: int
    failures: int


class InvoiceStore(Protocol):
    """Final documents, their numbers, and where invoicing each agreement stands."""

    def account(self, agreement_id: str) -> InvoiceAccount | None:
        """Strongly read; None before the first period was closed."""

    def accounts(self, agreement_ids: Iterable[str]) -> dict[str, InvoiceAccount]:
        """Those that exist, strongly read."""

    def issue(
        self, made: Issue, rules: InvoicingRules, at: datetime
    ) -> tuple[BillingDocument, ...]:
        """Number the documents and write them with the account, in one transaction.

        Each takes the next number of its series; none is ever left out or given twice.

        Returns:
            The documents as they are final.

        Raises:
            StaleVersionError: the account is not at the version before any more. Nothing written.
            InvariantError: a document is too large to be kept.
        """

    def document(self, document_id: str) -> BillingDocument:
        """Raises NotFoundError."""

    def credited(self, invoice_id: str) -> CreditedLines:
        """What was given back of an invoice, strongly read."""

    def of_agreement(self, agreement_id: str, after: str, limit: int) -> list[DocumentSummary]:
        """Documents of an agreement after an id, in order of their periods, strongly read."""

    def documents(self, query: DocumentQuery, after: str) -> Iterator[DocumentSummary]:
        """Documents of all agreements after a place, newest first. May lag behind."""

    def numbered(self, number: str) -> str:
        """The id of the document with a number. Raises NotFoundError."""

    def note_failure(self, agreement_id: str, period_key: str, reason: str, at: datetime) -> None:
        """Keep that an invoice could not be made, until `clear_failure`."""

    def clear_failure(self, agreement_id: str) -> None:
        """The agreement's invoices can be made again; no change where they could."""

    def failures(self, among: Collection[str] | None = None) -> list[IssuingFailure]:
        """Those that were not cleared, in order of agreement. Args: among: of these only."""

    def run(self) -> IssuingRun | None:
        """The last run; None before the first."""

    def save_run(self, run: IssuingRun) -> None:
        """Replace the last run."""


class InvoiceAdmin(InvoiceStore, Protocol):
    """The store, with what persons ask for."""

    def credit(
        self,
        document: BillingDocument,
        credited: CreditedLines,
        account: InvoiceAccount | None,
        rules: InvoicingRules,
        at: datetime,
        answering: Callable[[BillingDocument], Answer | None],
    ) -> BillingDocument:
        """Number a credit note and write it, what was credited, the account and the answer at once.

        Args:
            credited, account: as they are after it; None leaves the account as it is.

        Raises:
            StaleVersionError: either is not at the version before any more. Nothing written.
            AnsweredError: a request with the same idempotency key was finished first.
        """
