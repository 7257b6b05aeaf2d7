"""Attribution: in which hour a meter's quantity is billed, from its hourly states."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import groupby

from meterbridge.domain.errors import InvariantError
from meterbridge.domain.events import EPOCH, MICROSECOND
from meterbridge.domain.meter_states import (
    GAUGE_HOLD,
    GaugeState,
    MeterState,
    UniqueState,
    gauge_integral,
    unit_hours,
)
from meterbridge.domain.meters import ADDITIVE, MONOTONE, Aggregation, Meter
from meterbridge.domain.money import ZERO, exact_sum, subtract
from meterbridge.domain.usage import GroupKey, HourlyUsage
from meterbridge.domain.windows import HOUR, hour_of

_States = dict[GroupKey, dict[datetime, MeterState]]


def states_of(rows: Iterable[HourlyUsage], meter: Meter) -> _States:
    """One customer's states of a meter as it is defined now, by group, then hour."""
    return _states(rows, meter, made=True)


def former_quantities(
    rows: Iterable[HourlyUsage], meter: Meter
) -> dict[GroupKey, dict[datetime, Decimal]]:
    """What was counted under a definition that the meter had before, and cannot be counted again.

    A gauge's state has no quantity by itself: it shows as 0.
    """
    return {
        group: {
            hour: ZERO if isinstance(state, GaugeState) else state.quantity
            for hour, state in states.items()
        }
        for group, states in _states(rows, meter, made=False).items()
    }


def _states(rows: Iterable[HourlyUsage], meter: Meter, *, made: bool) -> _States:
    states: _States = {}
    for row in rows:
        for group, state in row.meters.get(meter.id, {}).items():
            if meter.made(group, state) is made:
                states.setdefault(group, {})[row.hour] = state
    return states


def hourly_quantities(
    meter: Meter,
    states: Mapping[datetime, MeterState],
    hours: Sequence[datetime],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> dict[datetime, Decimal]:
    """The billable quantity attributed to each of the hours, for one group of one customer.

    Additive (SUM, COUNT): the hour's own. Monotone (MAX, UNIQUE_COUNT): the increase since the
    reset period began, from zero. All others: the period's aggregate, once, in its last hour, as a
    marketplace cannot take a decrease. So the hours of a whole period always add up to the
    aggregate of the period.

    Args:
        states: by hour, from `context_start` of the first hour on.
        hours: ascending.
        since: a full hour. The reset period in which it falls begins there, though a gauge keeps
            what it held, and nothing is attributed before: an agreement's start.
        until: a full hour. The reset period in which it falls ends there, and nothing is
            attributed from then on: an agreement's end.
    """
    found = attributed(meter, states, hours, since=since, until=until)
    return {hour: found.get(hour, ZERO) for hour in hours}


def quantities_by_group(
    meter: Meter,
    rows: Sequence[HourlyUsage],
    hours: Sequence[datetime],
    wanted: Mapping[str, str],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> dict[GroupKey, dict[datetime, Decimal]]:
    """As hourly_quantities, by each group that has the wanted values, without hours of nothing.

    A meter with group-by has one aggregate per group, for every aggregation; what is billed for
    several groups is the sum of theirs.

    Raises:
        InvalidInputError: a wanted name is not one of the meter's group-by names.
        InvariantError: a row was folded under another definition of the meter.
    """
    if any(not meter.made(*each) for row in rows for each in row.meters.get(meter.id, {}).items()):
        raise InvariantError(f"{meter.id} was folded under another definition")
    return {
        group: attributed(meter, states, hours, since=since, until=until)
        for group, states in states_of(rows, meter).items()
        if meter.selects(group, wanted)
    }


def quantities(
    meter: Meter,
    rows: Sequence[HourlyUsage],
    hours: Sequence[datetime],
    wanted: Mapping[str, str],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> dict[datetime, Decimal]:
    """As quantities_by_group, summed over the groups, for each of the hours."""
    totals = dict.fromkeys(hours, ZERO)
    by_group = quantities_by_group(meter, rows, hours, wanted, since=since, until=until)
    for found in by_group.values():
        for hour, quantity in found.items():
            totals[hour] = exact_sum((totals[hour], quantity))
    return totals


def context_start(meter: Meter, hour: datetime) -> datetime:
    """From where on states are needed to know an hour's quantity."""
    if meter.aggregation in ADDITIVE:
        return hour
    start, _ = meter.reset.bounds(hour)
    gauge = meter.aggregation is Aggregation.TIME_WEIGHTED
    return hour_of(start - GAUGE_HOLD) if gauge else start


def attributed(
    meter: Meter,
    states: Mapping[datetime, MeterState],
    hours: Sequence[datetime],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> dict[datetime, Decimal]:
    """As hourly_quantities, without the hours to which nothing is attributed."""
    wanted = [
        hour
        for hour in hours
        if (since is None or since <= hour) and (until is None or hour < until)
    ]
    if meter.aggregation in ADDITIVE:
        return {hour: states[hour].quantity for hour in wanted if hour in states}
    found: dict[datetime, Decimal] = {}
    ascending = sorted(states)
    for (start, end), of_period in groupby(wanted, meter.reset.bounds):
        period_hours = set(of_period)
        last_hour = (end if until is None else min(end, until)) - HOUR
        if since is not None:
            start = max(start, since)
        first = bisect_left(ascending, start)
        inside = ascending[first : bisect_right(ascending, last_hour)]
        if meter.aggregation in MONOTONE:
            found.update(_increases([(hour, states[hour]) for hour in inside], period_hours))
        elif last_hour not in period_hours:
            continue
        elif meter.aggregation is Aggregation.TIME_WEIGHTED:
            gauges = [states[hour] for hour in [*ascending[max(first - 1, 0) : first], *inside]]
            found[last_hour] = _gauge_hours(gauges, start, last_hour + HOUR)
        elif inside:
            found[last_hour] = _merged([states[hour] for hour in inside]).quantity
    return found


def _increases(
    states: Iterable[tuple[datetime, MeterState]], wanted: set[datetime]
) -> Iterator[tuple[datetime, Decimal]]:
    digests: set[bytes] = set()
    shown, total = ZERO, None
    for hour, state in states:
        if isinstance(state, UniqueState):
            digests.update(state.each())
            total = Decimal(len(digests))
        else:
            total = state.quantity if total is None else max(total, state.quantity)
        if hour in wanted:
            yield hour, subtract(total, shown)
        shown = total


def _merged(states: Sequence[MeterState]) -> MeterState:
    total = states[0]
    for state in states[1:]:
        total = total.merged(state)
    return total


def _gauge_hours(states: Sequence[MeterState], start: datetime, end: datetime) -> Decimal:
    gauges = [state for state in states if isinstance(state, GaugeState)]
    return unit_hours(gauge_integral(gauges, _microseconds(start), _microseconds(end)))


def _microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND
