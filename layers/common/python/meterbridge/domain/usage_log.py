"""The usage log: partitions, shards, and packed columnar segments of usage events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from meterbridge.domain.windows import hour_text, parse_hour


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """All events of one hour (by `occurred_at`) and one shard. Key: "2026-11-24T10#003"."""

    hour: datetime
    shard: int

    def __str__(self) -> str:
        return f"{hour_text(self.hour)}#{self.shard:03d}"

    @classmethod
    def parse(cls, text: str) -> Partition:
        """The reverse of str. Raises ValueError."""
        hour, shard = text.split("#")
        return cls(parse_hour(hour), int(shard))
