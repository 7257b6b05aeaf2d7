"""An in-memory usage log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import count
from threading import RLock

from meterbridge.application.ports import Clock
from meterbridge.domain.partitions import Partition, bucket_of, segment_key
from meterbridge.domain.usage_log import SegmentDraft, StoredSegment


class FakeUsageLog:
    """Segments in lists. Arrivals are noted first, then segments are stored one by one."""

    def __init__(self, clock: Clock) -> None:
        self._lock = RLock()
        self._clock = clock
        self._unique = count()
        self._segments: dict[Partition, list[StoredSegment]] = {}
        self._arrivals: set[tuple[datetime, Partition]] = set()

    def append(self, drafts: Sequence[SegmentDraft], received_at: datetime) -> None:
        for draft in drafts:
            self._note(draft.partition, received_at)
        for draft in drafts:
            self._store(draft, received_at)

    def _note(self, partition: Partition, received_at: datetime) -> None:
        with self._lock:
            self._arrivals.add((bucket_of(received_at), partition))

    def _store(self, draft: SegmentDraft, received_at: datetime) -> None:
        with self._lock:
            unique = next(self._unique).to_bytes(10, "big")
            key = segment_key(self._clock.now(), unique)
            segment = StoredSegment(draft.partition, key, received_at, draft.body)
            self._segments.setdefault(draft.partition, []).append(segment)

    def read(self, partition: Partition, after: str = "") -> Iterator[StoredSegment]:
        with self._lock:
            found = [each for each in self._segments.get(partition, ()) if each.sk > after]
        return iter(sorted(found, key=lambda segment: segment.sk))

    def arrivals(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, Partition]]:
        with self._lock:
            found = [each for each in self._arrivals if start <= each[0] < end]
        return iter(sorted(found))

    def partitions(self) -> list[Partition]:
        with self._lock:
            return sorted(self._segments)
