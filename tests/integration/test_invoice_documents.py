"""Invoices on paper: everything that a finance person looks for is there, and nothing runs."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import at, metering_record
from invoicing_setup import BUYER, DELAY, facts, rated, rich_plan, subject
from meterbridge.adapters.documents.invoice_csv import COLUMNS, invoice_csv
from meterbridge.adapters.documents.invoice_html import invoice_html
from meterbridge.adapters.documents.invoice_pdf import invoice_pdf
from meterbridge.adapters.documents.printable_text import readable, span_of
from meterbridge.domain.channels import Channel
from meterbridge.domain.invoicing.billing_documents import BillingDocument
from meterbridge.domain.invoicing.crediting import LineCredit, credit_note
from meterbridge.domain.invoicing.invoice_account import InvoiceAccount
from meterbridge.domain.invoicing.invoice_periods import period_at
from meterbridge.domain.invoicing.issuing import draft, issue
from meterbridge.domain.invoicing.marketplace_lines import marketplace_lines
from meterbridge.domain.metering_record import RecordState
from meterbridge.domain.money import exact_sum
from meterbridge.domain.plan_pricing import reported_dimensions
from meterbridge.domain.pricing.models import PerUnit
from meterbridge.domain.pricing.plan_terms import PlanTerms
from pricing_setup import plan, priced, terms, used
from rated_world import in_cents

D = Decimal
PERIOD_END = at("2026-12-01T00")
USED = (used("2026-11-03T10", api=1500, gpu="4.123"), used("2026-11-20T09", api=11000, gpu=26))
EXPECTED = (
    "Meterworks GmbH",
    "Lindenstraße 12",
    "VAT DE123456789",
    "MB-000001",
    "4 December 2026",
    "1 November 2026 to 30 November 2026",
    "Acme Corporation",
    "AWS account 111122223333",
    "Standard (version 1)",
    "AWS Marketplace",
    "API calls: tier 2 (over 1,000 up to 10,000)",
    "9,000",
    "0.005",
    "45.00",
    "GPU hours: free trial",
    "50.3075",
    "Discount: launch (20 %)",
    "-11.40",
    "Prepaid credits: welcome",
    "Rounding to the smallest unit of USD",
    "USD 394.91",
    "Billed by AWS Marketplace",
    "144.91",
    "Billed directly by Meterworks GmbH",
    "250.00",
    "14,200",
    "142.00",
    "2.00: reported and not answered yet",
    "0.9075: carried to a later hour of reporting",
)


def made(sold: PlanTerms, usage: Any = USED, **changes: Any) -> Any:
    """The facts of November, for a buyer on AWS where the plan is reported there."""
    given_terms = terms(sold)
    channel = sold.reporting[0].channel if sold.reporting else Channel.MANUAL
    hours = rated(given_terms, usage, PERIOD_END - timedelta(hours=1))
    records = [
        metering_record(
            code="charges",
            hour=at(hour),
            quantity=quantity,
            units_per_quantity="0.01",
            state=state,
        )
        for hour, quantity, state in (
            ("2026-11-20T10", 14200, RecordState.ACCEPTED),
            ("2026-11-29T00", 200, RecordState.SUBMITTED),
        )
    ]
    lines = marketplace_lines(
        given_terms,
        channel,
        reported_dimensions(sold, channel),
        hours,
        records,
        at("2026-11-01T00"),
        PERIOD_END,
    )
    values = {"subject": subject(channel=channel), "marketplace": lines, **changes}
    return facts(given_terms, hours, PERIOD_END + DELAY, **values)


def final(given_facts: Any) -> BillingDocument:
    period = period_at(given_facts.terms, 0)
    (document,) = issue(period, InvoiceAccount("agr_1"), given_facts).documents
    return document.final("MB-000001", PERIOD_END + DELAY)


def reported() -> PlanTerms:
    (reporting,) = in_cents("api", "gpu", "base")
    apart = replace(reporting, billed_apart=frozenset({"setup"}))
    return rich_plan(minimum=None, reporting=(apart,))


def many_lines(count: int) -> BillingDocument:
    codes = [f"d{number:03d}" for number in range(count)]
    sold = plan(*(priced(PerUnit(D(1)), code, name=f"Model {code}") for code in codes))
    return final(made(sold, [used("2026-11-03T10", **dict.fromkeys(codes, 3))]))


def pages(data: bytes) -> list[str]:
    pdf = pypdfium2.PdfDocument(data)
    try:
        found = []
        for page in pdf:
            text = page.get_textpage()
            found.append(" ".join(text.get_text_range().split()))
            text.close()
            page.close()
        return found
    finally:
        pdf.close()


class Page(HTMLParser):
    """What a browser would show, and what it would be asked to do."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self._text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self._text.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._text).split())


def test_the_web_page_says_everything() -> None:
    page = Page(invoice_html(final(made(reported()))))

    for expected in EXPECTED:
        assert expected in page.text, expected


def test_the_pdf_says_everything_and_the_same_each_time() -> None:
    document = final(made(reported()))
    data = invoice_pdf(document)
    text = " ".join(pages(data))

    for expected in EXPECTED:
        assert expected in text, expected
    assert invoice_pdf(document) == data


def test_a_long_invoice_repeats_its_heads_and_numbers_its_pages() -> None:
    found = pages(invoice_pdf(many_lines(120)))

    assert len(found) >= 3
    for number, text in enumerate(found, start=1):
        assert f"Page {number} of {len(found)}" in text
        assert "Meterworks GmbH · Invoice MB-000001" in text
    for text in found[:-1]:
        assert "Amount in USD" in text
    assert all(f"Model d{number:03d}" in " ".join(found) for number in range(120))


def test_a_draft_says_what_it_is_and_when_it_is_final() -> None:
    given_facts = made(reported())
    document = draft(period_at(given_facts.terms, 0), InvoiceAccount("agr_1"), given_facts)
    notice = "Draft, not an invoice. It says what was known on 4 December 2026, 00:00 UTC"

    assert notice in Page(invoice_html(document)).text
    assert notice in " ".join(pages(invoice_pdf(document)))
    assert "Draft invoice" in " ".join(pages(invoice_pdf(document)))


def test_a_credit_note_names_the_invoice_and_the_reason() -> None:
    invoice = final(made(reported()))
    note = credit_note(
        invoice,
        [LineCredit(2, D("4.5"))],
        document_id="crn_agr_1_20261210-a",
        reason="Outage on the 24th",
        issued_by="me",
        at=at("2026-12-10T00"),
    ).final("MB-CN-000001", at("2026-12-10T00"))
    texts = (Page(invoice_html(note)).text, " ".join(pages(invoice_pdf(note))))

    for text in texts:
        for expected in (
            "Credit note",
            "MB-CN-000001",
            "Corrects invoice MB-000001",
            "Reason Outage on the 24th",
            "Line 2 of MB-000001: API calls: tier 1 (up to 1,000)",
            "Total credited USD -4.50",
        ):
            assert expected in text, expected


HOSTILE = st.text(max_size=60) | st.sampled_from(
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "</style><script>",
        "&lt;b&gt;",
        "<font name='x'>",
        "=cmd|' /C calc'!A0",
        "\t=1+1",
        "Żółć Ωμέγα Привет 株式会社 한국",
        "\u202eevil\u2066",
        "a" * 400,
        "\ud800",
        "]]>",
    ]
)


@given(HOSTILE)
def test_no_name_gets_out_of_its_place(name: str) -> None:
    document = final(made(reported(), buyer=replace(BUYER, name=name, customer_id=name or "x")))
    plain = final(made(reported()))
    page, expected = Page(invoice_html(document)), Page(invoice_html(plain))
    # A customer without a name has no line for it, which is all that may be different.
    assert set(page.tags) == set(expected.tags)
    assert not [key for key, _ in page.attributes if key.startswith("on") or key == "src"]
    assert readable(name).split() == [] or " ".join(readable(name).split()) in page.text

    rows = list(csv.DictReader(io.StringIO(invoice_csv(document), newline="")))
    assert [len(row) for row in rows] == [len(COLUMNS)] * len(rows)
    assert exact_sum(D(row["amount"]) for row in rows) == document.total
    for row in rows:
        assert not row["customer_name"].lstrip().startswith(("=", "+", "-", "@"))


@pytest.mark.parametrize(
    "name",
    [
        "<b>bold</b> & <para>",
        "Żółć Ωμέγα Привет",
        "株式会社 한국 ひらがな",
        "\U0001f600 Ltd",
        "a" * 400,
    ],
)
def test_the_pdf_takes_any_name(name: str) -> None:
    document = final(made(reported(), buyer=replace(BUYER, name=name)))
    text = " ".join(pages(invoice_pdf(document)))

    assert "Customer acme" in text
    if name.startswith(("<b>", "Ż")):
        assert name in text
    if name.endswith("Ltd"):
        assert "? Ltd" in text


def test_a_page_loads_nothing_and_its_tables_can_be_read_aloud() -> None:
    page = Page(invoice_html(final(made(reported()))))

    assert not {"script", "link", "img", "iframe", "form", "object"} & set(page.tags)
    assert ("lang", "en") in page.attributes
    policy = ("content", "default-src 'none'; style-src 'unsafe-inline'")
    assert policy in page.attributes
    assert page.tags.count("caption") == page.tags.count("table") == 4
    assert page.tags.count("h1") == 1
    assert [value for key, value in page.attributes if key == "scope"].count("col") == 11


def test_csv_follows_rfc_4180_and_adds_up() -> None:
    text = invoice_csv(final(made(reported())))
    rows = list(csv.DictReader(io.StringIO(text, newline="")))

    assert text.count("\r\n") == len(rows) + 1
    assert exact_sum(D(row["amount"]) for row in rows) == D("394.91")
    assert (rows[1]["description"], rows[1]["unit_price"], rows[1]["tier"]) == (
        "API calls: tier 1 (up to 1,000)",
        "0.01",
        "1",
    )
    assert rows[-1]["kind"] == "rounding"


def test_a_span_of_part_days_tells_its_hours() -> None:
    assert span_of(at("2026-11-01T00"), at("2026-11-02T00")) == "1 November 2026"
    expected = "15 October 2026, 09:00 UTC to 15 November 2026, 09:00 UTC"
    assert span_of(at("2026-10-15T09"), at("2026-11-15T09")) == expected
