"""Previews over HTTP: what supposed usage costs, and what is refused with all faults at once."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from api_setup import OFFERING, Api, create_all
from http_api import Answer, Client
from offering_terms import create_catalog
from previewed_offering import sell_plans

PREVIEW = "/v1/offerings/off_terms/preview"
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
    return sell_plans(call)


def channel(answer: Answer, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(e for e in answer.body["channels"] if e["channel"] == name)
    return found


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


DOCS = (Path(__file__).parents[3] / "docs" / "api.md").read_text()


def test_the_documented_preview_comes_to_what_the_documentation_says(call: Client) -> None:
    sent, shown = (json.loads(text) for text in re.findall(r"```json\n(.*?)```", DOCS, re.DOTALL))
    create_catalog(call)
    assert call("POST", "/v1/offerings", sent).status == 201
    answer = call("POST", "/v1/offerings/off_ai/preview", shown)
    section = DOCS.partition("| `channels[]` |")[2].partition("\n\n")[0]
    rows = [
        [cell.strip(" `") for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line.startswith("| `")
    ]
    names = ("charged", "billed", "carried", "fee", "net")
    assert rows == [
        [each["channel"], *(each["bill"][name] or "" for name in names)]
        for each in answer.body["channels"]
    ]


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
