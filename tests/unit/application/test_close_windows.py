"""The sweep: what it finds without the stream, what it closes, and what it does not let pass."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from builders import GRACE, at
from meterbridge.application.close_windows import (
    ARRIVALS,
    CLOSED,
    UNREADABLE,
    CloseSummary,
    close_windows,
)
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.usage_log import StoredSegment
from world import World

NOW = at("2026-11-24T12:20:00")


def usage_event(number: int, moment: str, subject: str = "acme") -> UsageEvent:
    return UsageEvent(
        "prd_llm", "app", f"event-{number}", "llm.request", subject, at(moment), {"tokens": 5}
    )


def sweep(world: World) -> CloseSummary:
    return close_windows(
        log=world.log,
        usage=world.usage,
        ledger=world.ledger,
        registry=world.registry,
        queue=world.queue,
        clock=world.clock,
        grace=GRACE,
    )


def test_a_finished_hour_is_closed_once_and_its_customers_are_queued() -> None:
    world = World(NOW)
    world.send([usage_event(1, "2026-11-24T11:30:00")])
    summary = sweep(world)
    assert (summary.closed_through, summary.partitions_folded) == (at("2026-11-24T11"), 1)
    assert "agr_acme" in world.queue.agreement_ids
    world.clock.advance(timedelta(minutes=10))
    sweep(world)
    world.queue.remove(list(world.queue.agreement_ids))
    world.clock.advance(timedelta(hours=1))
    assert sweep(world).hours_closed == 1
    assert world.queue.agreement_ids == []


def test_an_hour_within_its_grace_is_folded_but_not_closed() -> None:
    world = World(at("2026-11-24T12:14:59"))
    world.send([usage_event(1, "2026-11-24T11:30:00")])
    summary = sweep(world)
    assert (summary.closed_through, summary.partitions_folded) == (at("2026-11-24T10"), 1)


def test_a_late_event_of_a_closed_hour_queues_its_customer_again() -> None:
    world = World(NOW)
    sweep(world)
    world.queue.remove(list(world.queue.agreement_ids))
    world.send([usage_event(1, "2026-11-24T08:30:00", "globex")])
    sweep(world)
    assert world.queue.agreement_ids == ["agr_globex"]


def test_a_bucket_is_left_behind_only_when_nobody_can_still_be_writing_into_it() -> None:
    world = World(NOW)
    world.send([usage_event(1, "2026-11-24T12:19:00")])
    for moment, position in (
        ("2026-11-24T12:26:59", "2026-11-24T12:20:00+00:00"),
        ("2026-11-24T12:27:00", "2026-11-24T12:25:00+00:00"),
    ):
        world.clock.set(at(moment))
        sweep(world)
        assert world.usage.cursor(ARRIVALS) == position


@pytest.mark.parametrize("half_step", range(40))
def test_a_run_killed_before_the_position_moved_is_repeated_by_the_next(half_step: int) -> None:
    world = World(NOW)
    world.send([usage_event(1, "2026-11-24T11:30:00")])
    if world.run_killed(lambda: sweep(world) and None, half_step):
        sweep(world)
    assert "agr_acme" in world.queue.agreement_ids
    assert world.usage.cursor(CLOSED) == "2026-11-24T11:00:00+00:00"


@pytest.mark.parametrize("half_step", range(24))
def test_a_changed_meter_has_everything_folded_and_settled_again_even_if_killed(
    half_step: int,
) -> None:
    world = World(NOW)
    world.send([usage_event(1, "2026-11-24T08:30:00")])
    world.settle_down(hours=1)
    registry = world.real_registry
    entry = registry.meter_entry("mtr_tokens")
    registry.save_meter(replace(entry.value, value_path="other"), entry.version)
    if world.run_killed(lambda: sweep(world) and None, half_step):
        sweep(world)
    assert "agr_acme" in world.queue.agreement_ids
    (row,) = world.usage.hourly("prd_llm", "acme", at("2026-11-24T08"), at("2026-11-24T09"))
    assert set(row.meters) == {"mtr_requests"}


def test_an_agreement_that_has_just_ended_is_flushed_before_its_hour_is_over() -> None:
    world = World(NOW)
    world.cycle()
    world.send([usage_event(1, "2026-11-24T12:10:00")])
    registry = world.real_registry
    ended = replace(registry.agreement("agr_acme"), ends_at=at("2026-11-24T12:20:00"), version=2)
    registry.save_agreement(ended)
    world.clock.set(at("2026-11-24T12:36:00"))
    world.cycle()
    records = world.real_ledger.records("agr_acme")
    assert [record.key.hour for record in records if record.key.dimension == "requests"] == [
        at("2026-11-24T12")
    ]


@pytest.mark.parametrize("moment", ["2026-11-24T11:30:00", "2026-11-24T12:10:00"])
def test_a_partition_that_cannot_be_read_holds_up_no_other_and_is_tried_until_it_can(
    moment: str,
) -> None:
    world = World(NOW)
    world.send([usage_event(1, moment, "acme")])
    world.send([usage_event(2, moment, "globex")])
    broken, fine = (
        world.real_registry.shard_plan().partition_of("prd_llm", subject, at(moment))
        for subject in ("acme", "globex")
    )
    assert broken != fine
    segments = world.real_log._segments[broken]
    whole = dict(segments)
    for sk, segment in whole.items():
        segments[sk] = StoredSegment(broken, sk, segment.received_at, segment.body[:-1])
    for _ in range(3):
        world.clock.advance(timedelta(minutes=20))
        summary = sweep(world)
        assert list(summary.unreadable) == [broken]
        assert world.usage.cursor(UNREADABLE) == str(broken)
    assert world.usage.head(fine) is not None
    segments.update(whole)
    assert sweep(world).unreadable == {}
    assert world.usage.cursor(UNREADABLE) == ""
    world.settle_down()
    world.check_books()


def test_an_agreement_whose_cycle_begins_is_queued_once_that_hour_is_closed_though_nobody_used_it() -> (
    None
):
    world = World(at("2026-11-30T20:20:00"))
    world.settle_all()
    world.settle_down(hours=3)
    assert world.queue.agreement_ids == []
    world.clock.advance(at("2026-12-01T00:14:00") - world.clock.now())
    sweep(world)
    assert world.queue.agreement_ids == []
    world.clock.advance(timedelta(minutes=1))
    sweep(world)
    assert sorted(set(world.queue.agreement_ids)) == ["agr_acme", "agr_globex"]
    world.drain()
    head = world.ledger.head("agr_acme")
    assert head is not None
    assert (head.settled_through, head.due_at) == (at("2026-11-30T23"), at("2026-12-01T00"))
