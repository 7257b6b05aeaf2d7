"""Partitions: the same event always lands in the same one, however the plan changes later."""

from __future__ import annotations

from datetime import timedelta

import pytest

from builders import NOON, at
from meterbridge.domain.errors import InvalidInputError, InvariantError
from meterbridge.domain.partitions import (
    Partition,
    ShardPlan,
    bucket_of,
    segment_floor,
    segment_key,
)


def test_a_partition_reads_back_from_its_text() -> None:
    partition = Partition(at("2026-11-24T10"), 3)
    assert str(partition) == "2026-11-24T10#003"
    assert Partition.parse("2026-11-24T10#003") == partition


def test_an_event_lies_in_the_hour_it_occurred_in() -> None:
    moment = at("2026-11-24T10") + timedelta(minutes=59, seconds=59, microseconds=999_999)
    assert ShardPlan().partition_of("prd_a", "acme", moment).hour == at("2026-11-24T10")


def test_the_shard_of_a_customer_is_the_same_on_every_machine() -> None:
    plan = ShardPlan()
    shards = [plan.partition_of("prd_a", f"cust_{n}", NOON).shard for n in range(8)]
    assert shards == [3, 1, 3, 1, 2, 0, 2, 0]


def test_a_changed_count_holds_from_its_hour_on_and_not_before() -> None:
    later = at("2026-11-24T14")
    plan = ShardPlan().changed(16, later, now=NOON)
    assert plan.shards(at("2026-11-24T13")) == 4
    assert plan.shards(later) == 16
    assert plan.shards(at("2027-01-01T00")) == 16


def test_a_later_change_replaces_one_that_is_not_in_force_yet() -> None:
    plan = ShardPlan().changed(16, at("2026-11-24T15"), now=NOON)
    plan = plan.changed(8, at("2026-11-24T14"), now=NOON)
    assert plan.shards(at("2026-11-24T15")) == 8


@pytest.mark.parametrize("text", ["2026-11-24T13", "2026-11-24T10", "2026-11-24T14:30"])
def test_a_change_of_hours_that_may_already_be_in_use_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        ShardPlan().changed(16, at(text), now=NOON)
    assert refusal.value.code == "effective_from_too_early"


@pytest.mark.parametrize(
    "steps",
    [
        (),
        ((NOON, 0),),
        ((NOON, 1000),),
        ((NOON, 4), (NOON, 8)),
        ((NOON + timedelta(minutes=1), 4),),
    ],
)
def test_a_plan_that_makes_no_sense_cannot_exist(steps: tuple[object, ...]) -> None:
    with pytest.raises(InvariantError):
        ShardPlan(steps)  # type: ignore[arg-type]


def test_segment_keys_order_by_time_and_start_at_their_floor() -> None:
    earlier = segment_key(NOON, b"\xff" * 10)
    later = segment_key(NOON + timedelta(milliseconds=1), b"\x00" * 10)
    assert segment_floor(NOON) < earlier < later


def test_arrival_buckets_are_five_minutes() -> None:
    moment = at("2026-11-24T10:09:59.999999")
    assert bucket_of(moment) == at("2026-11-24T10:05")
    assert bucket_of(at("2026-11-24T10:10")) == at("2026-11-24T10:10")
