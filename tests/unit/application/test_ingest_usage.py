"""Ingest: what is counted as accepted is durable, and a repeated request loses and adds nothing."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOON, at
from fakes.clock import FakeClock
from fakes.usage_log import FakeUsageLog
from meterbridge.application.ingest_usage import IngestResult, ShardPlans, ingest_usage
from meterbridge.domain.errors import InvalidInputError, StoreUnavailableError
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.partitions import Partition, ShardPlan
from meterbridge.domain.usage_log import decode

PRODUCTS = frozenset({"prd_a"})
SIXTEEN = ShardPlan().changed(16, at("2026-11-24T15"), now=NOON)


class PlanSource:
    """A registry that holds nothing but the shard plan."""

    def __init__(self, plan: ShardPlan | None = None) -> None:
        self.plan = plan or ShardPlan()
        self.reads = 0
        self.fails = False

    def shard_plan(self) -> ShardPlan:
        self.reads += 1
        if self.fails:
            raise StoreUnavailableError("set to fail")
        return self.plan


def sent(number: int = 0, **changes: Any) -> dict[str, Any]:
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": str(UUID(int=number)),
        "source": "//gateway",
        "type": "call",
        "subject": f"cust_{number % 7}",
        "time": (NOON - timedelta(minutes=7 * number)).isoformat(),
        "data": {"tokens": number},
    }
    event.update(changes)
    return event


def ingest(
    log: FakeUsageLog, *events: Any, clock: FakeClock | None = None, plans: ShardPlans | None = None
) -> IngestResult:
    clock = clock or FakeClock(NOON)
    return ingest_usage(
        json.dumps(events).encode(),
        products=PRODUCTS,
        log=log,
        plans=plans or ShardPlans(PlanSource(), clock),
        clock=clock,
    )


def stored(log: FakeUsageLog) -> list[UsageEvent]:
    return [
        group.event(row)
        for partition in log.partitions()
        for segment in log.read(partition)
        for group in decode(segment.body).groups
        for row in range(len(group))
    ]


def identities(log: FakeUsageLog) -> set[tuple[str, str, str, str]]:
    return {(each.product_id, each.subject, each.source, each.id) for each in stored(log)}


def test_accepted_events_are_stored_and_rejected_ones_are_named() -> None:
    log = FakeUsageLog()
    result = ingest(log, sent(1), sent(2, time="never"), sent(3))
    assert result.accepted == 2
    assert [(each.index, each.code) for each in result.rejected] == [(1, "invalid_time")]
    assert {event.id for event in stored(log)} == {str(UUID(int=1)), str(UUID(int=3))}


def test_data_that_cannot_be_stored_do_not_cost_the_other_events() -> None:
    log = FakeUsageLog()
    deep: Any = 1
    for _ in range(50):
        deep = [deep]
    result = ingest(log, sent(1), sent(2, data={"v": deep}), sent(3))
    assert result.accepted == 2
    assert [(each.index, each.code) for each in result.rejected] == [(1, "data_too_deep")]
    assert len(stored(log)) == 2


def test_an_event_that_comes_twice_in_a_batch_is_counted_and_stored_twice() -> None:
    log = FakeUsageLog()
    assert ingest(log, sent(1), sent(1)).accepted == 2
    assert len(stored(log)) == 2
    assert len(identities(log)) == 1


def test_nothing_is_written_when_nothing_can_be_kept() -> None:
    log = FakeUsageLog()
    assert ingest(log, sent(1, type="")).accepted == 0
    assert ingest(log) == IngestResult(0, ())
    with pytest.raises(InvalidInputError):
        ingest_usage(
            b"{",
            products=None,
            log=log,
            plans=ShardPlans(PlanSource(), FakeClock(NOON)),
            clock=FakeClock(NOON),
        )
    assert log.writes == 0


def test_every_partition_is_noted_in_the_arrivals_of_the_request() -> None:
    log = FakeUsageLog()
    ingest(log, *map(sent, range(40)), clock=FakeClock(NOON + timedelta(seconds=299)))
    noted = {partition for _, partition in log.arrivals(NOON, NOON + timedelta(minutes=5))}
    assert noted == set(log.partitions())
    assert len({partition.hour for partition in noted}) == 6


@given(st.data())
def test_a_request_killed_after_any_write_and_sent_again_loses_and_adds_nothing(
    data: st.DataObject,
) -> None:
    events = [sent(number) for number in range(data.draw(st.integers(1, 40)))]
    whole = FakeUsageLog()
    ingest(whole, *events)

    log = FakeUsageLog()
    clock = FakeClock(NOON)
    plans = ShardPlans(PlanSource(), clock)
    for _ in range(data.draw(st.integers(1, 3))):
        log.fail_after = log.writes + data.draw(st.integers(0, whole.writes))
        try:
            ingest(log, *events, clock=clock, plans=plans)
        except StoreUnavailableError:
            # Whatever was stored before the failure has been noted, so that the sweep finds it.
            noted = {partition for _, partition in log.arrivals(at("2026-11-24T00"), clock.now())}
            noted |= {each for _, each in log.arrivals(NOON, clock.now() + timedelta(minutes=5))}
            assert set(log.partitions()) <= noted
        clock.advance(timedelta(seconds=data.draw(st.integers(0, 700))))
    log.fail_after = None
    assert ingest(log, *events, clock=clock, plans=plans).accepted == len(events)

    assert identities(log) == identities(whole)
    assert {repr(event) for event in stored(log)} == {repr(event) for event in stored(whole)}


def test_a_repeated_event_lands_in_the_same_partition() -> None:
    log = FakeUsageLog()
    clock = FakeClock(NOON)
    ingest(log, sent(1), clock=clock)
    clock.advance(timedelta(days=3))
    ingest(log, sent(2), sent(1), clock=clock)
    holding = {
        partition
        for partition in log.partitions()
        for segment in log.read(partition)
        for group in decode(segment.body).groups
        if str(UUID(int=1)) in group.ids
    }
    assert len(holding) == 1


def test_the_shard_plan_is_read_once_a_minute() -> None:
    source, clock = PlanSource(), FakeClock(NOON)
    plans = ShardPlans(source, clock)
    for _ in range(3):
        plans.current()
    assert source.reads == 1
    clock.advance(timedelta(seconds=60))
    source.plan = SIXTEEN
    assert plans.current() == SIXTEEN
    assert source.reads == 2


def test_a_plan_is_used_on_for_an_hour_while_the_registry_cannot_be_read() -> None:
    source, clock = PlanSource(), FakeClock(NOON)
    plans = ShardPlans(source, clock)
    plans.current()
    source.fails = True
    clock.advance(timedelta(minutes=59))
    assert plans.current() == ShardPlan()
    clock.advance(timedelta(minutes=1))
    with pytest.raises(StoreUnavailableError):
        plans.current()


def test_without_any_plan_nothing_is_stored() -> None:
    source = PlanSource()
    source.fails = True
    log, clock = FakeUsageLog(), FakeClock(NOON)
    with pytest.raises(StoreUnavailableError):
        ingest(log, sent(1), clock=clock, plans=ShardPlans(source, clock))
    assert log.writes == 0


def test_a_kept_plan_is_right_for_every_event_until_a_change_takes_effect() -> None:
    # Read just before the change; an hour later the newest event may be 15 minutes ahead.
    read_at = NOON
    changed = ShardPlan().changed(16, at("2026-11-24T14"), now=read_at)
    newest = read_at + timedelta(hours=1, minutes=15)
    assert changed.shards(newest.replace(minute=0)) == ShardPlan().shards(at("2026-11-24T13"))


def test_events_of_a_changed_hour_are_spread_over_the_new_count() -> None:
    log = FakeUsageLog()
    clock = FakeClock(at("2026-11-24T15:30"))
    plans = ShardPlans(PlanSource(SIXTEEN), clock)
    events = [
        sent(number, subject=f"c{number}", time="2026-11-24T15:10:00Z") for number in range(200)
    ]
    ingest(log, *events, clock=clock, plans=plans)
    assert log.partitions() == [Partition(at("2026-11-24T15"), shard) for shard in range(16)]
