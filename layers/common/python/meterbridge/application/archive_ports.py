"""What archiving needs from the outside."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from meterbridge.domain.archive_slices import ArchiveSlice
from meterbridge.domain.usage import FoldPosition, HourlyUsage
from meterbridge.domain.usage_log import Partition, StoredSegment


class UsageArchive(Protocol):
    """Usage kept for good, in files that query engines read."""

    def slices(self, hour: datetime) -> frozenset[ArchiveSlice]:
        """Which slices of an hour's partitions are stored."""

    def store_events(self, piece: ArchiveSlice, segments: Iterable[StoredSegment]) -> int:
        """Store the events of a final slice, all or nothing; how many they are.

        What is stored already stays as it is. A slice without events is not stored.

        Args:
            segments: of its partition, from the first to the end of the slice, in order.

        Raises:
            CorruptSegmentError: a segment cannot be read. Nothing was stored.
            StoreUnavailableError: it is not known to be stored; the same call may be repeated.
        """

    def store_usage(
        self, partition: Partition, position: FoldPosition, rows: Iterable[HourlyUsage]
    ) -> None:
        """Replace the stored quantities of a partition, unless those knew as much or more.

        Args:
            position: the least that the rows know.

        Raises:
            StoreUnavailableError: they are not known to be stored; the same call may be repeated.
        """
