"""Which events of a partition are repeats of earlier ones: exact, and fast where nothing repeats.

An event is (product, subject, source, id). Of every event only a 64-bit fingerprint of that is kept
at hand. An event whose fingerprint is new is certainly new. One whose fingerprint is known is almost
certainly a repeat: it is put aside, and later compared with the first one, read again from the
packed segments. So no event is dropped before its identity was compared in full.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import zstandard

from meterbridge.domain.event_values import same
from meterbridge.domain.fingerprints import fingerprints
from meterbridge.domain.segments import EventGroup, decode

MAX_SUSPECTS = 100_000
"""Suspected repeats put aside before they are compared: each comparison reads old segments."""

_PLAIN = frozenset({int, str, bool, type(None)})
"""Kinds of values for which Python's == is ours, as long as both are of the same kind."""


class NewRows(NamedTuple):
    """Events of a group that are new: those that `kept` says, or all of them where it is None."""

    group: EventGroup
    kept: Sequence[bool] | None
    subject_names: Sequence[str]


class _Place(NamedTuple):
    """A group of a taken segment, by number."""

    segment: int
    group: int


class _Content(NamedTuple):
    """An event in full. `cells` are time and values, in the order of `keys`."""

    identity: tuple[str, str, str, str]
    type: str
    keys: tuple[str, ...]
    cells: tuple[Any, ...]

    def same_as(self, other: _Content) -> bool:
        """Whether an event of the same identity is the same event."""
        if self.type != other.type or self.cells[0] != other.cells[0]:
            return False
        kinds = list(map(type, self.cells))
        alike = self.keys == other.keys and kinds == list(map(type, other.cells))
        if alike and _PLAIN.issuperset(kinds):
            return self.cells == other.cells
        return same(self._values(), other._values())

    def _values(self) -> dict[str, Any]:
        return dict(zip(self.keys, self.cells[1:], strict=True))


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
        self._seen: defaultdict[str, set[int]] = defaultdict(set)
        self._bodies: list[bytes] = []
        self._numbers: dict[bytes, int] = {}
        self._marks: dict[_Place, tuple[str, array[int]]] = {}
        self._tallies: list[_Tally] = []
        self._suspects: dict[_Place, list[int]] = {}
        self._suspected = 0
        self._searched = 0
        self._sharing: dict[tuple[str, str, str, str], _Content] = {}

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
                first: _Content | None = firsts[product_id, marks[row]]
                if first is None or first.identity != event.identity:
                    first = self._sharing.get(event.identity)
                if first is None:
                    self._sharing[event.identity] = event
                    new.append(row)
                elif first.same_as(event):
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
        marks = self._fingerprints_of(group)
        seen = self._seen[group.product_id]
        before = len(seen)
        numbers = marks.tolist()
        known: set[int] | None = None
        if self._searched > before and not seen.isdisjoint(numbers):
            known = seen.intersection(numbers)
        seen.update(numbers)
        grown = len(seen) - before
        if grown < len(numbers) and known is None:
            known = self._search(group.product_id, set(numbers), grown)
        self._marks[place] = group.product_id, marks
        if known is None:
            return None
        new = []
        for number in numbers:
            new.append(number not in known)
            known.add(number)
        suspects = [row for row, is_new in enumerate(new) if not is_new]
        self._suspects[place] = suspects
        self._suspected += len(suspects)
        return new

    def _search(self, product_id: str, numbers: set[int], grown: int) -> set[int]:
        """Those of the numbers that came before, `grown` having been new; latest segments first.

        Repeats are seldom and soon, so it is cheaper to look for them when there are some than to
        ask for every event. Where that is not so, `_searched` grows and events are asked for first.
        """
        found: set[int] = set()
        for owner, marks in reversed(self._marks.values()):
            if len(found) == len(numbers) - grown:
                break
            if owner == product_id:
                found |= numbers.intersection(marks)
                self._searched += len(marks)
        return found

    def _first_contents(
        self, suspects: Mapping[_Place, Sequence[int]]
    ) -> dict[tuple[str, int], _Content]:
        """The first event with the fingerprint of each suspect, by product and fingerprint."""
        wanted: defaultdict[str, set[int]] = defaultdict(set)
        for place, rows in suspects.items():
            product_id, marks = self._marks[place]
            wanted[product_id].update(map(marks.__getitem__, rows))
        found: dict[tuple[str, int], _Content] = {}
        for place, (product_id, marks) in self._marks.items():
            hits = wanted[product_id].intersection(marks)
            if hits:
                wanted[product_id] -= hits
                group = decode(self._bodies[place.segment], self._decompressor).groups[place.group]
                rows = list(map(marks.index, hits))
                keys = [(product_id, hit) for hit in hits]
                found.update(zip(keys, _contents(group, rows), strict=True))
        return found


def _contents(group: EventGroup, rows: Iterable[int]) -> Iterator[_Content]:
    """Some events of a group in full."""
    columns = [group.times, *(group.column(key) for key in group.keys)]
    subjects, sources, ids = group.subjects, group.sources, group.ids
    for row in rows:
        yield _Content(
            (group.product_id, subjects[row], sources[row], ids[row]),
            group.type,
            group.keys,
            tuple([column[row] for column in columns]),
        )
