"""Whatever is sent, repeated, reordered, killed or run twice: the same totals, exactly."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import at
from meterbridge.domain.events import UsageEvent
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
STEPS = st.one_of(
    st.tuples(st.just("send"), st.lists(EVENTS, min_size=1, max_size=8)),
    st.tuples(st.just("resend"), st.integers(0, 20)),
    st.tuples(st.just("aggregate"), st.none()),
    st.tuples(st.just("sweep"), st.none()),
    st.tuples(st.just("drain"), st.none()),
    st.tuples(st.just("settle"), st.integers(0, 1)),
    st.tuples(st.just("report"), st.none()),
    st.tuples(st.just("lose answers"), st.integers(1, 3)),
    st.tuples(st.just("advance"), st.integers(1, 90)),
)
KILLS = st.one_of(st.none(), st.integers(0, 40))


@given(st.lists(st.tuples(STEPS, KILLS), min_size=3, max_size=40))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_interleaving_killed_anywhere_gives_the_direct_sum(
    history: list[tuple[tuple[str, object], int | None]],
) -> None:
    world = World(START)
    sent: dict[tuple[str, str], list[UsageEvent]] = {}
    for (name, argument), kill_at in history:
        _take(world, sent, name, argument, kill_at)
    world.settle_down()
    world.check_books()


def _take(
    world: World,
    sent: dict[tuple[str, str], list[UsageEvent]],
    name: str,
    argument: object,
    kill_at: int | None,
) -> None:
    if name == "send":
        assert isinstance(argument, list)
        # The content of a fact never changes: a producer that keeps its promise.
        fresh = [sent.setdefault((e.subject, e.id), [e])[0] for e in argument]
        _send(world, fresh, kill_at)
    elif name == "resend":
        known = sorted(sent.items())
        assert isinstance(argument, int)
        if known:
            _send(world, known[argument % len(known)][1], kill_at)
    elif name == "advance":
        assert isinstance(argument, int)
        world.clock.advance(timedelta(minutes=argument))
    elif name == "lose answers":
        assert isinstance(argument, int)
        world.aws.lose_answers = argument
    elif name == "settle":
        assert isinstance(argument, int)
        agreement_id = f"agr_{SUBJECTS[argument]}"
        world.run_killed(lambda: world.settle(agreement_id), kill_at)
    else:
        world.run_killed(getattr(world, name), kill_at)


def _send(world: World, events: list[UsageEvent], kill_at: int | None) -> None:
    """A client that saw no 202 sends again: that is all it can do, and all it has to do."""
    if world.run_killed(lambda: world.send(events), kill_at):
        world.send(events)


@pytest.mark.parametrize("kill_at", range(60))
def test_a_cycle_killed_at_any_call_is_made_good_by_the_next(kill_at: int) -> None:
    world = World(START)
    world.send([usage_event(n, minutes_ago=60 + n * 9, tokens=f"{n}.5") for n in range(20)])
    world.run_killed(world.cycle, kill_at)
    world.settle_down()
    world.check_books()
