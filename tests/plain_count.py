"""A plain count of usage events, one by one: the check on the fold.

It knows nothing of segments, columns or fingerprints: it is written from the rules alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

from meterbridge.domain.event_filters import Filter, FilterOperator
from meterbridge.domain.events import EPOCH, UsageEvent
from meterbridge.domain.fold import FoldResult
from meterbridge.domain.meter_states import (
    AverageState,
    CountState,
    GaugeState,
    LatestState,
    MeterState,
    UniqueState,
)
from meterbridge.domain.meters import Aggregation, Meter

GroupKey = tuple[str, ...]
Shown = Any
"""What an aggregate shows, without its digests: comparable between fold and oracle."""

DECIMAL_TEXTS = ("1.5", "-2", "17")
"""The texts that events are given and that are numbers."""


@dataclass
class Counted:
    """What the oracle found."""

    shown: dict[tuple[str, str, GroupKey], Shown] = field(default_factory=dict)
    events: int = 0
    duplicates: int = 0
    conflicts: int = 0
    unmatched: Counter[str] = field(default_factory=Counter)


def plainly(events: Iterable[UsageEvent], meters: Sequence[Meter]) -> Counted:
    counted = Counted()
    firsts: dict[tuple[str, ...], UsageEvent] = {}
    taken: defaultdict[tuple[str, str, GroupKey], list[tuple[UsageEvent, Any]]] = defaultdict(list)
    for event in events:
        identity = (event.product_id, event.subject, event.source, event.id)
        first = firsts.setdefault(identity, event)
        if first is not event:
            same = canonical(first) == canonical(event)
            counted.duplicates += same
            counted.conflicts += not same
            continue
        counted.events += 1
        judged = {
            each.id: judge(each, event)
            for each in meters
            if (each.product_id, each.event_type) == (event.product_id, event.type)
        }
        for each in meters:
            verdict, value = judged.get(each.id, ("", None))
            if verdict == "counted":
                group = tuple(group_name(at(event, by.path)) for by in each.group_by)
                taken[(event.subject, each.id, group)].append((event, value))
        faults = [
            verdict for verdict, _ in judged.values() if verdict not in ("counted", "filtered")
        ]
        if not judged:
            counted.unmatched["no_meter"] += 1
        elif faults:
            counted.unmatched[faults[0]] += 1
        elif all(verdict == "filtered" for verdict, _ in judged.values()):
            counted.unmatched["filtered"] += 1
    for (subject, meter_id, group), values in taken.items():
        (one,) = [each for each in meters if each.id == meter_id]
        counted.shown[subject, meter_id, group] = aggregate(one.aggregation, values)
    return counted


def canonical(value: Any) -> Any:
    """Equal exactly where two events or values are."""
    if isinstance(value, UsageEvent):
        return (value.type, value.occurred_at, canonical(dict(value.values)))
    if isinstance(value, dict):
        return ("object", frozenset((key, canonical(member)) for key, member in value.items()))
    if isinstance(value, list):
        return ("array", tuple(map(canonical, value)))
    if value is None or isinstance(value, bool):
        return ("literal", str(value))
    if isinstance(value, str):
        return ("text", value)
    return ("number", Fraction(value))


MISSING = object()


def at(event: UsageEvent, path: str) -> Any:
    value: Any = dict(event.values)
    for key in path.removeprefix("$.").split("."):
        value = value.get(key, MISSING) if isinstance(value, dict) else MISSING
    return value


def judge(one: Meter, event: UsageEvent) -> tuple[str, Any]:
    """("counted", value), ("filtered", None) or (reason, None)."""
    if not all(holds(condition, at(event, condition.path)) for condition in one.filters):
        return "filtered", None
    if one.aggregation is Aggregation.COUNT:
        return "counted", None
    value = at(event, one.value_path)
    if value is MISSING or value is None:
        return "missing_value", None
    if one.aggregation is Aggregation.UNIQUE_COUNT:
        return ("not_a_scalar", None) if isinstance(value, list | dict) else ("counted", value)
    if isinstance(value, str) and value in DECIMAL_TEXTS:
        value = Decimal(value)
    if isinstance(value, bool | str | list | dict):
        return "not_a_number", None
    if abs(value) >= 10**30 or Fraction(value) * 10**18 % 1:
        return "out_of_range", None
    return "counted", Fraction(value)


def holds(condition: Filter, value: Any) -> bool:
    if condition.op is FilterOperator.EXISTS:
        return (value is not MISSING) is condition.value
    if condition.op is FilterOperator.GT:
        number = Decimal(value) if isinstance(value, str) and value in DECIMAL_TEXTS else value
        plain_number = isinstance(number, int | Decimal) and not isinstance(number, bool)
        in_range = plain_number and abs(number) < 10**30 and not Fraction(number) * 10**18 % 1
        return in_range and number > condition.value
    equal = value is not MISSING and canonical(value) == canonical(condition.value)
    return equal if condition.op is FilterOperator.EQ else not equal


def group_name(value: Any) -> str:
    if value is MISSING or value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | dict):
        return "…other"
    if isinstance(value, str):
        return value
    if value == 0:
        return "0"
    text = f"{Decimal(value):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def aggregate(kind: Aggregation, taken: list[tuple[UsageEvent, Any]]) -> Shown:
    values = [value for _, value in taken]
    if kind is Aggregation.COUNT:
        return len(taken)
    if kind is Aggregation.UNIQUE_COUNT:
        return len({canonical(value) for value in values})
    if kind is Aggregation.SUM:
        return sum(values)
    if kind is Aggregation.MAX:
        return max(values)
    if kind is Aggregation.MIN:
        return min(values)
    if kind is Aggregation.AVG:
        return sum(values), len(values)
    ordered = sorted(taken, key=lambda pair: (pair[0].occurred_at, pair[0].id, pair[0].source))
    newest, value = ordered[-1]
    if kind is Aggregation.LATEST:
        return newest.occurred_at, value
    inner = sum(
        held * ((later.occurred_at - event.occurred_at) // timedelta(microseconds=1))
        for (event, held), (later, _) in pairwise(ordered)
    )
    return ordered[0][0].occurred_at, newest.occurred_at, value, inner


def shown(state: MeterState) -> Shown:
    """What a state of the fold shows, in the oracle's terms."""
    if isinstance(state, AverageState):
        return Fraction(state.total), state.events
    if isinstance(state, LatestState):
        return moment(state.at), Fraction(state.value)
    if isinstance(state, GaugeState):
        return (
            moment(state.first_at),
            moment(state.last_at),
            Fraction(state.last_value),
            Fraction(state.inner),
        )
    if isinstance(state, CountState | UniqueState):
        return int(state.quantity)
    return Fraction(state.quantity)


def moment(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


def check(result: FoldResult, counted: Counted) -> None:
    found = {
        (row.subject, meter_id, group): shown(state)
        for row in result.rows
        for meter_id, groups in row.meters.items()
        for group, state in groups.items()
    }
    assert found == counted.shown
    head = result.head
    assert (head.events, head.duplicates, head.conflicts) == (
        counted.events,
        counted.duplicates,
        counted.conflicts,
    )
    assert head.unmatched == dict(counted.unmatched)
