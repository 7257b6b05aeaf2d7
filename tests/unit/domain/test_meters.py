"""What a meter may be, and what its states are."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from builders import at
from meterbridge.domain.attribution import context_start
from meterbridge.domain.errors import InvalidInputError, InvariantError
from meterbridge.domain.event_filters import Filter, FilterOperator, path_keys
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
from meterbridge.domain.meters import Aggregation, GroupBy, Meter, ResetPeriod


def meter(**changes: Any) -> Meter:
    values: dict[str, Any] = {
        "id": "mtr_tokens",
        "product_id": "prd_llm",
        "name": "Tokens",
        "event_type": "llm.request",
        "aggregation": Aggregation.SUM,
        "value_path": "$.tokens",
    }
    return Meter(**{**values, **changes})


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("$.tokens", ("tokens",)),
        ("tokens", ("tokens",)),
        ("$.usage.tokens-in", ("usage", "tokens-in")),
        ("größe.μ", ("größe", "μ")),
        ("a.b.c.d.e.f.g.h", tuple("abcdefgh")),
    ],
)
def test_a_path_walks_through_its_keys(path: str, keys: tuple[str, ...]) -> None:
    assert path_keys(path) == keys


@pytest.mark.parametrize(
    "path",
    ["", "$", "$.", ".a", "a.", "a..b", "$a", "a b", "a[0]", "$.*", "a.b.c.d.e.f.g.h.i", "a" * 257],
)
def test_a_path_that_is_none_is_refused_with_its_pointer(path: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        meter(value_path=path)
    assert (caught.value.code, caught.value.pointer) == ("invalid_path", "/value_path")


def test_a_count_needs_no_value_and_takes_none() -> None:
    assert meter(aggregation=Aggregation.COUNT, value_path="").value_path == ""
    with pytest.raises(InvalidInputError) as caught:
        meter(aggregation=Aggregation.COUNT, value_path="$.tokens")
    assert (caught.value.code, caught.value.pointer) == ("unexpected_value_path", "/value_path")


@pytest.mark.parametrize(
    ("changes", "code", "pointer"),
    [
        ({"event_type": ""}, "missing_event_type", "/event_type"),
        ({"filters": (Filter("a", FilterOperator.EQ, "x"),) * 21}, "too_many_filters", "/filters"),
        ({"group_by": (GroupBy("a", "a"),) * 6}, "too_many_groups", "/group_by"),
        ({"group_by": (GroupBy("Region", "a"),)}, "invalid_name", "/group_by/0/name"),
        ({"group_by": (GroupBy("a", "a"), GroupBy("a", "b"))}, "invalid_name", "/group_by/1/name"),
        ({"group_by": (GroupBy("a", "a["),)}, "invalid_path", "/group_by/0/path"),
    ],
)
def test_a_meter_that_contradicts_itself_is_refused_with_a_pointer(
    changes: dict[str, Any], code: str, pointer: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        meter(**changes)
    assert (caught.value.code, caught.value.pointer) == (code, pointer)


@pytest.mark.parametrize(
    ("condition", "pointer"),
    [
        (Filter("a[0]", FilterOperator.EQ, "x"), "/filters/0/path"),
        (Filter("a", FilterOperator.IN, "x"), "/filters/0/value"),
        (Filter("a", FilterOperator.IN, ()), "/filters/0/value"),
        (Filter("a", FilterOperator.IN, ("x",) * 101), "/filters/0/value"),
        (Filter("a", FilterOperator.IN, ("x", Decimal("NaN"))), "/filters/0/value/1"),
        (Filter("a", FilterOperator.EQ, 0.5), "/filters/0/value"),  # type: ignore[arg-type]
        (Filter("a", FilterOperator.EQ, ("x",)), "/filters/0/value"),
        (Filter("a", FilterOperator.EQ, Decimal("Infinity")), "/filters/0/value"),
        (Filter("a", FilterOperator.EXISTS, 1), "/filters/0/value"),
        (Filter("a", FilterOperator.GT, "5"), "/filters/0/value"),
        (Filter("a", FilterOperator.LTE, True), "/filters/0/value"),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused_with_a_pointer(
    condition: Filter, pointer: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        meter(filters=(condition,))
    assert caught.value.pointer == pointer


EXAMPLES = [
    SumState(Decimal("12345678901234567890.000000000000000001")),
    CountState(3),
    MaxState(Decimal("-0.5")),
    MinState(Decimal("1E+3")),
    AverageState(Decimal("10"), 4),
    UniqueState.of([b"b" * 16, b"a" * 16]),
    LatestState(1_795_514_400_000_000, Decimal("7")),
    GaugeState(1, 5, Decimal("2"), Decimal("8.5")),
]


@pytest.mark.parametrize("state", EXAMPLES, ids=lambda state: type(state).__name__)
def test_a_state_survives_its_wire_form(state: MeterState) -> None:
    wire = msgspec.json.decode(msgspec.json.encode(state.to_wire()))
    assert MeterState.from_wire(wire) == state
    assert type(MeterState.from_wire(wire)) is type(state)


def test_the_wire_form_names_the_aggregation_and_keeps_decimals_as_texts() -> None:
    assert SumState(Decimal("0.10")).to_wire() == {"k": "sum", "total": "0.10"}


@pytest.mark.parametrize("wire", [{}, {"k": "mode"}, {"k": "sum"}, {"k": "sum", "total": "x"}])
def test_a_foreign_wire_form_is_refused(wire: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        MeterState.from_wire(wire)


def test_states_of_two_hours_merge() -> None:
    assert SumState(Decimal("0.1")).merged(SumState(Decimal("0.2"))) == SumState(Decimal("0.3"))
    assert CountState(2).merged(CountState(3)) == CountState(5)
    assert MaxState(Decimal(2)).merged(MaxState(Decimal(3))) == MaxState(Decimal(3))
    assert MinState(Decimal(2)).merged(MinState(Decimal(3))) == MinState(Decimal(2))
    average = AverageState(Decimal(10), 3).merged(AverageState(Decimal(1), 1))
    assert average == AverageState(Decimal(11), 4)
    assert average.quantity == Decimal("2.75")
    latest = LatestState(1, Decimal(9)).merged(LatestState(2, Decimal(4)))
    assert latest == LatestState(2, Decimal(4))
    union = UniqueState.of([b"a" * 16, b"b" * 16]).merged(UniqueState.of([b"b" * 16, b"c" * 16]))
    assert union == UniqueState.of([b"a" * 16, b"b" * 16, b"c" * 16])
    assert union.quantity == Decimal(3)


def test_a_gauge_holds_its_value_between_two_spans() -> None:
    # 2 from 1 to 5 is the first span's 8, then 3 from 5 to 9 is 12, then the later span's 1.
    first = GaugeState(1, 5, Decimal(3), Decimal(8))
    assert first.merged(GaugeState(9, 10, Decimal(4), Decimal(1))) == GaugeState(
        1, 10, Decimal(4), Decimal(21)
    )


def test_latest_values_and_gauges_do_not_merge_backwards() -> None:
    with pytest.raises(InvariantError):
        LatestState(2, Decimal(4)).merged(LatestState(1, Decimal(9)))
    gauge = GaugeState(1, 5, Decimal(2), Decimal(8))
    with pytest.raises(InvariantError):
        gauge.merged(gauge)


def test_a_gauge_shows_nothing_without_a_span() -> None:
    with pytest.raises(InvariantError):
        _ = GaugeState(1, 5, Decimal(2), Decimal(8)).quantity


def test_a_large_set_comes_in_parts_that_merge_into_it() -> None:
    whole = UniqueState.of(number.to_bytes(16, "big") for number in range(20_000))
    parts = list(whole.parts())
    assert [part.quantity for part in parts] == [Decimal(8192), Decimal(8192), Decimal(3616)]
    assert parts[0].merged(parts[1]).merged(parts[2]) == whole
    assert list(CountState(4).parts()) == [CountState(4)]


def test_the_reset_period_of_an_hour_is_its_calendar_hour_day_or_month() -> None:
    hour = at("2026-12-31T23")
    assert ResetPeriod.HOUR.bounds(hour) == (hour, at("2027-01-01T00"))
    assert ResetPeriod.DAY.bounds(hour) == (at("2026-12-31T00"), at("2027-01-01T00"))
    assert ResetPeriod.MONTH.bounds(hour) == (at("2026-12-01T00"), at("2027-01-01T00"))


def test_the_context_of_an_hour_is_its_reset_period_and_for_gauges_their_hold() -> None:
    hour = at("2026-11-24T10")
    monthly = {"reset": ResetPeriod.MONTH}
    assert context_start(meter(**monthly), hour) == hour
    assert context_start(meter(aggregation=Aggregation.MAX), hour) == hour
    assert context_start(meter(aggregation=Aggregation.MAX, **monthly), hour) == at("2026-11-01T00")
    gauge = meter(aggregation=Aggregation.TIME_WEIGHTED, **monthly)
    assert context_start(gauge, hour) == datetime(2026, 9, 27, tzinfo=UTC)


def test_a_group_is_selected_by_the_values_that_are_wanted() -> None:
    grouped = meter(group_by=(GroupBy("region", "r"), GroupBy("model", "m")))
    assert grouped.selects(("eu", "large"), {})
    assert grouped.selects(("eu", "large"), {"model": "large"})
    assert not grouped.selects(("eu", "large"), {"model": "large", "region": "us"})
    with pytest.raises(InvalidInputError, match="unknown_group"):
        grouped.selects(("eu", "large"), {"tier": "gold"})
    with pytest.raises(InvariantError):
        grouped.selects(("eu",), {})
