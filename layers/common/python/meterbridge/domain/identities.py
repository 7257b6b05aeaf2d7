"""Which events of a partition are repeats of earlier ones: exact, and fast where nothing repeats.

An event is (product, subject, source, id). Of every event only a fingerprint of that is kept
at hand. An event whose fingerprint is new is certainly new. One whose fingerprint is known is almost
certainly a repeat: it is put aside, and later compared with the first one, read again from the
packed segments. So no event is dropped before its identity was compared in full.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import zstandard

from meterbridge.domain.event_values import same
from meterbridge.domain.fingerprint_set import FingerprintSet, Marks
from meterbridge.domain.fingerprints import fingerprints
from meterbridge.domain.segments import EventGroup, decode

MAX_SUSPECTS = 100_000
"""Suspected repeats put aside before they are compared: each comparison reads old segments."""

_PLAIN = frozenset({int, str, bool, type(None)})
"""Kinds of values for which Python's == is ours, as long as both are of the same kind."""


Identity = tuple[str, str, str, str]
"""(product, subject, source, id)."""


class NewRows(NamedTuple):
    """Events of a group that are new: those that `kept` says, or all of them where it is None."""

    group: EventGroup
    kept: Sequence[bool] | None
    subject_names: Sequence[str]


class _Place(NamedTuple):
    """A group of a taken segment, by number."""

    segment: int
    group: int


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a content's time and values mean: the event's type, and the keys of the values."""

    type: str
    keys: tuple[str, ...]


_Content = tuple[Identity, _Kind, tuple[Any, ...]]
"""An event in full: its identity, its kind, and its time and values."""


def _same(left: _Content, right: _Content) -> bool:
    """Whether two events of the same identity are the same event."""
    (_, left_kind, left_cells), (_, right_kind, right_cells) = left, right
    if left_kind == right_kind:
        types = list(map(type, left_cells))
        if _PLAIN.issuperset(types) and types == list(map(type, right_cells)):
            return left_cells == right_cells
    if left_kind.type != right_kind.type or left_cells[0] != right_cells[0]:
        return False
    return same(
        dict(zip(left_kind.keys, left_cells[1:], strict=True)),
        dict(zip(right_kind.keys, right_cells[1:], strict=True)),
    )


@dataclass(slots=True)
class _Tally:
    """A segment's repeats, and how often its very bytes came again."""

    events: int
    duplicates: int = 0
    conflicts: int = 0
    copies: int = 0


class Identities:
    """The identities of a partition's events, segment after segment.

    Args:
        fingerprints_of: another function only to test events that share a fingerprint.
    """

    def __init__(self, fingerprints_of: Callable[[EventGroup], array[int]] = fingerprints) -> None:
        self._fingerprints_of = fingerprints_of
        self._decompressor = zstandard.ZstdDecompressor()
        self._seen: defaultdict[str, FingerprintSet] = defaultdict(FingerprintSet)
        self._bodies: list[bytes] = []
        self._numbers: dict[bytes, int] = {}
        self._marks: dict[_Place, tuple[str, Marks]] = {}
        self._tallies: list[_Tally] = []
        self._suspects: dict[_Place, list[int]] = {}
        self._suspected = 0
        self._sharing: dict[Identity, _Content] = {}

    @property
    def suspected(self) -> int:
        """How many events are put aside."""
        return self._suspected

    def take(self, body: bytes) -> list[NewRows]:
        """Take in a segment: its events that are certainly new.

        Raises:
            CorruptSegmentError: it cannot be decoded.
        """
        known = self._numbers.get(body)
        if known is not None:
            self._tallies[known].copies += 1
            return []
        segment = decode(body, self._decompressor)
        number = self._numbers[body] = len(self._bodies)
        self._bodies.append(body)
        self._tallies.append(_Tally(len(segment)))
        return [
            NewRows(group, self._new(group, _Place(number, index)), segment.subject_names)
            for index, group in enumerate(segment.groups)
        ]

    def settle(self) -> Iterator[NewRows]:
        """Compare all that was put aside. What turns out to be new comes back."""
        suspects, self._suspects, self._suspected = self._suspects, {}, 0
        if not suspects:
            return
        firsts = self._first_contents(suspects)
        for place, rows in suspects.items():
            segment = decode(self._bodies[place.segment], self._decompressor)
            group = segment.groups[place.group]
            product_id, marks = self._marks[place]
            tally = self._tallies[place.segment]
            new = []
            for row, event in zip(rows, _contents(group, rows), strict=True):
                identity = event[0]
                first: _Content | None = firsts[product_id, int(marks[row])]
                if first is None or first[0] != identity:
                    first = self._sharing.get(identity)
                if first is None:
                    self._sharing[identity] = event
                    new.append(row)
                elif _same(first, event):
                    tally.duplicates += 1
                else:
                    tally.conflicts += 1
            if new:
                wanted = set(new)
                kept = [row in wanted for row in range(len(group))]
                yield NewRows(group, kept, segment.subject_names)

    def counts(self) -> tuple[int, int, int]:
        """(distinct events, identical repeats, conflicting repeats), once all is settled.

        A copy of a segment repeats each of its events: identically, but for those that contradicted
        an earlier event already in the original.
        """
        distinct = duplicates = conflicts = 0
        for tally in self._tallies:
            distinct += tally.events - tally.duplicates - tally.conflicts
            duplicates += tally.duplicates + tally.copies * (tally.events - tally.conflicts)
            conflicts += tally.conflicts * (1 + tally.copies)
        return distinct, duplicates, conflicts

    def _new(self, group: EventGroup, place: _Place) -> Sequence[bool] | None:
        marks = np.frombuffer(self._fingerprints_of(group), np.uint64)
        self._marks[place] = group.product_id, marks
        known = self._seen[group.product_id].add(marks)
        if known is None:
            return None
        suspects = np.flatnonzero(known).tolist()
        self._suspects[place] = suspects
        self._suspected += len(suspects)
        new: list[bool] = (~known).tolist()
        return new

    def _first_contents(
        self, suspects: Mapping[_Place, Sequence[int]]
    ) -> dict[tuple[str, int], _Content]:
        """The first event with the fingerprint of each suspect, by product and fingerprint."""
        wanted: defaultdict[str, FingerprintSet] = defaultdict(FingerprintSet)
        for place, rows in suspects.items():
            product_id, marks = self._marks[place]
            wanted[product_id].add(marks[rows])
        found: dict[tuple[str, int], _Content] = {}
        for place, (product_id, marks) in self._marks.items():
            if product_id not in wanted:
                continue
            rows = np.flatnonzero(wanted[product_id].has(marks)).tolist()
            row_of: dict[tuple[str, int], int] = {}
            for row, mark in zip(rows, marks[rows].tolist(), strict=True):
                if (product_id, mark) not in found:
                    row_of.setdefault((product_id, mark), row)
            if row_of:
                group = decode(self._bodies[place.segment], self._decompressor).groups[place.group]
                contents = _contents(group, list(row_of.values()))
                found.update(zip(row_of, contents, strict=True))
        return found


def _contents(group: EventGroup, rows: Sequence[int]) -> Iterator[_Content]:
    """Some events of a group in full."""

    def of(column: Sequence[Any]) -> Iterator[Any]:
        return map(column.__getitem__, rows)

    identities = zip(repeat(group.product_id), of(group.subjects), of(group.sources), of(group.ids))
    cells = zip(of(group.times), *[of(group.column(key)) for key in group.keys], strict=True)
    return zip(identities, repeat(_Kind(group.type, group.keys)), cells)
