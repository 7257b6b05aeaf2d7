"""An in-memory usage log that can fail half-way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from threading import RLock

from meterbridge.domain.errors import StoreUnavailableError
from meterbridge.domain.partitions import Partition, bucket_of, segment_key
from meterbridge.domain.usage_log import SegmentDraft, StoredSegment


class FakeUsageLog:
    """Segments and arrivals in dicts.

    Attributes:
        writes: how many items were written.
        fail_after: raise StoreUnavailableError instead of the write after so many; None never.
    """

    def __init__(self) -> None:
        self.writes = 0
        self.fail_after: int | None = None
        self._lock = RLock()
        self._segments: dict[Partition, dict[str, StoredSegment]] = defaultdict(dict)
        self._arrivals: set[tuple[datetime, Partition]] = set()
        self._made = 0

    def append(self, drafts: Sequence[SegmentDraft], received_at: datetime) -> None:
        with self._lock:
            bucket = bucket_of(received_at)
            for partition in sorted({draft.partition for draft in drafts}):
                if (bucket, partition) not in self._arrivals:
                    self._count_write()
                    self._arrivals.add((bucket, partition))
            for draft in drafts:
                self._count_write()
                self._made += 1
                sk = segment_key(received_at, self._made.to_bytes(10, "big"))
                self._segments[draft.partition][sk] = StoredSegment(
                    draft.partition, sk, received_at, draft.body
                )

    def read(self, partition: Partition, after: str = "") -> Iterator[StoredSegment]:
        with self._lock:
            segments = dict(self._segments.get(partition, {}))
        return (segments[sk] for sk in sorted(segments) if sk > after)

    def arrivals(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, Partition]]:
        with self._lock:
            found = sorted(arrival for arrival in self._arrivals if start <= arrival[0] < end)
        return iter(found)

    def partitions(self) -> list[Partition]:
        """Every partition that holds a segment."""
        with self._lock:
            return sorted(self._segments)

    def _count_write(self) -> None:
        if self.fail_after is not None and self.writes >= self.fail_after:
            raise StoreUnavailableError("set to fail")
        self.writes += 1
