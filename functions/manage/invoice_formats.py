"""The forms that an invoice is answered in, and which of them a request asks for."""

from __future__ import annotations

import re
from enum import StrEnum

from aws_lambda_powertools.event_handler import Response

from manage.schemas_invoices import InvoiceView
from meterbridge.adapters.documents.invoice_csv import invoice_csv
from meterbridge.adapters.documents.invoice_html import CONTENT_SECURITY_POLICY, invoice_html
from meterbridge.domain.invoicing.billing_documents import BillingDocument

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class InvoiceFormat(StrEnum):
    """What an invoice can be answered as."""

    JSON = "json"
    HTML = "html"
    PDF = "pdf"
    CSV = "csv"


MEDIA_TYPES = {
    InvoiceFormat.JSON: "application/json",
    InvoiceFormat.HTML: "text/html",
    InvoiceFormat.PDF: "application/pdf",
    InvoiceFormat.CSV: "text/csv",
}


def wanted_format(asked: InvoiceFormat | None, accept: str) -> InvoiceFormat:
    """What was asked for, otherwise what the Accept header (RFC 9110 §12.5.1) likes best of these.

    JSON where it likes none or all of them alike.
    """
    if asked is not None:
        return asked
    best, best_quality = InvoiceFormat.JSON, 0
    for part in accept.split(","):
        media_type, *parameters = (each.strip().lower() for each in part.split(";"))
        quality = _quality(parameters)
        for known, name in MEDIA_TYPES.items():
            if media_type == name and quality > best_quality:
                best, best_quality = known, quality
    return best


def answered(document: BillingDocument, wanted: InvoiceFormat) -> Response[object]:
    """A document in a form."""
    name = _UNSAFE.sub("-", document.number or document.id)
    headers = {
        "Content-Disposition": f'inline; filename="{document.kind.value}-{name}.{wanted.value}"',
        "Vary": "Accept",
    }
    match wanted:
        case InvoiceFormat.HTML:
            headers["Content-Security-Policy"] = (
                f"{CONTENT_SECURITY_POLICY}; frame-ancestors 'none'"
            )
            return Response(200, "text/html; charset=utf-8", invoice_html(document), headers)
        case InvoiceFormat.PDF:
            # Its library takes 0.3 s to import, which no other request should wait for.
            from meterbridge.adapters.documents.invoice_pdf import invoice_pdf

            return Response(200, "application/pdf", invoice_pdf(document), headers)
        case InvoiceFormat.CSV:
            return Response(200, "text/csv; charset=utf-8", invoice_csv(document), headers)
        case InvoiceFormat.JSON:
            return Response(200, "application/json", InvoiceView.of(document), {"Vary": "Accept"})


def _quality(parameters: list[str]) -> int:
    """A q-value in thousandths; 0 for one that is none."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            match = re.fullmatch(r"(0(\.\d{0,3})?|1(\.0{0,3})?)", value.strip())
            if match is None:
                return 0
            whole, _, fraction = value.strip().partition(".")
            return int(whole) * 1000 + int(fraction.ljust(3, "0") or "0")
    return 1000
