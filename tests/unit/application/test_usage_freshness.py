"""Freshness: all usage received before the moment it names is counted, whatever ran and failed."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from builders import at
from meterbridge.application.close_windows import UNREADABLE
from meterbridge.application.usage_freshness import UsageFreshness, usage_freshness
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.partitions import Partition
from meterbridge.domain.usage_log import StoredSegment
from world import SUBJECTS, World

NOW = at("2026-11-24T12:20:00")
NOTHING = timedelta(0)


def usage_event(number: int, moment: datetime, subject: str = "acme") -> UsageEvent:
    return UsageEvent(
        "prd_llm", "app", f"event-{number}", "llm.request", subject, moment, {"tokens": 5}
    )


def freshness(world: World) -> UsageFreshness:
    return usage_freshness(log=world.real_log, usage=world.usage, now=world.clock.now())


def partition_of(world: World, moment: datetime, subject: str = "acme") -> Partition:
    return world.real_registry.shard_plan().partition_of("prd_llm", subject, moment)


def test_before_anything_was_sent_all_is_counted() -> None:
    world = World(NOW)
    assert freshness(world) == UsageFreshness(NOW, NOTHING, None)
    world.sweep()
    assert freshness(world) == UsageFreshness(NOW, NOTHING, None)


def test_usage_is_behind_since_its_receipt_until_it_is_folded() -> None:
    world = World(NOW)
    moment = at("2026-11-24T12:19:30")
    world.send([usage_event(1, moment)])
    world.clock.advance(timedelta(seconds=90))
    world.send([usage_event(2, moment, "globex")])
    world.clock.advance(timedelta(seconds=30))
    expected = UsageFreshness(NOW, timedelta(minutes=2), partition_of(world, moment))
    assert freshness(world) == expected
    world.aggregate()
    assert freshness(world) == UsageFreshness(world.clock.now(), NOTHING, None)


def test_what_came_after_a_fold_is_behind_and_what_came_before_is_not() -> None:
    world = World(NOW)
    moment = at("2026-11-24T12:19:30")
    world.send([usage_event(1, moment)])
    world.aggregate()
    world.clock.advance(timedelta(minutes=7))
    world.send([usage_event(2, moment)])
    world.clock.advance(timedelta(minutes=9))
    found = freshness(world)
    assert (found.counted_through, found.behind) == (
        at("2026-11-24T12:27:00"),
        timedelta(minutes=9),
    )


def test_usage_of_a_closed_hour_that_no_sweep_has_folded_is_behind() -> None:
    world = World(NOW)
    world.sweep()
    world.send([usage_event(1, at("2026-11-10T08:00:00"))])
    world.clock.advance(timedelta(hours=30))
    assert freshness(world).behind == timedelta(hours=30)
    world.sweep()
    assert freshness(world).behind == NOTHING


def test_a_partition_that_cannot_be_read_is_behind_though_the_sweep_has_moved_on() -> None:
    world = World(NOW)
    moment = at("2026-11-24T11:30:00")
    world.send([usage_event(1, moment)])
    broken = partition_of(world, moment)
    segments = world.real_log._segments[broken]
    whole = dict(segments)
    for sk, segment in whole.items():
        segments[sk] = StoredSegment(broken, sk, segment.received_at, segment.body[:-1])
    for _ in range(3):
        world.clock.advance(timedelta(minutes=20))
        world.sweep()
    assert world.usage.cursor(UNREADABLE) == str(broken)
    assert freshness(world) == UsageFreshness(NOW, timedelta(hours=1), broken)
    segments.update(whole)
    world.sweep()
    assert freshness(world).behind == NOTHING


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("send"),
            st.lists(
                st.tuples(st.integers(-10, 300), st.sampled_from(SUBJECTS)), min_size=1, max_size=3
            ),
        ),
        st.tuples(st.just("aggregate"), st.none()),
        st.tuples(st.just("sweep"), st.none()),
        st.tuples(st.just("killed sweep"), st.integers(0, 30)),
        st.tuples(st.just("advance"), st.integers(1, 120)),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(steps=STEPS)
def test_everything_received_before_that_moment_is_in_the_hourly_quantities(
    steps: list[tuple[str, object]],
) -> None:
    world = World(NOW)
    received: list[tuple[datetime, str]] = []
    cut_short = False
    for name, detail in steps:
        now = world.clock.now()
        if name == "send":
            for minutes_ago, subject in detail:  # type: ignore[attr-defined]
                moment = now - timedelta(minutes=minutes_ago)
                world.send([usage_event(len(received), moment, subject)])
                received.append((now, subject))
        elif name == "aggregate":
            world.aggregate()
            cut_short = False
        elif name == "sweep":
            world.sweep()
            cut_short = False
        elif name == "killed sweep":
            cut_short |= world.run_killed(world.sweep, detail)  # type: ignore[arg-type]
        else:
            world.clock.advance(timedelta(minutes=detail))  # type: ignore[arg-type]
        found = freshness(world)
        assert found.counted_through <= world.clock.now()
        for subject in SUBJECTS:
            due = sum(1 for at_, who in received if who == subject and at_ < found.counted_through)
            assert counted(world, subject) >= due
        # A fold that was killed may have stored its rows and not that it did: that counts as behind.
        if not cut_short and counted(world, "acme") + counted(world, "globex") == len(received):
            assert found.behind == NOTHING


def counted(world: World, subject: str) -> Decimal:
    """Requests in the hourly quantities."""
    rows = world.usage.hourly("prd_llm", subject, NOW - timedelta(days=2), NOW + timedelta(days=9))
    states = (state for row in rows for state in row.meters.get("mtr_requests", {}).values())
    return sum((state.quantity for state in states), Decimal(0))
