"""Recount a meter from raw events, one by one: the check on the fold, with other code than the fold's.

It shares with the fold what a value means (event_values, event_filters) and which hour a quantity
belongs to (meters). Finding repeats, choosing events and adding up are done here, plainly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import reduce
from typing import Any

from meterbridge.domain.event_filters import path_keys, predicate
from meterbridge.domain.event_values import MISSING, Reason, digest_of, group_text, number_of
from meterbridge.domain.events import EPOCH, MICROSECOND, UsageEvent
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
from meterbridge.domain.meters import Aggregation, Meter
from meterbridge.domain.money import ZERO
from meterbridge.domain.usage import GroupKey
from meterbridge.domain.usage_log import StoredSegment, decode
from meterbridge.domain.windows import hour_of

_NUMBERS: dict[Aggregation, Callable[[int, Any], MeterState]] = {
    Aggregation.SUM: lambda _at, value: SumState(value),
    Aggregation.MAX: lambda _at, value: MaxState(value),
    Aggregation.MIN: lambda _at, value: MinState(value),
    Aggregation.AVG: lambda _at, value: AverageState(value, 1),
    Aggregation.LATEST: lambda at, value: LatestState(at, value),
    Aggregation.TIME_WEIGHTED: lambda at, value: GaugeState(at, at, value, ZERO),
}


def customer_events(
    segments: Iterable[StoredSegment], product_id: str, subject: str
) -> Iterator[UsageEvent]:
    """One customer's events of a partition, the first of each identity only.

    Args:
        segments: of one partition, in order.

    Raises:
        CorruptSegmentError: a segment cannot be read.
    """
    seen: set[tuple[str, str]] = set()
    for segment in segments:
        for group in decode(segment.body).groups:
            for row in range(len(group)):
                event = group.event(row)
                identity = (event.source, event.id)
                if (event.product_id, event.subject) != (product_id, subject):
                    continue
                if identity not in seen:
                    seen.add(identity)
                    yield event


def recount(
    meter: Meter, events: Iterable[UsageEvent]
) -> dict[GroupKey, dict[datetime, MeterState]]:
    """The states of a meter by group and hour."""
    ordered = sorted(events, key=lambda event: (event.occurred_at, event.id, event.source))
    parts: dict[GroupKey, dict[datetime, list[MeterState]]] = {}
    for event in ordered:
        state = _state_of(meter, event)
        if state is not None:
            group = tuple(group_text(_at(event, by.path)) for by in meter.group_by)
            hours = parts.setdefault(group, {})
            hours.setdefault(hour_of(event.occurred_at), []).append(state)
    return {
        group: {hour: reduce(_merged, states) for hour, states in hours.items()}
        for group, hours in parts.items()
    }


def _merged(left: MeterState, right: MeterState) -> MeterState:
    return left.merged(right)


def _state_of(meter: Meter, event: UsageEvent) -> MeterState | None:
    """What one event adds; None when the meter does not take it."""
    ours = (event.product_id, event.type) == (meter.product_id, meter.event_type)
    archived = meter.archived_at is not None and event.occurred_at >= meter.archived_at
    if not ours or archived:
        return None
    if not all(predicate(each)(_at(event, each.path)) for each in meter.filters):
        return None
    if meter.aggregation is Aggregation.COUNT:
        return CountState(1)
    value = _at(event, meter.value_path)
    if meter.aggregation is Aggregation.UNIQUE_COUNT:
        if value is None or value is MISSING or isinstance(value, dict | list):
            return None
        return UniqueState.of([digest_of(value)])
    number = number_of(value)
    if isinstance(number, Reason):
        return None
    at = (event.occurred_at - EPOCH) // MICROSECOND
    return _NUMBERS[meter.aggregation](at, ZERO + number)


def _at(event: UsageEvent, path: str) -> Any:
    value: Any = event.values
    for key in path_keys(path):
        value = value.get(key, MISSING) if isinstance(value, dict) else MISSING
    return value
