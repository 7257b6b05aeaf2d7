"""Offerings with terms over HTTP: published as sent, with what was derived; refused with all faults."""

from __future__ import annotations

from typing import Any

import pytest

from api_setup import DIMENSION, Api
from http_api import Client
from meterbridge.domain.errors import StoreUnavailableError
from offering_terms import NATIVE_TERMS, TERMS, TOKENS, create_catalog, offering

PUBLISHED_TOKENS = {
    "code": "tokens",
    "name": "",
    "meter_id": "mtr_tokens",
    "price": {
        "model": "graduated",
        "tiers": [
            {"up_to": "1000", "unit_price": "0.02", "flat_amount": "0", "name": ""},
            {"up_to": None, "unit_price": "0.01", "flat_amount": "0", "name": ""},
        ],
    },
    "increment": None,
    "entitlement": None,
    "event_meter_id": "",
    "group": {},
}


def money(*codes: str, unit: str = "0.01") -> dict[str, Any]:
    """The derived dimension that reports charges."""
    return {
        "code": "usage_charges",
        "mode": "currency",
        "sources": [{"code": code, "step": "", "group": None} for code in codes],
        "units_per_quantity": unit,
        "quantity_kind": "integer",
    }


def channels(*dimensions: dict[str, Any], among: str = "aws azure gcp stripe manual") -> list[Any]:
    return [
        {"channel": channel, "dimensions": list(dimensions), "billed_apart": []}
        for channel in among.split()
    ]


def test_terms_are_published_with_the_reporting_that_they_leave_out(stored: Api) -> None:
    call = stored.client()
    create_catalog(call)
    published = call("POST", "/v1/offerings", offering())
    assert published.status == 201
    (plan,) = published.body["plans"]
    assert plan == {
        "code": "std",
        "name": "",
        "dimensions": [],
        "not_reported": [],
        "terms": {
            "cycle": "calendar_month",
            "dimensions": [PUBLISHED_TOKENS],
            "fees": [],
            "trial": None,
            "discounts": [],
            "minimum": None,
            "commitment": None,
            "credits": [],
            "credit_thresholds": ["80", "100"],
            "top_up": None,
            "spend_cap": None,
            "reporting": channels(money("tokens")),
        },
    }
    assert call("GET", "/v1/offerings/off_terms").body == published.body
    assert call("GET", "/v1/offerings/off_terms/versions/1").body == published.body


def test_what_is_answered_can_be_sent_as_the_next_version(stored: Api) -> None:
    call = stored.client()
    create_catalog(call)
    first = call("POST", "/v1/offerings", offering()).body
    plans = [{"code": "std", "terms": first["plans"][0]["terms"]}]
    second = call("POST", "/v1/offerings/off_terms/versions", {"name": "2", "plans": plans})
    assert (second.status, second.body["version"]) == (201, 2)
    assert second.body["plans"] == first["plans"]


def test_a_repeated_post_answers_with_the_same_derived_reporting(stored: Api) -> None:
    call = stored.client()
    create_catalog(call)
    first = call("POST", "/v1/offerings", offering(), Idempotency_Key="k1")
    again = call("POST", "/v1/offerings", offering(), Idempotency_Key="k1")
    assert (again.status, again.body) == (201, first.body)


def test_what_a_channel_cannot_take_is_shown_as_not_reported(call: Client) -> None:
    create_catalog(call)
    plan = call("POST", "/v1/offerings", offering(NATIVE_TERMS, currency="EUR")).body["plans"][0]
    assert plan["terms"]["reporting"] == channels(money("tokens"), among="stripe manual")
    assert [(each["channel"], each["code"]) for each in plan["not_reported"]] == [
        ("aws", "channel_currency"),
        ("azure", "channel_currency"),
        ("gcp", "channel_currency"),
    ]


def test_a_unit_price_of_terms_is_native_on_marketplaces(call: Client) -> None:
    create_catalog(call)
    plan = call("POST", "/v1/offerings", offering(NATIVE_TERMS)).body["plans"][0]
    native = {
        "code": "tokens",
        "mode": "native",
        "sources": [{"code": "tokens", "step": "", "group": None}],
        "units_per_quantity": "1000",
        "quantity_kind": "integer",
    }
    assert plan["terms"]["reporting"] == [
        *channels(native, among="aws azure gcp"),
        *channels(money("tokens"), among="stripe manual"),
    ]


@pytest.mark.parametrize("plan", [{}, {"terms": TERMS, "dimensions": [DIMENSION]}])
def test_a_plan_has_either_dimensions_or_terms(call: Client, plan: dict[str, Any]) -> None:
    create_catalog(call)
    sent = offering(plans=[{"code": "std", **plan}])
    answer = call("POST", "/v1/offerings", sent)
    assert answer.faults == [("/plans/0", "dimensions_or_terms")]


def test_all_faults_of_terms_and_of_their_meters_are_told_at_once(call: Client) -> None:
    create_catalog(call)
    call("POST", "/v1/products", {"id": "prd_b", "name": "B"})
    call("PATCH", "/v1/meters/mtr_peak", {"archived_at": "2026-11-24T12:00:00Z"})
    by_model = {
        "model": "dimensional",
        "prices": [
            {"group": ["a", "b"], "model": {"model": "flat", "amount": "1"}},
            {"group": ["a"], "model": {"model": "package", "size": "0", "price": "1"}},
        ],
        "default": {"model": "per_unit", "unit_price": "1"},
    }
    share = {"model": "percentage", "percent": "2.9", "fixed_amount": "0.3"}
    dimensions = [
        {**TOKENS, "group": {"region": "eu"}, "price": by_model},
        {**TOKENS, "meter_id": "mtr_none"},
        {**TOKENS, "code": "pay", "price": share},
        {**TOKENS, "code": "fee", "price": share, "event_meter_id": "mtr_peak"},
        {**TOKENS, "code": "tax", "price": share, "event_meter_id": "mtr_calls"},
    ]
    discounts = [{"id": "x", "percent": "101", "codes": ["nothing"]}]
    sent = offering({"dimensions": dimensions, "discounts": discounts})
    sent["plans"].append({"code": "std", "dimensions": [{**DIMENSION, "meter_id": "mtr_none"}]})
    sent["plans"].append({"code": "none", "terms": {}})
    answer = call("POST", "/v1/offerings", sent)
    assert (answer.status, answer.code) == (422, "invalid_request")
    at = "/plans/0/terms"
    assert sorted(answer.faults) == [
        (f"{at}/dimensions/0/group", "unknown_group"),
        (f"{at}/dimensions/0/price/prices/0/group", "group_length"),
        (f"{at}/dimensions/0/price/prices/1/model/size", "not_positive"),
        (f"{at}/dimensions/1/code", "repeated"),
        (f"{at}/dimensions/1/meter_id", "unknown_meter"),
        (f"{at}/dimensions/2/event_meter_id", "missing"),
        (f"{at}/dimensions/3/event_meter_id", "archived_meter"),
        (f"{at}/dimensions/3/event_meter_id", "not_a_count"),
        (f"{at}/discounts/0/codes", "unknown_code"),
        (f"{at}/discounts/0/percent", "not_a_percentage"),
        ("/plans/1/code", "repeated_code"),
        ("/plans/1/dimensions/0/meter_id", "unknown_meter"),
        ("/plans/2/terms", "nothing_charged"),
    ]


def test_faults_of_the_form_are_told_where_they_are(call: Client) -> None:
    create_catalog(call)
    tiers = [{"unit_price": 0.5}, {"unit_price": "1", "upto": "7"}]
    broken = {"dimensions": [{**TOKENS, "price": {"model": "volume", "tiers": tiers}}]}
    broken["fees"] = [{"kind": "seats", "code": "seats"}, {"kind": "tip", "code": "x"}]
    answer = call("POST", "/v1/offerings", offering(broken))
    assert answer.faults == [
        ("/plans/0/terms/dimensions/0/price/tiers/0/unit_price", "decimal_text"),
        ("/plans/0/terms/dimensions/0/price/tiers/1/upto", "extra_forbidden"),
        ("/plans/0/terms/fees/0/price", "missing"),
        ("/plans/0/terms/fees/1", "union_tag_invalid"),
    ]


def test_events_of_a_price_by_group_are_counted_by_the_same_groups(call: Client) -> None:
    create_catalog(call)
    call("POST", "/v1/meters", {**_calls(), "id": "mtr_all", "group_by": []})
    share = {"model": "percentage", "percent": "2.9", "fixed_amount": "0.3"}
    price = {"model": "dimensional", "default": share, "prices": [{"group": ["a"], "model": share}]}
    dimension = {**TOKENS, "price": price, "event_meter_id": "mtr_all"}
    answer = call("POST", "/v1/offerings", offering({"dimensions": [dimension]}))
    assert answer.faults == [("/plans/0/terms/dimensions/0/event_meter_id", "other_groups")]
    grouped = {**dimension, "event_meter_id": "mtr_calls"}
    assert call("POST", "/v1/offerings", offering({"dimensions": [grouped]})).status == 201


def _calls() -> dict[str, Any]:
    return {
        "product_id": "prd_llm",
        "name": "All calls",
        "event_type": "completion",
        "aggregation": "count",
    }


def test_a_meter_that_terms_refer_to_is_in_use(stored: Api) -> None:
    call = stored.client()
    create_catalog(call)
    share = {"model": "percentage", "percent": "2.9", "fixed_amount": "0.3"}
    dimension = {**TOKENS, "price": share, "event_meter_id": "mtr_calls"}
    sent = offering({"dimensions": [dimension]})
    assert call("POST", "/v1/offerings", sent).status == 201
    for meter in ("mtr_tokens", "mtr_calls"):
        for change in ({"aggregation": "sum", "value_path": "$.n"}, {"group_by": []}):
            if (meter, change.get("aggregation")) != ("mtr_tokens", "sum"):
                answer = call("PATCH", f"/v1/meters/{meter}", change)
                assert (answer.status, answer.code) == (409, "in_use"), (meter, change)
        assert call("DELETE", f"/v1/meters/{meter}").code == "in_use"
    assert call("DELETE", "/v1/meters/mtr_peak").status == 204
    assert call("DELETE", "/v1/offerings/off_terms").status == 204
    for meter in ("mtr_tokens", "mtr_calls"):
        assert call("DELETE", f"/v1/meters/{meter}").status == 204


def test_more_meters_than_fit_in_a_transaction_are_refused(call: Client) -> None:
    create_catalog(call)
    dimensions = [
        {**TOKENS, "code": f"d{number}", "meter_id": f"mtr_{number}"} for number in range(91)
    ]
    answer = call("POST", "/v1/offerings", offering({"dimensions": dimensions}))
    assert answer.faults == [("/plans", "too_many_meters")]


def test_faults_of_form_are_told_together_with_those_of_the_other_plans(call: Client) -> None:
    create_catalog(call)
    broken = {"dimensions": [{**TOKENS, "price": {"model": "flat", "amount": 0.5}}]}
    odd = {"dimensions": [{**TOKENS, "meter_id": "mtr_none"}], "minimum": {"amount": "0"}}
    plans = [{"code": "broken", "terms": broken}, {"code": "odd", "terms": odd}, {"code": "empty"}]
    expected = [
        ("/plans/0/terms/dimensions/0/price/amount", "decimal_text"),
        ("/plans/2", "dimensions_or_terms"),
        ("/plans/1/terms/minimum/amount", "not_positive"),
        ("/plans/1/terms/dimensions/0/meter_id", "unknown_meter"),
    ]
    assert call("POST", "/v1/offerings", offering(plans=plans)).faults == expected
    call("POST", "/v1/offerings", offering())
    version = {"name": "2", "plans": plans}
    assert call("POST", "/v1/offerings/off_terms/versions", version).faults == expected
    foreign = call("POST", "/v1/offerings", offering(plans=plans, product_id="prd_none"))
    assert foreign.faults[2] == ("/product_id", "unknown_product")
    unnamed = call("POST", "/v1/offerings", {**offering(), "name": ""})
    assert unnamed.faults == [("/name", "string_too_short")]
    assert call("POST", "/v1/offerings/off_none/versions", {"name": ""}).status == 422


def test_an_unknown_product_is_told_with_the_faults_of_the_terms(call: Client) -> None:
    create_catalog(call)
    terms = {**TERMS, "minimum": {"amount": "0"}}
    answer = call("POST", "/v1/offerings", offering(terms, product_id="prd_none"))
    assert answer.faults == [
        ("/product_id", "unknown_product"),
        ("/plans/0/terms/minimum/amount", "not_positive"),
        ("/plans/0/terms/dimensions/0/meter_id", "unknown_meter"),
    ]


def test_a_store_that_is_away_while_faults_are_collected_is_a_503(
    api: Api, call: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_catalog(call)

    def away(*_: object) -> None:
        raise StoreUnavailableError("away")

    monkeypatch.setattr(api.registry, "meter_entry", away)
    answer = call("POST", "/v1/offerings", {**offering(), "name": ""})
    assert (answer.status, answer.code) == (503, "store_unavailable")
