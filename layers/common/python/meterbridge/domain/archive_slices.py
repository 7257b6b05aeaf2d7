"""How the events of a partition are cut into archived objects: by when they were received.

A slice is final two minutes after its end, when no segment can appear in it any more. What it holds
is then the same for ever, whoever reads it and however often, and so is its name. So a late event
needs nothing rewritten: it is in a later slice, in an object of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from meterbridge.domain.events import EPOCH
from meterbridge.domain.partitions import SETTLE_TIME, Partition
from meterbridge.domain.windows import HOUR, hour_text, parse_hour

_DAY = timedelta(days=1)
_FIRST_ENDS_AFTER = 2 * HOUR


@dataclass(frozen=True, slots=True, order=True)
class ArchiveSlice:
    """The events of a partition that were received in [start, end).

    The first slice ends an hour after the partition's own hour, and has no start. The others are
    UTC days: events that came late.
    """

    partition: Partition
    end: datetime

    @classmethod
    def of(cls, partition: Partition, received_at: datetime) -> ArchiveSlice:
        """The slice of what was received at a moment.

        Its bounds are full hours, so a bucket of arrivals never lies in two slices.
        """
        first_end = _first_end(partition)
        if received_at < first_end:
            return cls(partition, first_end)
        midnight = received_at.replace(hour=0, minute=0, second=0, microsecond=0)
        return cls(partition, midnight + _DAY)

    @property
    def start(self) -> datetime:
        """First moment of receiving."""
        first_end = _first_end(self.partition)
        return EPOCH if self.end == first_end else max(first_end, self.end - _DAY)

    def is_final(self, now: datetime) -> bool:
        """Whether no segment can appear in it any more."""
        return now >= self.end + SETTLE_TIME

    @property
    def name(self) -> str:
        """Unique within the partition's hour: "003-2026-11-24T12"."""
        return f"{self.partition.shard:03d}-{hour_text(self.end)}"

    @classmethod
    def named(cls, hour: datetime, name: str) -> ArchiveSlice:
        """The reverse of `name`. Raises ValueError."""
        shard, _, end = name.partition("-")
        return cls(Partition(hour, int(shard)), parse_hour(end))


def _first_end(partition: Partition) -> datetime:
    return partition.hour + _FIRST_ENDS_AFTER
