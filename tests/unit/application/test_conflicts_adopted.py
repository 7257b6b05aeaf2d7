"""Somebody else reported for our hour, and the marketplace says how much: nothing is lost or doubled."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from azure_world import AzureWorld
from builders import at
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.metering_record import MeteringRecord, RecordState
from meterbridge.domain.statement import Bucket
from world import DIMENSIONS

START = at("2026-11-24T10:03:00")
HOUR = at("2026-11-24T09:00:00")


def requests(count: int, *, minutes_ago: int = 30, first: int = 0) -> list[UsageEvent]:
    return [
        UsageEvent(
            product_id="prd_llm",
            source="app",
            id=f"{first + number}",
            type="llm.request",
            subject="acme",
            occurred_at=START - timedelta(minutes=minutes_ago),
            values={"tokens": "0"},
        )
        for number in range(count)
    ]


def of_requests(world: AzureWorld) -> list[tuple[RecordState, Decimal, Decimal | None]]:
    records: list[MeteringRecord] = world.real_ledger.records("agr_acme")
    return [
        (record.state, record.quantity, record.accepted_quantity)
        for record in records
        if record.key.dimension == "requests"
    ]


def taken_by_hand(quantity: str) -> AzureWorld:
    """Five requests in an hour for which somebody else has reported."""
    world = AzureWorld(START)
    world.send(requests(5))
    world.report_by_hand("acme", "requests", HOUR, quantity)
    world.settle_down()
    return world


def test_too_little_by_hand_is_made_up_in_the_next_hour() -> None:
    world = taken_by_hand("3")
    assert of_requests(world) == [
        (RecordState.CONFLICTED, Decimal(5), Decimal(3)),
        (RecordState.ACCEPTED, Decimal(2), None),
    ]
    assert sum(world.bill("acme").values()) == 5
    world.check_adopted_books()


def test_too_much_by_hand_is_made_up_by_later_usage() -> None:
    world = taken_by_hand("8")
    assert of_requests(world) == [(RecordState.CONFLICTED, Decimal(5), Decimal(8))]
    world.check_adopted_books()
    world.send(requests(4, minutes_ago=-180, first=10))
    world.settle_down()
    assert of_requests(world)[1:] == [(RecordState.ACCEPTED, Decimal(1), None)]
    assert sum(world.bill("acme").values()) == 9
    world.check_adopted_books()


def test_the_same_by_hand_is_our_own() -> None:
    world = taken_by_hand("5")
    assert of_requests(world) == [(RecordState.ACCEPTED, Decimal(5), Decimal(5))]
    world.check_books()


def test_the_books_balance_while_no_settlement_knows_the_figure_yet() -> None:
    world = AzureWorld(START)
    world.send(requests(5))
    world.sweep()
    world.clock.advance(timedelta(minutes=15))
    world.cycle()
    world.report_by_hand("acme", "requests", at("2026-11-24T10:00:00"), "1")
    world.send(requests(4, minutes_ago=-10, first=10))
    world.clock.set(at("2026-11-24T11:20:00"))
    world.cycle()
    line = world.statements("acme")[-1].lines[0]
    assert line.balanced
    assert {bucket: part for bucket, part in line.buckets.items() if part} == {
        Bucket.ACCEPTED: 5,
        Bucket.CONFLICTED: 4,
    }
    assert list(world.ledger.waiting()) == ["agr_acme"]


@pytest.mark.parametrize("half_step", range(24))
def test_a_settlement_in_the_middle_of_the_report_sees_one_figure_or_the_other(
    half_step: int,
) -> None:
    world = AzureWorld(START)
    world.send(requests(5))
    world.report_by_hand("acme", "requests", HOUR, "2")
    world.clock.advance(timedelta(minutes=15))
    world.sweep()
    world.drain()
    world.run_overlapped(world.report, half_step, lambda: world.settle("agr_acme"))
    world.run_overlapped(
        lambda: world.settle("agr_acme"), half_step, lambda: world.settle("agr_acme")
    )
    world.settle_down()
    assert sum(world.bill("acme").values()) == 5
    world.check_adopted_books()


SEND = st.tuples(st.just("send"), st.integers(1, 6), st.integers(-60, 600))
BY_HAND = st.tuples(
    st.just("by hand"), st.integers(0, 10), st.sampled_from(DIMENSIONS), st.integers(1, 7)
)
RUN = st.tuples(
    st.just("run"),
    st.sampled_from(["sweep", "drain", "settle_all", "report", "cycle"]),
    st.none() | st.integers(0, 40),
)
ADVANCE = st.tuples(st.just("advance"), st.sampled_from([5, 15, 60, 180]))
LOSE = st.tuples(st.just("lose answers"), st.integers(1, 2))


@given(st.lists(st.one_of(SEND, BY_HAND, RUN, RUN, ADVANCE, LOSE), min_size=4, max_size=24))
@settings(max_examples=150, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
def test_whoever_else_reports_and_wherever_we_are_killed_every_unit_is_accounted_for(
    history: list[tuple[object, ...]],
) -> None:
    world, sent = AzureWorld(START), 0
    for name, *arguments in history:
        match name, arguments:
            case "send", [int(count), int(minutes_ago)]:
                world.send(requests(count, minutes_ago=minutes_ago, first=sent))
                sent += count
            case "by hand", [int(hours_ago), dimension, int(quantity)]:
                hour = world.clock.now().replace(minute=0) - timedelta(hours=hours_ago)
                world.report_by_hand("acme", dimension.code, hour, str(quantity))
            case "run", [step, kill_at]:
                world.run_killed(getattr(world, str(step)), kill_at)
            case "advance", [int(minutes)]:
                world.clock.advance(timedelta(minutes=minutes))
            case "lose answers", [int(count)]:
                world.remote.lose_answers = count
    world.settle_down()
    world.check_adopted_books()
