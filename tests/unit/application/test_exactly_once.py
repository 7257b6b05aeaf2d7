"""Whatever is sent, repeated, reordered, killed or run twice: the same totals, exactly."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from azure_world import AzureWorld
from builders import at
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.metering_record import RecordState
from world import SUBJECTS, World

START = at("2026-11-24T10:03:00")


def usage_event(
    number: int, *, minutes_ago: int = 0, tokens: str = "1", subject: int = 0
) -> UsageEvent:
    return UsageEvent(
        product_id="prd_llm",
        source="app",
        id=f"event-{number}",
        type="llm.request",
        subject=SUBJECTS[subject],
        occurred_at=START - timedelta(minutes=minutes_ago, seconds=number % 60),
        values={"tokens": Decimal(tokens)},
    )


def test_usage_becomes_accepted_records_and_every_statement_balances() -> None:
    world = World(START)
    world.send([usage_event(n, minutes_ago=n * 7, tokens=f"{n}.125") for n in range(40)])
    world.settle_down()
    world.check_books()
    assert world.used("acme") == {
        "requests": Decimal(40),
        "tokens_k": Decimal("785.000"),
        "tokens": Decimal("785.000"),
    }


EVENTS = st.builds(
    usage_event,
    st.integers(0, 60),
    minutes_ago=st.integers(-10, 600),
    tokens=st.decimals(0, 5000, places=7).map(str),
    subject=st.integers(0, 1),
)
SCHEDULES = int(os.environ.get("FAULT_SCHEDULES", "300"))
NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""A history of the whole pipeline takes too long to shrink to be of help."""

SEND = st.tuples(st.just("send"), st.lists(EVENTS, min_size=1, max_size=8))
SCHEDULED = st.sampled_from(["aggregate", "sweep", "drain", "settle_all", "report", "cycle"])
STEPS = st.one_of(
    SEND,
    st.tuples(st.just("resend"), st.integers(0, 20)),
    st.tuples(st.just("run"), SCHEDULED),
    st.tuples(st.just("run"), SCHEDULED),
    st.tuples(st.sampled_from(["lose_answers", "throttle", "leave_undone"]), st.integers(1, 3)),
    st.tuples(st.just("elsewhere"), st.integers(0, 5)),
    st.tuples(st.just("advance"), st.sampled_from([1, 5, 15, 60, 90, 60 * 7, 60 * 25])),
)
INTERRUPTIONS = st.one_of(
    st.none(),
    st.tuples(st.just("kill"), st.integers(0, 60)),
    st.tuples(SCHEDULED, st.integers(0, 60)),
)


@pytest.mark.parametrize("world_of", [World, AzureWorld])
@given(
    SEND,
    st.lists(st.tuples(STEPS, INTERRUPTIONS), min_size=4, max_size=30),
    st.sampled_from(["Success", "DuplicateRecord"]),
)
@settings(max_examples=SCHEDULES, phases=NO_SHRINKING)
def test_any_interleaving_killed_anywhere_gives_the_direct_sum(
    world_of: type[World],
    first: tuple[str, object],
    history: list[tuple[tuple[str, object], tuple[str, int] | None]],
    identical_resend: str,
) -> None:
    world = world_of(START, identical_resend=identical_resend)
    sent: dict[tuple[str, str], UsageEvent] = {}
    for (name, argument), interruption in [(first, None), *history]:
        _take(world, sent, name, argument, interruption)
    world.settle_down()
    world.check_books(doubts=True)


def _take(
    world: World,
    sent: dict[tuple[str, str], UsageEvent],
    name: str,
    argument: object,
    interruption: tuple[str, int] | None,
) -> None:
    if name == "send":
        assert isinstance(argument, list)
        # The content of a fact never changes: a producer that keeps its promise.
        facts = [sent.setdefault((e.subject, e.id), e) for e in argument]
        _interrupted(world, lambda: world.send(facts), interruption, again=True)
    elif name == "resend":
        known = sorted(sent.items())
        assert isinstance(argument, int)
        fact = known[argument % len(known)][1]
        _interrupted(world, lambda: world.send([fact]), interruption, again=True)
    elif name == "advance":
        assert isinstance(argument, int)
        world.clock.advance(timedelta(minutes=argument))
    elif name == "elsewhere":
        assert isinstance(argument, int)
        if world.remote is world.aws:
            world.report_elsewhere(SUBJECTS[argument % 2], argument)
    elif hasattr(world.remote, name):
        setattr(world.remote, name, argument)
    elif name == "run":
        _interrupted(world, getattr(world, str(argument)), interruption)


def _interrupted(
    world: World,
    step: Callable[[], None],
    interruption: tuple[str, int] | None,
    *,
    again: bool = False,
) -> None:
    """Run a step, perhaps killed, perhaps with another in the middle of it.

    A client that saw no 202 sends again: that is all it can do, and all it has to do.
    """
    if interruption is None:
        step()
    elif interruption[0] == "kill":
        if world.run_killed(step, interruption[1]) and again:
            step()
    else:
        world.run_overlapped(step, interruption[1], getattr(world, interruption[0]))


@pytest.mark.parametrize("kill_at", range(60))
def test_a_cycle_killed_at_any_call_is_made_good_by_the_next(kill_at: int) -> None:
    world = World(START)
    world.send([usage_event(n, minutes_ago=60 + n * 9, tokens=f"{n}.5") for n in range(20)])
    world.run_killed(world.cycle, kill_at)
    world.settle_down()
    world.check_books()


@pytest.mark.parametrize("half_step", range(16))
def test_two_settlements_that_choose_different_hours_do_not_both_commit(half_step: int) -> None:
    world = World(START)
    world.send([usage_event(1, minutes_ago=60 * 30)])
    world.aggregate()
    # The oldest open hour leaves the window while the first settlement is at work.
    world.clock.set(at("2026-11-24T10:59:59"))

    def a_moment_later() -> None:
        world.clock.set(at("2026-11-24T11:00:00"))
        world.settle("agr_acme")

    world.run_overlapped(lambda: world.settle("agr_acme"), half_step, a_moment_later)
    records = world.real_ledger.records("agr_acme")
    assert [(r.key.dimension, r.quantity) for r in records] == [
        ("requests", Decimal(1)),
        ("tokens", Decimal(1)),
    ]


def test_two_reports_at_once_bill_once() -> None:
    for half_step in range(30):
        world = World(START, identical_resend="DuplicateRecord")
        world.send([usage_event(n, minutes_ago=60 + 30 * n) for n in range(6)])
        world.sweep()
        world.drain()
        world.run_overlapped(world.report, half_step, world.report)
        world.settle_down()
        world.check_books()


def test_a_report_killed_after_the_call_and_before_the_save_is_accepted_on_the_resend() -> None:
    world = World(START, identical_resend="DuplicateRecord")
    world.send([usage_event(1, minutes_ago=90)])
    world.sweep()
    world.drain()
    world.aws.lose_answers = 1
    world.report()
    assert {r.state for r in world.real_ledger.records("agr_acme")} == {RecordState.SUBMITTED}
    world.report()
    assert {r.state for r in world.real_ledger.records("agr_acme")} == {RecordState.ACCEPTED}
    world.check_books()


def test_an_answer_lost_until_the_window_closed_is_never_billed_a_second_time() -> None:
    world = World(START)
    world.send([usage_event(1, minutes_ago=90)])
    world.sweep()
    world.drain()
    world.aws.lose_answers = 1
    world.report()
    world.clock.advance(timedelta(hours=30))
    world.settle_down()
    assert {r.state for r in world.real_ledger.records("agr_acme")} == {RecordState.CONFLICTED}
    world.check_books(doubts=True)


def test_a_marketplace_down_for_thirty_hours_loses_nothing() -> None:
    world = World(START)
    world.send([usage_event(n, minutes_ago=60 + 30 * n) for n in range(6)])
    world.aws.refuse = "ThrottlingException"
    for _ in range(60):
        world.clock.advance(timedelta(minutes=30))
        world.cycle()
    world.aws.refuse = ""
    world.settle_down()
    world.check_books()


def test_a_stream_lost_for_a_day_is_made_good_by_the_sweep() -> None:
    world = World(START)
    for hour in range(24):
        world.send([usage_event(hour * 10 + n, minutes_ago=-60 * hour + n) for n in range(5)])
        world.clock.advance(timedelta(hours=1))
    world.settle_down()
    world.check_books()
    assert world.used("acme")["requests"] == Decimal(120)
