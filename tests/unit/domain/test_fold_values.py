"""What the fold makes of values: numbers, filters, aggregations and groups."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from meterbridge.domain.event_filters import Filter, FilterOperator
from meterbridge.domain.event_values import OTHER_GROUP
from meterbridge.domain.fold import FoldResult
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
from usage_events import HOUR, folded, meter, segments, state_of, usage_event

COUNT = Aggregation.COUNT


def listed(values: list[Any], aggregation: Aggregation = Aggregation.SUM) -> FoldResult:
    events = [usage_event(id=str(number), v=value) for number, value in enumerate(values)]
    return folded(segments([events]), meter(aggregation))


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
