"""An invoice's lines as CSV (RFC 4180), for a spreadsheet or a program."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime

from meterbridge.adapters.documents.printable_text import readable
from meterbridge.domain.invoicing.billing_documents import BillingDocument
from meterbridge.domain.invoicing.invoice_lines import InvoiceLine
from meterbridge.domain.money import plain

COLUMNS = (
    "document",
    "state",
    "number",
    "issued_at",
    "corrects",
    "agreement_id",
    "customer_id",
    "customer_name",
    "product_id",
    "plan",
    "period_start",
    "period_end",
    "line",
    "kind",
    "code",
    "group",
    "rule",
    "tier",
    "description",
    "quantity",
    "units",
    "unit_price",
    "amount",
    "currency",
    "of_period_start",
    "of_period_end",
)
_FORMULA = ("=", "+", "-", "@")


def invoice_csv(document: BillingDocument) -> str:
    """A header and one row per line; the amounts add up to the total."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for line in document.lines:
        writer.writerow(_row(document, line))
    return text.getvalue()


def _row(document: BillingDocument, line: InvoiceLine) -> Iterator[str]:
    subject = document.subject
    yield document.kind.value
    yield document.state.value
    yield _text(document.number)
    yield _moment(document.issued_at)
    yield _text(document.refers_to.number if document.refers_to else "")
    yield _text(subject.agreement_id)
    yield _text(document.buyer.customer_id)
    yield _text(document.buyer.name)
    yield _text(subject.product_id)
    yield _text(subject.plan_code)
    yield _moment(document.period_start)
    yield _moment(document.period_end)
    yield str(line.number)
    yield line.kind.value
    yield _text(line.code)
    yield _text(" / ".join(line.group))
    yield line.rule.value if line.rule is not None else ""
    yield str(line.tier) if line.tier else ""
    yield _text(line.description)
    yield plain(line.quantity)
    yield plain(line.units)
    yield "" if line.unit_price is None else plain(line.unit_price)
    yield plain(line.amount)
    yield document.currency
    yield _moment(line.period_start)
    yield _moment(line.period_end)


def _text(text: str) -> str:
    """A text that no spreadsheet takes for a formula; numbers of ours are none."""
    clean = readable(text)
    return f"'{clean}" if clean.lstrip().startswith(_FORMULA) else clean


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"
