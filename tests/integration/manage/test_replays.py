"""Replays over HTTP: real usage of one agreement or of all, under other terms."""

from __future__ import annotations

from typing import Any

import pytest

from agreed_setup import create_deal, create_offering
from api_setup import Api
from builders import at
from http_api import Client
from meterbridge.domain.meter_states import SumState
from meterbridge.domain.partitions import Partition
from meterbridge.domain.usage import FoldHead, FoldPosition, HourlyUsage
from offering_terms import TERMS, offering

REPLAY = "/v1/offerings/off_terms/replay"
CHEAPER = {
    "code": "tokens",
    "price": {
        "model": "graduated",
        "tiers": [{"up_to": "1000", "unit_price": "0.01"}, {"unit_price": "0.005"}],
    },
}
NOVEMBER = {"period": "2026-11"}


def use(api: Api, customer_id: str, hour: str, tokens: int) -> None:
    """What an hour's tokens of one model come to."""
    moment, position = at(hour), FoldPosition(1, 1)
    states: Any = {"mtr_tokens": {("large",): SumState(tokens)}}
    row = HourlyUsage("prd_llm", customer_id, moment, states, position, moment, moment)
    head = FoldHead(Partition(moment, 0), position, "", moment, moment, 1, 0, 0)
    api.services.usage.advance(head, [row])


@pytest.fixture
def used(api: Api) -> Client:
    """Two buyers of November: 1,500 tokens, and 300 by hand; both at 0.02, from 1,000 on at 0.01."""
    call = api.client()
    create_offering(call, [{"code": "std", "terms": TERMS}])
    create_deal(call)
    assert call("POST", "/v1/customers", {"id": "globex"}).status == 201
    by_hand = {"channel": "manual", "aws": None, "id": "agr_2", "customer_id": "globex"}
    create_deal(call, **by_hand)
    use(api, "acme", "2026-11-03T10", 900)
    use(api, "acme", "2026-11-20T10", 600)
    use(api, "globex", "2026-11-21T10", 300)
    return api.client(scopes="read")


def test_one_agreement_line_by_line_under_overrides(used: Client) -> None:
    body = {**NOVEMBER, "agreement_id": "agr_1", "overrides": {"dimensions": [CHEAPER]}}
    answer = used("POST", REPLAY, body)
    assert answer.status == 200, answer
    found = answer.body
    assert (found["start"], found["end"]) == ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")
    assert found["next_cursor"] is None
    (item,) = found["items"]
    # 1000 at 0.02 and 500 at 0.01; then 1000 at 0.01 and 500 at 0.005.
    assert (item["before"], item["after"], item["difference"]) == ("25", "12.5", "-12.5")
    (line,) = item["lines"]
    assert (line["before"]["net"], line["after"]["net"], line["difference"]) == (
        "25",
        "12.5",
        "-12.5",
    )
    assert [(e["tier"], e["quantity"], e["amount"]) for e in line["after"]["parts"]] == [
        (1, "1000", "10"),
        (2, "500", "2.5"),
    ]
    assert item["rated_from"] == "2026-11-01T00:00:00Z"
    assert found["totals"] == [
        {
            "currency": "USD",
            "agreements": 1,
            "before": "25",
            "after": "12.5",
            "difference": "-12.5",
        }
    ]


def test_all_agreements_under_the_next_version(api: Api, used: Client) -> None:
    flat = {**TERMS["dimensions"][0], "price": {"model": "per_unit", "unit_price": "0.015"}}
    plans = [{"code": "std", "terms": {"dimensions": [flat]}}]
    body = {"name": "Next", "plans": plans}
    assert api.client()("POST", "/v1/offerings/off_terms/versions", body).status == 201
    found = used("POST", REPLAY, {**NOVEMBER, "version": 2}).body
    assert [(e["agreement_id"], e["before"], e["after"]) for e in found["items"]] == [
        ("agr_1", "25", "22.5"),
        ("agr_2", "6", "4.5"),
    ]
    (total,) = found["totals"]
    assert (total["agreements"], total["difference"]) == (2, "-4")
    first = used("POST", f"{REPLAY}?limit=1", {**NOVEMBER, "version": 2}).body
    assert [each["agreement_id"] for each in first["items"]] == ["agr_1"]
    url = f"{REPLAY}?limit=1&cursor={first['next_cursor']}"
    rest = used("POST", url, {**NOVEMBER, "version": 2}).body
    assert [each["agreement_id"] for each in rest["items"]] == ["agr_2"]
    assert (rest["totals"][0]["difference"], rest["next_cursor"]) == ("-1.5", None)


def test_the_same_version_makes_no_difference(used: Client) -> None:
    found = used("POST", REPLAY, {**NOVEMBER, "version": 1, "plan_code": "std"}).body
    assert {each["difference"] for each in found["items"]} == {"0"}
    assert all(line["before"] == line["after"] for each in found["items"] for line in each["lines"])


def test_a_span_begins_within_a_cycle_and_the_default_is_the_last_month(used: Client) -> None:
    span = {"start": "2026-11-20T00:00:00Z", "end": "2026-11-21T00:00:00Z"}
    (item,) = used("POST", REPLAY, {**span, "agreement_id": "agr_1"}).body["items"]
    # 900 came before: 100 at 0.02 and 500 at 0.01.
    assert item["before"] == "7"
    assert used("POST", REPLAY, {}).body == {
        "next_cursor": None,
        "offering_id": "off_terms",
        "start": "2026-10-01T00:00:00Z",
        "end": "2026-11-01T00:00:00Z",
        "items": [],
        "totals": [],
    }


def test_an_agreement_that_cannot_be_rated_so_says_why_and_is_in_no_total(
    api: Api, used: Client
) -> None:
    annual = [{"code": "std", "terms": {**TERMS, "cycle": "annual"}}]
    body = {"name": "Annual", "plans": annual}
    assert api.client()("POST", "/v1/offerings/off_terms/versions", body).status == 201
    found = used("POST", REPLAY, {**NOVEMBER, "version": 2}).body
    assert {(e["refused"], e["detail"]) for e in found["items"]} == {
        ("other_cycle_or_currency", "an agreement keeps its currency and its cycle")
    }
    assert found["totals"] == []


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({"agreement_id": "agr_9"}, [("/agreement_id", "unknown_agreement")]),
        ({"version": 2}, [("/version", "unknown_version")]),
        ({"version": 1, "plan_code": "gold"}, [("/plan_code", "unknown_plan")]),
        ({"period": "2026-13"}, [("/period", "string_pattern_mismatch")]),
        ({"start": "2026-11-01T00:00:00Z"}, [("", "start_and_end")]),
        (
            {
                **NOVEMBER,
                "start": "2026-11-01T00:00:00Z",
                "end": "2026-11-02T00:00:00Z",
            },
            [("", "period_or_span")],
        ),
        (
            {"start": "2026-08-01T00:00:00Z", "end": "2026-11-02T00:00:00Z"},
            [("/end", "invalid_range")],
        ),
        (
            {
                "version": 1,
                "plan_code": "std",
                "overrides": {"dimensions": [{"code": "gpu"}]},
            },
            [("/overrides/dimensions/0/code", "unknown_code")],
        ),
        ({"terms": {}}, [("/terms", "extra_forbidden")]),
    ],
)
def test_a_replay_that_makes_no_sense_is_refused_with_all_faults(
    used: Client, body: dict[str, Any], faults: list[tuple[str, str]]
) -> None:
    answer = used("POST", REPLAY, body)
    assert (answer.status, answer.faults) == (422, faults)


def test_an_agreement_of_another_offering_or_product_is_not_replayed(
    api: Api, used: Client
) -> None:
    admin = api.client()
    assert admin("POST", "/v1/offerings", offering(id="off_other")).status == 201
    answer = used("POST", "/v1/offerings/off_other/replay", {"agreement_id": "agr_1"})
    assert answer.faults == [("/agreement_id", "other_offering")]
    assert used("POST", "/v1/offerings/off_none/replay", {}).status == 404
    stranger = api.client(products="prd_other")
    assert stranger("POST", REPLAY, NOVEMBER).status == 404


def test_a_replay_writes_nothing(api: Api, used: Client) -> None:
    before = (api.registry.agreement("agr_1"), api.services.ledger.head("agr_1"))
    assert used("POST", REPLAY, {**NOVEMBER, "overrides": {}}).status == 200
    assert (api.registry.agreement("agr_1"), api.services.ledger.head("agr_1")) == before
    assert api.services.ledger.records("agr_1") == []
