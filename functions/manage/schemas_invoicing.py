"""Lists of invoices, and how invoicing stands: what is answered."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from manage.answers import Listing
from manage.schemas_invoices import SellerView
from meterbridge.application.invoice_ports import DocumentSummary, IssuingFailure, IssuingRun
from meterbridge.domain.channels import Channel
from meterbridge.domain.invoicing.billing_documents import (
    BillingDocument,
    DocumentKind,
    DocumentState,
)
from meterbridge.domain.invoicing.invoicing_rules import InvoicingRules
from meterbridge.domain.money import plain


class InvoiceSummaryView(BaseModel):
    """A document, as lists show it."""

    id: str
    kind: DocumentKind
    state: DocumentState
    number: str | None
    agreement_id: str
    customer_id: str
    product_id: str
    channel: Channel
    currency: str
    period_start: datetime
    period_end: datetime
    issued_at: datetime | None
    total: str
    refers_to: str | None = Field(description="Number of the invoice that a credit note corrects")

    @classmethod
    def of(cls, summary: DocumentSummary) -> InvoiceSummaryView:
        return cls(
            id=summary.id,
            kind=summary.kind,
            state=DocumentState.FINAL,
            number=summary.number,
            agreement_id=summary.agreement_id,
            customer_id=summary.customer_id,
            product_id=summary.product_id,
            channel=summary.channel,
            currency=summary.currency,
            period_start=summary.period_start,
            period_end=summary.period_end,
            issued_at=summary.issued_at,
            total=plain(summary.total),
            refers_to=summary.refers_to or None,
        )

    @classmethod
    def of_draft(cls, document: BillingDocument) -> InvoiceSummaryView:
        view = cls.of(DocumentSummary.of(document))
        draft = {"state": DocumentState.DRAFT, "number": None, "issued_at": None}
        return view.model_copy(update=draft)


class FailureView(BaseModel):
    """Why an agreement's next invoice cannot be made; it is tried again by every run."""

    agreement_id: str
    reason: str
    since: datetime
    failed_at: datetime
    attempts: int

    @classmethod
    def of(cls, failure: IssuingFailure) -> FailureView:
        return cls(
            agreement_id=failure.agreement_id,
            reason=failure.reason,
            since=failure.since,
            failed_at=failure.failed_at,
            attempts=failure.attempts,
        )


class InvoiceList(Listing):
    """A page of final documents, newest first."""

    items: list[InvoiceSummaryView]


class AgreementInvoiceList(Listing):
    """An agreement's final documents in order of their periods, and on the first page its drafts."""

    items: list[InvoiceSummaryView]
    drafts: list[InvoiceSummaryView] = Field(description="Of periods that are not final yet")
    failure: FailureView | None


class InvoicingView(BaseModel):
    """How invoicing stands."""

    issues: bool = Field(description="False until the deployment says who the seller is")
    seller: SellerView
    invoice_series: str
    credit_note_series: str
    days_after_period: int
    last_run_at: datetime | None
    last_run_finished: bool | None
    failures: list[FailureView]

    @classmethod
    def of(
        cls, rules: InvoicingRules, run: IssuingRun | None, failures: list[IssuingFailure]
    ) -> InvoicingView:
        return cls(
            issues=rules.issues,
            seller=SellerView.of(rules.seller),
            invoice_series=rules.series(DocumentKind.INVOICE),
            credit_note_series=rules.series(DocumentKind.CREDIT_NOTE),
            days_after_period=rules.delay.days,
            last_run_at=run.at if run else None,
            last_run_finished=not run.resume_after if run else None,
            failures=[FailureView.of(failure) for failure in failures],
        )
