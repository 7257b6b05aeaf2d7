"""Decisions over HTTP: what waits, what can be decided, what is refused, and that a repeat is one effect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from api_setup import AGREEMENT, Api, create_all, make_api
from builders import at, metering_record
from decision_setup import conflicted, refused
from dynamodb import make_table, mocked_table
from http_api import Client
from meterbridge.adapters.dynamodb.ledger_decisions import LedgerAdminStore
from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.application.registry_admin import Answer
from meterbridge.domain.deciding import DecisionEffect
from meterbridge.domain.errors import StaleVersionError
from meterbridge.domain.ledger_head import LedgerHead, Position
from meterbridge.domain.metering_record import MeteringRecord, RecordState
from meterbridge.domain.windows import BillingPeriod

NOVEMBER = BillingPeriod(2026, 11)
FIVE = Decimal(5)
HELD, DOUBT, REJECTED = "08", "09", "07"
DAY = "start=2026-11-24T00:00:00Z&end=2026-11-25T00:00:00Z"
RETRY = {"action": "retry", "reason": "  not on the marketplace's bill  "}
WAITING = "/v1/records?awaiting=decision"


def path(hour: str, dimension: str = "tokens") -> str:
    return f"/v1/agreements/agr_1/records/2026-11-24T{hour}:00:00Z/{dimension}/decisions"


def record_of(hour: str) -> MeteringRecord:
    return metering_record(code="tokens", hour=at(f"2026-11-24T{hour}"))


def finish(api: Api, record: MeteringRecord) -> None:
    ledger = api.services.ledger
    ledger.save(record, expected_state=RecordState.PENDING, expected_attempts=0)


def set_up(api: Api) -> Api:
    """Three records that wait for a person, and one that is accepted."""
    call = api.client()
    create_all(call)
    assert call("PATCH", "/v1/agreements/agr_1", {"recovery": "manual"}).status == 200
    records = [record_of(hour) for hour in ("06", REJECTED, HELD, DOUBT)]
    head = LedgerHead(
        agreement_id="agr_1",
        version=1,
        live_from=NOVEMBER,
        settled_at=at("2026-11-24T10"),
        settled_through=at("2026-11-24T09"),
        positions={"tokens": {NOVEMBER: Position(FIVE * 4, FIVE * 4, Decimal(0))}},
    )
    api.services.ledger.commit(head, expected_version=0, new_records=records)
    accepted, rejected, held, doubt = records
    finish(api, accepted.finished(RecordState.ACCEPTED, at=accepted.deadline))
    finish(api, refused(rejected, RecordState.REJECTED))
    finish(api, refused(held, RecordState.EXPIRED))
    finish(api, conflicted(doubt))
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


def shown(call: Client, hour: str) -> dict[str, Any]:
    """A record as the API shows it."""
    items = call("GET", f"/v1/agreements/agr_1/records?{DAY}").body["items"]
    found: dict[str, Any] = next(
        each for each in items if each["hour"] == f"2026-11-24T{hour}:00:00Z"
    )
    return found


def decisions(call: Client) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = call("GET", "/v1/agreements/agr_1/decisions").body["items"]
    return items


def test_what_waits_for_a_person_is_listed_page_by_page(api: Api) -> None:
    call = api.client(scopes="read")
    everything = call("GET", WAITING).body
    found = [(each["hour"][11:13], each["state"]) for each in everything["items"]]
    assert found == [(DOUBT, "conflicted"), (REJECTED, "rejected"), (HELD, "expired")]
    assert everything["next_cursor"] is None
    paged, cursor = [], ""
    for _ in found:
        page = call("GET", f"{WAITING}&limit=1{cursor}").body
        paged += page["items"]
        cursor = f"&cursor={page['next_cursor']}"
    assert (paged, page["next_cursor"]) == (everything["items"], None)


def test_a_retry_is_answered_and_shown_with_its_record_and_settled_soon(api: Api) -> None:
    call = api.client()
    made = call("POST", path(DOUBT), RETRY)
    assert (made.status, made.body["action"], made.body["reason"]) == (
        201,
        "retry",
        "not on the marketplace's bill",
    )
    assert (made.body["decided_by"], made.body["state_before"]) == ("key_test", "conflicted")
    assert made.body["decided_at"] == "2026-11-24T12:00:00Z"
    record = shown(call, DOUBT)
    assert (record["state"], record["absorbed"], record["decision"]) == (
        "rejected",
        True,
        made.body,
    )
    assert decisions(call) == [made.body]
    assert api.queue.agreement_ids == ["agr_1"]
    waiting = call("GET", WAITING).body["items"]
    assert [each["hour"][11:13] for each in waiting] == [REJECTED, HELD]


def test_the_audit_names_the_key_as_it_was_called_then(api: Api) -> None:
    key = {"name": "ops", "scopes": ["admin"], "products": None}
    key_id = api.client()("POST", "/v1/api-keys", key).body["id"]
    call = api.client(key_id=key_id)
    call("POST", path(DOUBT), RETRY)
    call("PATCH", f"/v1/api-keys/{key_id}", {"name": "other"})
    (made,) = decisions(call)
    assert (made["decided_by"], made["decided_by_name"]) == (key_id, "ops")


def test_a_confirmed_figure_is_shown_as_the_marketplaces_own(api: Api) -> None:
    call = api.client()
    body = {"action": "confirm", "reason": "on the bill", "accepted_quantity": "3"}
    assert call("POST", path(DOUBT), body).body["accepted_quantity"] == "3"
    record = shown(call, DOUBT)
    assert (record["state"], record["accepted_quantity"]) == ("conflicted", "3")


def test_a_re_dated_record_names_the_hour_it_came_from(api: Api) -> None:
    call = api.client()
    body = {"action": "re_date", "reason": "late", "hour": "2026-11-24T11:00:00+01:00"}
    made = call("POST", path(HELD), body)
    assert made.body["new_hour"] == "2026-11-24T10:00:00Z"
    new = shown(call, "10")
    assert (new["state"], new["quantity"]) == ("pending", "5")
    assert new["re_dated_from"] == "2026-11-24T08:00:00Z"
    assert shown(call, HELD)["state"] == "expired"


def test_a_write_off_is_a_state_and_final(api: Api) -> None:
    call = api.client()
    body = {"action": "write_off", "reason": "goodwill"}
    assert call("POST", path(REJECTED), body).status == 201
    assert shown(call, REJECTED)["state"] == "written_off"
    again = call("POST", path(REJECTED), RETRY)
    assert (again.status, again.code) == (409, "record_written_off")
    assert again.body["detail"].startswith("agr_1/tokens/2026-11-24T07 is written_off")


@pytest.mark.parametrize(
    ("hour", "body", "code"),
    [
        ("06", RETRY, "record_accepted"),
        (REJECTED, RETRY, "record_released"),
        (HELD, {**RETRY, "action": "confirm", "accepted_quantity": 5}, "record_not_booked"),
        (DOUBT, {**RETRY, "action": "re_date", "hour": "2026-11-24T10:00:00Z"}, "record_in_doubt"),
        (HELD, {**RETRY, "action": "re_date", "hour": "2026-11-24T06:00:00Z"}, "hour_taken"),
    ],
)
def test_what_does_not_fit_is_a_conflict_that_says_why(
    api: Api, hour: str, body: dict[str, Any], code: str
) -> None:
    call = api.client()
    answer = call("POST", path(hour), body)
    assert (answer.status, answer.code) == (409, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert decisions(call) == []


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({}, [("/action", "missing"), ("/reason", "missing")]),
        ({**RETRY, "reason": "  "}, [("/reason", "string_too_short")]),
        ({**RETRY, "reason": "a\x00"}, [("/reason", "control_character")]),
        ({**RETRY, "action": "forget"}, [("/action", "enum")]),
        ({**RETRY, "accepted_quantity": "1"}, [("/accepted_quantity", "unexpected")]),
        ({**RETRY, "hour": "2026-11-24T10:00:00Z"}, [("/hour", "unexpected")]),
        ({**RETRY, "action": "confirm"}, [("/accepted_quantity", "missing")]),
        (
            {**RETRY, "action": "confirm", "accepted_quantity": 0.5},
            [("/accepted_quantity", "decimal_text")],
        ),
        (
            {**RETRY, "action": "confirm", "accepted_quantity": "-1"},
            [("/accepted_quantity", "decimal_text")],
        ),
        (
            {**RETRY, "action": "confirm", "accepted_quantity": "0.5"},
            [("/accepted_quantity", "whole_number")],
        ),
        ({**RETRY, "action": "re_date"}, [("/hour", "missing")]),
        (
            {**RETRY, "action": "re_date", "hour": "2026-11-24T10:30:00Z"},
            [("/hour", "full_hour")],
        ),
        ({**RETRY, "by": "me"}, [("/by", "extra_forbidden")]),
    ],
)
def test_every_fault_of_a_decision_has_a_pointer(
    api: Api, body: dict[str, Any], faults: list[tuple[str, str]]
) -> None:
    answer = api.client()("POST", path(DOUBT), body)
    assert (answer.status, answer.faults) == (422, faults)


@pytest.mark.parametrize(
    ("hour", "code"),
    [("2026-11-24T12", "hour_not_closed"), ("2026-11-20T10", "window_closed")],
)
def test_a_closed_window_is_named(api: Api, hour: str, code: str) -> None:
    body = {**RETRY, "action": "re_date", "hour": f"{hour}:00:00Z"}
    assert api.client()("POST", path(HELD), body).faults == [("/hour", code)]


def test_a_record_that_is_not_there_is_not_found(api: Api) -> None:
    call = api.client()
    for where in (
        path("05"),
        path(DOUBT, "other"),
        path(DOUBT).replace("agr_1", "agr_2"),
    ):
        answer = call("POST", where, RETRY)
        assert (answer.status, answer.code) == (404, "not_found"), where
    odd = path(DOUBT).replace(":00:00Z", ":30:00Z")
    assert call("POST", odd, RETRY).faults == [("hour", "full_hour")]


def test_only_an_admin_of_the_product_decides_and_only_its_readers_see(api: Api) -> None:
    reader, stranger = api.client(scopes="read"), api.client(products="prd_b")
    assert reader("POST", path(DOUBT), RETRY).status == 403
    assert stranger("POST", path(DOUBT), RETRY).status == 404
    assert stranger("GET", "/v1/agreements/agr_1/decisions").status == 404
    assert stranger("GET", WAITING).body["items"] == []
    bound = api.client(products="prd_b prd_llm")
    assert len(bound("GET", WAITING).body["items"]) == 3
    assert bound("POST", path(DOUBT), RETRY).status == 201


def test_lists_take_only_their_own_cursors_and_what_they_list(api: Api) -> None:
    call = api.client()
    for cursor in ("YQ", "MQ", "YSNiI2MjZA"):
        answer = call("GET", f"{WAITING}&cursor={cursor}")
        assert answer.faults == [("cursor", "invalid_cursor")], cursor
    assert call("GET", "/v1/records").faults == [("awaiting", "missing")]
    assert call("GET", "/v1/records?awaiting=tea").faults == [("awaiting", "enum")]


def test_decisions_are_listed_page_by_page_oldest_first(api: Api) -> None:
    call = api.client()
    for hour in (DOUBT, HELD):
        call("POST", path(hour), RETRY)
        api.clock.advance(at("2026-11-24T12:01") - at("2026-11-24T12:00"))
    page = call("GET", "/v1/agreements/agr_1/decisions?limit=1").body
    rest = call("GET", f"/v1/agreements/agr_1/decisions?cursor={page['next_cursor']}").body
    assert page["items"] + rest["items"] == decisions(call)
    assert [each["hour"][11:13] for each in decisions(call)] == [DOUBT, HELD]
    assert rest["next_cursor"] is None


def test_a_repeated_decision_gets_the_first_answer_and_has_one_effect(api: Api) -> None:
    call = api.client()
    first = call("POST", path(DOUBT), RETRY, Idempotency_Key="k1")
    again = call("POST", path(DOUBT), RETRY, Idempotency_Key="k1")
    assert (first.status, again.status, again.body) == (201, 201, first.body)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert decisions(call) == [first.body]
    other = call("POST", path(HELD), RETRY, Idempotency_Key="k1")
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    assert call("POST", path(DOUBT), RETRY).code == "record_taken_back"


@pytest.mark.parametrize("after_it_was_written", [True, False])
def test_a_decision_killed_before_its_answer_is_answered_by_the_repeat(
    api: Api, monkeypatch: pytest.MonkeyPatch, after_it_was_written: bool
) -> None:
    call, decide = api.client(), api.services.ledger.decide

    def killed(effect: DecisionEffect, answer: Answer | None = None) -> None:
        if after_it_was_written:
            decide(effect, answer)
        raise KeyboardInterrupt

    monkeypatch.setattr(api.services.ledger, "decide", killed)
    with pytest.raises(KeyboardInterrupt):
        call("POST", path(DOUBT), RETRY, Idempotency_Key="k1")
    monkeypatch.setattr(api.services.ledger, "decide", decide)
    assert len(decisions(call)) == after_it_was_written
    repeated = call("POST", path(DOUBT), RETRY, Idempotency_Key="k1")
    assert (repeated.status, [repeated.body]) == (201, decisions(call))


def test_a_lost_acknowledgement_of_the_store_is_answered_with_what_it_wrote(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store's client sent the transaction twice, and the second found the first."""
    call, decide = api.client(), api.services.ledger.decide

    def written_and_stale(effect: DecisionEffect, answer: Answer | None = None) -> None:
        decide(effect, answer)
        raise StaleVersionError("somebody else wrote first")

    monkeypatch.setattr(api.services.ledger, "decide", written_and_stale)
    made = call("POST", path(DOUBT), RETRY, Idempotency_Key="k1")
    assert (made.status, [made.body]) == (201, decisions(call))
    without_a_key = call("POST", path(HELD), RETRY)
    assert (without_a_key.status, without_a_key.code) == (409, "version_conflict")
    assert len(decisions(call)) == 2


def test_of_two_people_at_once_one_decides_and_the_other_can_look_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, decide = api.client(), api.services.ledger.decide
    rival = api.client(key_id="key_rival")

    def overtaken(effect: DecisionEffect, answer: Answer | None = None) -> None:
        monkeypatch.setattr(api.services.ledger, "decide", decide)
        written_off = rival("POST", path(DOUBT), {"action": "write_off", "reason": "old"})
        assert written_off.status == 201
        decide(effect, answer)

    monkeypatch.setattr(api.services.ledger, "decide", overtaken)
    slower = call("POST", path(DOUBT), RETRY)
    assert (slower.status, slower.code) == (409, "version_conflict")
    assert shown(call, DOUBT)["state"] == "written_off"
    assert [each["decided_by"] for each in decisions(call)] == ["key_rival"]


def test_a_settlement_in_between_does_not_stop_a_decision(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, ledger, decide = api.client(), api.services.ledger, api.services.ledger.decide

    def overtaken(effect: DecisionEffect, answer: Answer | None = None) -> None:
        monkeypatch.setattr(ledger, "decide", decide)
        head = ledger.head("agr_1")
        assert head is not None
        ledger.commit(replace(head, version=2), expected_version=1, new_records=[])
        decide(effect, answer)

    monkeypatch.setattr(ledger, "decide", overtaken)
    assert call("POST", path(DOUBT), RETRY).status == 201
    head = ledger.head("agr_1")
    assert head is not None
    assert head.version == 3


def test_a_decision_about_a_suspended_agreement_is_possible(api: Api) -> None:
    call = api.client()
    call("PATCH", f"/v1/agreements/{AGREEMENT['id']}", {"state": "suspended", "state_reason": "x"})
    body = {**RETRY, "action": "re_date", "hour": "2026-11-24T10:00:00Z"}
    assert call("POST", path(HELD), body).code == "agreement_not_reported"
    assert call("POST", path(HELD), RETRY).status == 201
