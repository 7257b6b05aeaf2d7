"""The fold of one partition: repeats, conflicts, unmatched events, customers."""

from __future__ import annotations

from array import array
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from meterbridge.application.ports import Catalog
from meterbridge.domain.errors import CorruptSegmentError, InvariantError
from meterbridge.domain.event_filters import Filter, FilterOperator
from meterbridge.domain.fold import PartitionFold
from meterbridge.domain.identities import Identities
from meterbridge.domain.meter_states import (
    CountState,
    SumState,
)
from meterbridge.domain.meters import Aggregation
from meterbridge.domain.partitions import Partition
from meterbridge.domain.segments import EventGroup
from meterbridge.domain.usage import FoldPosition
from usage_events import HOUR, PARTITION, folded, meter, segments, state_of, usage_event

COUNT = Aggregation.COUNT


def test_the_head_says_how_much_was_folded() -> None:
    stored = segments([[usage_event(id="1")], [usage_event(id="2"), usage_event(id="3")]])
    fold = PartitionFold(PARTITION, _catalog(version=7))
    for segment in stored:
        fold.add(segment)
    head = fold.result(started_at=HOUR, folded_at=HOUR + timedelta(seconds=9)).head
    assert head.partition == PARTITION
    assert head.position == FoldPosition(segments=2, catalog_version=7)
    assert head.last_segment == fold.last_segment == "000001"
    assert head.started_at == HOUR
    assert head.fresh_through == HOUR + timedelta(seconds=1)
    assert (head.events, head.duplicates, head.conflicts) == (3, 0, 0)


def _catalog(version: int = 1) -> Catalog:
    return Catalog(version, (meter(COUNT),))


def test_segments_come_in_order_and_of_one_partition() -> None:
    first, second = segments([[usage_event(id="1")], [usage_event(id="2")]])
    fold = PartitionFold(PARTITION, _catalog())
    fold.add(second)
    with pytest.raises(InvariantError):
        fold.add(first)
    with pytest.raises(InvariantError):
        fold.add(second)
    with pytest.raises(InvariantError):
        PartitionFold(Partition(HOUR, 1), _catalog()).add(first)
    with pytest.raises(InvariantError):
        PartitionFold(PARTITION, _catalog()).result(started_at=HOUR, folded_at=HOUR)


def test_a_damaged_segment_is_an_error_and_not_a_gap() -> None:
    (segment,) = segments([[usage_event()]])
    damaged = type(segment)(segment.partition, segment.sk, HOUR, segment.body[:-1] + b"\0")
    with pytest.raises(CorruptSegmentError):
        folded([damaged], meter(COUNT))


def test_a_request_sent_again_counts_once() -> None:
    batch = [usage_event(id="1", v=5), usage_event(id="2", v=7)]
    result = folded(segments([batch, batch, batch]), meter())
    assert state_of(result) == SumState(Decimal(12))
    assert (result.head.events, result.head.duplicates, result.head.conflicts) == (2, 4, 0)
    assert result.head.position.segments == 3
    assert result.head.fresh_through == HOUR + timedelta(seconds=2)


def test_an_event_sent_again_in_another_batch_counts_once() -> None:
    one, two, three = (usage_event(id=name, v=1) for name in "123")
    result = folded(segments([[one, two], [two, three], [three, one]]), meter())
    assert state_of(result) == SumState(Decimal(3))
    assert (result.head.events, result.head.duplicates) == (3, 3)


def test_an_event_twice_in_one_batch_counts_once() -> None:
    result = folded(
        segments([[usage_event(v=1), usage_event(v=1), usage_event(id="2", v=1)]]), meter()
    )
    assert state_of(result) == SumState(Decimal(2))
    assert (result.head.events, result.head.duplicates) == (2, 1)


@pytest.mark.parametrize(
    "other",
    [
        {"v": 6},
        {"v": "5"},
        {"v": 5, "w": None},
        {"v": 5, "minute": 1},
        {"v": 5, "type": "llm.retry"},
    ],
)
def test_a_repeat_with_other_content_is_a_conflict_and_the_first_one_stays(
    other: dict[str, Any],
) -> None:
    result = folded(segments([[usage_event(v=5)], [usage_event(**other)]]), meter())
    assert state_of(result) == SumState(Decimal(5))
    assert (result.head.events, result.head.duplicates, result.head.conflicts) == (1, 0, 1)


def test_a_conflict_within_one_batch_keeps_the_first_row() -> None:
    result = folded(segments([[usage_event(v=5), usage_event(v=6), usage_event(v=5)]]), meter())
    assert state_of(result) == SumState(Decimal(5))
    assert (result.head.events, result.head.duplicates, result.head.conflicts) == (1, 1, 1)


def test_conflicts_are_counted_for_every_conflicting_repeat() -> None:
    good, bad = [usage_event(v=5)], [usage_event(v=6)]
    result = folded(segments([good, bad, bad, good, bad]), meter())
    assert (result.head.events, result.head.duplicates, result.head.conflicts) == (1, 1, 3)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (17, Decimal("17.0")),
        (Decimal("1E+1"), 10),
        ({"a": [1, {"b": Decimal("2.50")}]}, {"a": [Decimal("1.0"), {"b": Decimal("2.5")}]}),
    ],
)
def test_equal_numbers_make_a_duplicate_however_they_are_written(left: Any, right: Any) -> None:
    result = folded(segments([[usage_event(v=1, w=left)], [usage_event(v=1, w=right)]]), meter())
    assert (result.head.duplicates, result.head.conflicts) == (1, 0)


@pytest.mark.parametrize(
    ("left", "right"),
    [(1, True), (0, False), (1, "1"), (None, 0), ([1], [1, 1]), ([], {}), ({"a": 1}, {"a": True})],
)
def test_values_of_different_kinds_make_a_conflict(left: Any, right: Any) -> None:
    result = folded(segments([[usage_event(v=1, w=left)], [usage_event(v=1, w=right)]]), meter())
    assert (result.head.duplicates, result.head.conflicts) == (0, 1)


@pytest.mark.parametrize(
    "other", [{"source": "batch"}, {"subject": "umbrella"}, {"product_id": "prd_b"}, {"id": "11"}]
)
@pytest.mark.parametrize("name", ["1", "7d444840-9dc0-11d1-b245-5ffdce74fad2"])
def test_the_identity_is_product_subject_source_and_id(name: str, other: dict[str, Any]) -> None:
    events = [usage_event(id=name, v=1), usage_event(**{"id": name, "v": 1, **other})]
    result = folded(
        segments([[event] for event in events]), meter(), meter(id="b", product_id="prd_b")
    )
    assert (result.head.events, result.head.duplicates) == (2, 0)
    total = sum(
        state.quantity for row in result.rows for by in row.meters.values() for state in by.values()
    )
    assert total == 2


def test_a_uuid_is_the_same_id_in_a_batch_of_uuids_and_among_other_ids() -> None:
    name = "7d444840-9dc0-11d1-b245-5ffdce74fad2"
    only, mixed = [usage_event(id=name, v=1)], [usage_event(id=name, v=1), usage_event(id="x", v=1)]
    result = folded(segments([only, mixed]), meter())
    assert (result.head.events, result.head.duplicates) == (2, 1)
    assert state_of(result) == SumState(Decimal(2))


@pytest.mark.parametrize("modulus", [1, 3])
def test_events_that_share_a_fingerprint_are_still_told_apart(modulus: int) -> None:
    batches = [
        [usage_event(id=str(number), v=number) for number in range(start, start + 4)]
        for start in (0, 4, 2, 8, 0)
    ]
    batches.append([usage_event(id="5", v=99)])
    stored = segments(batches)

    def colliding(group: EventGroup) -> array[int]:
        return array("Q", [int(name) % modulus for name in group.ids])

    collided = folded(stored, meter(), identities=Identities(colliding))
    assert collided == folded(stored, meter())
    assert state_of(collided) == SumState(Decimal(sum(range(12))))
    head = collided.head
    assert (head.events, head.duplicates, head.conflicts) == (12, 8, 1)


def test_an_event_that_no_meter_takes_is_kept_with_its_customer() -> None:
    result = folded(segments([[usage_event(type="llm.other")]]), meter(COUNT))
    assert result.head.unmatched == {"no_meter": 1}
    assert [(row.subject, row.meters) for row in result.rows] == [("acme", {})]


def test_an_event_that_every_filter_leaves_out_is_listed_as_filtered() -> None:
    only_eu = meter(COUNT, filters=(Filter("region", FilterOperator.EQ, "eu"),))
    events = [
        usage_event(id="1", region="eu"),
        usage_event(id="2", region="us"),
        usage_event(id="3"),
    ]
    result = folded(segments([events]), only_eu)
    assert result.head.unmatched == {"filtered": 2}
    assert state_of(result) == CountState(1)


def test_an_event_that_one_meter_counts_is_listed_only_for_a_fault_on_another() -> None:
    only_eu = meter(COUNT, id="a", filters=(Filter("region", FilterOperator.EQ, "eu"),))
    events = [usage_event(id="1", v=1, region="us"), usage_event(id="2", v="x", region="eu")]
    result = folded(segments([events]), only_eu, meter(), meter(COUNT, id="z"))
    assert result.head.unmatched == {"not_a_number": 1}
    (row,) = result.rows
    assert row.meters["mtr"] == {(): SumState(Decimal(1))}
    assert row.meters["a"] == {(): CountState(1)}
    assert row.meters["z"] == {(): CountState(2)}


def test_a_repeat_is_not_listed_again() -> None:
    batch = [usage_event(v="x")]
    result = folded(segments([batch, [*batch, usage_event(id="2", v=1)]]), meter())
    assert result.head.unmatched == {"not_a_number": 1}


def test_an_archived_meter_keeps_what_occurred_before() -> None:
    events = [usage_event(id=str(minute), minute=minute, v=1) for minute in (0, 29, 30, 59)]
    for archived_at, counted in (
        (HOUR, 0),
        (HOUR + timedelta(minutes=30), 2),
        (HOUR + timedelta(hours=1), 4),
    ):
        result = folded(segments([events]), meter(archived_at=archived_at))
        states = result.rows[0].meters.get("mtr", {})
        assert states == ({(): SumState(Decimal(counted))} if counted else {})


def test_a_meter_counts_events_from_before_it_was_made() -> None:
    late = meter(created_at=HOUR + timedelta(days=1))
    assert state_of(folded(segments([[usage_event(v=1)]]), late)) == SumState(Decimal(1))


def test_rows_are_kept_apart_by_product_and_come_for_every_customer() -> None:
    events = [
        usage_event(id="1", v=1),
        usage_event(id="1", v=2, product_id="prd_other"),
        usage_event(id="2", v=3, subject="umbrella", type="unknown"),
    ]
    result = folded(segments([events]), meter())
    assert [(row.product_id, row.subject, row.meters) for row in result.rows] == [
        ("prd_llm", "acme", {"mtr": {(): SumState(Decimal(1))}}),
        ("prd_llm", "umbrella", {}),
        ("prd_other", "acme", {}),
    ]
    assert all(row.position == result.head.position and row.hour == HOUR for row in result.rows)
