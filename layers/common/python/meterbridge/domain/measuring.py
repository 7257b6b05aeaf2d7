"""What a meter takes from a batch of events, column by column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import compress
from typing import Any, NamedTuple, TypeVar

import numpy as np

from meterbridge.domain.event_filters import path_keys, predicate
from meterbridge.domain.event_values import (
    MISSING,
    Reason,
    digests_of,
    group_texts,
    numbers_of,
)
from meterbridge.domain.events import EPOCH, MICROSECOND
from meterbridge.domain.meters import Aggregation, Meter
from meterbridge.domain.run_sums import Mask, Runs, RunTotals, whole_numbers
from meterbridge.domain.segments import EventGroup

_T = TypeVar("_T")
Keys = tuple[str, ...]
Group = tuple[str, ...]


class EventRows:
    """Events of one product and type from one group of a segment, some rows left out.

    Args:
        kept: which rows of the group; None for all.
        slots: the caller's number for each of the segment's subjects.
    """

    def __init__(
        self, group: EventGroup, kept: Sequence[bool] | None, slots: Sequence[int]
    ) -> None:
        self._group = group
        self._kept = kept
        self.slots = slots
        self._size = len(group) if kept is None else sum(kept)

    def __len__(self) -> int:
        return self._size

    @cached_property
    def codes(self) -> Sequence[int]:
        """For each event, where the number of its subject is in `slots`."""
        return self._of(self._group.subject_codes)

    @cached_property
    def _runs(self) -> Runs:
        group = self._group
        packed = whole_numbers(*group.packed_subject_codes)
        codes = np.array(group.subject_codes) if packed is None else packed[0][group.rows]
        return Runs(codes if self._mask is None else codes[self._mask], self.slots)

    @cached_property
    def _mask(self) -> Mask | None:
        return None if self._kept is None else np.array(self._kept)

    @property
    def counts(self) -> RunTotals:
        """How many events each customer has."""
        return self._runs.lengths

    def sums(self, path: Keys) -> RunTotals | None:
        """The sum of the values at a path for each customer, if there is a short cut to it."""
        packed = self._group.packed_whole(path[0]) if len(path) == 1 else None
        found = None if packed is None else whole_numbers(*packed, len(self._group))
        if found is None:
            return None
        values, bound = found
        return self._runs.sums(values if self._mask is None else values[self._mask], bound)

    @cached_property
    def times(self) -> Sequence[int]:
        """Microseconds since the epoch."""
        return self._of(self._group.times)

    @cached_property
    def orders(self) -> list[tuple[int, str, str]]:
        """What tells which of two events is the newer: (time, id, source)."""
        group = self._group
        return list(zip(self.times, self._of(group.ids), self._of(group.sources), strict=True))

    def at(self, path: Keys) -> Sequence[Any]:
        """The values at a path, MISSING where there is none."""
        first, *rest = path
        if first not in self._group.keys:
            return [MISSING] * self._size
        column = self._of(self._group.column(first))
        for key in rest:
            column = [
                value.get(key, MISSING) if isinstance(value, dict) else MISSING for value in column
            ]
        return column

    def is_whole(self, path: Keys) -> bool:
        """Whether all values at a path are known to be 64-bit integers, without a look at them."""
        return len(path) == 1 and path[0] in self._group.keys and self._group.is_whole(path[0])

    def _of(self, column: Sequence[_T]) -> Sequence[_T]:
        return column if self._kept is None else list(compress(column, self._kept))


@dataclass(frozen=True, slots=True)
class Measured:
    """What one meter takes from a batch.

    Attributes:
        totals: what COUNT or SUM makes of the batch, where there is a short cut to it.
        codes: for each event taken, where the number of its subject is in `slots`; empty with
            totals.
        values: for each event taken: a number, or a digest (UNIQUE_COUNT); empty with totals.
        groups: for each event taken, its group; None without group-by.
        orders: for each event taken; None where the order does not matter.
        taken: which rows of the batch; None for all of them.
        faults: rows whose value cannot be metered. They are not taken.
    """

    totals: RunTotals | None
    codes: Sequence[int]
    slots: Sequence[int]
    values: Sequence[Any]
    groups: Sequence[Group] | None
    orders: Sequence[tuple[int, str, str]] | None
    taken: Sequence[bool] | None = None
    faults: dict[int, Reason] = field(default_factory=dict)


class Measurement:
    """A meter made ready for batches of the events of its product and type."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self._value = path_keys(meter.value_path) if meter.value_path else ()
        self._filters: list[tuple[Keys, Callable[[Any], bool]]] = [
            (path_keys(condition.path), predicate(condition)) for condition in meter.filters
        ]
        self._groups = [path_keys(group.path) for group in meter.group_by]
        self._ordered = meter.aggregation in (Aggregation.LATEST, Aggregation.TIME_WEIGHTED)
        self._archived_at = None if meter.archived_at is None else _microseconds(meter.archived_at)

    def take(self, rows: EventRows) -> Measured:
        """What the meter takes from a batch."""
        taken = self._selected(rows)
        totals = self._totals(rows) if taken is None and not self._groups else None
        values: Sequence[Any] = ()
        faults: dict[int, Reason] = {}
        if totals is None and self.meter.aggregation is not Aggregation.COUNT:
            values, wrong = self._values(rows, taken)
            if wrong:
                places = range(len(rows)) if taken is None else _places(taken)
                faults = {places[row]: reason for row, reason in wrong.items()}
                taken = [
                    row not in faults and (taken is None or taken[row]) for row in range(len(rows))
                ]
        groups = None
        if self._groups:
            texts = [group_texts(_compressed(rows.at(path), taken)) for path in self._groups]
            groups = list(zip(*texts, strict=True))
        return Measured(
            totals=totals,
            codes=() if totals is not None else _compressed(rows.codes, taken),
            slots=rows.slots,
            values=values,
            groups=groups,
            orders=_compressed(rows.orders, taken) if self._ordered else None,
            taken=taken,
            faults=faults,
        )

    def _totals(self, rows: EventRows) -> RunTotals | None:
        if self.meter.aggregation is Aggregation.COUNT:
            return rows.counts
        return rows.sums(self._value) if self.meter.aggregation is Aggregation.SUM else None

    def _values(
        self, rows: EventRows, taken: Sequence[bool] | None
    ) -> tuple[Sequence[Any], dict[int, Reason]]:
        column = _compressed(rows.at(self._value), taken)
        if self.meter.aggregation is Aggregation.UNIQUE_COUNT:
            return digests_of(column)
        return (column, {}) if rows.is_whole(self._value) else numbers_of(column)

    def _selected(self, rows: EventRows) -> Sequence[bool] | None:
        masks = [list(map(holds, rows.at(path))) for path, holds in self._filters]
        if self._archived_at is not None:
            end = self._archived_at
            masks.append([time < end for time in rows.times])
        if not masks or all(map(all, masks)):
            return None
        return masks[0] if len(masks) == 1 else list(map(all, zip(*masks, strict=True)))


class Matcher:
    """The meters of a catalog, ready for the batches of one hour."""

    def __init__(self, meters: Sequence[Meter], hour: datetime) -> None:
        self._by_type: dict[tuple[str, str], list[Measurement]] = {}
        for meter in sorted(meters, key=lambda meter: meter.id):
            if meter.archived_at is None or meter.archived_at > hour:
                of_type = self._by_type.setdefault((meter.product_id, meter.event_type), [])
                of_type.append(Measurement(meter))

    def of(self, product_id: str, event_type: str) -> Sequence[Measurement]:
        """The meters of a product that take a type of event, in order of id."""
        return self._by_type.get((product_id, event_type), ())


class Unmatched(NamedTuple):
    """Why an event is listed, and the meter whose value it spoils; "" where it is not about one."""

    reason: Reason
    meter_id: str = ""


def unmatched(
    measurements: Sequence[Measurement], measured: Sequence[Measured], size: int
) -> dict[int, Unmatched]:
    """Rows of a batch to be listed as unmatched, and why.

    A fault of its value on any meter comes first, even where another meter counted the event. Then
    an event is listed if no meter counted it.
    """
    if not measured:
        return dict.fromkeys(range(size), Unmatched(Reason.NO_METER))
    listed: dict[int, Unmatched] = {}
    for measurement, one in zip(measurements, measured, strict=True):
        for row, reason in one.faults.items():
            listed.setdefault(row, Unmatched(reason, measurement.meter.id))
    if all(one.taken is not None for one in measured):
        counted = map(any, zip(*(one.taken or () for one in measured), strict=True))
        for row, is_counted in enumerate(counted):
            if not is_counted:
                listed.setdefault(row, Unmatched(Reason.FILTERED))
    return listed


def _compressed(column: Sequence[_T], mask: Sequence[bool] | None) -> Sequence[_T]:
    return column if mask is None else list(compress(column, mask))


def _places(mask: Sequence[bool]) -> list[int]:
    return [row for row, taken in enumerate(mask) if taken]


def _microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND
