"""What an agreement's offering or channel does not bear: every fault, with its place."""

from __future__ import annotations

from agreed_setup import (
    DEAL,
    GRANT,
    MOVE,
    OFF,
    PATH,
    PLANS,
    SEATED_TERMS,
    SEATS,
    create_deal,
    create_offering,
)
from http_api import Client
from offering_terms import TOKENS

TIERS = {
    "model": "graduated",
    "tiers": [{"up_to": "1000", "unit_price": "0.015"}, {"unit_price": "0.01"}],
}
DISCOUNT = {**OFF, "amount": None, "codes": [], "starts_at": None, "ends_at": None}
OTHER_TIERS = {"model": "graduated", "tiers": [{"unit_price": "0.01"}]}


def test_all_faults_of_a_deal_are_told_at_once(call: Client) -> None:
    create_offering(call)
    answer = call(
        "POST",
        "/v1/agreements",
        {
            **DEAL,
            "overrides": {
                "dimensions": [
                    {"code": "tokens", "price": OTHER_TIERS},
                    {"code": "none", "included": "5"},
                ]
            },
            "plan_changes": [
                {**MOVE, "starts_at": "2026-12-02T00:00:00Z"},
                {**MOVE, "overrides": {"discounts": [{"id": "a"}, {**OFF, "codes": ["none"]}]}},
            ],
            "grants": [
                {**GRANT, "amount": "0"},
                {**GRANT, "codes": ["none"], "expires_at": "2026-11-24T12:00:00Z"},
            ],
            "seats": [
                {**SEATS, "fee_code": "none"},
                SEATS,
                {**SEATS, "fee_code": "tokens"},
                {**SEATS, "at": "2026-11-24T11:00:00Z"},
            ],
        },
    )
    assert sorted(answer.faults) == [
        ("/grants/0/amount", "not_positive"),
        ("/grants/1/codes", "unknown_code"),
        ("/grants/1/expires_at", "empty_span"),
        ("/grants/1/id", "repeated"),
        ("/overrides/dimensions/0/price", "other_structure"),
        ("/overrides/dimensions/1/code", "unknown_code"),
        ("/plan_changes/0/starts_at", "not_a_cycles_start"),
        ("/plan_changes/1/overrides/discounts/0", "percent_or_amount"),
        ("/plan_changes/1/overrides/discounts/1/codes", "unknown_code"),
        ("/plan_changes/1/starts_at", "versions_order"),
        ("/seats/0/fee_code", "unknown_code"),
        ("/seats/2/fee_code", "not_a_seat_fee"),
        ("/seats/3/at", "order"),
    ]


def test_overrides_are_validated_as_the_plan_that_they_make(call: Client) -> None:
    create_offering(call)
    percent = {**OFF, "percent": "101"}
    tiers = [{"up_to": "1000", "unit_price": "0.0000000000001"}, {"unit_price": "0"}]
    price = {"model": "graduated", "tiers": tiers}
    overrides = {
        "dimensions": [{"code": "tokens", "price": price, "included": "0.0000000000001"}],
        "discounts": [percent, OFF],
        "spend_cap": {"amount": "0"},
    }
    answer = call("POST", "/v1/agreements", {**DEAL, "overrides": overrides})
    assert sorted(answer.faults) == [
        ("/overrides/dimensions/0/included", "too_fine"),
        ("/overrides/dimensions/0/price/tiers/0/unit_price", "too_fine"),
        ("/overrides/discounts/0/percent", "not_a_percentage"),
        ("/overrides/discounts/1/id", "repeated"),
        ("/overrides/spend_cap/amount", "not_positive"),
    ]


def test_what_a_marketplace_prices_itself_is_neither_discounted_nor_paid_by_credits(
    call: Client,
) -> None:
    create_offering(call)
    deal = {**DEAL, "plan_code": "native"}
    body = {**deal, "grants": [GRANT], "overrides": {"discounts": [OFF]}}
    answer = call("POST", "/v1/agreements", body)
    assert answer.faults == [("/overrides", "not_native"), ("/grants/0", "not_native")]
    invoiced = {**body, "channel": "stripe", "aws": None}
    assert call("POST", "/v1/agreements", invoiced).status == 201
    call("POST", "/v1/customers", {"id": "b"})
    create_deal(call, id="agr_2", customer_id="b", plan_code="native")
    granted = call("POST", "/v1/agreements/agr_2/grants", GRANT)
    assert granted.faults == [("", "not_native")]


def test_a_channel_that_a_plan_is_not_reported_through_is_refused(call: Client) -> None:
    create_offering(call)
    euro = {"id": "off_eur", "product_id": "prd_llm", "name": "Euro", "currency": "EUR"}
    call("POST", "/v1/offerings", {**euro, "plans": PLANS})
    answer = call("POST", "/v1/agreements", {**DEAL, "offering_id": "off_eur"})
    assert answer.faults == [("/channel", "not_reported")]
    assert answer.body["errors"][0]["detail"] == (
        "the plan is not reported to aws: aws meters in USD only"
    )
    manual = {**DEAL, "offering_id": "off_eur", "channel": "manual", "aws": None}
    assert call("POST", "/v1/agreements", manual).status == 201


def test_a_plan_change_keeps_cycle_currency_and_what_dimensions_are(call: Client) -> None:
    cents = {
        "channel": "aws",
        "dimensions": [
            {
                "code": "usage_charges",
                "mode": "currency",
                "sources": [{"code": "tokens"}, {"code": "seats"}],
                "units_per_quantity": "1",
            }
        ],
    }
    annual = {"code": "annual", "terms": {**SEATED_TERMS, "cycle": "annual"}}
    dollars = {"code": "dollars", "terms": {**SEATED_TERMS, "reporting": [cents]}}
    create_offering(call, [*PLANS, annual, dollars])
    create_deal(call)
    for code, fault in (
        ("annual", ("", "other_cycle_or_currency")),
        ("dollars", ("", "other_measure")),
        ("none", ("/plan_code", "unknown_plan")),
    ):
        answer = call("POST", f"{PATH}/plan-changes", {**MOVE, "plan_code": code})
        assert answer.faults == [fault], code
    unknown = call("POST", f"{PATH}/plan-changes", {**MOVE, "offering_version": 9})
    assert unknown.faults == [("/offering_version", "unknown_offering")]
    middle = call("POST", f"{PATH}/plan-changes", {**MOVE, "starts_at": "2026-12-05T00:00:00Z"})
    assert middle.faults == [("/starts_at", "not_a_cycles_start")]
    assert call("POST", f"{PATH}/plan-changes", {**MOVE, "plan_code": "native"}).status == 201


def test_a_fault_elsewhere_in_the_agreement_is_told_with_its_place(call: Client) -> None:
    create_offering(call)
    create_deal(call, grants=[GRANT])
    answer = call("POST", f"{PATH}/plan-changes", {**MOVE, "plan_code": "native"})
    assert answer.faults == [("", "not_native")]
    assert answer.body["errors"][0]["detail"].startswith("/grants/0: aws charges tokens")


def test_moving_the_start_of_a_pending_agreement_moves_its_cycles(call: Client) -> None:
    plan = {"code": "std", "terms": {"cycle": "anniversary", "dimensions": [TOKENS]}}
    create_offering(call, [plan])
    move = {**MOVE, "starts_at": "2026-12-05T00:00:00Z"}
    create_deal(call, state="pending", starts_at="2026-11-05T00:00:00Z", plan_changes=[move])
    answer = call("PATCH", PATH, {"starts_at": "2026-11-06T00:00:00Z"})
    assert answer.faults == [("/plan_changes/0/starts_at", "not_a_cycles_start")]
    both = {
        "starts_at": "2026-11-06T00:00:00Z",
        "plan_changes": [{**move, "starts_at": "2026-12-06T00:00:00Z"}],
    }
    assert call("PATCH", PATH, both).status == 200


def test_grants_seats_and_plan_changes_are_limited(call: Client) -> None:
    create_offering(call)
    grants = [{**GRANT, "id": f"g{number}"} for number in range(201)]
    seats = [
        {**SEATS, "at": f"2026-12-{1 + number // 24:02}T{number % 24:02}:00:00Z"}
        for number in range(501)
    ]
    changes = [
        {**MOVE, "starts_at": f"{2027 + number // 12}-{1 + number % 12:02}-01T00:00:00Z"}
        for number in range(61)
    ]
    body = {**DEAL, "grants": grants, "seats": seats, "plan_changes": changes}
    answer = call("POST", "/v1/agreements", body)
    assert answer.faults == [
        ("/grants", "too_many_grants"),
        ("/seats", "too_many_seat_changes"),
        ("/plan_changes", "too_many_plan_changes"),
    ]
    create_deal(call, grants=grants[1:], seats=seats[1:], plan_changes=changes[1:])
    more = call("POST", f"{PATH}/grants", GRANT)
    assert more.faults == [("", "too_many_grants")]


def test_a_discount_of_what_may_fall_ends_with_a_cycle_in_each_version_of_the_terms(
    call: Client,
) -> None:
    create_offering(call)
    within = {"discounts": [{**OFF, "ends_at": "2026-12-15T00:00:00Z"}]}
    answer = call(
        "POST",
        "/v1/agreements",
        {**DEAL, "overrides": within, "plan_changes": [{**MOVE, "overrides": within}]},
    )
    assert answer.faults == [
        ("/plan_code", "discount_within_cycle"),
        ("/plan_changes/0", "discount_within_cycle"),
    ]
    ending = {"discounts": [{**OFF, "ends_at": "2027-01-01T00:00:00Z"}]}
    create_deal(call, overrides=ending, plan_changes=[{**MOVE, "overrides": ending}])
