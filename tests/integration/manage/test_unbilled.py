"""Usage that nothing bills, over HTTP: what is listed, to whom, and where else it would be."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from api_setup import AGREEMENT, DIMENSION, OFFERING, Api, create_all
from builders import at
from http_api import Client
from meterbridge.application.fold_partitions import fold_partition
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.usage_log import pack_events

DAY = "product_id=prd_llm&start=2026-11-24T00:00:00Z&end=2026-11-25T00:00:00Z"
LISTED = f"/v1/usage/unbilled?{DAY}"


def send(api: Api, *events: tuple[str, str, str, Any]) -> None:
    """(customer, time, model, tokens), folded."""
    services = api.services
    sent = [
        UsageEvent(
            "prd_llm",
            "app",
            str(n),
            "completion",
            who,
            at(when),
            {"tokens": tokens, "model": model},
        )
        for n, (who, when, model, tokens) in enumerate(events)
    ]
    plan = services.registry.shard_plan()
    services.usage_log.append(pack_events(sent, plan), api.clock.now())
    for partition in services.usage_log.partitions():  # type: ignore[attr-defined]
        fold_partition(
            partition,
            log=services.usage_log,
            usage=services.usage,
            registry=services.registry,
            clock=api.clock,
        )


@pytest.fixture
def used(api: Api) -> Client:
    """A reader; acme's plan takes one model, globex has no agreement, "nobody" is not known."""
    admin = api.client()
    create_all(admin)
    small = {**DIMENSION, "group": {"model": "small"}}
    plans = [{"code": "std", "dimensions": [small]}]
    admin("POST", "/v1/offerings", {**OFFERING, "id": "off_small", "plans": plans})
    for name in ("globex", "initech"):
        admin("POST", "/v1/customers", {"id": name})
    terms = {"channel": "manual", "aws": None, "starts_at": "2026-11-24T09:00:00Z"}
    made = admin(
        "POST",
        "/v1/agreements",
        {**AGREEMENT, **terms, "id": "agr_2", "customer_id": "globex", "offering_id": "off_small"},
    )
    assert made.status == 201
    send(
        api,
        ("acme", "2026-11-24T10:00", "large", 5),
        ("globex", "2026-11-24T08:59", "small", 7),
        ("globex", "2026-11-24T09:00", "small", 11),
        ("globex", "2026-11-24T09:10", "large", Decimal("0.10")),
        ("globex", "2026-11-24T11:10", "large", Decimal("0.20")),
        ("initech", "2026-11-24T10:00", "small", 10**25),
        ("nobody", "2026-11-24T10:00", "small", 3),
    )
    return api.client(scopes="read")


def test_what_no_dimension_bills_is_listed_with_its_reason(used: Client) -> None:
    assert used("GET", LISTED).body == {
        "items": [
            {
                "customer_id": "globex",
                "meter_id": "mtr_tokens",
                "group": {"model": "large"},
                "agreement_id": "agr_2",
                "reason": "no_dimension",
                "quantity": "0.3",
                "first_hour": "2026-11-24T09:00:00Z",
                "last_hour": "2026-11-24T11:00:00Z",
            },
            {
                "customer_id": "globex",
                "meter_id": "mtr_tokens",
                "group": {"model": "small"},
                "agreement_id": None,
                "reason": "no_agreement",
                "quantity": "7",
                "first_hour": "2026-11-24T08:00:00Z",
                "last_hour": "2026-11-24T08:00:00Z",
            },
            {
                "customer_id": "initech",
                "meter_id": "mtr_tokens",
                "group": {"model": "small"},
                "agreement_id": None,
                "reason": "no_agreement",
                "quantity": "10000000000000000000000000",
                "first_hour": "2026-11-24T10:00:00Z",
                "last_hour": "2026-11-24T10:00:00Z",
            },
        ],
        "next_cursor": None,
    }


def test_the_statement_and_the_list_add_up_to_what_was_used(used: Client) -> None:
    usage = used("GET", f"/v1/usage?{DAY}&customer_id=globex&window=day").body["items"]
    statement = used("GET", "/v1/agreements/agr_2/statement?period=2026-11").body
    listed = used("GET", f"{LISTED}&customer_id=globex").body["items"]
    billed = sum(Decimal(line["metered"]) for line in statement["lines"])
    assert billed == 11
    assert billed + sum(Decimal(each["quantity"]) for each in listed) == sum(
        Decimal(each["quantity"]) for each in usage
    )


def test_the_list_continues_page_by_page(used: Client) -> None:
    everything = used("GET", LISTED).body["items"]
    paged, cursor = [], ""
    for _ in everything:
        page = used("GET", f"{LISTED}&limit=1&cursor={cursor}").body
        paged += page["items"]
        cursor = page["next_cursor"]
    assert paged == everything
    assert cursor is None


def test_a_customer_that_is_not_known_is_not_found_here(used: Client) -> None:
    answer = used("GET", f"{LISTED}&customer_id=nobody")
    assert (answer.status, answer.code) == (404, "not_found")
    assert "unmatched" in answer.body["detail"]


def test_a_key_bound_to_another_product_finds_nothing(used: Client) -> None:
    for products in ("prd_b", ""):
        bound = Client(used.resolve, scopes="read", products=products)
        answer = bound("GET", LISTED)
        assert (answer.status, answer.code) == (404, "not_found")
    bound = Client(used.resolve, scopes="read", products="prd_llm")
    assert len(bound("GET", LISTED).body["items"]) == 3
    assert Client(used.resolve, scopes="ingest")("GET", LISTED).status == 403
    assert used("GET", LISTED.replace("prd_llm", "prd_none")).status == 404


@pytest.mark.parametrize(
    ("changed", "faults"),
    [
        ("start=2026-11-24T10:30:00Z&end=2026-11-25T00:00:00Z", [("start", "invalid_range")]),
        ("start=2026-11-25T00:00:00Z&end=2026-11-24T00:00:00Z", [("end", "invalid_range")]),
        ("start=2026-10-01T00:00:00Z&end=2026-11-01T01:00:00Z", [("end", "invalid_range")]),
        (f"{DAY.partition('&')[2]}&cursor=WzFd", [("cursor", "invalid_cursor")]),
        (f"{DAY.partition('&')[2]}&limit=101", [("limit", "less_than_equal")]),
    ],
)
def test_requests_out_of_bounds_are_refused(
    used: Client, changed: str, faults: list[tuple[str, str]]
) -> None:
    answer = used("GET", f"/v1/usage/unbilled?product_id=prd_llm&{changed}")
    assert (answer.status, answer.faults) == (422, faults)
