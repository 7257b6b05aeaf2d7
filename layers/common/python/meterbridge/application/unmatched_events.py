"""Events that nothing bills: what they are, and why; and how many contradict an earlier one.

Nothing is stored about them. They are found again by every call, against the meters and customers
of that moment, so that the list shrinks by itself when a meter or customer is added.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from meterbridge.application.event_paging import (
    from_cursor,
    hours_to_list,
    invalid_cursor,
    to_cursor,
)
from meterbridge.application.ports import Catalog, Registry, UsageLog, UsageStore
from meterbridge.domain.event_values import Reason
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.identities import Identities, NewRows
from meterbridge.domain.measuring import EventRows, Matcher, Unmatched, unmatched
from meterbridge.domain.partitions import Partition, ShardPlan
from meterbridge.domain.usage_log import StoredSegment

MAX_PARTITIONS_READ = 500
MAX_SEGMENTS_READ = 500
"""A call that has read so much goes no further than the end of the partition it is in."""


@dataclass(frozen=True, slots=True)
class UnmatchedEvent:
    """An event that was kept and is not billed.

    Attributes:
        reason: stable code, see Reason.
        detail: for a person.
        received_at: when the request that first brought it was received.
    """

    event: UsageEvent
    reason: Reason
    detail: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class UnmatchedPage:
    """A part of the list. `next_cursor` continues it; "" at its end."""

    items: tuple[UnmatchedEvent, ...]
    next_cursor: str = ""


@dataclass(frozen=True, slots=True)
class ConflictCounts:
    """Repeats of an identity with other content, which are never added.

    Attributes:
        events: distinct events, which are.
        duplicates: repeats with the same content, which are not.
    """

    total: int
    by_hour: Mapping[datetime, int]
    events: int = 0
    duplicates: int = 0


class _Position(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Everything up to this row of this segment of this partition was listed."""

    hour: datetime
    shard: int = 0
    sk: str = ""
    row: int = -1


def list_unmatched(
    *,
    start: datetime,
    end: datetime,
    limit: int,
    cursor: str,
    log: UsageLog,
    registry: Registry,
    product_ids: Collection[str] | None = None,
) -> UnmatchedPage:
    """Unmatched events that occurred in [start, end), by hour; of repeats the first one only.

    Work is bounded: a call may answer with few events, or none, and a cursor.

    Args:
        limit: 1 to MAX_EVENTS.
        cursor: "" or the `next_cursor` of the page before, with the other arguments unchanged.
        product_ids: only events of these products; None for all.

    Raises:
        InvalidInputError: `invalid_range`, `invalid_limit` or `invalid_cursor`.
        CorruptSegmentError: a segment cannot be read.
    """
    hours = hours_to_list(start, end, limit)
    done = _position(cursor, hours) if cursor else _Position(hours[0])
    search = _Search(registry)
    items: list[UnmatchedEvent] = []
    partitions = _partitions(hours[hours.index(done.hour) :], done.shard, registry.shard_plan())
    for number, partition in enumerate(partitions):
        here = _Position(partition.hour, partition.shard)
        if number >= MAX_PARTITIONS_READ or search.segments_read >= MAX_SEGMENTS_READ:
            return UnmatchedPage(tuple(items), to_cursor(here))
        listed_to = done if number == 0 and cursor else here
        for position, item in search.partition(partition, log):
            if (position.sk, position.row) <= (listed_to.sk, listed_to.row):
                continue
            if not start <= item.event.occurred_at < end:
                continue
            if product_ids is not None and item.event.product_id not in product_ids:
                continue
            if len(items) == limit:
                return UnmatchedPage(tuple(items), to_cursor(done))
            items.append(item)
            done = position
    return UnmatchedPage(tuple(items))


def count_conflicts(*, start: datetime, end: datetime, usage: UsageStore) -> ConflictCounts:
    """How many conflicting repeats the folds of the hours [start, end) have found."""
    by_hour: Counter[datetime] = Counter()
    events = duplicates = 0
    for head in usage.heads(start, end):
        events += head.events
        duplicates += head.duplicates
        if head.conflicts:
            by_hour[head.partition.hour] += head.conflicts
    return ConflictCounts(by_hour.total(), dict(sorted(by_hour.items())), events, duplicates)


class _Search:
    """Finds unmatched events with the meters and customers of one moment."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._catalog: Catalog = registry.catalog()
        self._customers: dict[str, bool] = {}
        self.segments_read = 0

    def partition(
        self, partition: Partition, log: UsageLog
    ) -> Iterator[tuple[_Position, UnmatchedEvent]]:
        """In order of segment and row."""
        matcher = Matcher(self._catalog.meters, partition.hour)
        identities = Identities()
        for stored in log.read(partition):
            self.segments_read += 1
            for new in identities.take(stored.body):
                for row, why in sorted(self._unmatched(matcher, new).items()):
                    position = _Position(
                        partition.hour, partition.shard, stored.sk, new.group.rows.start + row
                    )
                    yield position, _item(new, row, why, stored)

    def _unmatched(self, matcher: Matcher, new: NewRows) -> dict[int, Unmatched]:
        """By row of the group."""
        group = new.group
        rows = EventRows(group, new.kept, range(len(new.subject_names)))
        if not len(rows):
            return {}
        measurements = matcher.of(group.product_id, group.type)
        measured = [measurement.take(rows) for measurement in measurements]
        listed = unmatched(measurements, measured, len(rows))
        unknown = self._unknown(new.subject_names)
        if unknown:
            for row, code in enumerate(rows.codes):
                if new.subject_names[code] in unknown:
                    listed.setdefault(row, Unmatched(Reason.UNKNOWN_CUSTOMER))
        if new.kept is None:
            return listed
        places = [place for place, kept in enumerate(new.kept) if kept]
        return {places[row]: why for row, why in listed.items()}

    def _unknown(self, subjects: Collection[str]) -> set[str]:
        new = [subject for subject in subjects if subject not in self._customers]
        if new:
            known = self._registry.customers(new)
            self._customers.update((subject, subject in known) for subject in new)
        return {subject for subject in subjects if not self._customers[subject]}


def _item(new: NewRows, row: int, why: Unmatched, stored: StoredSegment) -> UnmatchedEvent:
    event = new.group.event(row)
    return UnmatchedEvent(event, why.reason, _detail(event, why), stored.received_at)


def _detail(event: UsageEvent, why: Unmatched) -> str:
    match why.reason:
        case Reason.NO_METER:
            return f"no meter of {event.product_id} takes events of type {event.type}"
        case Reason.FILTERED:
            return f"the filters of every meter for {event.type} leave it out"
        case Reason.UNKNOWN_CUSTOMER:
            return f"there is no customer {event.subject}"
        case Reason.MISSING_VALUE:
            return f"meter {why.meter_id} finds no value"
        case Reason.NOT_A_NUMBER:
            return f"meter {why.meter_id} finds a value that is not a number"
        case Reason.OUT_OF_RANGE:
            return f"meter {why.meter_id} finds a number with too many digits"
        case Reason.NOT_A_SCALAR:
            return f"meter {why.meter_id} finds an object or a list"


def _partitions(hours: list[datetime], shard: int, plan: ShardPlan) -> Iterator[Partition]:
    """Of the hours; of the first one from a shard on."""
    for hour in hours:
        for number in range(shard, plan.shards(hour)):
            yield Partition(hour, number)
        shard = 0


def _position(cursor: str, hours: Collection[datetime]) -> _Position:
    position = from_cursor(cursor, _Position)
    if position.hour not in hours or position.shard < 0:
        raise invalid_cursor()
    return position
