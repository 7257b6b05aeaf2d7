"""The demo's verdict: it must find each way in which a bill can be wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from sandbox.demo.books import BookLine, Sold, oddities
from sandbox.demo.clouds import clouds_of
from sandbox.demo.outcome import Outcome, Traffic
from sandbox.demo.seller import DIMENSIONS
from sandbox.marketplaces.billed import BilledRecord, totals
from sandbox.marketplaces.client import Bill, SandboxControl

HOUR = datetime(2026, 11, 24, 11, tzinfo=UTC)
CLOUDS = clouds_of(SandboxControl("http://127.0.0.1:9"), "demo")
SOLD = [Sold("customer-01", "azure", "agr-customer-01", "res-1")]
BY_CODE = {dimension.code: dimension for dimension in DIMENSIONS}


def line(channel: str = "aws", code: str = "long_requests_x10", **changes: Any) -> BookLine:
    """47 long requests, of which 40 make four units."""
    good = BookLine(
        channel=channel,
        customer="customer-01",
        dimension=BY_CODE[code],
        expected=Decimal(47),
        metered=Decimal(47),
        reported=Decimal(40),
        billed=Decimal(40),
        carried=Decimal(7),
        unfinished=Decimal(0),
        balanced=True,
    )
    return replace(good, **changes)


def outcome(**changes: Any) -> Outcome:
    good = Outcome(
        clouds=CLOUDS,
        lines=[line(channel) for channel in CLOUDS],
        traffic=Traffic(12, 12, 2, 2, 0, 0),
        records=dict.fromkeys(CLOUDS, 3),
        oddities=[],
        seconds=1.25,
    )
    return replace(good, **changes)


def record(**changes: Any) -> BilledRecord:
    good = BilledRecord(
        marketplace="azure",
        region="global",
        agreement="res-1",
        buyer="",
        product="demo",
        dimension="requests",
        hour=HOUR,
        used_at=HOUR,
        quantity=Decimal(1),
        record_id="1",
        received_at=HOUR,
    )
    return replace(good, **changes)


def bill(*records: BilledRecord) -> Bill:
    return Bill(records, tuple(totals(records)), (), {})


def test_a_line_is_right_when_all_but_a_fraction_of_a_unit_was_billed() -> None:
    assert line().right


@pytest.mark.parametrize(
    "changes",
    [
        {"expected": Decimal(48)},
        {"metered": Decimal(48)},
        {"billed": Decimal(30)},
        {"reported": Decimal(50), "billed": Decimal(50), "carried": Decimal(-3)},
        {"reported": Decimal(30), "billed": Decimal(30), "carried": Decimal(17)},
        {"unfinished": Decimal(10)},
        {"balanced": False},
    ],
    ids=["lost", "made-up", "not-billed", "too-much", "held-back", "under-way", "unbalanced"],
)
def test_a_line_is_wrong_when_anything_does_not_agree(changes: dict[str, Any]) -> None:
    assert not line(**changes).right


def test_a_decimal_dimension_carries_nothing() -> None:
    assert not line(code="context_tokens_k").right


@pytest.mark.parametrize(
    "changes",
    [
        {"lines": [line("aws"), line("azure"), line("gcp", billed=Decimal(30))]},
        {"records": {"aws": 3, "azure": 3}},
        {"traffic": Traffic(12, 11, 2, 2, 0, 0)},
        {"traffic": Traffic(12, 12, 1, 2, 0, 0)},
        {"traffic": Traffic(12, 12, 2, 2, 1, 0)},
        {"traffic": Traffic(12, 12, 2, 2, 0, 1)},
        {"oddities": ["azure billed a stranger"]},
    ],
    ids=["line", "silent-cloud", "refused", "repeats", "conflict", "unmatched", "oddity"],
)
def test_one_thing_wrong_makes_the_demo_fail(changes: dict[str, Any]) -> None:
    assert outcome().right
    wrong = outcome(**changes)
    assert not wrong.right
    assert wrong.to_json()["right"] is False


def test_what_nobody_should_be_billed_is_found() -> None:
    stray, moved = record(agreement="res-2"), record(marketplace="gcp", record_id="2")
    assert oddities(SOLD, bill(record())) == []
    assert oddities(SOLD, bill(stray)) == ["azure billed res-2 for requests"]
    assert oddities(SOLD, bill(moved)) == ["gcp billed res-1 for requests"]
    assert oddities(SOLD, bill(record(quantity=Decimal(0)))) == ["azure was sent a zero for res-1"]
    (twice,) = oddities(SOLD, bill(record(), record(record_id="2")))
    assert twice.startswith("billed 2 times: ")


def test_the_table_and_the_json_show_each_cloud_and_the_sum() -> None:
    found = outcome()
    shown = found.table()
    assert [shown.count(cloud.title) for cloud in CLOUDS.values()] == [1, 1, 1]
    assert "✗" not in shown
    assert outcome(lines=[line(balanced=False)]).table().count("✗") == 1
    written = found.to_json()
    assert written["quantities"] == {
        "long_requests": {"csv": "141", "metered": "141", "accepted": "120", "carried": "21"}
    }
    assert {channel: one["right"] for channel, one in written["clouds"].items()} == {
        "aws": True,
        "azure": True,
        "gcp": True,
    }
    assert written["clouds"]["azure"]["quantities"]["long_requests"] == {
        "csv": "47",
        "metered": "47",
        "reported": "40",
        "billed": "40",
        "carried": "7",
    }
