"""Meter states while they are being built: exact, in any order of events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal, localcontext
from operator import mul, sub
from typing import Any, NamedTuple, Protocol

from meterbridge.domain.event_values import EXACT, OTHER_GROUP, Number
from meterbridge.domain.measuring import Group, Measured
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
from meterbridge.domain.run_sums import RunTotals, WholeTotals

Order = tuple[int, str, str]


class Accumulator:
    """The states of one meter in one hour, for every customer and group."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self._groups = _Groups(len(meter.group_by)) if meter.group_by else None
        self._build: _Builder = _BUILDERS[meter.aggregation]()

    def add(self, measured: Measured) -> None:
        """Take in what the meter took from a batch."""
        batch = Batch(
            measured.codes,
            measured.slots,
            measured.values,
            measured.orders or (),
            measured.totals,
        )
        if self._groups is not None:
            codes, numbers = self._groups.numbered(
                batch.codes, batch.numbers, measured.groups or ()
            )
            batch = batch._replace(codes=codes, numbers=numbers)
        with localcontext(EXACT):
            self._build.add(batch)

    def states(self) -> Iterator[tuple[int, Group, MeterState]]:
        """(customer's slot, group, state), so far."""
        with localcontext(EXACT):
            for number, state in list(self._build.states()):
                slot, group = (number, ()) if self._groups is None else self._groups.names[number]
                yield slot, group, state


class Batch(NamedTuple):
    """Columns of values. `numbers[code]` is the customer, or customer and group, of a value.

    `totals`, where it is known, is what COUNT or SUM makes of the batch.
    """

    codes: Sequence[int]
    numbers: Sequence[int]
    values: Sequence[Any]
    orders: Sequence[Order]
    totals: RunTotals | None


class _Groups:
    """Numbers for the groups of every customer, of which there are at most MAX_GROUPS.

    The first ones stay, the rest share OTHER_GROUP.

    Attributes:
        names: (customer's slot, group) of each number.
    """

    def __init__(self, width: int) -> None:
        self._other = (OTHER_GROUP,) * width
        self._numbers: dict[tuple[int, Group], int] = {}
        self._sizes: Counter[int] = Counter()
        self.names: list[tuple[int, Group]] = []

    def numbered(
        self, codes: Sequence[int], slots: Sequence[int], groups: Sequence[Group]
    ) -> tuple[Sequence[int], Sequence[int]]:
        """A code for each (customer, group), and the number of each code."""
        pairs = list(zip(codes, groups, strict=True))
        distinct = dict.fromkeys(pairs)
        code_of = dict(zip(distinct, range(len(distinct)), strict=True))
        numbers = [self._number((slots[code], group)) for code, group in distinct]
        return list(map(code_of.__getitem__, pairs)), numbers

    def _number(self, pair: tuple[int, Group]) -> int:
        known = self._numbers.get(pair)
        if known is not None:
            return known
        slot, group = pair
        if group != self._other:
            if self._sizes[slot] >= MAX_GROUPS:
                return self._number((slot, self._other))
            self._sizes[slot] += 1
        self._numbers[pair] = len(self.names)
        self.names.append(pair)
        return self._numbers[pair]


class _Builder(Protocol):
    def add(self, batch: Batch) -> None: ...

    def states(self) -> Iterator[tuple[int, MeterState]]: ...


class _Counts:
    def __init__(self) -> None:
        self._totals = WholeTotals()

    def add(self, batch: Batch) -> None:
        if batch.totals is not None:
            self._totals.add_runs(batch.totals)
        else:
            self._totals.add(batch.numbers, Counter(batch.codes))

    def by_number(self) -> Mapping[int, Number]:
        return self._totals.by_number()

    def states(self) -> Iterator[tuple[int, MeterState]]:
        for number, events in self.by_number().items():
            yield number, CountState(int(events))


class _Sums:
    def __init__(self) -> None:
        self._totals = WholeTotals()

    def add(self, batch: Batch) -> None:
        if batch.totals is not None:
            self._totals.add_runs(batch.totals)
            return
        totals: dict[int, Number] = dict.fromkeys(batch.codes, 0)
        for code, value in zip(batch.codes, batch.values, strict=True):
            totals[code] += value
        self._totals.add(batch.numbers, totals)

    def by_number(self) -> Mapping[int, Number]:
        return self._totals.by_number()

    def states(self) -> Iterator[tuple[int, MeterState]]:
        for number, total in self.by_number().items():
            yield number, SumState(_tidy(total))


class _Averages:
    def __init__(self) -> None:
        self._sums = _Sums()
        self._counts = _Counts()

    def add(self, batch: Batch) -> None:
        self._sums.add(batch)
        self._counts.add(batch)

    def states(self) -> Iterator[tuple[int, MeterState]]:
        counts = self._counts.by_number()
        for number, total in self._sums.by_number().items():
            events = int(counts[number])
            yield number, AverageState(_tidy(total), events)


class _Maxima:
    def __init__(self) -> None:
        self._by_number: dict[int, Number] = {}

    def add(self, batch: Batch) -> None:
        best: dict[int, Number] = {}
        for code, value in zip(batch.codes, batch.values, strict=True):
            if code not in best or value > best[code]:
                best[code] = value
        for code, value in best.items():
            number = batch.numbers[code]
            self._by_number[number] = max(value, self._by_number.get(number, value))

    def states(self) -> Iterator[tuple[int, MeterState]]:
        for number, value in self._by_number.items():
            yield number, MaxState(_tidy(value))


class _Minima:
    def __init__(self) -> None:
        self._by_number: dict[int, Number] = {}

    def add(self, batch: Batch) -> None:
        best: dict[int, Number] = {}
        for code, value in zip(batch.codes, batch.values, strict=True):
            if code not in best or value < best[code]:
                best[code] = value
        for code, value in best.items():
            number = batch.numbers[code]
            self._by_number[number] = min(value, self._by_number.get(number, value))

    def states(self) -> Iterator[tuple[int, MeterState]]:
        for number, value in self._by_number.items():
            yield number, MinState(_tidy(value))


class _Uniques:
    def __init__(self) -> None:
        self._by_number: dict[int, set[bytes]] = {}

    def add(self, batch: Batch) -> None:
        for code, digest in set(zip(batch.codes, batch.values, strict=True)):
            self._by_number.setdefault(batch.numbers[code], set()).add(digest)

    def states(self) -> Iterator[tuple[int, MeterState]]:
        for number, digests in self._by_number.items():
            yield number, UniqueState.of(digests)


class _Latest:
    def __init__(self) -> None:
        self._by_number: dict[int, tuple[Order, Number]] = {}

    def add(self, batch: Batch) -> None:
        newest: dict[int, tuple[Order, Number]] = {}
        points = zip(batch.orders, batch.values, strict=True)
        for code, point in zip(batch.codes, points, strict=True):
            if code not in newest or point > newest[code]:
                newest[code] = point
        for code, point in newest.items():
            number = batch.numbers[code]
            self._by_number[number] = max(point, self._by_number.get(number, point))

    def states(self) -> Iterator[tuple[int, MeterState]]:
        for number, (order, value) in self._by_number.items():
            yield number, LatestState(order[0], _tidy(value))


class _Gauges:
    def __init__(self) -> None:
        self._by_number: dict[int, list[tuple[Order, Number]]] = {}

    def add(self, batch: Batch) -> None:
        points = zip(batch.orders, batch.values, strict=True)
        for code, point in zip(batch.codes, points, strict=True):
            self._by_number.setdefault(batch.numbers[code], []).append(point)

    def states(self) -> Iterator[tuple[int, MeterState]]:
        for number, points in self._by_number.items():
            points.sort()
            moments = [order[0] for order, _ in points]
            values = [value for _, value in points]
            lengths = map(sub, moments[1:], moments)
            inner = sum(map(mul, values, lengths))
            yield number, GaugeState(moments[0], moments[-1], _tidy(values[-1]), _tidy(inner))


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
