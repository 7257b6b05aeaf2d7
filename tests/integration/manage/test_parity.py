"""Parity and previews over HTTP: what is answered, and what is refused with all faults at once."""

from __future__ import annotations

from typing import Any

import pytest

from api_setup import OFFERING, Api, create_all
from http_api import Answer, Client
from offering_terms import NATIVE_TERMS, TERMS, create_catalog, offering

PARITY = "/v1/offerings/off_terms/parity"
PREVIEW = "/v1/offerings/off_terms/preview"
CALLS = {
    "code": "calls",
    "meter_id": "mtr_calls",
    "price": {"model": "per_unit", "unit_price": "0.01"},
    "entitlement": {"quantity": "100"},
    "group": {"model": "large"},
}
MIXED: dict[str, Any] = {
    **TERMS,
    "dimensions": [*TERMS["dimensions"], CALLS],
    "fees": [
        {"kind": "subscription", "code": "base", "price": "99"},
        {"kind": "seats", "code": "seats", "price": "5"},
    ],
}
BY_MODEL: dict[str, Any] = {
    "dimensions": [
        {
            "code": "tokens",
            "meter_id": "mtr_tokens",
            "price": {
                "model": "dimensional",
                "prices": [{"group": ["large"], "model": {"model": "per_unit", "unit_price": "2"}}],
                "default": {"model": "per_unit", "unit_price": "1"},
            },
        }
    ]
}
PLANS = [
    {"code": "std", "terms": MIXED},
    {"code": "native", "terms": NATIVE_TERMS},
    {"code": "by_model", "terms": BY_MODEL},
]
ASKED: dict[str, Any] = {
    "plan_code": "std",
    "starts_at": "2026-12-01T00:00:00Z",
    "usage": [
        {"dimension": "tokens", "quantity": "1500"},
        {"meter_id": "mtr_calls", "group": {"model": "large"}, "quantity": "160"},
    ],
    "seats": [{"fee_code": "seats", "seats": "3"}],
}


@pytest.fixture
def sold(call: Client) -> Client:
    create_catalog(call)
    answer = call("POST", "/v1/offerings", offering(plans=PLANS))
    assert answer.status == 201, answer
    return call


def channel(answer: Answer, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(e for e in answer.body["channels"] if e["channel"] == name)
    return found


def test_parity_tells_each_plan_on_each_channel(sold: Client) -> None:
    answer = sold("GET", f"{PARITY}?limit=20")
    assert (answer.status, answer.body["version"]) == (200, 1)
    assert answer.body["deal"]["kind"] == "public"
    names = ("aws", "azure", "gcp", "stripe", "manual")
    assert [(e["plan_code"], e["channel"]) for e in answer.body["items"]] == [
        (plan, name) for plan in ("std", "native", "by_model") for name in names
    ]
    assert all(each["possible"] and each["reporting"]["declared"] for each in answer.body["items"])


def test_parity_of_one_plan_on_one_channel_by_promise(sold: Client) -> None:
    (found,) = sold("GET", f"{PARITY}?plan_code=std&channel=azure&version=1").body["items"]
    told = {(line["promise"], line["code"]): line["parity"] for line in found["lines"]}
    assert told == {
        ("currency", ""): "native",
        ("cycle", ""): "emulated",
        ("dimension", "tokens"): "emulated",
        ("price", "tokens"): "emulated",
        ("dimension", "calls"): "native",
        ("price", "calls"): "native",
        ("entitlement", "calls"): "emulated",
        ("fee", "base"): "emulated",
        ("seats", "seats"): "emulated",
        ("number_of_dimensions", ""): "native",
        ("zero_quantities", ""): "emulated",
        ("negative_quantities", ""): "emulated",
        ("dimension_code", "calls"): "native",
        ("quantities", "calls"): "emulated",
        ("price_precision", "calls"): "native",
        ("dimension_code", "usage_charges"): "native",
        ("quantities", "usage_charges"): "emulated",
    }
    assert [
        (e["code"], e["tier"], e["list_price"], e["net_price"]) for e in found["net_prices"]
    ] == [
        ("tokens", 1, "0.02", "0.0194"),
        ("tokens", 2, "0.01", "0.0097"),
        ("calls", 0, "0.01", "0.0097"),
        ("base", 0, "99", "96.03"),
        ("seats", 0, "5", "4.85"),
    ]
    assert [rule["id"] for rule in found["listing_fee"]["rules"]] == ["azure_standard"]


def test_a_private_offering_is_told_with_the_fee_of_a_private_deal(sold: Client) -> None:
    body = {"name": "Next", "visibility": "private", "plans": PLANS}
    assert sold("POST", "/v1/offerings/off_terms/versions", body).status == 201
    (found,) = sold("GET", f"{PARITY}?plan_code=std&channel=aws").body["items"]
    assert [rule["id"] for rule in found["listing_fee"]["rules"]] == ["aws_private_below_1m"]
    (older,) = sold("GET", f"{PARITY}?plan_code=std&channel=aws&version=1").body["items"]
    assert [rule["id"] for rule in older["listing_fee"]["rules"]] == ["aws_public"]


def test_parity_says_what_is_impossible_in_euro(sold: Client) -> None:
    body = {"name": "Euro", "currency": "EUR", "plans": [{"code": "std", "terms": TERMS}]}
    assert sold("POST", "/v1/offerings/off_terms/versions", body).status == 201
    items = sold("GET", PARITY).body["items"]
    assert {each["channel"]: each["possible"] for each in items} == {
        "aws": False,
        "azure": False,
        "gcp": False,
        "stripe": True,
        "manual": True,
    }
    (aws,) = (each for each in items if each["channel"] == "aws")
    assert [line for line in aws["lines"] if line["parity"] == "impossible"] == [
        {
            "promise": "currency",
            "pointer": "/currency",
            "code": "",
            "parity": "impossible",
            "how": "aws meters in USD only",
            "source": "AWS Marketplace Catalog API, UsageBasedPricingTerm (contracts.md §1.3.4)",
            "faults": [
                {
                    "pointer": "/currency",
                    "code": "channel_currency",
                    "detail": "aws meters in USD only",
                }
            ],
        }
    ]


def test_parity_continues_page_by_page(sold: Client) -> None:
    everything = sold("GET", f"{PARITY}?limit=20").body["items"]
    paged, url = [], f"{PARITY}?limit=4"
    for _ in range(4):
        page = sold("GET", url).body
        paged += page["items"]
        url = f"{PARITY}?limit=4&cursor={page['next_cursor']}"
    assert (paged, page["next_cursor"]) == (everything, None)


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("/v1/offerings/off_none/parity", 404),
        (f"{PARITY}?version=2", 422),
        (f"{PARITY}?version=0", 422),
        (f"{PARITY}?channel=ebay", 422),
        (f"{PARITY}?cursor=YWNtZQ", 422),
        (f"{PARITY}?limit=21", 422),
    ],
)
def test_parity_of_what_is_not_there(sold: Client, url: str, status: int) -> None:
    assert sold("GET", url).status == status


def test_a_key_of_another_product_sees_neither_parity_nor_previews(sold: Client, api: Api) -> None:
    stranger = api.client(products="prd_other")
    assert stranger("GET", PARITY).status == 404
    assert stranger("POST", PREVIEW, ASKED).status == 404


def test_a_preview_is_a_bill_and_what_each_channel_makes_of_it(api: Api, sold: Client) -> None:
    """Tokens 1000 at 0.02 and 500 at 0.01 are 25; 60 of 160 calls at 0.01 are 0.6; 99 and 3 at 5."""
    answer = api.client(scopes="read")("POST", PREVIEW, ASKED)
    assert answer.status == 200, answer
    body = answer.body
    assert (body["total"], body["currency"], body["cycle_end"]) == (
        "139.6",
        "USD",
        "2027-01-01T00:00:00Z",
    )
    nets = {line["code"]: line["net"] for line in body["lines"]}
    assert nets == {"tokens": "25", "calls": "0.6", "base": "99", "seats": "15"}
    tokens = next(line for line in body["lines"] if line["code"] == "tokens")
    assert [(e["tier"], e["quantity"], e["amount"]) for e in tokens["parts"]] == [
        (1, "1000", "20"),
        (2, "500", "5"),
    ]
    aws = channel(answer, "aws")
    sent = {each["dimension"]: each for each in aws["bill"]["sent"]}
    assert (sent["calls"]["to_report"], sent["calls"]["units"]) == ("60", "60")
    assert (sent["usage_charges"]["to_report"], sent["usage_charges"]["units"]) == ("139", "13900")
    bill = {name: aws["bill"][name] for name in ("charged", "billed", "carried", "fee", "net")}
    assert bill == {
        "charged": "139.6",
        "billed": "139.6",
        "carried": "0",
        "fee": "4.188",
        "net": "135.412",
    }
    assert channel(answer, "stripe")["bill"]["net"] is None
    assert channel(answer, "stripe")["listing_fee"]["unknown"]
    assert channel(answer, "manual")["bill"]["net"] == "139.6"


def test_a_preview_of_a_day_and_of_an_hour_of_chosen_channels_and_a_deal(sold: Client) -> None:
    usage = [
        {"dimension": "calls", "quantity": "100.5", "hour": "2026-12-03T10:00:00Z"},
        {"dimension": "calls", "quantity": "0.75", "day": "2026-12-03"},
    ]
    deal = {"kind": "private", "total_contract_value": "2000000", "buyer_country": "KR"}
    asked = {**ASKED, "usage": usage, "spread": "hourly", "deal": deal, "channels": ["aws"]}
    answer = sold("POST", PREVIEW, asked)
    assert [each["channel"] for each in answer.body["channels"]] == ["aws"]
    aws = channel(answer, "aws")
    assert aws["listing_fee"]["percent"] == "3"
    assert [rule["id"] for rule in aws["listing_fee"]["rules"]] == [
        "aws_private_1m_to_10m",
        "aws_south_korea",
    ]
    (calls,) = (each for each in aws["bill"]["sent"] if each["dimension"] == "calls")
    # 101.25 less 100 included; whole units, the first in the hour that passes 101.
    assert (calls["to_report"], calls["units"], calls["carried"]) == ("1.25", "1", "0.25")
    assert calls["carried_because"] == "fraction"
    (record,) = calls["records"]
    assert record["quantity"] == "1"
    assert aws["bill"]["carried"] == "0.0025"


def test_previews_with_what_could_be_agreed_with_a_buyer(sold: Client) -> None:
    cheaper = {"model": "graduated", "tiers": [{"up_to": "1000", "unit_price": "0.01"}]}
    cheaper["tiers"].append({"unit_price": "0.005"})  # type: ignore[attr-defined]
    overrides = {
        "dimensions": [{"code": "tokens", "price": cheaper}],
        "discounts": [{"id": "deal", "percent": "10", "codes": ["base"]}],
    }
    grant = {"amount": "50", "effective_at": "2026-12-01T00:00:00Z", "codes": ["seats", "base"]}
    asked = {**ASKED, "overrides": overrides, "grants": [grant]}
    answer = sold("POST", PREVIEW, asked)
    assert answer.status == 200, answer
    # 12.5 and 0.6; 99 less 9.9 and 15 make 104.1, less 50 of credits.
    assert answer.body["total"] == "67.2"
    assert [each["kind"] for each in answer.body["credit_movements"]] == ["granted"]
    assert channel(answer, "gcp")["bill"]["charged"] == "67.2"


def test_a_discount_that_a_channels_own_price_cannot_have_is_impossible_there_only(
    sold: Client,
) -> None:
    overrides = {"discounts": [{"id": "deal", "percent": "10"}]}
    usage = [{"dimension": "tokens", "quantity": "1000"}]
    asked = {"plan_code": "native", "usage": usage, "overrides": overrides}
    answer = sold("POST", PREVIEW, asked)
    assert answer.body["total"] == "1.8"
    assert answer.body["starts_at"] == "2026-12-01T00:00:00Z"
    aws, manual = channel(answer, "aws"), channel(answer, "manual")
    assert (aws["possible"], aws["bill"]) == (False, None)
    assert [each["code"] for each in aws["faults"]] == ["not_native"]
    assert (manual["possible"], manual["bill"]["billed"]) == (True, "1.8")


def test_usage_by_group_is_priced_by_group(sold: Client) -> None:
    usage = [
        {"meter_id": "mtr_tokens", "group": {"model": "large"}, "quantity": "10"},
        {"dimension": "tokens", "group": {"model": "small"}, "quantity": "7"},
        {"dimension": "tokens", "quantity": "1"},
    ]
    answer = sold("POST", PREVIEW, {**ASKED, "plan_code": "by_model", "usage": usage, "seats": []})
    assert {tuple(e["group"]): e["net"] for e in answer.body["lines"]} == {
        (): "8",
        ("large",): "20",
    }


def test_a_plan_of_unit_prices_is_previewed_too(call: Client) -> None:
    create_all(call)
    usage = [{"meter_id": "mtr_tokens", "quantity": "1000.5"}]
    answer = call(
        "POST", f"/v1/offerings/{OFFERING['id']}/preview", {"plan_code": "std", "usage": usage}
    )
    bill = channel(answer, "aws")["bill"]
    assert (bill["charged"], bill["billed"], bill["carried"]) == ("2.001", "2", "0.001")


FAULTY: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    ({"plan_code": "gold"}, [("/plan_code", "unknown_plan")]),
    ({"version": 2}, [("/version", "unknown_version")]),
    (
        {
            "usage": [
                {"dimension": "gpu", "quantity": "1"},
                {"meter_id": "mtr_peak", "quantity": "1"},
                {"dimension": "tokens", "quantity": "1", "group": {"zone": "eu"}},
                {"dimension": "calls", "quantity": "1", "group": {"model": "small"}},
                {"meter_id": "mtr_calls", "quantity": "1"},
                {"dimension": "tokens", "quantity": "1", "day": "2027-01-01"},
                {"dimension": "tokens", "quantity": "1", "hour": "2026-11-30T23:00:00Z"},
            ]
        },
        [
            ("/usage/0/dimension", "unknown_code"),
            ("/usage/1/meter_id", "unknown_code"),
            ("/usage/2/group", "unknown_group"),
            ("/usage/3/group", "not_billed"),
            ("/usage/4/group", "not_billed"),
            ("/usage/5/day", "outside_cycle"),
            ("/usage/6/hour", "outside_cycle"),
        ],
    ),
    (
        {
            "usage": [{"dimension": "tokens", "quantity": "1"}] * 14,
            "spread": "hourly",
        },
        [("/usage", "too_much_usage")],
    ),
    (
        {
            "overrides": {"dimensions": [{"code": "gpu"}]},
            "grants": [{"id": "g", "amount": "0", "effective_at": "2026-12-01T00:00:00Z"}],
            "seats": [{"fee_code": "base", "seats": "1"}],
        },
        [
            ("/overrides/dimensions/0/code", "unknown_code"),
            ("/grants/0/amount", "not_positive"),
            ("/seats/0/fee_code", "not_a_seat_fee"),
        ],
    ),
    (
        {"usage": [{"quantity": "1"}, {"quantity": "-1", "dimension": "tokens", "meter_id": "x"}]},
        [("/usage/0", "dimension_or_meter"), ("/usage/1/quantity", "decimal_text")],
    ),
    (
        {
            "usage": [
                {
                    "quantity": "1",
                    "dimension": "tokens",
                    "day": "2026-12-01",
                    "hour": "2026-12-01T00:00:00Z",
                }
            ]
        },
        [("/usage/0", "day_or_hour")],
    ),
    ({"starts_at": "2026-12-01T00:00:00.5Z"}, [("/starts_at", "whole_seconds")]),
]


@pytest.mark.parametrize(("changes", "faults"), FAULTY)
def test_a_preview_that_makes_no_sense_is_refused_with_all_faults(
    sold: Client, changes: dict[str, Any], faults: list[tuple[str, str]]
) -> None:
    answer = sold("POST", PREVIEW, {**ASKED, **changes})
    assert (answer.status, answer.faults) == (422, faults)


def test_an_idempotency_key_makes_a_preview_no_different(sold: Client) -> None:
    first = sold("POST", PREVIEW, ASKED, Idempotency_Key="k1")
    assert sold("POST", PREVIEW, ASKED, Idempotency_Key="k1") == first
    assert first.status == 200
