"""The routes of invoices: forms, lists, explanations, credit notes, and who may see what."""

from __future__ import annotations

import base64
import csv
import io
import json
from typing import Any

import pytest

from api_setup import make_api, not_publishing
from builders import GRACE
from fakes.settle_queue import FakeSettleQueue
from http_api import Client, http_event
from invoiced_world import InvoicedWorld
from invoicing_setup import TIERS
from manage.app import build_app
from manage.services import Services
from meterbridge.domain.agreements import Customer
from meterbridge.domain.pricing.models import PerUnit
from meterbridge.lambda_runtime.observability import make_logger
from pricing_setup import plan, priced
from rated_world import in_cents

HOSTILE = "<script>alert(1)</script> =cmd|'/C calc'!A0 \u202egnp.exe"
TERMS = plan(
    priced(TIERS, name="Calls"), priced(PerUnit(2), "gpu"), reporting=in_cents("api", "gpu")
)


@pytest.fixture
def world() -> InvoicedWorld:
    """1,100 calls and a GPU hour in November, invoiced; 20 calls in December, not yet."""
    world = InvoicedWorld(TERMS)
    world.registry.save_customer(Customer("acme", HOSTILE), 1)
    world.send("2026-11-24T09:10", 1, api=1100, gpu=1)
    world.settle("2026-11-24T12:20")
    world.issue("2026-12-04T00")
    world.send("2026-12-05T09:10", 2, received="2026-12-05T09:10", api=20)
    world.go_to("2026-12-06T00")
    return world


@pytest.fixture
def call(world: InvoicedWorld) -> Client:
    return client(world)


def resolver(world: InvoicedWorld) -> Any:
    services = Services(
        registry=world.registry,
        usage_log=world.log,
        usage=world.usage,
        ledger=world.ledger,  # type: ignore[arg-type]
        queue=FakeSettleQueue(),
        clock=world.clock,
        grace=GRACE,
        publishing=not_publishing(),
        invoices=world.invoices,
        invoicing=world.rules,
        archive_bucket="archive-bucket",
    )
    return build_app(services, make_logger())


def client(world: InvoicedWorld, **changes: Any) -> Client:
    return Client(resolver(world).resolve, **changes)


def raw(world: InvoicedWorld, url: str, accept: str = "") -> dict[str, Any]:
    caller = {"key_id": "key_test", "scopes": "read", "products": "*"}
    headers = {"accept": accept} if accept else {}
    found: dict[str, Any] = resolver(world).resolve(
        http_event("GET", url, headers=headers, caller=caller), None
    )
    return found


def test_an_invoice_is_answered_as_json_with_exact_texts(call: Client) -> None:
    answer = call("GET", "/v1/invoices/inv_agr_1_20261101")

    assert answer.status == 200
    body = answer.body
    assert (body["number"], body["state"], body["total"]) == ("MB-000001", "final", "12.5")
    assert body["buyer"]["name"] == HOSTILE
    assert [(line["description"], line["units"], line["amount"]) for line in body["lines"]] == [
        ("Calls: tier 1 (up to 1,000)", "1000", "10"),
        ("Calls: tier 2 (over 1,000 up to 10,000)", "100", "0.5"),
        ("Gpu", "1", "2"),
    ]
    assert body["marketplace"] == [
        {
            "dimension": "charges",
            "in_currency": True,
            "quantity": "1250",
            "unit_price": "0.01",
            "amount": "12.5",
            "records": 1,
            "expected_quantity": "12.5",
            "expected_amount": "12.5",
            "difference": "0",
            "differences": {},
        }
    ]
    assert (body["billed_by_marketplace"], body["billed_directly"]) == ("12.5", "0")
    assert body["as_of"] == body["issued_at"] == "2026-12-04T00:00:00Z"


@pytest.mark.parametrize(
    ("url", "accept", "media_type"),
    [
        ("?format=html", "", "text/html; charset=utf-8"),
        ("?format=csv", "", "text/csv; charset=utf-8"),
        ("?format=pdf", "", "application/pdf"),
        ("", "application/pdf", "application/pdf"),
        ("", "text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
        ("", "application/pdf;q=0.5, text/csv", "text/csv; charset=utf-8"),
        ("", "text/csv;q=0", "application/json"),
        ("", "text/csv;q=x, */*", "application/json"),
        ("", "image/png", "application/json"),
        ("", "application/json, text/html", "application/json"),
        ("?format=json", "text/html", "application/json"),
    ],
)
def test_the_form_is_asked_for_by_parameter_or_by_accept(
    world: InvoicedWorld, url: str, accept: str, media_type: str
) -> None:
    answer = raw(world, f"/v1/invoices/inv_agr_1_20261101{url}", accept)

    assert answer["statusCode"] == 200
    assert answer["headers"]["Content-Type"] == media_type
    assert answer["headers"]["Vary"] == "Accept"
    assert answer["headers"]["X-Content-Type-Options"] == "nosniff"


def test_a_web_page_runs_nothing_whatever_the_customer_is_called(world: InvoicedWorld) -> None:
    answer = raw(world, "/v1/invoices/inv_agr_1_20261101?format=html")

    policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    assert answer["headers"]["Content-Security-Policy"] == policy
    assert "<script" not in answer["body"]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer["body"]
    assert "\u202e" not in answer["body"]
    assert not answer["isBase64Encoded"]


def test_a_pdf_comes_as_bytes_with_a_name(world: InvoicedWorld) -> None:
    answer = raw(world, "/v1/invoices/inv_agr_1_20261101?format=pdf")

    assert answer["isBase64Encoded"]
    assert base64.b64decode(answer["body"]).startswith(b"%PDF-")
    name = 'inline; filename="invoice-MB-000001.pdf"'
    assert answer["headers"]["Content-Disposition"] == name


def test_a_csv_adds_up_and_is_no_formula(world: InvoicedWorld) -> None:
    world.registry.save_customer(Customer("acme", "=1+1"), 2)
    text = raw(world, "/v1/invoices/draft_agr_1_20261201?format=csv")["body"]
    (row,) = csv.DictReader(io.StringIO(text, newline=""))

    assert row["customer_name"] == "'=1+1"
    assert (row["state"], row["number"], row["amount"]) == ("draft", "", "0.2")


def test_a_draft_is_read_by_its_derived_id_and_says_when_it_is_final(call: Client) -> None:
    body = call("GET", "/v1/invoices/draft_agr_1_20261201").body

    assert (body["state"], body["number"], body["total"]) == ("draft", None, "0.2")
    assert body["final_at"] == "2027-01-04T00:00:00Z"


def test_an_agreements_list_has_final_ones_and_drafts(call: Client) -> None:
    body = call("GET", "/v1/agreements/agr_1/invoices").body

    assert [(each["number"], each["total"]) for each in body["items"]] == [("MB-000001", "12.5")]
    assert [(each["id"], each["state"], each["total"]) for each in body["drafts"]] == [
        ("draft_agr_1_20261201", "draft", "0.2")
    ]
    assert body["drafts"][0]["issued_at"] is None
    assert (body["failure"], body["next_cursor"]) == (None, None)


def test_lists_go_on_with_their_cursor_and_take_no_other(
    world: InvoicedWorld, call: Client
) -> None:
    world.issue("2027-01-04T00")
    first = call("GET", "/v1/invoices?limit=1").body
    second = call("GET", f"/v1/invoices?limit=1&cursor={first['next_cursor']}").body
    assert [each["number"] for page in (first, second) for each in page["items"]] == [
        "MB-000002",
        "MB-000001",
    ]
    assert second["next_cursor"] is None
    own = call("GET", "/v1/agreements/agr_1/invoices?limit=1").body
    rest = call("GET", f"/v1/agreements/agr_1/invoices?cursor={own['next_cursor']}").body
    assert [each["number"] for each in rest["items"]] == ["MB-000002"]
    assert rest["drafts"] == []
    for url, cursor in (
        ("/v1/invoices", own["next_cursor"]),
        ("/v1/agreements/agr_1/invoices", first["next_cursor"]),
    ):
        assert call("GET", f"{url}?cursor={cursor}").code == "invalid_cursor"


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("customer_id=acme", ["MB-000001"]),
        ("customer_id=other", []),
        ("kind=credit_note", []),
        ("product_id=prd_llm&kind=invoice", ["MB-000001"]),
        ("product_id=prd_other", []),
        ("number=MB-000001", ["MB-000001"]),
        ("number=MB-000002", []),
        ("number=MB-000001&kind=credit_note", []),
        ("issued_from=2026-12-04T00:00:00Z", ["MB-000001"]),
        ("issued_from=2026-12-04T00:00:01Z", []),
        ("issued_before=2026-12-04T00:00:00Z", []),
        ("issued_before=2026-12-04T01:00:00%2B00:00", ["MB-000001"]),
    ],
)
def test_the_list_of_all_is_narrowed(call: Client, query: str, numbers: list[str]) -> None:
    body = call("GET", f"/v1/invoices?{query}").body

    assert [each["number"] for each in body["items"]] == numbers


def test_a_line_is_explained_down_to_the_event(call: Client) -> None:
    body = call("GET", "/v1/invoices/inv_agr_1_20261101/lines/2/explain").body

    assert body["line"]["description"] == "Calls: tier 2 (over 1,000 up to 10,000)"
    assert body["price"]["terms"]["model"] == "graduated"
    assert body["price"]["terms"]["tiers"][1] == {
        "up_to": "10000",
        "unit_price": "0.005",
        "flat_amount": "0",
        "name": "",
    }
    assert body["hours"] == [
        {"hour": "2026-11-24T09:00:00Z", "code": "api", "quantity": "100", "amount": "0.5"}
    ]
    assert [each["id"] for each in body["events"]] == ["api-1"]
    assert [each["state"] for each in body["records"]] == ["accepted"]
    assert body["events_kept"]["complete"] is True
    assert (body["changed"], body["next_cursor"]) == ("0", None)


def test_of_old_events_the_archive_is_named(world: InvoicedWorld, call: Client) -> None:
    world.go_to("2027-03-01T00")
    kept = call("GET", "/v1/invoices/inv_agr_1_20261101/lines/1/explain").body["events_kept"]

    assert kept["complete"] is False
    assert kept["archive"] == "s3://archive-bucket/events/day=2026-11-24/"


NOTE = {"reason": "Outage on the 24th", "lines": [{"line": 1, "amount": "4"}]}
CREDIT = "/v1/invoices/inv_agr_1_20261101/credit-notes"


def test_a_credit_note_refers_to_the_invoice_and_leaves_it_alone(
    world: InvoicedWorld, call: Client
) -> None:
    before = call("GET", "/v1/invoices/inv_agr_1_20261101").body
    answer = call("POST", CREDIT, NOTE)

    assert answer.status == 201
    note = answer.body
    assert (note["number"], note["kind"], note["total"]) == ("MB-CN-000001", "credit_note", "-4")
    assert note["refers_to"] == {"id": "inv_agr_1_20261101", "number": "MB-000001"}
    assert (note["reason"], note["issued_by"]) == ("Outage on the 24th", "key_test")
    (line,) = note["lines"]
    assert line["description"] == "Line 1 of MB-000001: Calls: tier 1 (up to 1,000)"
    assert call("GET", "/v1/invoices/inv_agr_1_20261101").body == before
    assert call("GET", f"/v1/invoices/{note['id']}").body == note
    assert world.invoices.account("agr_1").periods[0].goodwill == 4


def test_a_repeated_request_makes_one_credit_note(call: Client) -> None:
    first = call("POST", CREDIT, NOTE, Idempotency_Key="once")
    again = call("POST", CREDIT, NOTE, Idempotency_Key="once")

    assert (first.status, again.status, again.body) == (201, 201, first.body)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(call("GET", "/v1/invoices?kind=credit_note").body["items"]) == 1


def test_no_more_is_given_back_than_a_line_has_left(call: Client) -> None:
    assert call("POST", CREDIT, NOTE).status == 201
    more = {"reason": "again", "lines": [{"line": 1, "amount": "6.01"}]}

    assert call("POST", CREDIT, more).faults == [("/lines/0/amount", "more_than_line")]
    more["lines"] = [{"line": 1, "amount": "6"}]
    assert call("POST", CREDIT, more).status == 201
    assert call("POST", CREDIT, NOTE).faults == [("/lines/0/amount", "more_than_line")]


def test_all_that_is_wrong_with_a_credit_note_is_said_at_once(call: Client) -> None:
    lines = [
        {"line": 9, "amount": "1"},
        {"line": 1, "amount": "0.001"},
        {"line": 2, "amount": "0.6"},
        {"line": 3, "amount": "1.5"},
        {"line": 3, "amount": "1"},
    ]
    answer = call("POST", CREDIT, {"reason": "x", "lines": lines})

    assert answer.status == 422
    assert answer.faults == [
        ("/lines/0/line", "unknown_line"),
        ("/lines/1/amount", "too_fine"),
        ("/lines/2/amount", "more_than_line"),
        ("/lines/4/amount", "more_than_line"),
    ]


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({}, {"/reason", "/lines"}),
        ({"reason": " ", "lines": []}, {"/reason", "/lines"}),
        ({"reason": "x", "lines": [{"line": 0, "amount": "1"}]}, {"/lines/0/line"}),
        ({"reason": "x", "lines": [{"line": 1, "amount": "-1"}]}, {"/lines/0/amount"}),
        ({"reason": "x", "lines": [{"line": 1, "amount": 1.5}]}, {"/lines/0/amount"}),
        ({"reason": "x\x00", "lines": [{"line": 1, "amount": "1"}]}, {"/reason"}),
        ({"reason": "x", "lines": [{"line": 1, "amount": "1"}] * 201}, {"/lines"}),
        ({**NOTE, "total": "1"}, {"/total"}),
    ],
)
def test_what_cannot_be_meant_is_refused(call: Client, body: Any, faults: set[str]) -> None:
    answer = call("POST", CREDIT, body)

    assert answer.status == 422
    assert {pointer for pointer, _ in answer.faults} == faults


def test_neither_a_draft_nor_a_credit_note_can_be_credited(call: Client) -> None:
    draft = call("POST", "/v1/invoices/draft_agr_1_20261201/credit-notes", NOTE)
    note = call("POST", CREDIT, NOTE).body["id"]

    assert (draft.status, draft.code) == (409, "invalid_state")
    assert call("POST", f"/v1/invoices/{note}/credit-notes", NOTE).code == "invalid_state"


@pytest.mark.parametrize(
    "path",
    [
        "invoices/inv_agr_1_20261101",
        "invoices/draft_agr_1_20261201",
        "invoices/inv_agr_1_20261101/lines/1/explain",
        "agreements/agr_1/invoices",
    ],
)
def test_a_key_of_another_product_sees_nothing(world: InvoicedWorld, path: str) -> None:
    other = client(world, products="prd_other")

    assert other("GET", f"/v1/{path}").status == 404
    assert other("GET", "/v1/invoices").body["items"] == []
    assert other("GET", "/v1/invoices?number=MB-000001").body["items"] == []
    assert other("POST", CREDIT, NOTE).status == 404


@pytest.mark.parametrize(
    "document_id",
    [
        "x",
        "inv_",
        "draft_",
        "inv_agr_1_",
        "draft_agr_1_20250101",
        "crn_agr_1_1-1",
        "..",
        "inv_%2F_1",
    ],
)
def test_an_unknown_document_is_not_found(call: Client, document_id: str) -> None:
    assert call("GET", f"/v1/invoices/{document_id}").status == 404
    assert call("GET", f"/v1/invoices/{document_id}/lines/1/explain").status == 404


def test_an_unknown_line_or_form_is_refused(call: Client) -> None:
    base = "/v1/invoices/inv_agr_1_20261101"

    assert call("GET", f"{base}/lines/4/explain").status == 404
    assert call("GET", f"{base}/lines/0/explain").status == 422
    assert call("GET", f"{base}/lines/x/explain").status == 422
    assert call("GET", f"{base}?format=xml").status == 422


def test_a_reader_cannot_give_anything_back(world: InvoicedWorld) -> None:
    assert client(world, scopes="read")("POST", CREDIT, NOTE).status == 403


def test_how_invoicing_stands_is_told_with_what_fails(world: InvoicedWorld, call: Client) -> None:
    world.invoices.note_failure("agr_1", "20261201", "NotFoundError: x", world.clock.now())
    body = call("GET", "/v1/invoicing").body

    assert (body["issues"], body["invoice_series"], body["credit_note_series"]) == (
        True,
        "MB-",
        "MB-CN-",
    )
    assert (body["days_after_period"], body["last_run_at"]) == (3, "2026-12-04T00:00:00Z")
    assert [each["agreement_id"] for each in body["failures"]] == ["agr_1"]
    assert client(world, products="prd_other")("GET", "/v1/invoicing").body["failures"] == []
    assert call("GET", "/v1/agreements/agr_1/invoices").body["failure"]["attempts"] == 1


def test_an_empty_deployment_has_empty_lists() -> None:
    call = make_api().client()

    assert call("GET", "/v1/invoices").body == {"items": [], "next_cursor": None}
    body = call("GET", "/v1/invoicing").body
    assert (body["last_run_at"], body["last_run_finished"], body["failures"]) == (None, None, [])
    assert json.dumps(body["seller"])
