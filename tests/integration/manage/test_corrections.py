"""Corrections over HTTP: what is drafted, what a person can do with it, and that a repeat is one effect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from api_setup import AGREEMENT, Api, create_all, make_api
from builders import NOON, at, metering_record
from correction_setup import OCTOBER, correction
from dynamodb import make_table, mocked_table
from http_api import Client
from meterbridge.adapters.dynamodb.ledger_decisions import LedgerAdminStore
from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.domain.corrections import CorrectionKey
from meterbridge.domain.ledger_head import LedgerHead, Position
from meterbridge.domain.metering_record import RecordState
from meterbridge.domain.over_reported import CorrectionWrite
from meterbridge.domain.windows import BillingPeriod

NOVEMBER = BillingPeriod(2026, 11)
KEY = CorrectionKey("agr_1", "tokens", OCTOBER, 1)
PATH = f"/v1/corrections/{KEY}"
APPROVE = {"reason": "  the meter counted retries  ", "quantity": "5"}
WHY = {"reason": "a gift"}
FAULTY: Any = [{}, {"reason": ""}, {"reason": " "}, {"reason": "x" * 1001}, {"reason": 5}]


def set_up(api: Api) -> Api:
    """20 tokens of an hour in October were accepted, where 15 were used; nothing made up for it."""
    call = api.client()
    create_all(call)
    hour = at("2026-10-20T10")
    record = metering_record(code="tokens", hour=hour, quantity="20")
    over = Position(Decimal(15), Decimal(20), Decimal(-5))
    head = LedgerHead(
        agreement_id="agr_1",
        version=1,
        live_from=NOVEMBER,
        settled_at=NOON,
        settled_through=at("2026-11-24T10"),
        opening={"tokens": {OCTOBER: Decimal(-5)}},
        sealed={"tokens": {OCTOBER: Decimal(15)}},
        positions={"tokens": {OCTOBER: over}},
    )
    ledger = api.services.ledger
    ledger.commit(head, expected_version=0, new_records=[record])
    accepted = record.finished(
        RecordState.ACCEPTED, at=record.deadline, receipt="mr-1", request_id="req-1"
    )
    ledger.save(accepted, expected_state=RecordState.PENDING, expected_attempts=0)
    ledger.write_correction(CorrectionWrite(None, correction(key=KEY)))
    api.queue.agreement_ids.clear()
    return api


@pytest.fixture(params=["fake", "dynamodb"])
def api(request: pytest.FixtureRequest) -> Iterator[Api]:
    if request.param == "fake":
        yield set_up(make_api())
        return
    with mocked_table("Ledger", "pending") as name:
        make_table("Registry", "ref", "by_reference")
        ledger = LedgerAdminStore(name, answers_table="Registry")
        yield set_up(make_api(RegistryStore("Registry"), ledger=ledger))


@pytest.fixture
def call(api: Api) -> Client:
    return api.client()


def test_a_draft_is_told_with_its_figures_and_its_evidence(call: Client) -> None:
    shown = {
        "id": "agr_1.2026-10.1.tokens",
        "agreement_id": "agr_1",
        "product_id": "prd_llm",
        "channel": "aws",
        "dimension": "tokens",
        "period": "2026-10",
        "state": "drafted",
        "quantity": "5",
        "units": "5",
        "amount": {"amount": "0.05", "currency": "USD"},
        "figures": {
            "accepted": "20",
            "corrected": "0",
            "metered": "15",
            "made_up": "0",
            "settled_at": "2026-11-24T12:00:00Z",
        },
        "history": [
            {
                "at": "2026-11-24T12:00:00Z",
                "state": "drafted",
                "quantity": "5",
                "reason": "over",
                "by": "",
                "by_name": "",
            }
        ],
        "marketplace_agreement_id": "",
        "invoice_id": "",
        "reference": "",
        "note": "",
        "version": 1,
        "created_at": "2026-11-24T12:00:00Z",
    }
    assert call("GET", "/v1/corrections?state=drafted").body == {
        "items": [shown],
        "next_cursor": None,
    }
    assert call("GET", "/v1/agreements/agr_1/corrections").body == {"items": [shown]}
    evidence = call("GET", PATH).body
    assert evidence == shown | {
        "records": [
            {
                "hour": "2026-10-20T10:00:00Z",
                "reported_hour_start": "2026-10-20T10:00:00Z",
                "quantity": "20",
                "of_period": "20",
                "receipt": "mr-1",
                "request_id": "req-1",
            }
        ],
        "aws_adjustment": {
            "agreementId": "",
            "originalInvoiceId": "",
            "adjustmentAmount": "0.05",
            "currencyCode": "USD",
            "adjustmentReasonCode": "INCORRECT_METERING",
            "description": "Usage of dimension tokens in 2026-10 was over-reported: 5 units, 0.05 "
            "USD. 20 accepted, 15 due. Reference agr_1.2026-10.1.tokens",
            "clientToken": KEY.client_token,
        },
        "support_request": None,
    }


def test_an_approval_counts_in_the_books_at_once(api: Api, call: Client) -> None:
    body = APPROVE | {"marketplace_agreement_id": "agmt-1", "invoice_id": "inv-1"}
    answer = call("POST", f"{PATH}/approve", body)
    assert (answer.status, answer.body["state"], answer.body["version"]) == (200, "approved", 2)
    assert answer.body["history"][1] == {
        "at": "2026-11-24T12:00:00Z",
        "state": "approved",
        "quantity": "5",
        "reason": "the meter counted retries",
        "by": "key_test",
        "by_name": "",
    }
    head = api.services.ledger.head("agr_1")
    assert head is not None
    assert (head.version, head.corrected) == (2, {"tokens": {OCTOBER: Decimal(5)}})
    assert head.position("tokens", OCTOBER) == Position(Decimal(15), Decimal(15), Decimal(0))
    assert call("GET", "/v1/corrections?state=drafted").body["items"] == []
    (listed,) = call("GET", "/v1/corrections?state=approved").body["items"]
    assert listed == answer.body
    request = call("GET", PATH).body["aws_adjustment"]
    assert (request["agreementId"], request["originalInvoiceId"]) == ("agmt-1", "inv-1")


def test_a_repeated_approval_has_one_effect_and_the_same_answer(api: Api, call: Client) -> None:
    first = call("POST", f"{PATH}/approve", APPROVE, idempotency_key="k1")
    again = call("POST", f"{PATH}/approve", APPROVE, idempotency_key="k1")
    assert (again.status, again.body) == (200, first.body)
    assert again.headers["Idempotent-Replayed"] == "true"
    other = call("POST", f"{PATH}/approve", APPROVE, idempotency_key="k2")
    assert (other.status, other.code) == (409, "correction_approved")
    head = api.services.ledger.head("agr_1")
    assert head is not None
    assert head.version == 2


def test_what_is_not_what_was_seen_is_not_approved(api: Api, call: Client) -> None:
    answer = call("POST", f"{PATH}/approve", APPROVE | {"quantity": "5.5"})
    assert (answer.status, answer.code) == (409, "correction_outdated")
    assert api.queue.agreement_ids == ["agr_1"], "its draft is renewed by a settlement"
    assert call("POST", f"{PATH}/approve", APPROVE | {"quantity": "5.00"}).status == 200


def test_a_draft_that_a_settlement_has_overtaken_is_not_approved(api: Api, call: Client) -> None:
    head = api.services.ledger.head("agr_1")
    assert head is not None
    less = {OCTOBER: Position(Decimal(15), Decimal(18), Decimal(-3))}
    api.services.ledger.commit(
        replace(head, version=2, positions={"tokens": less}), expected_version=1, new_records=()
    )
    answer = call("POST", f"{PATH}/approve", APPROVE)
    assert (answer.status, answer.code) == (409, "correction_outdated")


def test_an_approved_correction_is_completed_or_withdrawn(api: Api, call: Client) -> None:
    assert call("POST", f"{PATH}/complete", WHY).code == "correction_drafted"
    call("POST", f"{PATH}/approve", APPROVE)
    withdrawn = call("POST", f"{PATH}/withdraw", WHY)
    assert (withdrawn.status, withdrawn.body["state"]) == (200, "withdrawn")
    head = api.services.ledger.head("agr_1")
    assert head is not None
    assert (head.version, head.corrected) == (3, {})
    assert call("POST", f"{PATH}/withdraw", WHY).code == "correction_withdrawn"
    assert call("POST", f"{PATH}/complete", WHY).code == "correction_withdrawn"


def test_a_completion_names_what_the_marketplace_calls_it(call: Client) -> None:
    call("POST", f"{PATH}/approve", APPROVE)
    done = call("POST", f"{PATH}/complete", WHY | {"reference": "ba-123"}, idempotency_key="k")
    assert (done.status, done.body["state"], done.body["reference"]) == (200, "completed", "ba-123")
    again = call("POST", f"{PATH}/complete", WHY | {"reference": "ba-123"}, idempotency_key="k")
    assert again.body == done.body
    assert [each["state"] for each in done.body["history"]] == ["drafted", "approved", "completed"]
    assert call("POST", f"{PATH}/withdraw", WHY).code == "correction_completed"


def test_azure_and_google_get_a_text_for_their_support(call: Client, api: Api) -> None:
    azure = {"plan_id": "gold", "resource_id": "6f1c2f4e-0000-4000-8000-000000000001"}
    body = AGREEMENT | {"id": "agr_2", "customer_id": "globex", "channel": "azure", "azure": azure}
    call("POST", "/v1/customers", {"id": "globex"})
    assert call("POST", "/v1/agreements", body | {"aws": None}).status == 201
    key = replace(KEY, agreement_id="agr_2")
    draft = replace(correction(key=key), channel="azure")  # type: ignore[arg-type]
    ledger = api.services.ledger
    ledger.write_correction(CorrectionWrite(None, draft))
    record = metering_record(agreement_id="agr_2", code="tokens", hour=at("2026-10-20T10"))
    head = LedgerHead("agr_2", 1, NOVEMBER, NOON, None)
    ledger.commit(head, expected_version=0, new_records=[record])
    accepted = record.finished(RecordState.ACCEPTED, at=record.deadline, receipt="usage-event-1")
    ledger.save(accepted, expected_state=RecordState.PENDING, expected_attempts=0)
    found = call("GET", f"/v1/corrections/{key}").body
    assert found["aws_adjustment"] is None
    assert found["support_request"] == (
        "To: Microsoft Partner Center support, commercial marketplace, metered billing\n"
        "Subject: Over-reported usage of 2026-10, please credit the buyer 0.05 USD\n"
        "\n"
        "We reported more usage than there was, and ask you to credit 0.05 USD (before tax) to "
        "this buyer.\n"
        "\n"
        "Product: prd_llm\n"
        "Buyer: plan_id gold; resource_id 6f1c2f4e-0000-4000-8000-000000000001\n"
        "Dimension: tokens\n"
        "Billing period: 2026-10 (UTC)\n"
        "Accepted: 20\n"
        "Used: 15\n"
        "Credited before: 0\n"
        "Made up for by later usage: 0\n"
        "Over-reported: 5 (5 billed units)\n"
        "Our reference: agr_2.2026-10.1.tokens\n"
        "\n"
        "Accepted usage reports of the period (hour UTC, quantity, your id):\n"
        "2026-10-20T10:00:00Z  5  usage-event-1\n"
    )


def test_lists_are_paged_in_order(call: Client, api: Api) -> None:
    for number in range(2, 6):
        draft = correction(key=replace(KEY, number=number))
        api.services.ledger.write_correction(CorrectionWrite(None, draft))
    seen, cursor = [], ""
    for _ in range(3):
        page = call("GET", f"/v1/corrections?state=drafted&limit=2{cursor}").body
        seen += [each["id"] for each in page["items"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert page["next_cursor"] is None
    assert seen == [f"agr_1.2026-10.{number}.tokens" for number in range(1, 6)]


@pytest.mark.parametrize(
    "wrong",
    ["agr_9.2026-10.1.tokens", "agr_1.2026-10.2.tokens", "agr_1", "x" * 160, "agr_1.2026-99.1.t"],
)
def test_what_does_not_exist_is_not_found(call: Client, wrong: str) -> None:
    for method, path, body in (
        ("GET", f"/v1/corrections/{wrong}", None),
        ("POST", f"/v1/corrections/{wrong}/approve", APPROVE),
        ("POST", f"/v1/corrections/{wrong}/withdraw", WHY),
        ("POST", f"/v1/corrections/{wrong}/complete", WHY),
    ):
        assert call(method, path, body).status == 404, path
    assert call("GET", "/v1/agreements/agr_9/corrections").status == 404


def test_faulty_requests_are_refused_with_every_fault(call: Client) -> None:
    for body in FAULTY:
        for act in ("approve", "withdraw", "complete"):
            assert call("POST", f"{PATH}/{act}", body).status == 422, (act, body)
    wrong = {"reason": "", "quantity": "-1", "invoice_id": "a b", "x": 1}
    answer = call("POST", f"{PATH}/approve", wrong)
    assert sorted(pointer for pointer, _ in answer.faults) == [
        "/invoice_id",
        "/quantity",
        "/reason",
        "/x",
    ]
    for quantity in (5, 5.0, "1e1", "NaN", "", "\u0665"):
        answer = call("POST", f"{PATH}/approve", APPROVE | {"quantity": quantity})
        assert answer.status == 422, quantity
    assert call("GET", "/v1/corrections").faults == [("state", "missing")]
    assert call("GET", "/v1/corrections?state=odd").status == 422
    for cursor in ("YWNtZQ", "MQ", "x"):
        answer = call("GET", f"/v1/corrections?state=drafted&cursor={cursor}")
        assert answer.faults == [("cursor", "invalid_cursor")]
    assert call("GET", PATH).body["state"] == "drafted"


def test_a_key_of_another_product_sees_nothing_of_it(api: Api) -> None:
    other = api.client(products="prd_b")
    assert other("GET", "/v1/corrections?state=drafted").body["items"] == []
    assert other("GET", PATH).status == 404
    assert other("GET", "/v1/agreements/agr_1/corrections").status == 404
    assert other("POST", f"{PATH}/approve", APPROVE).status == 404
    reader = api.client(scopes="read")
    assert reader("GET", PATH).status == 200
    assert reader("POST", f"{PATH}/approve", APPROVE).status == 403
