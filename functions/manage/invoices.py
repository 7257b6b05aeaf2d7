"""/v1/invoices, /v1/agreements/{id}/invoices, /v1/invoicing"""

from __future__ import annotations

import secrets
from itertools import islice
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Path, Query

from manage.fields import Cursor, IdempotencyKey, IdPath, Limit, MomentQuery, to_cursor
from manage.idempotency import Idempotency
from manage.invoice_formats import MEDIA_TYPES, InvoiceFormat, answered, wanted_format
from manage.resolver import Resolver
from manage.schemas_explanations import LineExplanationView
from manage.schemas_invoices import InvoiceView, NewCreditNote
from manage.schemas_invoicing import (
    AgreementInvoiceList,
    FailureView,
    InvoiceList,
    InvoiceSummaryView,
    InvoicingView,
)
from manage.services import Services, products_in_view
from meterbridge.application.credit_invoices import credit_invoice
from meterbridge.application.event_paging import MAX_EVENTS
from meterbridge.application.explain_line import explain_line
from meterbridge.application.invoice_ports import DocumentQuery, DocumentSummary
from meterbridge.application.manage_agreements import visible_agreement
from meterbridge.application.manage_catalog import require_visible
from meterbridge.application.read_invoices import InvoiceSources, drafts_of, read_document
from meterbridge.domain.api_keys import Caller
from meterbridge.domain.errors import InvalidInputError, NotFoundError
from meterbridge.domain.invoicing.billing_documents import (
    BillingDocument,
    DocumentKind,
    agreement_of,
)

TAGS = ["Invoices"]
_PAGE = 100
_FINAL = frozenset({"inv", "crn"})
DocumentPath = Annotated[str, Path(max_length=160)]
LinePath = Annotated[int, Path(ge=1, le=5000)]
IssuedQuery = MomentQuery | None


def add_invoices(app: Resolver, services: Services, idempotency: Idempotency) -> None:
    """Add the routes of invoices."""
    registry, invoices, rules = services.registry, services.invoices, services.invoicing
    sources = InvoiceSources(registry, services.usage, services.ledger, invoices, rules)

    def visible(document_id: str) -> BillingDocument:
        """Raises NotFoundError."""
        if document_id.startswith("draft_"):
            visible_agreement(agreement_of(document_id)[0], caller=app.caller, registry=registry)
        document = read_document(document_id, sources, services.clock.now())
        require_visible(document.subject.product_id, document_id, app.caller)
        return document

    @app.get("/v1/invoicing", tags=TAGS, summary="Read how invoicing stands")
    def get_invoicing() -> InvoicingView:
        failures = invoices.failures()
        if app.caller.products is not None:
            own = {each.agreement_id for each in failures if _is_visible(each.agreement_id)}
            failures = [each for each in failures if each.agreement_id in own]
        return InvoicingView.of(rules, invoices.run(), failures)

    def _is_visible(agreement_id: str) -> bool:
        try:
            visible_agreement(agreement_id, caller=app.caller, registry=registry)
        except NotFoundError:
            return False
        return True

    @app.get(
        "/v1/agreements/<agreement_id>/invoices",
        tags=TAGS,
        summary="List an agreement's invoices, credit notes and drafts",
    )
    def list_agreement_invoices(
        agreement_id: IdPath, cursor: Cursor = "", limit: Limit = 50
    ) -> AgreementInvoiceList:
        agreement = visible_agreement(agreement_id, caller=app.caller, registry=registry).value
        kind, _, _ = cursor.partition("_")
        if cursor and (kind not in _FINAL or agreement_of(cursor)[0] != agreement_id):
            raise _invalid_cursor()
        found = invoices.of_agreement(agreement_id, cursor, limit + 1)
        drafts = [] if cursor else list(drafts_of(agreement, sources, services.clock.now()))
        failures = invoices.failures({agreement_id})
        return AgreementInvoiceList(
            items=[InvoiceSummaryView.of(summary) for summary in found[:limit]],
            next_cursor=to_cursor(found[limit - 1].id) if len(found) > limit else None,
            drafts=[InvoiceSummaryView.of_draft(document) for document in drafts],
            failure=FailureView.of(failures[0]) if failures else None,
        )

    @app.get("/v1/invoices", tags=TAGS, summary="List final invoices and credit notes")
    def list_invoices(
        product_id: Annotated[str | None, Query(max_length=64)] = None,
        customer_id: Annotated[str | None, Query(max_length=256)] = None,
        kind: Annotated[DocumentKind | None, Query()] = None,
        number: Annotated[
            str | None, Query(max_length=64, description="The document with this number, alone")
        ] = None,
        issued_from: IssuedQuery = None,
        issued_before: IssuedQuery = None,
        cursor: Cursor = "",
        limit: Limit = 50,
    ) -> InvoiceList:
        query = DocumentQuery(
            products=_products(app.caller, product_id, services),
            customer_id=customer_id,
            kind=kind,
            issued_from=issued_from,
            issued_before=issued_before,
        )
        if number is not None:
            return InvoiceList(items=_with_number(number, query, services), next_cursor=None)
        if cursor and "#" not in cursor:
            raise _invalid_cursor()
        found = list(islice(invoices.documents(query, cursor), limit + 1))
        return InvoiceList(
            items=[InvoiceSummaryView.of(summary) for summary in found[:limit]],
            next_cursor=to_cursor(found[limit - 1].place) if len(found) > limit else None,
        )

    @app.get(
        "/v1/invoices/<document_id>",
        tags=TAGS,
        summary="Read an invoice, credit note or draft: as JSON, web page, PDF or CSV",
        responses=_formats(),
    )
    def get_invoice(
        document_id: DocumentPath,
        format: Annotated[  # noqa: A002 - the parameter's name in the API
            InvoiceFormat | None, Query(description="In place of an Accept header")
        ] = None,
    ):  # type: ignore[no-untyped-def]
        accept = app.current_event.headers.get("accept", "")
        return answered(visible(document_id), wanted_format(format, accept))

    @app.get(
        "/v1/invoices/<document_id>/lines/<number>/explain",
        tags=TAGS,
        summary="From a line's amount to the usage events",
    )
    def explain_invoice_line(
        document_id: DocumentPath,
        number: LinePath,
        cursor: Annotated[
            str, Query(max_length=2000, description="next_cursor of the page before")
        ] = "",
        limit: Annotated[
            int, Query(ge=1, le=MAX_EVENTS, description="Most events that are looked at")
        ] = 500,
    ) -> LineExplanationView:
        found = explain_line(
            visible(document_id),
            number,
            sources=sources,
            log=services.usage_log,
            now=services.clock.now(),
            limit=limit,
            cursor=cursor,
        )
        return LineExplanationView.of(found, services.archive_bucket)

    @app.post(
        "/v1/invoices/<document_id>/credit-notes",
        tags=TAGS,
        summary="Give back a part of an invoice",
        status_code=201,
    )
    def post_credit_note(
        document_id: DocumentPath,
        body: Annotated[NewCreditNote, Body()],
        idempotency_key: IdempotencyKey = None,
    ) -> Response[InvoiceView]:
        note = credit_invoice(
            visible(document_id),
            body.given(),
            body.reason,
            issued_by=_name_of(app.caller, services),
            token=secrets.token_hex(6),
            invoices=invoices,
            rules=rules,
            now=services.clock.now(),
            answering=idempotency.answering(app, InvoiceView.of),
        )
        return Response(201, "application/json", InvoiceView.of(note))


def _products(caller: Caller, product_id: str | None, services: Services) -> frozenset[str]:
    """The products whose documents are shown."""
    products = products_in_view(caller, product_id)
    if products is not None:
        return products
    found: set[str] = set()
    after = ""
    while True:
        page = services.registry.products(after, _PAGE)
        found |= {entry.value.id for entry in page.entries}
        after = page.next_after
        if not after:
            return frozenset(found)


def _with_number(number: str, query: DocumentQuery, services: Services) -> list[InvoiceSummaryView]:
    try:
        document = services.invoices.document(services.invoices.numbered(number))
    except NotFoundError:
        return []
    summary = DocumentSummary.of(document)
    shown = summary.product_id in query.products and query.shows(summary)
    return [InvoiceSummaryView.of(summary)] if shown else []


def _name_of(caller: Caller, services: Services) -> str:
    try:
        return services.registry.api_key(caller.key_id).value.name
    except NotFoundError:
        return caller.key_id


def _formats() -> dict[int, Any]:
    content: dict[str, Any] = {
        name: {"schema": {"type": "string", "format": "binary"}}
        for known, name in MEDIA_TYPES.items()
        if known is not InvoiceFormat.JSON
    }
    content["application/json"] = {"model": InvoiceView}
    return {200: {"description": "The document", "content": content}}


def _invalid_cursor() -> InvalidInputError:
    return InvalidInputError("invalid_cursor", "must be a next_cursor of this list", "cursor")
