"""Golden figures: which hour a quantity is billed in, for each aggregation and reset period.

Every expected figure is worked out by hand in the comment above it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import at
from meterbridge.domain.attribution import (
    former_quantities,
    hourly_quantities,
    quantities,
    states_of,
)
from meterbridge.domain.errors import InvalidInputError, InvariantError
from meterbridge.domain.events import EPOCH, MICROSECOND
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
from meterbridge.domain.usage import FoldPosition, GroupKey, HourlyUsage
from meterbridge.domain.windows import HOUR, hours_between

DAY = "2026-11-24T"
TEN, ELEVEN, TWELVE, LAST = at(DAY + "10"), at(DAY + "11"), at(DAY + "12"), at(DAY + "23")
HOURS = list(hours_between(at(DAY + "00"), at("2026-11-25T00")))


def meter(aggregation: Aggregation, reset: ResetPeriod, *groups: str) -> Meter:
    path = "" if aggregation is Aggregation.COUNT else "v"
    by = tuple(GroupBy(name, name) for name in groups)
    return Meter("mtr", "prd", "m", "t", aggregation, path, group_by=by, reset=reset)


def micro(text: str) -> int:
    return (at(text) - EPOCH) // MICROSECOND


def unique(*names: str) -> UniqueState:
    return UniqueState.of(name.encode().ljust(16) for name in names)


def billed(
    aggregation: Aggregation,
    reset: ResetPeriod,
    states: Mapping[datetime, MeterState],
    hours: list[datetime] | None = None,
    until: datetime | None = None,
) -> dict[datetime, Decimal]:
    """Only the hours that are not zero."""
    found = hourly_quantities(meter(aggregation, reset), states, hours or HOURS, until=until)
    assert list(found) == (hours or HOURS)
    return {hour: quantity for hour, quantity in found.items() if quantity}


@pytest.mark.parametrize("reset", ResetPeriod)
def test_sums_and_counts_are_billed_in_their_own_hour(reset: ResetPeriod) -> None:
    sums = {TEN: SumState(Decimal("1.5")), TWELVE: SumState(Decimal("-0.5"))}
    assert billed(Aggregation.SUM, reset, sums) == {TEN: Decimal("1.5"), TWELVE: Decimal("-0.5")}
    counts = {TEN: CountState(3), LAST: CountState(4)}
    assert billed(Aggregation.COUNT, reset, counts) == {TEN: Decimal(3), LAST: Decimal(4)}


PEAKS = {TEN: MaxState(Decimal(5)), ELEVEN: MaxState(Decimal(3)), TWELVE: MaxState(Decimal(8))}


def test_an_hourly_maximum_is_billed_every_hour() -> None:
    expected = {TEN: Decimal(5), ELEVEN: Decimal(3), TWELVE: Decimal(8)}
    assert billed(Aggregation.MAX, ResetPeriod.HOUR, PEAKS) == expected


def test_a_daily_maximum_is_billed_as_it_rises() -> None:
    # 5, then still 5, then 8: 5 + 0 + 3 = 8, the day's maximum.
    expected = {TEN: Decimal(5), TWELVE: Decimal(3)}
    assert billed(Aggregation.MAX, ResetPeriod.DAY, PEAKS) == expected


def test_a_daily_maximum_starts_again_at_midnight() -> None:
    states = {LAST: MaxState(Decimal(5)), at("2026-11-25T00"): MaxState(Decimal(4))}
    hours = [LAST, at("2026-11-25T00")]
    expected = {LAST: Decimal(5), at("2026-11-25T00"): Decimal(4)}
    assert billed(Aggregation.MAX, ResetPeriod.DAY, states, hours) == expected


def test_a_maximum_below_zero_rises_from_what_it_was() -> None:
    # -5, then 3: -5 + 8 = 3.
    states = {TEN: MaxState(Decimal(-5)), ELEVEN: MaxState(Decimal(3))}
    expected = {TEN: Decimal(-5), ELEVEN: Decimal(8)}
    assert billed(Aggregation.MAX, ResetPeriod.DAY, states) == expected


def test_a_monthly_maximum_crosses_days_and_starts_again_with_the_month() -> None:
    states = {
        at("2026-10-31T23"): MaxState(Decimal(9)),
        at("2026-11-01T00"): MaxState(Decimal(2)),
        at("2026-11-30T23"): MaxState(Decimal(7)),
        at("2026-12-01T00"): MaxState(Decimal(1)),
    }
    # October's 9 is no part of November: 2, then 7 − 2 = 5. December: 1.
    expected = {
        at("2026-10-31T23"): Decimal(9),
        at("2026-11-01T00"): Decimal(2),
        at("2026-11-30T23"): Decimal(5),
        at("2026-12-01T00"): Decimal(1),
    }
    hours = list(hours_between(at("2026-10-31T23"), at("2026-12-01T01")))
    assert billed(Aggregation.MAX, ResetPeriod.MONTH, states, hours) == expected


def test_only_the_hours_asked_are_answered_but_earlier_states_count() -> None:
    # 8 − max(5, 3) = 3.
    assert billed(Aggregation.MAX, ResetPeriod.DAY, PEAKS, [TWELVE]) == {TWELVE: Decimal(3)}


def test_hourly_unique_values_are_counted_anew_every_hour() -> None:
    states = {TEN: unique("ann", "bob"), ELEVEN: unique("bob", "cy")}
    expected = {TEN: Decimal(2), ELEVEN: Decimal(2)}
    assert billed(Aggregation.UNIQUE_COUNT, ResetPeriod.HOUR, states) == expected


def test_monthly_unique_values_are_billed_in_the_hour_they_first_appear() -> None:
    states = {
        at("2026-11-03T08"): unique("ann", "bob"),
        at("2026-11-03T09"): unique("bob"),
        at("2026-11-20T17"): unique("ann", "cy", "di"),
        at("2026-12-01T00"): unique("ann"),
    }
    # {ann, bob} = 2; bob again = 0; cy and di are new = 2; December counts ann again = 1.
    expected = {
        at("2026-11-03T08"): Decimal(2),
        at("2026-11-20T17"): Decimal(2),
        at("2026-12-01T00"): Decimal(1),
    }
    hours = list(hours_between(at("2026-11-01T00"), at("2026-12-01T01")))
    assert billed(Aggregation.UNIQUE_COUNT, ResetPeriod.MONTH, states, hours) == expected


LOWS = {TEN: MinState(Decimal(5)), ELEVEN: MinState(Decimal(3)), TWELVE: MinState(Decimal(8))}


def test_a_minimum_is_billed_in_the_last_hour_of_its_period() -> None:
    expected = {TEN: Decimal(5), ELEVEN: Decimal(3), TWELVE: Decimal(8)}
    assert billed(Aggregation.MIN, ResetPeriod.HOUR, LOWS) == expected
    assert billed(Aggregation.MIN, ResetPeriod.DAY, LOWS) == {LAST: Decimal(3)}
    month = list(hours_between(at("2026-11-01T00"), at("2026-12-01T00")))
    expected = {at("2026-11-30T23"): Decimal(3)}
    assert billed(Aggregation.MIN, ResetPeriod.MONTH, LOWS, month) == expected


def test_nothing_is_billed_of_a_period_that_is_not_over() -> None:
    assert billed(Aggregation.MIN, ResetPeriod.DAY, LOWS, HOURS[:23]) == {}


def test_the_period_in_which_an_agreement_ends_is_over_with_it() -> None:
    # Ends at 12:00, so the 8 of the hour from 12:00 is not its: min(5, 3) = 3 in the hour of 11.
    assert billed(Aggregation.MIN, ResetPeriod.DAY, LOWS, until=TWELVE) == {ELEVEN: Decimal(3)}
    assert billed(Aggregation.SUM, ResetPeriod.DAY, {LAST: SumState(Decimal(1))}, until=LAST) == {}


def test_an_average_is_taken_over_all_events_of_the_period_and_divided_once() -> None:
    states = {TEN: AverageState(Decimal(10), 4), ELEVEN: AverageState(Decimal(1), 2)}
    # 10/4 and 1/2 by the hour; (10 + 1)/(4 + 2) = 1.8333… by the day, cut after 12 places.
    expected = {TEN: Decimal("2.5"), ELEVEN: Decimal("0.5")}
    assert billed(Aggregation.AVG, ResetPeriod.HOUR, states) == expected
    expected = {LAST: Decimal("1.833333333333")}
    assert billed(Aggregation.AVG, ResetPeriod.DAY, states) == expected


def test_the_latest_value_is_billed_once_by_the_period_and_never_repeated_without_events() -> None:
    states = {
        TEN: LatestState(micro(DAY + "10:59"), Decimal(7)),
        ELEVEN: LatestState(micro(DAY + "11:30"), Decimal(2)),
    }
    expected = {TEN: Decimal(7), ELEVEN: Decimal(2)}
    assert billed(Aggregation.LATEST, ResetPeriod.HOUR, states) == expected
    assert billed(Aggregation.LATEST, ResetPeriod.DAY, states) == {LAST: Decimal(2)}


def gauge(*points: tuple[str, str]) -> GaugeState:
    """A gauge that is stated at these times of one hour."""
    times = [micro(DAY + time) for time, _ in points]
    values = [Decimal(value) for _, value in points]
    inner = sum(
        (
            value * (later - time)
            for value, time, later in zip(values, times, times[1:], strict=False)
        ),
        Decimal(0),
    )
    return GaugeState(times[0], times[-1], values[-1], inner)


def test_a_gauge_counts_from_its_first_statement_and_holds_over_empty_hours() -> None:
    states = {
        TEN: gauge(("10:15", "4"), ("10:45", "2")),
        at(DAY + "13"): gauge(("13:30", "0")),
    }
    # 10h: 4 × ½ + 2 × ¼ = 2.5. 11h and 12h hold 2. 13h: 2 until half past, then nothing: 1.
    expected = {
        TEN: Decimal("2.5"),
        ELEVEN: Decimal(2),
        TWELVE: Decimal(2),
        at(DAY + "13"): Decimal(1),
    }
    assert billed(Aggregation.TIME_WEIGHTED, ResetPeriod.HOUR, states) == expected
    # The day is the sum: 2.5 + 2 + 2 + 1.
    expected = {LAST: Decimal("7.5")}
    assert billed(Aggregation.TIME_WEIGHTED, ResetPeriod.DAY, states) == expected


def test_a_gauge_holds_over_midnight_and_the_end_of_the_month() -> None:
    hours = [at("2026-11-30T23"), at("2026-12-01T00"), at("2026-12-01T01")]
    stated = (at("2026-11-30T23:30") - EPOCH) // MICROSECOND
    states = {hours[0]: GaugeState(stated, stated, Decimal(6), Decimal(0))}
    expected = {hours[0]: Decimal(3), hours[1]: Decimal(6), hours[2]: Decimal(6)}
    assert billed(Aggregation.TIME_WEIGHTED, ResetPeriod.HOUR, states, hours) == expected


def test_a_gauge_that_is_not_stated_again_ends_after_35_days() -> None:
    start = at("2026-11-01T00:30")
    stated = (start - EPOCH) // MICROSECOND
    states = {at("2026-11-01T00"): GaugeState(stated, stated, Decimal(2), Decimal(0))}
    hours = list(hours_between(at("2026-11-01T00"), at("2026-12-31T00")))
    found = billed(Aggregation.TIME_WEIGHTED, ResetPeriod.HOUR, states, hours)
    # 35 days = 840 hours of 2 from 1 November 00:30 until 6 December 00:30.
    assert sum(found.values()) == Decimal(1680)
    assert max(found) == at("2026-12-06T00")
    assert found[at("2026-12-06T00")] == Decimal(1)


def test_a_gauge_that_is_stated_again_starts_its_35_days_anew() -> None:
    first = (at("2026-11-01T00") - EPOCH) // MICROSECOND
    again = (at("2026-12-01T00") - EPOCH) // MICROSECOND
    states = {
        at("2026-11-01T00"): GaugeState(first, first, Decimal(2), Decimal(0)),
        at("2026-12-01T00"): GaugeState(again, again, Decimal(3), Decimal(0)),
    }
    hours = list(hours_between(at("2026-12-01T00"), at("2027-01-01T00")))
    # December alone: 31 × 24 × 3 = 2232, in its last hour.
    found = billed(Aggregation.TIME_WEIGHTED, ResetPeriod.MONTH, states, hours)
    assert found == {at("2026-12-31T23"): Decimal(2232)}


def test_a_gauge_does_not_depend_on_how_far_back_the_states_reach() -> None:
    states = {
        at("2026-10-01T00"): GaugeState(
            micro_of := (at("2026-10-01T00") - EPOCH) // MICROSECOND,
            micro_of,
            Decimal(9),
            Decimal(0),
        )
    }
    assert billed(Aggregation.TIME_WEIGHTED, ResetPeriod.HOUR, states, [TEN]) == {}
    assert billed(Aggregation.TIME_WEIGHTED, ResetPeriod.HOUR, {}, [TEN]) == {}


def row(hour: datetime, meters: Mapping[GroupKey, MeterState]) -> HourlyUsage:
    return HourlyUsage("prd", "acme", hour, {"mtr": meters}, FoldPosition(1, 1), hour, hour)


def test_a_dimension_bills_the_groups_it_names_and_all_of_them_without_a_name() -> None:
    tokens = meter(Aggregation.SUM, ResetPeriod.HOUR, "region", "model")
    rows = [
        row(TEN, {("eu", "s"): SumState(Decimal(1)), ("us", "s"): SumState(Decimal(10))}),
        row(ELEVEN, {("eu", "l"): SumState(Decimal(100))}),
    ]
    asked = [TEN, ELEVEN]
    every = {TEN: Decimal(11), ELEVEN: Decimal(100)}
    assert quantities(tokens, rows, asked, {}) == every
    assert quantities(tokens, rows, asked, {"region": "eu"}) == {TEN: 1, ELEVEN: 100}
    assert quantities(tokens, rows, asked, {"region": "eu", "model": "l"}) == {TEN: 0, ELEVEN: 100}
    with pytest.raises(InvalidInputError, match="unknown_group"):
        quantities(tokens, rows, asked, {"tier": "gold"})


def test_several_groups_of_any_aggregation_are_billed_as_the_sum_of_theirs() -> None:
    peak = meter(Aggregation.MAX, ResetPeriod.DAY, "region")
    rows = [
        row(TEN, {("eu",): MaxState(Decimal(5)), ("us",): MaxState(Decimal(7))}),
        row(ELEVEN, {("eu",): MaxState(Decimal(6))}),
    ]
    # eu rises by 5 and 1, us by 7: 12 and 1.
    assert quantities(peak, rows, [TEN, ELEVEN], {}) == {TEN: Decimal(12), ELEVEN: Decimal(1)}


def test_rows_of_other_meters_and_hours_do_not_matter() -> None:
    tokens = meter(Aggregation.SUM, ResetPeriod.HOUR)
    other = HourlyUsage(
        "prd", "acme", TEN, {"mtr_other": {(): SumState(Decimal(1))}}, FoldPosition(1, 1), TEN, TEN
    )
    assert quantities(tokens, [other, row(LAST, {(): SumState(Decimal(1))})], [TEN], {}) == {TEN: 0}


@pytest.mark.parametrize(
    ("group", "state"),
    [((), CountState(3)), (("eu",), SumState(Decimal(3)))],
    ids=["another aggregation", "another group-by"],
)
def test_what_another_definition_has_counted_is_told_apart_and_never_billed_as_this_one(
    group: GroupKey, state: MeterState
) -> None:
    tokens = meter(Aggregation.SUM, ResetPeriod.HOUR)
    rows = [row(TEN, {group: state}), row(ELEVEN, {(): SumState(Decimal(7))})]
    assert states_of(rows, tokens) == {(): {ELEVEN: SumState(Decimal(7))}}
    assert former_quantities(rows, tokens) == {group: {TEN: Decimal(3)}}
    with pytest.raises(InvariantError, match="another definition"):
        quantities(tokens, rows, [TEN, ELEVEN], {})


@given(
    st.sampled_from([Aggregation.MAX, Aggregation.UNIQUE_COUNT]),
    st.dictionaries(st.integers(0, 47), st.integers(-9, 9), max_size=20),
)
def test_the_hours_of_a_day_add_up_to_the_aggregate_of_the_day(
    aggregation: Aggregation, values: dict[int, int]
) -> None:
    start = at(DAY + "00")
    states: dict[datetime, MeterState] = {
        start + offset * HOUR: (
            MaxState(Decimal(value))
            if aggregation is Aggregation.MAX
            else unique(str(value), str(value + 1))
        )
        for offset, value in values.items()
    }
    hours = list(hours_between(start, start + timedelta(days=2)))
    found = hourly_quantities(meter(aggregation, ResetPeriod.DAY), states, hours)
    for first in (0, 24):
        of_day = [value for offset, value in values.items() if first <= offset < first + 24]
        if aggregation is Aggregation.MAX:
            expected = max(of_day, default=0)
        else:
            expected = len({*of_day, *(value + 1 for value in of_day)})
        assert sum(found[hour] for hour in hours[first : first + 24]) == expected
