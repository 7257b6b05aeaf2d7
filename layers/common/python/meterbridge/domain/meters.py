"""Meters: how usage events become a quantity, and which hour that quantity is billed in."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING

from meterbridge.domain.errors import InvalidInputError, InvariantError
from meterbridge.domain.event_filters import Filter as Filter
from meterbridge.domain.event_filters import FilterOperator as FilterOperator
from meterbridge.domain.event_filters import path_keys
from meterbridge.domain.events import EPOCH, MICROSECOND
from meterbridge.domain.meter_states import (
    GAUGE_HOLD,
    GaugeState,
    UniqueState,
    gauge_integral,
    unit_hours,
)
from meterbridge.domain.meter_states import MeterState as MeterState
from meterbridge.domain.money import ZERO, exact_sum, subtract
from meterbridge.domain.windows import HOUR, BillingPeriod, hour_of

if TYPE_CHECKING:
    from meterbridge.domain.usage import GroupKey, HourlyUsage

MAX_FILTERS = 20
MAX_GROUP_BY = 5
MAX_GROUPS = 10_000
_GROUP_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


class Aggregation(StrEnum):
    """How the events of an hour become one state.

    SUM, COUNT, MAX, MIN and AVG are what they say. UNIQUE_COUNT counts distinct values, LATEST is
    the value of the newest event, TIME_WEIGHTED integrates a gauge over time, in unit-hours.
    """

    SUM = "sum"
    COUNT = "count"
    MAX = "max"
    MIN = "min"
    AVG = "average"
    UNIQUE_COUNT = "unique_count"
    LATEST = "latest"
    TIME_WEIGHTED = "time_weighted"


ADDITIVE = frozenset({Aggregation.SUM, Aggregation.COUNT})
MONOTONE = frozenset({Aggregation.MAX, Aggregation.UNIQUE_COUNT})


class ResetPeriod(StrEnum):
    """Over which calendar period (UTC) a meter aggregates before it starts again."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"

    def bounds(self, hour: datetime) -> tuple[datetime, datetime]:
        """The period [start, end) that holds an hour."""
        if self is ResetPeriod.HOUR:
            return hour, hour + HOUR
        if self is ResetPeriod.DAY:
            start = hour.replace(hour=0)
            return start, start + timedelta(days=1)
        period = BillingPeriod.of(hour)
        return period.start, period.end


@dataclass(frozen=True, slots=True)
class GroupBy:
    """A name under which quantities are kept apart by the value at a path."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Meter:
    """How events of one type become a quantity.

    Attributes:
        event_type: CloudEvents `type` it takes.
        value_path: where in `data` the metered value is; "" for COUNT only.
        filters: all must hold.
        group_by: at most MAX_GROUP_BY.
        reset: no matter for SUM and COUNT.
        archived_at: events that occurred from then on are not counted; earlier ones stay.

    Raises:
        InvalidInputError: it contradicts itself; `pointer` names the attribute as in the API.
    """

    id: str
    product_id: str
    name: str
    event_type: str
    aggregation: Aggregation
    value_path: str = ""
    filters: tuple[Filter, ...] = ()
    group_by: tuple[GroupBy, ...] = ()
    reset: ResetPeriod = ResetPeriod.HOUR
    created_at: datetime | None = None
    archived_at: datetime | None = None

    def __post_init__(self) -> None:
        if not self.event_type:
            raise InvalidInputError("missing_event_type", "event_type is empty", "/event_type")
        if self.aggregation is not Aggregation.COUNT:
            path_keys(self.value_path, "/value_path")
        elif self.value_path:
            raise InvalidInputError("unexpected_value_path", "count takes no value", "/value_path")
        if len(self.filters) > MAX_FILTERS:
            raise InvalidInputError("too_many_filters", f"more than {MAX_FILTERS}", "/filters")
        for index, condition in enumerate(self.filters):
            condition.check(f"/filters/{index}")
        if len(self.group_by) > MAX_GROUP_BY:
            raise InvalidInputError("too_many_groups", f"more than {MAX_GROUP_BY}", "/group_by")
        names = [group.name for group in self.group_by]
        for index, group in enumerate(self.group_by):
            path_keys(group.path, f"/group_by/{index}/path")
            if not _GROUP_NAME.fullmatch(group.name) or group.name in names[:index]:
                raise InvalidInputError(
                    "invalid_name",
                    f"{group.name[:80]!r} is there twice or is not of the form region_name",
                    f"/group_by/{index}/name",
                )

    def selects(self, group: GroupKey, wanted: Mapping[str, str]) -> bool:
        """Whether a group has all the wanted values; nothing wanted selects every group.

        Raises:
            InvalidInputError: a wanted name is not one of the meter's group-by names.
            InvariantError: the group was made under another definition of the meter.
        """
        if len(group) != len(self.group_by):
            raise InvariantError(f"{self.id} was folded with another group-by")
        values = dict(zip((by.name for by in self.group_by), group, strict=True))
        unknown = wanted.keys() - values.keys()
        if unknown:
            raise InvalidInputError("unknown_group", f"{self.id} has no group {min(unknown)!r}")
        return all(values[name] == value for name, value in wanted.items())


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


def quantities(
    meter: Meter,
    rows: Iterable[HourlyUsage],
    hours: Sequence[datetime],
    wanted: Mapping[str, str],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> dict[datetime, Decimal]:
    """As hourly_quantities, summed over the groups that have the wanted values.

    The sum over groups is taken for every aggregation: a meter with group-by has one aggregate per
    group, and what is billed for several groups is the sum of theirs.

    Raises:
        InvalidInputError: a wanted name is not one of the meter's group-by names.
    """
    totals = dict.fromkeys(hours, ZERO)
    for group, states in states_of(rows, meter).items():
        if meter.selects(group, wanted):
            found = attributed(meter, states, hours, since=since, until=until)
            for hour, quantity in found.items():
                totals[hour] = exact_sum((totals[hour], quantity))
    return totals


def states_of(
    rows: Iterable[HourlyUsage], meter: Meter
) -> dict[GroupKey, dict[datetime, MeterState]]:
    """One customer's states of a meter, by group, then hour."""
    states: dict[GroupKey, dict[datetime, MeterState]] = {}
    for row in rows:
        for group, state in row.meters.get(meter.id, {}).items():
            states.setdefault(group, {})[row.hour] = state
    return states


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
