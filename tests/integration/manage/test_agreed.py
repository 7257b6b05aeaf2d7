"""What is agreed with one buyer: taken whole, refused with all faults, and never changed behind rating."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from agreed_setup import (
    AS_GRANTED,
    AS_MOVED,
    GRANT,
    MOVE,
    OFF,
    PATH,
    PLANS,
    SEATS,
    create_deal,
    create_offering,
)
from api_setup import Api, make_api
from http_api import Client
from meterbridge.application.registry_admin import Answer
from meterbridge.domain.agreements import Agreement

TIERS = {
    "model": "graduated",
    "tiers": [{"up_to": "1000", "unit_price": "0.015"}, {"unit_price": "0.01"}],
}
DISCOUNT = {**OFF, "amount": None, "codes": [], "starts_at": None, "ends_at": None}
OTHER_TIERS = {"model": "graduated", "tiers": [{"unit_price": "0.01"}]}


def test_a_deal_is_made_with_all_that_was_agreed(stored: Api) -> None:
    call = stored.client()
    create_offering(call)
    overrides = {"dimensions": [{"code": "tokens", "price": TIERS}], "discounts": [OFF]}
    agreed = {
        "overrides": overrides,
        "plan_changes": [{**MOVE, "overrides": {"discounts": [OFF]}}],
        "grants": [GRANT],
        "seats": [{**SEATS, "at": "2026-11-01T00:00:00Z"}, SEATS],
    }
    made = create_deal(call, **agreed)
    tiers = [{"name": "", "flat_amount": "0", "up_to": None, **tier} for tier in TIERS["tiers"]]
    assert made["overrides"] == {
        "dimensions": [{"code": "tokens", "price": {**TIERS, "tiers": tiers}, "included": None}],
        "discounts": [DISCOUNT],
        "spend_cap": None,
    }
    assert made["plan_changes"] == [
        {**MOVE, "overrides": {"dimensions": [], "discounts": [DISCOUNT], "spend_cap": None}}
    ]
    assert made["grants"] == [AS_GRANTED]
    assert made["seats"] == agreed["seats"]
    assert call("GET", PATH).body == made


def test_credits_are_granted_once_by_their_id(stored: Api) -> None:
    call = stored.client()
    create_offering(call)
    create_deal(call)
    first = call("POST", f"{PATH}/grants", GRANT)
    again = call("POST", f"{PATH}/grants", GRANT)
    assert (first.status, first.body) == (again.status, again.body) == (201, AS_GRANTED)
    other = call("POST", f"{PATH}/grants", {**GRANT, "amount": "99"})
    assert (other.status, other.code) == (409, "already_exists")
    agreement = call("GET", PATH).body
    assert (agreement["grants"], agreement["version"]) == ([AS_GRANTED], 2)
    assert stored.queue.agreement_ids == ["agr_1"] * 3


def test_credits_are_granted_once_by_an_idempotency_key(stored: Api) -> None:
    call = stored.client()
    create_offering(call)
    create_deal(call)
    unnamed = {name: value for name, value in GRANT.items() if name != "id"}
    first = call("POST", f"{PATH}/grants", unnamed, Idempotency_Key="k1")
    again = call("POST", f"{PATH}/grants", unnamed, Idempotency_Key="k1")
    assert first.body["id"].startswith("grt_")
    assert (again.status, again.body) == (201, first.body)
    assert again.headers["Idempotent-Replayed"] == "true"
    reused = call("POST", f"{PATH}/grants", GRANT, Idempotency_Key="k1")
    assert (reused.status, reused.code) == (422, "idempotency_key_reused")
    assert len(call("GET", PATH).body["grants"]) == 1


def test_seats_change_from_a_moment_on_and_may_be_corrected_before_it(stored: Api) -> None:
    call = stored.client()
    create_offering(call)
    create_deal(call)
    later = {**SEATS, "at": "2026-11-25T00:00:00Z"}
    for seats in (later, SEATS, {**SEATS, "seats": "7"}):
        answer = call("POST", f"{PATH}/seats", seats, Idempotency_Key=seats["at"] + seats["seats"])
        assert (answer.status, answer.body) == (201, seats)
    assert call("GET", PATH).body["seats"] == [{**SEATS, "seats": "7"}, later]


def test_a_plan_change_is_scheduled_and_cancelled_before_it_begins(stored: Api) -> None:
    call = stored.client()
    create_offering(call)
    create_deal(call)
    first = call("POST", f"{PATH}/plan-changes", MOVE)
    assert (first.status, first.body) == (201, AS_MOVED)
    assert call("POST", f"{PATH}/plan-changes", MOVE).status == 201
    taken = call("POST", f"{PATH}/plan-changes", {**MOVE, "overrides": {"discounts": [OFF]}})
    assert (taken.status, taken.code) == (409, "already_exists")
    stale = call("DELETE", f"{PATH}/plan-changes/2026-12-01T00:00:00Z", If_Match='"1"')
    assert stale.status == 412
    assert call("DELETE", f"{PATH}/plan-changes/2026-12-01T00:00:00Z").status == 204
    assert call("GET", PATH).body["plan_changes"] == []
    gone = call("DELETE", f"{PATH}/plan-changes/2026-12-01T00:00:00Z")
    assert (gone.status, gone.code) == (404, "not_found")


def test_a_plan_change_that_has_begun_stays(api: Api, call: Client) -> None:
    create_offering(call)
    create_deal(call, plan_changes=[{**MOVE, "starts_at": "2026-12-01T00:00:00Z"}])
    api.clock.advance(timedelta(days=6, hours=12, minutes=59))
    path = f"{PATH}/plan-changes/2026-12-01T00:00:00Z"
    api.clock.advance(timedelta(minutes=1))
    answer = call("DELETE", path)
    assert (answer.status, answer.code) == (409, "invalid_state")
    assert call("PATCH", PATH, {"plan_changes": []}).faults == [("/plan_changes", "already_rated")]


def test_a_new_version_moves_no_agreement_but_a_plan_change_does(call: Client) -> None:
    create_offering(call, PLANS, PLANS)
    assert create_deal(call)["offering_version"] == 1
    moved = call("POST", f"{PATH}/plan-changes", {**MOVE, "offering_version": 2})
    assert moved.status == 201
    shown = call("GET", PATH).body
    assert (shown["offering_version"], shown["plan_changes"][0]["offering_version"]) == (1, 2)


@pytest.mark.parametrize(
    ("path", "body", "member"),
    [
        ("grants", GRANT, "effective_at"),
        ("seats", SEATS, "at"),
    ],
)
def test_nothing_is_agreed_for_an_hour_that_may_be_rated(
    call: Client, path: str, body: dict[str, Any], member: str
) -> None:
    create_offering(call)
    create_deal(call)
    late = call("POST", f"{PATH}/{path}", {**body, member: "2026-11-24T11:59:59Z"})
    assert (late.status, late.faults) == (422, [(f"/{member}", "already_rated")])
    assert call("POST", f"{PATH}/{path}", {**body, member: "2026-11-24T12:00:00Z"}).status == 201


def test_a_plan_change_does_not_reach_back_either(api: Api, call: Client) -> None:
    create_offering(call)
    create_deal(call)
    api.clock.advance(timedelta(days=8))
    answer = call("POST", f"{PATH}/plan-changes", MOVE)
    assert answer.faults == [("/starts_at", "already_rated")]


@pytest.mark.parametrize("changes", [{"state": "pending"}, {"starts_at": "2026-11-24T12:00:01Z"}])
def test_before_an_agreement_starts_everything_may_change(
    call: Client, changes: dict[str, Any]
) -> None:
    create_offering(call)
    create_deal(call, grants=[GRANT], **changes)
    early = {**GRANT, "id": "grt_2", "effective_at": "2026-10-01T00:00:00Z"}
    assert call("POST", f"{PATH}/grants", early).status == 201
    patch = {"overrides": {"discounts": [OFF]}, "grants": [], "seats": [SEATS]}
    patched = call("PATCH", PATH, patch)
    assert patched.body["overrides"]["discounts"] == [DISCOUNT]
    assert (patched.body["grants"], patched.body["seats"]) == ([], [SEATS])


def test_after_it_started_a_patch_keeps_what_was_agreed_for_earlier_hours(call: Client) -> None:
    create_offering(call)
    past = {**GRANT, "effective_at": "2026-11-02T00:00:00Z"}
    future = {**GRANT, "id": "grt_2", "effective_at": "2026-11-25T00:00:00Z"}
    create_deal(call, grants=[past, future], seats=[{**SEATS, "at": "2026-11-03T00:00:00Z"}])
    refused = call(
        "PATCH",
        PATH,
        {
            "overrides": {"discounts": [OFF]},
            "grants": [{**past, "amount": "101"}],
            "seats": [],
        },
    )
    assert (refused.status, refused.faults) == (
        422,
        [
            ("/overrides", "already_rated"),
            ("/grants/0/effective_at", "already_rated"),
            ("/grants", "already_rated"),
            ("/seats", "already_rated"),
        ],
    )
    kept = call("PATCH", PATH, {"grants": [past]})
    assert [each["id"] for each in kept.body["grants"]] == ["grt_1"]
    assert call("PATCH", PATH, {"zero_records": True}).status == 200


def test_an_agreement_that_has_ended_takes_nothing_more(call: Client) -> None:
    create_offering(call)
    create_deal(call, grants=[GRANT])
    call("PATCH", PATH, {"state": "ended"})
    for path, body in (("grants", {**GRANT, "id": "g"}), ("seats", SEATS), ("plan-changes", MOVE)):
        answer = call("POST", f"{PATH}/{path}", body)
        assert (answer.status, answer.code) == (409, "invalid_state"), path
    assert call("POST", f"{PATH}/grants", GRANT).status == 201


def test_what_is_agreed_belongs_to_the_product_of_its_agreement(api: Api, call: Client) -> None:
    create_offering(call)
    create_deal(call)
    other = api.client(products="prd_b")
    for method, path, body in (
        ("POST", "grants", GRANT),
        ("POST", "seats", SEATS),
        ("POST", "plan-changes", MOVE),
        ("DELETE", "plan-changes/2026-12-01T00:00:00Z", None),
    ):
        assert other(method, f"{PATH}/{path}", body).status == 404, path


def test_of_two_grants_at_once_both_are_kept(stored: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    call = stored.client()
    create_offering(call)
    create_deal(call)
    save = stored.registry.save_agreement

    def overtaken(after: Agreement, answer: Answer | None = None) -> None:
        monkeypatch.setattr(stored.registry, "save_agreement", save)
        rival = make_api(stored.registry).client()
        assert rival("POST", f"{PATH}/grants", {**GRANT, "id": "rival"}).status == 201
        save(after, answer)

    monkeypatch.setattr(stored.registry, "save_agreement", overtaken)
    assert call("POST", f"{PATH}/grants", GRANT).status == 201
    agreement = call("GET", PATH).body
    assert [each["id"] for each in agreement["grants"]] == ["rival", "grt_1"]
    assert agreement["version"] == 3


def test_of_two_repeats_of_a_grant_at_once_one_has_the_effect(
    stored: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, answers = stored.client(), []
    create_offering(call)
    create_deal(call)
    save = stored.registry.save_agreement
    unnamed = {name: value for name, value in GRANT.items() if name != "id"}

    def overtaken(after: Agreement, answer: Answer | None = None) -> None:
        monkeypatch.setattr(stored.registry, "save_agreement", save)
        rival = make_api(stored.registry).client()
        answers.append(rival("POST", f"{PATH}/grants", unnamed, Idempotency_Key="k1"))
        save(after, answer)

    monkeypatch.setattr(stored.registry, "save_agreement", overtaken)
    slower = call("POST", f"{PATH}/grants", unnamed, Idempotency_Key="k1")
    assert (slower.status, slower.body) == (201, answers[0].body)
    assert [each["id"] for each in call("GET", PATH).body["grants"]] == [slower.body["id"]]
