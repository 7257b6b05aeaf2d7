"""Which events of a partition are repeats of earlier ones: exact, and fast where nothing repeats.

An event is (product, subject, source, id). Of every identity only a 64-bit hash is kept, with the
number of the row it came first in. An event whose hash is new is certainly new. One whose hash is
known is almost certainly a repeat: it is put aside, and later compared with that first row, read
again from its segment. So no event is dropped before its identity was compared in full.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import eq

from meterbridge.domain.event_values import same
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.usage_log import EventGroup, Segment, decode

MAX_SUSPECTS = 20_000
"""Suspected repeats put aside before they are compared, so that no segment is read too often."""

Identity = tuple[str, str, str, str]


@dataclass(slots=True)
class _Tally:
    """A segment's repeats, and how often its very bytes came again."""

    events: int
    duplicates: int = 0
    conflicts: int = 0
    copies: int = 0


@dataclass(frozen=True, slots=True)
class _Suspect:
    """An event of a segment whose hash was first seen in another row."""

    event: UsageEvent
    segment: int
    first_row: int


class Identities:
    """The identities of a partition's events, segment after segment.

    Args:
        hash_of: of (subject, source, bytes of the id). Another than `hash` only tests collisions.
    """

    def __init__(self, hash_of: Callable[[tuple[str, str, bytes]], int] = hash) -> None:
        self._hash_of = hash_of
        self._first_rows: dict[str, dict[int, int]] = {}
        self._bodies: list[bytes] = []
        self._starts: list[int] = []
        self._numbers: dict[bytes, int] = {}
        self._tallies: list[_Tally] = []
        self._rows = 0
        self._suspects: list[_Suspect] = []
        self._collided: dict[Identity, UsageEvent] = {}

    def take(self, body: bytes) -> tuple[Segment, list[Sequence[bool] | None]] | None:
        """Take in a segment. For each of its groups, which rows are certainly new (None: all).

        Returns None for a body that was taken in before: a request sent again.

        Raises:
            CorruptSegmentError: it cannot be decoded; nothing was taken in.
        """
        known = self._numbers.get(body)
        if known is not None:
            self._tallies[known].copies += 1
            return None
        segment = decode(body)
        hashes = [
            list(map(self._hash_of, zip(group.subjects, group.sources, group.id_keys, strict=True)))
            for group in segment.groups
        ]
        self._numbers[body] = len(self._bodies)
        self._bodies.append(body)
        self._starts.append(self._rows)
        self._tallies.append(_Tally(len(segment)))
        return segment, list(map(self._new_rows, segment.groups, hashes))

    def settle(self) -> list[UsageEvent]:
        """Compare all that was put aside. Returns the events that turned out to be new."""
        suspects, self._suspects = self._suspects, []
        firsts = self._events_at({suspect.first_row for suspect in suspects})
        new = []
        for suspect in suspects:
            event, tally = suspect.event, self._tallies[suspect.segment]
            first: UsageEvent | None = firsts[suspect.first_row]
            if first is None or _identity(first) != _identity(event):
                first = self._collided.get(_identity(event))
            if first is None:
                self._collided[_identity(event)] = event
                new.append(event)
            elif _same_content(first, event):
                tally.duplicates += 1
            else:
                tally.conflicts += 1
        return new

    @property
    def suspects(self) -> int:
        """How many events are put aside."""
        return len(self._suspects)

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

    def _new_rows(self, group: EventGroup, hashes: Sequence[int]) -> Sequence[bool] | None:
        first_rows = self._first_rows.setdefault(group.product_id, {})
        before = len(first_rows)
        rows = range(self._rows, self._rows + len(hashes))
        self._rows = rows.stop
        # setdefault looks up and enters at once: a row is new if it got its own number back.
        found = list(map(first_rows.setdefault, hashes, rows))
        if len(first_rows) == before + len(hashes):
            return None
        new = list(map(eq, found, rows))
        number = len(self._bodies) - 1
        self._suspects += [
            _Suspect(group.event(row), number, found[row])
            for row, is_new in enumerate(new)
            if not is_new
        ]
        return new

    def _events_at(self, rows: set[int]) -> dict[int, UsageEvent]:
        """Events by row number, every segment read once."""
        events: dict[int, UsageEvent] = {}
        number, segment = -1, None
        for row in sorted(rows):
            own = bisect_right(self._starts, row) - 1
            if segment is None or own != number:
                number, segment = own, decode(self._bodies[own])
            events[row] = _event(segment, row - self._starts[own])
        return events


def _event(segment: Segment, row: int) -> UsageEvent:
    group = next(group for group in segment.groups if row < group.rows.stop)
    return group.event(row - group.rows.start)


def _identity(event: UsageEvent) -> Identity:
    return event.product_id, event.subject, event.source, event.id


def _same_content(left: UsageEvent, right: UsageEvent) -> bool:
    return (
        left.type == right.type
        and left.occurred_at == right.occurred_at
        and same(dict(left.values), dict(right.values))
    )
