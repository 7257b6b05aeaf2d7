"""Invoices as they are: final ones from the store, drafts from what is known now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from meterbridge.application.billing_terms import agreement_terms
from meterbridge.application.invoice_ports import InvoiceStore
from meterbridge.application.ports import Ledger, Registry, UsageStore
from meterbridge.application.rated_usage import read_rated_usage
from meterbridge.domain.agreements import Agreement, AgreementState
from meterbridge.domain.errors import NotFoundError
from meterbridge.domain.invoicing.billing_documents import (
    BillingDocument,
    Buyer,
    Subject,
    agreement_of,
    draft_id,
    invoice_id,
)
from meterbridge.domain.invoicing.invoice_account import InvoiceAccount
from meterbridge.domain.invoicing.invoice_facts import InvoiceFacts
from meterbridge.domain.invoicing.invoice_periods import InvoicePeriod, period_at, periods_from
from meterbridge.domain.invoicing.invoicing_rules import InvoicingRules
from meterbridge.domain.invoicing.issuing import draft, first_hour_needed
from meterbridge.domain.invoicing.marketplace_lines import marketplace_lines
from meterbridge.domain.pricing.agreement_terms import AgreementTerms

MAX_DRAFTS = 3
"""Periods of an agreement that are listed as drafts: more are not open but late."""


@dataclass(frozen=True, slots=True)
class InvoiceSources:
    """What invoices are made of."""

    registry: Registry
    usage: UsageStore
    ledger: Ledger
    invoices: InvoiceStore
    rules: InvoicingRules


def account_of(agreement: Agreement, sources: InvoiceSources) -> InvoiceAccount:
    """Where invoicing an agreement stands; at the beginning, before the first."""
    return sources.invoices.account(agreement.id) or InvoiceAccount(agreement.id)


def terms_of(agreement: Agreement, sources: InvoiceSources) -> AgreementTerms:
    """An agreement's terms.

    Raises:
        NotFoundError: it names an offering or plan that does not exist.
    """
    registry = sources.registry
    siblings = registry.agreements_of(agreement.product_id, agreement.customer_id)
    return agreement_terms(agreement, registry, siblings)


def invoice_facts(
    agreement: Agreement,
    period: InvoicePeriod,
    account: InvoiceAccount,
    sources: InvoiceSources,
    now: datetime,
) -> InvoiceFacts:
    """Everything that a period's documents are made of, read now.

    Raises:
        NotFoundError: the agreement names what does not exist.
        StoreUnavailableError: something could not be read.
    """
    # Records before usage: a record's usage is then surely in what is read.
    records = sources.ledger.records(agreement.id, period.start, period.end)
    span = read_rated_usage(
        agreement,
        first_hour_needed(account, period),
        max(period.start, period.end),
        registry=sources.registry,
        usage=sources.usage,
        ledger=sources.ledger,
        now=now,
    )
    billing = span.billing
    own = [hour for hour in span.hours if period.start <= hour.hour < period.end]
    return InvoiceFacts(
        terms=billing.terms,
        subject=_subject(agreement, period, sources.registry),
        seller=sources.rules.seller,
        buyer=_buyer(agreement, sources.registry),
        hours=span.hours,
        marketplace=marketplace_lines(
            billing.terms,
            agreement.channel,
            billing.reported,
            own,
            records,
            period.start,
            period.end,
        )
        if period.billed
        else (),
        delay=sources.rules.delay,
        as_of=now,
    )


def drafts_of(
    agreement: Agreement, sources: InvoiceSources, now: datetime
) -> Iterator[BillingDocument]:
    """Drafts of the periods that have begun and are not final, oldest first; without empty ones."""
    if agreement.state is AgreementState.PENDING:
        return
    account, terms = account_of(agreement, sources), terms_of(agreement, sources)
    for number, period in enumerate(periods_from(terms, account.next_index, now)):
        if number == MAX_DRAFTS:
            return
        facts = invoice_facts(agreement, period, _as_seen(account, period), sources, now)
        found = draft(period, account, facts)
        if not found.empty:
            yield found


def read_document(document_id: str, sources: InvoiceSources, now: datetime) -> BillingDocument:
    """An invoice, a credit note, or a draft; a draft that has become final as it is final.

    Raises:
        NotFoundError: there is none, or its period has not begun.
    """
    if not document_id.startswith("draft_"):
        return sources.invoices.document(document_id)
    agreement_id, key = agreement_of(document_id)
    agreement = sources.registry.agreement(agreement_id)
    account, terms = account_of(agreement, sources), terms_of(agreement, sources)
    for index in range(account.next_index):
        if period_at(terms, index).key == key:
            return sources.invoices.document(invoice_id(agreement_id, key))
    for period in periods_from(terms, account.next_index, now):
        if period.key == key:
            facts = invoice_facts(agreement, period, _as_seen(account, period), sources, now)
            return draft(period, account, facts)
    raise NotFoundError(draft_id(agreement_id, key))


def _as_seen(account: InvoiceAccount, period: InvoicePeriod) -> InvoiceAccount:
    """The account, with earlier periods only where the period is the one that corrects them."""
    return account if period.index == account.next_index else replace(account, periods=())


def _subject(agreement: Agreement, period: InvoicePeriod, registry: Registry) -> Subject:
    version, code = agreement.offering_version, agreement.plan_code
    for change in agreement.plan_changes:
        if change.starts_at <= period.opens:
            version, code = change.offering_version, change.plan_code
    plan = registry.offering(agreement.offering_id, version).plan(code)
    return Subject(
        agreement_id=agreement.id,
        product_id=agreement.product_id,
        product_name=registry.product(agreement.product_id).name,
        channel=agreement.channel,
        offering_id=agreement.offering_id,
        offering_version=version,
        plan_code=code,
        plan_name=plan.name,
    )


def _buyer(agreement: Agreement, registry: Registry) -> Buyer:
    customer = registry.customers([agreement.customer_id]).get(agreement.customer_id)
    return Buyer(
        customer_id=agreement.customer_id,
        name=customer.name if customer is not None else "",
        reference=agreement.buyer_reference(),
    )
