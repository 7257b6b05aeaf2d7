"""Usage, raw events, records and statements over HTTP, of a pipeline that has run."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from api_setup import Api, not_publishing
from builders import GRACE, at
from fakes.invoice_store import FakeInvoiceStore
from http_api import Client, http_event
from manage import answers
from manage.app import build_app
from manage.services import Services
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.invoicing.invoicing_rules import InvoicingRules
from meterbridge.domain.usage_log import pack_events
from meterbridge.lambda_runtime.observability import make_logger
from world import World

DAY = "start=2026-11-24T00:00:00Z&end=2026-11-25T00:00:00Z"
ACME = f"product_id=prd_llm&customer_id=acme&{DAY}"
HUGE = 10**25


def event(name: str, moment: str, **changes: Any) -> UsageEvent:
    values = {"tokens": 1500, "huge": HUGE, "exact": Decimal("0.10")} | changes.pop("values", {})
    known: dict[str, Any] = {"type": "llm.request", "subject": "acme"}
    return UsageEvent(
        product_id="prd_llm",
        source="gateway",
        id=name,
        occurred_at=at(moment),
        values=values,
        **(known | changes),
    )


@pytest.fixture
def world() -> World:
    """Two hours of usage of one customer, folded, settled and reported; and some strange events."""
    world = World(at("2026-11-24T11:30"))
    world.send(
        [
            event("1", "2026-11-24T10:01"),
            event("2", "2026-11-24T10:02"),
            event("3", "2026-11-24T11:01", values={"tokens": Decimal("0.5")}),
            event("4", "2026-11-24T11:02", type="other"),
            event("5", "2026-11-24T11:03", subject="nobody"),
            event("6", "2026-11-24T11:04", values={"tokens": "many"}),
        ]
    )
    log, plan = world.real_log, world.real_registry.shard_plan()
    for repeat in (event("1", "2026-11-24T10:01"), event("2", "2026-11-24T10:02", values={"x": 1})):
        log.append(pack_events([repeat], plan), world.clock.now())
    world.settle_down(hours=2)
    return world


@pytest.fixture
def call(world: World) -> Client:
    services = Services(
        registry=world.real_registry,
        usage_log=world.real_log,
        usage=world.usage,
        ledger=world.real_ledger,
        queue=world.queue,
        clock=world.clock,
        grace=GRACE,
        publishing=not_publishing(),
        invoices=FakeInvoiceStore(),
        invoicing=InvoicingRules(),
    )
    app = build_app(services, make_logger())
    return Api(app, services, services.registry, world.clock, world.queue).client(scopes="read")


def test_usage_is_told_by_hour_meter_and_freshness(call: Client) -> None:
    usage = call("GET", f"/v1/usage?{ACME}").body
    shown = [(each["start"], each["meter_id"], each["quantity"]) for each in usage["items"]]
    assert shown == [
        ("2026-11-24T10:00:00Z", "mtr_requests", "2"),
        ("2026-11-24T10:00:00Z", "mtr_tokens", "3000"),
        ("2026-11-24T11:00:00Z", "mtr_requests", "2"),
        ("2026-11-24T11:00:00Z", "mtr_tokens", "0.5"),
    ]
    assert [each["live"] for each in usage["items"]] == [False] * 4
    assert usage["fresh_through"] == "2026-11-24T11:30:00Z"
    assert usage["next_cursor"] is None


def test_usage_is_told_by_day_and_month_page_by_page(call: Client) -> None:
    month = (
        "product_id=prd_llm&customer_id=acme&start=2026-11-01T00:00:00Z&end=2026-12-01T00:00:00Z"
    )
    day = call("GET", f"/v1/usage?{ACME}&window=day&meter_id=mtr_tokens").body["items"]
    assert [(each["start"], each["quantity"]) for each in day] == [
        ("2026-11-24T00:00:00Z", "3000.5")
    ]
    page = call("GET", f"/v1/usage?{month}&window=month&limit=1").body
    assert [each["quantity"] for each in page["items"]] == ["4"]
    rest = call("GET", f"/v1/usage?{month}&window=month&cursor={page['next_cursor']}").body
    assert [each["quantity"] for each in rest["items"]] == ["3000.5"]


def test_raw_events_come_back_exactly_as_they_were_sent(call: Client) -> None:
    page = call("GET", f"/v1/events?{ACME}&limit=1").body
    first = page["items"][0]
    assert (first["id"], first["time"], first["standing"]) == ("1", "2026-11-24T10:01:00Z", "first")
    rest = call("GET", f"/v1/events?{ACME}&cursor={page['next_cursor']}").body
    assert [(each["id"], each["standing"]) for each in rest["items"]] == [
        ("2", "first"),
        ("1", "duplicate"),
        ("2", "conflict"),
        ("3", "first"),
        ("6", "first"),
        ("4", "first"),
    ]


def test_a_page_of_events_is_cut_to_fit_in_an_answer(
    call: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "MAX_ANSWER_BYTES", 700)
    seen, cursor = [], ""
    while cursor is not None:
        page = call("GET", f"/v1/events?{ACME}&cursor={cursor}").body
        assert len(page["items"]) < 4
        seen += [each["id"] for each in page["items"]]
        cursor = page["next_cursor"]
    assert seen == ["1", "2", "1", "2", "3", "6", "4"]


def test_numbers_of_raw_events_are_json_numbers_to_the_last_digit(call: Client) -> None:
    caller = {"key_id": "k", "scopes": "read", "products": "*"}
    answer = call.resolve(http_event("GET", f"/v1/events?{ACME}&limit=1", caller=caller), None)
    assert f'"huge":{HUGE}' in answer["body"]

    data = json.loads(answer["body"], parse_float=Decimal)["items"][0]["data"]
    assert data == {"tokens": 1500, "huge": HUGE, "exact": Decimal("0.1")}


def test_unmatched_events_are_listed_with_their_reason(call: Client) -> None:
    items = call("GET", f"/v1/events/unmatched?{DAY}").body["items"]
    assert {(each["id"], each["reason"]) for each in items} == {
        ("4", "no_meter"),
        ("5", "unknown_customer"),
        ("6", "not_a_number"),
    }
    assert call("GET", f"/v1/events/unmatched?{DAY}&product_id=prd_b").body["items"] == []


def test_repeats_are_counted_and_conflicts_by_hour(call: Client) -> None:
    assert call("GET", f"/v1/events/conflicts?{DAY}").body == {
        "events": 6,
        "duplicates": 1,
        "conflicts": 1,
        "hours": [{"hour": "2026-11-24T10:00:00Z", "conflicts": 1}],
    }


def test_records_are_listed_page_by_page(call: Client) -> None:
    path = f"/v1/agreements/agr_acme/records?{DAY}"
    everything = call("GET", path).body
    found = [(each["hour"], each["dimension"], each["quantity"]) for each in everything["items"]]
    assert found == [
        ("2026-11-24T10:00:00Z", "requests", "2"),
        ("2026-11-24T10:00:00Z", "tokens", "3000"),
        ("2026-11-24T10:00:00Z", "tokens_k", "3"),
        ("2026-11-24T11:00:00Z", "requests", "2"),
        ("2026-11-24T11:00:00Z", "tokens", "0.5"),
    ]
    assert {each["state"] for each in everything["items"]} == {"accepted"}
    paged, cursor = [], ""
    for _ in found:
        page = call("GET", f"{path}&limit=1{cursor}").body
        paged += page["items"]
        cursor = f"&cursor={page['next_cursor']}"
    assert paged == everything["items"]
    assert page["next_cursor"] is None


def test_a_statement_says_where_every_unit_is(call: Client) -> None:
    statement = call("GET", "/v1/agreements/agr_acme/statement?period=2026-11&verify=true").body
    assert (statement["period"], statement["balanced"]) == ("2026-11", True)
    line = next(each for each in statement["lines"] if each["dimension"] == "tokens_k")
    buckets = {name: part for name, part in line["buckets"].items() if part != "0"}
    assert buckets == {"accepted": "3000", "carried": "0.5"}
    assert (line["metered"], line["logged"], line["difference"]) == ("3000.5", "3000.5", "0")
    assert line["charge"] == {"amount": "0.030005", "currency": "USD"}
    plain = call("GET", "/v1/agreements/agr_acme/statement?period=2026-11").body
    assert plain["lines"][0]["logged"] is None


def test_ranges_and_periods_out_of_bounds_are_refused(call: Client, world: World) -> None:
    backwards = "start=2026-11-25T00:00:00Z&end=2026-11-24T00:00:00Z"
    customer = "product_id=prd_llm&customer_id=acme"
    for path in (
        f"usage?{customer}&{backwards}",
        f"usage?{customer}&start=2026-11-24T00:30:00Z&end=2026-11-25T00:00:00Z",
        f"events?{customer}&{backwards}",
        f"events/unmatched?{backwards}",
        f"events/conflicts?{backwards}",
        f"agreements/agr_acme/records?{backwards}",
    ):
        answer = call("GET", f"/v1/{path}")
        assert (answer.status, answer.code) == (422, "invalid_range"), path
    for cursor in ("YQ", "AAAA", "WzFd"):
        for path in (f"usage?{ACME}", f"events?{ACME}", f"agreements/agr_acme/records?{DAY}"):
            answer = call("GET", f"/v1/{path}&cursor={cursor}")
            assert answer.faults == [("cursor", "invalid_cursor")], (path, cursor)
    assert call("GET", "/v1/agreements/agr_acme/statement?period=2026-13").status == 422
    world.clock.set(datetime.fromisoformat("2027-03-01T00:00:00+00:00") + timedelta(hours=1))
    expired = call("GET", "/v1/agreements/agr_acme/statement?period=2026-11&verify=true")
    assert expired.faults == [("verify", "log_expired")]


def test_a_bound_key_does_not_see_what_is_counted_over_all_products(call: Client) -> None:
    bound = Client(call.resolve, scopes="read", products="prd_b")
    assert bound("GET", f"/v1/events/conflicts?{DAY}").status == 403
    assert bound("GET", f"/v1/events/unmatched?{DAY}").body["items"] == []
    assert bound("GET", f"/v1/usage?{ACME}").status == 404
