"""The fold of one partition: repeats, conflicts, unmatched events, every kind of value."""

from __future__ import annotations

from array import array
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from meterbridge.application.ports import Catalog
from meterbridge.domain.errors import CorruptSegmentError, InvariantError
from meterbridge.domain.event_filters import Filter, FilterOperator
from meterbridge.domain.event_values import OTHER_GROUP
from meterbridge.domain.fold import FoldResult, PartitionFold
from meterbridge.domain.identities import Identities
from meterbridge.domain.meter_states import (
    AverageState,
    CountState,
    GaugeState,
    LatestState,
    MaxState,
    MeterState,
    MinState,
    SumState,
    UniqueState,
)
from meterbridge.domain.meters import MAX_GROUPS, Aggregation, GroupBy
from meterbridge.domain.money import exact_sum
from meterbridge.domain.partitions import Partition
from meterbridge.domain.segments import EventGroup
from meterbridge.domain.usage import FoldPosition
from usage_events import HOUR, PARTITION, folded, meter, segments, usage_event

COUNT = Aggregation.COUNT


def state_of(result: FoldResult, subject: str = "acme", group: tuple[str, ...] = ()) -> MeterState:
    (row,) = [row for row in result.rows if row.subject == subject]
    return row.meters["mtr"][group]


def listed(values: list[Any], aggregation: Aggregation = Aggregation.SUM) -> FoldResult:
    events = [usage_event(id=str(number), v=value) for number, value in enumerate(values)]
    return folded(segments([events]), meter(aggregation))


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


@pytest.mark.parametrize(
    ("value", "total"),
    [
        (3, "3"),
        (Decimal("0.10"), "0.1"),
        ("0.10", "0.1"),
        ("-1.5e3", "-1500"),
        (Decimal("1e29"), "1e29"),
        (10**30 - 1, "999999999999999999999999999999"),
        (Decimal("0.000000000000000001"), "1e-18"),
        (Decimal("1.50000000000000000000000000"), "1.5"),
        (0, "0"),
        ("0e-99", "0"),
    ],
)
def test_a_number_or_decimal_text_is_metered_exactly(value: Any, total: str) -> None:
    assert state_of(listed([value])) == SumState(Decimal(total))
    # Next to a fraction and an integer, the sum is exact as well.
    mixed = state_of(listed([value, Decimal("0.3"), 1])).quantity
    assert mixed == exact_sum([Decimal(total), Decimal("1.3")])


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "missing_value"),
        (True, "not_a_number"),
        ("", "not_a_number"),
        ("12 ", "not_a_number"),
        ("1\n2", "not_a_number"),
        ("NaN", "not_a_number"),
        ("Infinity", "not_a_number"),
        ("0x1F", "not_a_number"),
        ("1_000", "not_a_number"),
        ("٣", "not_a_number"),
        ([1], "not_a_number"),
        ({"v": 1}, "not_a_number"),
        (10**30, "out_of_range"),
        (-(10**30), "out_of_range"),
        (Decimal("1e30"), "out_of_range"),
        ("1e9999", "out_of_range"),
        ("1e-9999", "out_of_range"),
        (Decimal("1e-19"), "out_of_range"),
        (Decimal("1.0000000000000000001"), "out_of_range"),
    ],
)
def test_what_is_no_number_in_range_is_listed_and_not_counted(value: Any, reason: str) -> None:
    alone = listed([value])
    assert alone.head.unmatched == {reason: 1}
    assert [row.meters for row in alone.rows] == [{}]
    among = listed([2, value, "3", Decimal("0.5")])
    assert among.head.unmatched == {reason: 1}
    assert state_of(among) == SumState(Decimal("5.5"))
    texts = listed(["2", value, "3"])
    assert texts.head.unmatched == {reason: 1}
    assert state_of(texts) == SumState(Decimal(5))


def test_a_value_that_is_not_there_is_listed() -> None:
    result = folded(
        segments([[usage_event(id="1"), usage_event(id="2", v={"w": 1})]]), meter(value_path="v.w")
    )
    assert result.head.unmatched == {"missing_value": 1}
    assert state_of(result) == SumState(Decimal(1))


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


@pytest.mark.parametrize(
    ("op", "value", "passing"),
    [
        (FilterOperator.EQ, 17, [17, Decimal("17.0")]),
        (FilterOperator.EQ, "17", ["17"]),
        (FilterOperator.EQ, True, [True]),
        (FilterOperator.EQ, 1, [1]),
        (FilterOperator.EQ, None, [None]),
        (FilterOperator.IN, ("17", 1), ["17", 1]),
        (FilterOperator.GT, 1, [17, Decimal("17.0"), "17"]),
        (FilterOperator.GTE, 1, [1, 17, Decimal("17.0"), "17"]),
        (FilterOperator.LT, 17, [1]),
        (FilterOperator.LTE, Decimal("1.0"), [1]),
        (FilterOperator.EXISTS, True, [1, 17, Decimal("17.0"), "17", "x", True, None, [], {}]),
    ],
)
def test_a_filter_lets_through_what_it_says(
    op: FilterOperator, value: Any, passing: list[Any]
) -> None:
    candidates = [1, 17, Decimal("17.0"), "17", "x", True, None, [], {}]
    events = [usage_event(id=repr(each), w=each) for each in candidates]
    events.append(usage_event(id="missing"))
    opposite = {FilterOperator.EQ: FilterOperator.NE, FilterOperator.EXISTS: FilterOperator.EXISTS}
    one = folded(segments([events]), meter(COUNT, filters=(Filter("w", op, value),)))
    assert state_of(one) == CountState(len(passing))
    for event in events:
        alone = folded(segments([[event]]), meter(COUNT, filters=(Filter("w", op, value),)))
        passes = event.id in map(repr, passing)
        assert alone.head.unmatched == ({} if passes else {"filtered": 1}), event
    if op in opposite:
        negated = Filter("w", opposite[op], (not value) if op is FilterOperator.EXISTS else value)
        rest = folded(segments([events]), meter(COUNT, filters=(negated,)))
        assert state_of(rest) == CountState(len(events) - len(passing))


def test_all_filters_must_hold() -> None:
    both = (Filter("a", FilterOperator.GT, 1), Filter("b", FilterOperator.EQ, "x"))
    events = [
        usage_event(id="1", a=2, b="x"),
        usage_event(id="2", a=1, b="x"),
        usage_event(id="3", a=2, b="y"),
    ]
    assert state_of(folded(segments([events]), meter(COUNT, filters=both))) == CountState(1)


def test_every_aggregation_of_one_hour() -> None:
    values = [(5, 10), (3, 20), (8, 30), (5, 50)]
    events = [usage_event(id=str(minute), minute=minute, v=v) for v, minute in values]
    expected: dict[Aggregation, MeterState] = {
        Aggregation.SUM: SumState(Decimal(21)),
        Aggregation.COUNT: CountState(4),
        Aggregation.MAX: MaxState(Decimal(8)),
        Aggregation.MIN: MinState(Decimal(3)),
        Aggregation.AVG: AverageState(Decimal(21), 4),
    }
    for aggregation, state in expected.items():
        assert state_of(folded(segments([events]), meter(aggregation))) == state
    unique = state_of(folded(segments([events]), meter(Aggregation.UNIQUE_COUNT)))
    assert isinstance(unique, UniqueState)
    assert unique.quantity == 3
    minute = 60_000_000
    epoch = int(HOUR.timestamp()) * 1_000_000
    latest = state_of(folded(segments([events]), meter(Aggregation.LATEST)))
    assert latest == LatestState(epoch + 50 * minute, Decimal(5))
    # 5 for 10 minutes, 3 for 10, 8 for 20: 50 + 30 + 160 = 240 unit-minutes.
    gauge = state_of(folded(segments([events]), meter(Aggregation.TIME_WEIGHTED)))
    assert gauge == GaugeState(
        epoch + 10 * minute, epoch + 50 * minute, Decimal(5), Decimal(240 * minute)
    )


def test_of_two_events_of_one_moment_the_greater_id_is_the_newer() -> None:
    events = [usage_event(id=name, v=value) for name, value in (("b", 2), ("c", 3), ("a", 1))]
    for order in (events, events[::-1]):
        stored = segments([[event] for event in order])
        assert state_of(folded(stored, meter(Aggregation.LATEST))).quantity == 3
        gauge = state_of(folded(stored, meter(Aggregation.TIME_WEIGHTED)))
        assert isinstance(gauge, GaugeState)
        assert (gauge.last_value, gauge.inner) == (Decimal(3), Decimal(0))


def test_unique_values_are_told_apart_by_kind_and_numbers_by_value() -> None:
    result = listed(
        ["1", 1, Decimal("1.0"), True, "true", 100, Decimal("1e2"), None, []],
        Aggregation.UNIQUE_COUNT,
    )
    assert state_of(result).quantity == 5
    assert result.head.unmatched == {"missing_value": 1, "not_a_scalar": 1}


@pytest.mark.parametrize(
    ("value", "group"),
    [
        ("eu", "eu"),
        (None, ""),
        (True, "true"),
        (17, "17"),
        (Decimal("17.50"), "17.5"),
        ("x" * 256, "x" * 256),
        ("x" * 257, OTHER_GROUP),
        (10**300, OTHER_GROUP),
        ([], OTHER_GROUP),
        ({}, OTHER_GROUP),
    ],
)
def test_a_group_is_named_by_its_value(value: Any, group: str) -> None:
    by_region = meter(COUNT, group_by=(GroupBy("region", "r"),))
    result = folded(segments([[usage_event(r=value)]]), by_region)
    assert result.rows[0].meters["mtr"] == {(group,): CountState(1)}
    mixed = folded(
        segments([[usage_event(r=value), usage_event(id="2", r="zz"), usage_event(id="3")]]),
        by_region,
    )
    assert mixed.rows[0].meters["mtr"][group,] == CountState(2 if group == "" else 1)


def test_groups_are_kept_apart_by_all_their_keys() -> None:
    by_both = meter(group_by=(GroupBy("region", "r"), GroupBy("model", "m")))
    events = [
        usage_event(id="1", r="eu", m="s", v=1),
        usage_event(id="2", r="eu", m="l", v=10),
        usage_event(id="3", r="eu", m="s", v=100),
        usage_event(id="4", subject="umbrella", r="eu", m="s", v=1000),
    ]
    result = folded(segments([events]), by_both)
    assert {row.subject: row.meters["mtr"] for row in result.rows} == {
        "acme": {("eu", "s"): SumState(Decimal(101)), ("eu", "l"): SumState(Decimal(10))},
        "umbrella": {("eu", "s"): SumState(Decimal(1000))},
    }


def test_quantity_beyond_the_greatest_number_of_groups_goes_to_the_other_group() -> None:
    by_user = meter(group_by=(GroupBy("user", "u"),))
    events = [usage_event(id=str(number), u=f"u{number}", v=1) for number in range(MAX_GROUPS + 5)]
    events.append(usage_event(id="again", u="u7", v=1))
    events.append(usage_event(id="else", subject="umbrella", u="new", v=1))
    halves = [events[: MAX_GROUPS // 2], events[MAX_GROUPS // 2 :]]
    result = folded(segments(halves), by_user, resume_at=[1])
    groups = next(row for row in result.rows if row.subject == "acme").meters["mtr"]
    assert len(groups) == MAX_GROUPS + 1
    assert groups[OTHER_GROUP,] == SumState(Decimal(5))
    assert groups["u7",] == SumState(Decimal(2))
    assert sum(state.quantity for state in groups.values()) == MAX_GROUPS + 6
    assert state_of(result, "umbrella", ("new",)) == SumState(Decimal(1))


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
