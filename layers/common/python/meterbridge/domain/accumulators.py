"""Meter states while they are being built: exact, in any order of events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal, localcontext
from operator import mul, sub
from typing import Any, Protocol

from meterbridge.domain.event_values import EXACT, OTHER_GROUP, Number
from meterbridge.domain.measuring import EventRows, Keys, Measured
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
from meterbridge.domain.meters import MAX_GROUPS, Aggregation, Meter
from meterbridge.domain.money import plain

Key = tuple[str, Keys]
"""(subject, group)."""
Order = tuple[int, str, str]


class Accumulator:
    """The states of one meter in one hour, for every customer and group."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self._grouping = _Grouping(len(meter.group_by))
        self._build: _Builder = _BUILDERS[meter.aggregation]()

    def add(self, rows: EventRows, measured: Measured) -> None:
        """Take in what the meter took from a batch."""
        if measured.groups is None:
            names: Sequence[Key] = _Ungrouped(rows.names)
            codes = measured.codes
        else:
            names, codes = self._grouping.named(rows.names, measured.codes, measured.groups)
        with localcontext(EXACT):
            self._build.add(names, codes, measured.values, measured.orders)

    def states(self) -> Iterator[tuple[Key, MeterState]]:
        """The states so far."""
        with localcontext(EXACT):
            yield from list(self._build.states())


class _Ungrouped(Sequence[Key]):
    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, code: Any) -> Any:
        return self._names[code], ()


class _Grouping:
    """Keeps a customer's groups within MAX_GROUPS: the first ones stay, the rest share OTHER."""

    def __init__(self, width: int) -> None:
        self._other: Keys = (OTHER_GROUP,) * width
        self._known: dict[str, set[Keys]] = {}

    def named(
        self, subjects: Sequence[str], codes: Sequence[int], groups: Sequence[Keys]
    ) -> tuple[list[Key], list[int]]:
        pairs = list(zip(codes, groups, strict=True))
        distinct = dict.fromkeys(pairs)
        number = dict(zip(distinct, range(len(distinct)), strict=True))
        names = [self._admitted(subjects[code], group) for code, group in distinct]
        return names, list(map(number.__getitem__, pairs))

    def _admitted(self, subject: str, group: Keys) -> Key:
        known = self._known.setdefault(subject, set())
        if group not in known:
            if len(known) >= MAX_GROUPS:
                return subject, self._other
            known.add(group)
        return subject, group


class _Builder(Protocol):
    """Takes columns: `codes` say to which of `names` each value belongs."""

    def add(
        self,
        names: Sequence[Key],
        codes: Sequence[int],
        values: Sequence[Any],
        orders: Sequence[Order] | None,
    ) -> None: ...

    def states(self) -> Iterator[tuple[Key, MeterState]]: ...


class _Counts:
    def __init__(self) -> None:
        self.by_key: Counter[Key] = Counter()

    def add(self, names: Any, codes: Any, values: Any, orders: Any) -> None:
        for code, events in Counter(codes).items():
            self.by_key[names[code]] += events

    def states(self) -> Iterator[tuple[Key, MeterState]]:
        for key, events in self.by_key.items():
            yield key, CountState(events)


class _Sums:
    def __init__(self) -> None:
        self.by_key: dict[Key, Number] = {}

    def add(self, names: Any, codes: Any, values: Any, orders: Any) -> None:
        totals: dict[int, Number] = dict.fromkeys(codes, 0)
        for code, value in zip(codes, values, strict=True):
            totals[code] += value
        for code, total in totals.items():
            key = names[code]
            self.by_key[key] = self.by_key.get(key, 0) + total

    def states(self) -> Iterator[tuple[Key, MeterState]]:
        for key, total in self.by_key.items():
            yield key, SumState(_tidy(total))


class _Averages:
    def __init__(self) -> None:
        self._sums = _Sums()
        self._counts = _Counts()

    def add(self, names: Any, codes: Any, values: Any, orders: Any) -> None:
        self._sums.add(names, codes, values, orders)
        self._counts.add(names, codes, values, orders)

    def states(self) -> Iterator[tuple[Key, MeterState]]:
        for key, total in self._sums.by_key.items():
            yield key, AverageState(_tidy(total), self._counts.by_key[key])


class _Maxima:
    def __init__(self) -> None:
        self._by_key: dict[Key, Number] = {}

    def add(self, names: Any, codes: Any, values: Any, orders: Any) -> None:
        best: dict[int, Number] = {}
        for code, value in zip(codes, values, strict=True):
            if code not in best or value > best[code]:
                best[code] = value
        for code, value in best.items():
            key = names[code]
            self._by_key[key] = max(value, self._by_key.get(key, value))

    def states(self) -> Iterator[tuple[Key, MeterState]]:
        for key, value in self._by_key.items():
            yield key, MaxState(_tidy(value))


class _Minima:
    def __init__(self) -> None:
        self._by_key: dict[Key, Number] = {}

    def add(self, names: Any, codes: Any, values: Any, orders: Any) -> None:
        best: dict[int, Number] = {}
        for code, value in zip(codes, values, strict=True):
            if code not in best or value < best[code]:
                best[code] = value
        for code, value in best.items():
            key = names[code]
            self._by_key[key] = min(value, self._by_key.get(key, value))

    def states(self) -> Iterator[tuple[Key, MeterState]]:
        for key, value in self._by_key.items():
            yield key, MinState(_tidy(value))


class _Uniques:
    def __init__(self) -> None:
        self._by_key: dict[Key, set[bytes]] = {}

    def add(self, names: Any, codes: Any, values: Any, orders: Any) -> None:
        for code, digest in set(zip(codes, values, strict=True)):
            self._by_key.setdefault(names[code], set()).add(digest)

    def states(self) -> Iterator[tuple[Key, MeterState]]:
        for key, digests in self._by_key.items():
            yield key, UniqueState.of(digests)


class _Latest:
    def __init__(self) -> None:
        self._by_key: dict[Key, tuple[Order, Number]] = {}

    def add(self, names: Any, codes: Any, values: Any, orders: Any) -> None:
        newest: dict[int, tuple[Order, Number]] = {}
        for code, point in zip(codes, zip(orders, values, strict=True), strict=True):
            if code not in newest or point > newest[code]:
                newest[code] = point
        for code, point in newest.items():
            key = names[code]
            self._by_key[key] = max(point, self._by_key.get(key, point))

    def states(self) -> Iterator[tuple[Key, MeterState]]:
        for key, (order, value) in self._by_key.items():
            yield key, LatestState(order[0], _tidy(value))


class _Gauges:
    def __init__(self) -> None:
        self._by_key: dict[Key, list[tuple[Order, Number]]] = {}

    def add(self, names: Any, codes: Any, values: Any, orders: Any) -> None:
        for code, point in zip(codes, zip(orders, values, strict=True), strict=True):
            self._by_key.setdefault(names[code], []).append(point)

    def states(self) -> Iterator[tuple[Key, MeterState]]:
        for key, points in self._by_key.items():
            points.sort()
            moments = [order[0] for order, _ in points]
            values = [value for _, value in points]
            lengths = map(sub, moments[1:], moments)
            inner = sum(map(mul, values, lengths))
            yield key, GaugeState(moments[0], moments[-1], _tidy(values[-1]), _tidy(inner))


_BUILDERS: dict[Aggregation, Callable[[], _Builder]] = {
    Aggregation.SUM: _Sums,
    Aggregation.COUNT: _Counts,
    Aggregation.MAX: _Maxima,
    Aggregation.MIN: _Minima,
    Aggregation.AVG: _Averages,
    Aggregation.UNIQUE_COUNT: _Uniques,
    Aggregation.LATEST: _Latest,
    Aggregation.TIME_WEIGHTED: _Gauges,
}


def _tidy(number: Number) -> Decimal:
    """The number as a decimal that looks the same however it was added up."""
    return Decimal(number) if isinstance(number, int) else Decimal(plain(number))
