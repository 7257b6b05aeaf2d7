"""Archive usage for good: every event as it was received, and every closed hour's quantities.

Events are archived slice by slice (see `archive_slices`). Which slices there are is told by the
arrivals, which ingest notes before it stores anything, so neither the stream nor a fold is relied
on. An object that is there is complete and final; the position only spares looking again.

Quantities of an hour are archived once it is closed, and again whenever its fold knew more: the
object is replaced, and never by one that knew less.

Each step is repeated by the next run if this one is killed: objects are stored, then a position
moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby, takewhile

from meterbridge.application.archive_ports import UsageArchive
from meterbridge.application.ports import Clock, UsageLog, UsageStore
from meterbridge.domain.archive_rows import customers_of
from meterbridge.domain.archive_slices import ArchiveSlice
from meterbridge.domain.errors import CorruptSegmentError, StaleVersionError
from meterbridge.domain.events import MAX_AGE
from meterbridge.domain.partitions import (
    ARRIVAL_BUCKET,
    LOG_KEPT_FOR,
    SETTLE_TIME,
    Partition,
    bucket_of,
    segment_floor,
)
from meterbridge.domain.usage import FoldHead, FoldPosition, HourlyUsage
from meterbridge.domain.usage_log import StoredSegment
from meterbridge.domain.windows import HOUR, hour_of, hour_text, last_closed_hour

EVENTS = "archived-events"
HISTORY = MAX_AGE + timedelta(days=1)


@dataclass(slots=True)
class ArchiveSummary:
    """What one run did.

    Attributes:
        archived_through: what was received before this, and used in hours before this, is archived.
        slices, events: how many were archived now.
        hours: how many partitions' quantities were archived now.
        unreadable: what is held up by a segment that cannot be decoded, and why.
        finished: False when something was left for the next run.
    """

    archived_through: datetime
    slices: int = 0
    events: int = 0
    hours: int = 0
    unreadable: dict[Partition, str] = field(default_factory=dict)
    finished: bool = True


@dataclass(slots=True)
class _Run:
    log: UsageLog
    usage: UsageStore
    archive: UsageArchive
    now: datetime
    may_go_on: Callable[[], bool]
    summary: ArchiveSummary
    stored: dict[datetime, frozenset[ArchiveSlice]] = field(default_factory=dict)

    def is_stored(self, piece: ArchiveSlice) -> bool:
        hour = piece.partition.hour
        if hour not in self.stored:
            self.stored[hour] = self.archive.slices(hour)
        return piece in self.stored[hour]

    def go_on(self) -> bool:
        if not self.may_go_on():
            self.summary.finished = False
        return self.summary.finished


def archive_usage(
    *,
    log: UsageLog,
    usage: UsageStore,
    archive: UsageArchive,
    clock: Clock,
    grace: timedelta,
    may_go_on: Callable[[], bool],
) -> ArchiveSummary:
    """Archive what is final and not archived yet. Safe to repeat, to kill, and to run twice at once.

    Args:
        grace: how long after its end an hour is closed.
        may_go_on: whether there is time for another object.

    Raises:
        StoreUnavailableError: a store failed; the next run goes on from here.
    """
    now = clock.now()
    run = _Run(log, usage, archive, now, may_go_on, ArchiveSummary(now))
    try:
        _archive_events(run)
        _archive_quantities(run, last_closed_hour(now, grace))
    except StaleVersionError:
        # Another run moved the same position: it has archived this, and goes on with the rest.
        run.summary.finished = False
    return run.summary


def _archive_events(run: _Run) -> None:
    known = run.usage.cursor(EVENTS)
    since = datetime.fromisoformat(known) if known else bucket_of(run.now - LOG_KEPT_FOR)
    found: dict[ArchiveSlice, datetime] = {}
    for bucket, partition in run.log.arrivals(since, run.now + ARRIVAL_BUCKET):
        found.setdefault(ArchiveSlice.of(partition, bucket), bucket)
    through = bucket_of(run.now - SETTLE_TIME)
    for piece, bucket in sorted(found.items(), key=lambda each: (each[1], each[0])):
        if not _archive_slice(run, piece):
            through = min(through, bucket)
    run.summary.archived_through = through
    if not known or through > datetime.fromisoformat(known):
        run.usage.set_cursor(EVENTS, through.isoformat(), expected=known)


def _archive_slice(run: _Run, piece: ArchiveSlice) -> bool:
    """Whether the slice needs nothing more."""
    if not piece.is_final(run.now):
        return False
    if run.is_stored(piece):
        return True
    if not run.go_on():
        return False
    end = segment_floor(piece.end)
    segments = takewhile(lambda segment: segment.sk < end, run.log.read(piece.partition))
    try:
        run.summary.events += run.archive.store_events(piece, segments)
    except CorruptSegmentError as exc:
        # One unreadable segment must not keep everything else from being archived. The position
        # stays before it, so that every run tries it again, and the alarm tells in time.
        run.summary.unreadable[piece.partition] = str(exc)
        return False
    run.summary.slices += 1
    return True


def _archive_quantities(run: _Run, last: datetime) -> None:
    heads = run.usage.heads(hour_of(run.now - HISTORY), last + HOUR)
    for hour, of_hour in groupby(heads, key=lambda head: head.partition.hour):
        if not _archive_hour(run, hour, list(of_hour)):
            run.summary.archived_through = min(run.summary.archived_through, hour)


def _archive_hour(run: _Run, hour: datetime, heads: list[FoldHead]) -> bool:
    """Whether the quantities of an hour's partitions need nothing more."""
    name = f"archived#{hour_text(hour)}"
    known = run.usage.cursor(name)
    archived = _parse_positions(known)
    complete = True
    for head in heads:
        position = archived.get(head.partition.shard)
        if position is not None and position.covers(head.position):
            continue
        if run.go_on() and _archive_partition(run, head):
            archived[head.partition.shard] = head.position
        else:
            complete = False
    text = _positions_text(archived)
    if text != known:
        run.usage.set_cursor(name, text, expected=known)
    return complete


def _archive_partition(run: _Run, head: FoldHead) -> bool:
    try:
        customers = customers_of(_folded(run.log, head))
    except CorruptSegmentError as exc:
        run.summary.unreadable[head.partition] = str(exc)
        return False
    rows = _rows(run.usage, head.partition.hour, sorted(customers))
    run.archive.store_usage(head.partition, head.position, rows)
    run.summary.hours += 1
    return True


def _folded(log: UsageLog, head: FoldHead) -> Iterator[StoredSegment]:
    """The segments that a fold has read."""
    return takewhile(lambda segment: segment.sk <= head.last_segment, log.read(head.partition))


def _rows(
    usage: UsageStore, hour: datetime, customers: list[tuple[str, str]]
) -> Iterator[HourlyUsage]:
    """What is stored of an hour: rows are stored before their head, so at least what it knew."""
    for product_id, subject in customers:
        yield from usage.hourly(product_id, subject, hour, hour + HOUR)


def _parse_positions(text: str) -> dict[int, FoldPosition]:
    """Positions by shard, from "0:12.4 3:7.4"."""
    found = {}
    for entry in text.split():
        shard, _, position = entry.partition(":")
        segments, _, catalog = position.partition(".")
        found[int(shard)] = FoldPosition(int(segments), int(catalog))
    return found


def _positions_text(positions: dict[int, FoldPosition]) -> str:
    return " ".join(
        f"{shard}:{position.segments}.{position.catalog_version}"
        for shard, position in sorted(positions.items())
    )
