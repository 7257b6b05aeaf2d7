"""The deadline clock over HTTP: of one agreement, and of all, most urgent first."""

from __future__ import annotations

from typing import Any

import pytest

from api_setup import Api, not_publishing
from builders import GRACE, LICENSE_ARN, at
from deadline_setup import Watched
from fakes.invoice_store import FakeInvoiceStore
from fakes.marketplace import never_arrived
from fakes.settle_queue import FakeSettleQueue
from http_api import Client
from manage.app import build_app
from manage.services import Services
from meterbridge.domain.agreements import AgreementState, AwsBuyerReference
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.invoicing.invoicing_rules import InvoicingRules
from meterbridge.domain.offerings import Channel
from meterbridge.domain.usage_log import pack_events
from meterbridge.lambda_runtime.observability import make_logger

NOW = at("2026-11-24T12:40:00")
ONE = "/v1/agreements/agr_1/reporting"


@pytest.fixture
def stored() -> Watched:
    """An agreement that was settled through 10:00 with everything accepted."""
    stored = Watched(at("2026-11-24T11:20:00"))
    stored.use(at("2026-11-24T10"), 5)
    stored.settle()
    stored.report()
    stored.clock.set(NOW)
    return stored


@pytest.fixture
def call(stored: Watched) -> Client:
    return client(stored)


def client(stored: Watched, **changes: Any) -> Client:
    services = Services(
        registry=stored.registry,
        usage_log=stored.log,
        usage=stored.usage,
        ledger=stored.ledger,
        queue=FakeSettleQueue(),
        clock=stored.clock,
        grace=GRACE,
        publishing=not_publishing(),
        invoices=FakeInvoiceStore(),
        invoicing=InvoicingRules(),
    )
    app = build_app(services, make_logger())
    api = Api(app, services, stored.registry, stored.clock, FakeSettleQueue())
    return api.client(**{"scopes": "read", **changes})


def license_of(number: int) -> AwsBuyerReference:
    return AwsBuyerReference("111122223333", f"{LICENSE_ARN}{number}")


def test_an_agreement_with_everything_accepted_has_no_deadline(call: Client) -> None:
    assert call("GET", ONE).body == {
        "agreement_id": "agr_1",
        "product_id": "prd_llm",
        "customer_id": "acme",
        "channel": "aws",
        "agreement_state": "active",
        "at": "2026-11-24T12:40:00Z",
        "state": "nothing_waiting",
        "reason": "",
        "deadline_at": None,
        "report_by": None,
        "minutes_left": None,
        "waiting": [],
        "waiting_count": 0,
        "missed": {},
        "usage_fresh_through": "2026-11-24T10:00:00Z",
        "usage_counted_through": "2026-11-24T12:40:00Z",
        "settled_through": "2026-11-24T10:00:00Z",
        "settled_at": "2026-11-24T11:20:00Z",
        "last_accepted": {
            "dimension": "requests",
            "hour": "2026-11-24T10:00:00Z",
            "quantity": "5",
            "receipt": "receipt agr_1/requests/2026-11-24T10",
            "accepted_at": "2026-11-24T11:20:00Z",
        },
    }


def test_what_waits_is_told_by_dimension_and_hour_with_the_time_it_has(
    call: Client, stored: Watched
) -> None:
    stored.use(at("2026-11-24T11"), 7)
    stored.use(at("2026-11-24T12"), 2)
    told = call("GET", ONE).body
    assert (told["state"], told["reason"]) == ("behind", "its hour is closed and not settled yet")
    assert (told["deadline_at"], told["report_by"], told["minutes_left"]) == (
        "2026-11-25T11:00:00Z",
        "2026-11-25T10:00:00Z",
        22 * 60 + 20,
    )
    assert told["waiting"] == [
        {
            "dimension": "requests",
            "hour": "2026-11-24T11:00:00Z",
            "quantity": "7",
            "metered": "7",
            "waits_for": "settlement",
            "reason": "its hour is closed and not settled yet",
            "expected_at": "2026-11-24T12:30:00Z",
            "deadline_at": "2026-11-25T11:00:00Z",
            "minutes_left": 22 * 60 + 20,
        },
        {
            "dimension": "requests",
            "hour": "2026-11-24T12:00:00Z",
            "quantity": "2",
            "metered": "2",
            "waits_for": "hour",
            "reason": "its hour is not closed yet",
            "expected_at": "2026-11-24T13:30:00Z",
            "deadline_at": "2026-11-25T12:00:00Z",
            "minutes_left": 23 * 60 + 20,
        },
    ]


def test_a_suspended_agreement_says_why_its_records_wait(call: Client, stored: Watched) -> None:
    stored.use(at("2026-11-24T11"), 7)
    stored.settle()
    stored.change(state=AgreementState.SUSPENDED, state_reason="CustomerNotSubscribed")
    told = call("GET", ONE).body
    assert (told["state"], told["minutes_left"]) == ("on_schedule", 22 * 60 + 20)
    assert told["reason"] == "agreement is suspended: CustomerNotSubscribed"
    assert (told["waiting"][0]["waits_for"], told["waiting_count"]) == ("agreement", 1)


def test_what_was_missed_and_lost_is_told(call: Client, stored: Watched) -> None:
    stored.use(at("2026-11-24T11"), 7)
    stored.end(at("2026-11-24T11:30:00"))
    told = call("GET", ONE).body
    assert (told["state"], told["minutes_left"], told["missed"]) == (
        "missed",
        None,
        {"requests": "7"},
    )
    assert told["reason"] == "no hour is left to report it for"
    assert told["waiting"][0]["minutes_left"] == 0


def test_a_customer_without_usage_is_told_what_is_counted_all_the_same(stored: Watched) -> None:
    stored.add_agreement("agr_2", "globex", aws=license_of(2))
    event = UsageEvent(
        "prd_llm", "app", "1", "llm.request", "somebody", at("2026-11-24T12:31:00"), {}
    )
    stored.log.append(pack_events([event], stored.registry.shard_plan()), at("2026-11-24T12:31:07"))
    told = client(stored)("GET", "/v1/agreements/agr_2/reporting").body
    assert (told["usage_fresh_through"], told["last_accepted"]) == (None, None)
    assert (told["settled_through"], told["settled_at"]) == (None, None)
    assert told["usage_counted_through"] == "2026-11-24T12:31:07Z"


def test_a_channel_without_records_says_so() -> None:
    stored = Watched(NOW, Channel.STRIPE)
    stored.use(at("2026-11-24T11"), 7)
    told = client(stored)("GET", ONE).body
    assert (told["state"], told["deadline_at"]) == ("nothing_waiting", None)
    assert told["reason"] == "channel stripe takes no metering records"


def urgent(stored: Watched) -> None:
    """Three agreements: one unsettled, one with a record not accepted and little time, one at peace."""
    stored.use(at("2026-11-24T11"), 7)
    for number, customer_id in ((2, "globex"), (3, "initech")):
        stored.add_agreement(f"agr_{number}", customer_id, aws=license_of(number))
    stored.use(at("2026-11-24T09"), 3, "globex")
    stored.marketplace.script = [never_arrived] * 2
    stored.settle("agr_2")
    stored.settle("agr_3")
    stored.report()


def test_agreements_are_listed_most_urgent_first(call: Client, stored: Watched) -> None:
    urgent(stored)
    told = call("GET", "/v1/reporting").body
    assert told["next_cursor"] is None
    assert told["usage_counted_through"] == "2026-11-24T12:40:00Z"
    assert told["items"] == [
        {
            "agreement_id": "agr_2",
            "product_id": "prd_llm",
            "customer_id": "globex",
            "channel": "aws",
            "agreement_state": "active",
            "state": "on_schedule",
            "waits_for": "marketplace",
            "reason": "the marketplace has not accepted it yet: retry",
            "hour": "2026-11-24T09:00:00Z",
            "deadline_at": "2026-11-25T09:00:00Z",
            "minutes_left": 20 * 60 + 20,
            "open_records": 1,
            "settled_through": "2026-11-24T11:00:00Z",
            "settled_at": "2026-11-24T12:40:00Z",
        },
        {
            "agreement_id": "agr_1",
            "product_id": "prd_llm",
            "customer_id": "acme",
            "channel": "aws",
            "agreement_state": "active",
            "state": "behind",
            "waits_for": "settlement",
            "reason": "its hour is closed and not settled yet",
            "hour": "2026-11-24T11:00:00Z",
            "deadline_at": "2026-11-25T11:00:00Z",
            "minutes_left": 22 * 60 + 20,
            "open_records": 0,
            "settled_through": "2026-11-24T10:00:00Z",
            "settled_at": "2026-11-24T11:20:00Z",
        },
    ]


def test_the_list_goes_page_by_page_and_by_channel(call: Client, stored: Watched) -> None:
    urgent(stored)
    first = call("GET", "/v1/reporting?limit=1").body
    second = call("GET", f"/v1/reporting?limit=1&cursor={first['next_cursor']}").body
    pages = [[each["agreement_id"] for each in page["items"]] for page in (first, second)]
    assert (pages, second["next_cursor"]) == ([["agr_2"], ["agr_1"]], None)
    assert len(call("GET", "/v1/reporting?channel=aws").body["items"]) == 2
    assert call("GET", "/v1/reporting?channel=azure").body["items"] == []
    for wrong in ("YQ", "MjAyNi0xMS0yNQ", "MjAyNi0xMS0yNVQwOTowMDowMCswMTowMCNhZ3I"):
        answer = call("GET", f"/v1/reporting?cursor={wrong}")
        assert answer.faults == [("cursor", "invalid_cursor")]


def test_a_key_sees_agreements_of_its_products_only(stored: Watched) -> None:
    urgent(stored)
    bound = client(stored, products="prd_b")
    assert bound("GET", "/v1/reporting").body["items"] == []
    assert bound("GET", "/v1/reporting?product_id=prd_llm").body["items"] == []
    assert bound("GET", ONE).status == 404
    seller = client(stored, products="prd_llm")
    assert len(seller("GET", "/v1/reporting?product_id=prd_llm").body["items"]) == 2
    assert seller("GET", ONE).status == 200
