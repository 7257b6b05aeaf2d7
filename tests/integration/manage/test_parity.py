"""Parity over HTTP: each plan on each channel, page by page, and net prices."""

from __future__ import annotations

import pytest

from api_setup import Api
from http_api import Client
from offering_terms import TERMS
from previewed_offering import PLANS, sell_plans

PARITY = "/v1/offerings/off_terms/parity"


@pytest.fixture
def sold(call: Client) -> Client:
    return sell_plans(call)


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
            "source": "AWS Marketplace Catalog API, UsageBasedPricingTerm",
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
    preview = {"plan_code": "std", "usage": []}
    assert sold("POST", "/v1/offerings/off_terms/preview", preview).status == 200
    assert stranger("POST", "/v1/offerings/off_terms/preview", preview).status == 404
