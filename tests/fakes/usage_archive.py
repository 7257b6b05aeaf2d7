"""An in-memory usage archive."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from meterbridge.domain.archive_rows import EventRow, UsageRow, event_rows, usage_rows
from meterbridge.domain.archive_slices import ArchiveSlice
from meterbridge.domain.events import EPOCH, MICROSECOND
from meterbridge.domain.partitions import Partition
from meterbridge.domain.usage import FoldPosition, HourlyUsage
from meterbridge.domain.usage_log import StoredSegment


class FakeUsageArchive:
    """Slices and quantities in dicts.

    Attributes:
        events: the rows of each stored slice.
        usage: the rows of each partition's quantities, and how much they know.
    """

    def __init__(self) -> None:
        self.events: dict[ArchiveSlice, list[EventRow]] = {}
        self.usage: dict[Partition, tuple[FoldPosition, list[UsageRow]]] = {}

    def slices(self, hour: datetime) -> frozenset[ArchiveSlice]:
        return frozenset(piece for piece in self.events if piece.partition.hour == hour)

    def store_events(self, piece: ArchiveSlice, segments: Iterable[StoredSegment]) -> int:
        start = (piece.start - EPOCH) // MICROSECOND
        rows = [row for row in event_rows(segments) if row.received_at >= start]
        if rows:
            self.events.setdefault(piece, rows)
        return len(rows)

    def store_usage(
        self, partition: Partition, position: FoldPosition, rows: Iterable[HourlyUsage]
    ) -> None:
        written = list(usage_rows(rows))
        known = self.usage.get(partition)
        if known is None or not known[0].covers(position):
            self.usage[partition] = position, written

    def ids(self) -> list[str]:
        """The id of every event row, as often as it is there."""
        return sorted(row.id for rows in self.events.values() for row in rows)
