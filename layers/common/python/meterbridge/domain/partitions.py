"""Partitions of the usage log, and how events are spread over them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zlib import crc32

from meterbridge.domain.errors import InvalidInputError, InvariantError
from meterbridge.domain.events import EPOCH, MAX_AGE
from meterbridge.domain.windows import HOUR, hour_of, hour_text, parse_hour

DEFAULT_SHARDS = 4

ARRIVAL_BUCKET = timedelta(minutes=5)
"""Length of the time buckets in which partitions that received something are noted."""

LOG_KEPT_FOR = MAX_AGE + timedelta(days=10)
"""How long the usage log keeps a segment: 35 days in which an event may arrive, and time to fold,
settle and archive what arrived last."""

SETTLE_TIME = timedelta(minutes=2)
"""Longest time between the making of a segment's sort key and its being stored, with a margin: an
ingest request lives at most 30 seconds. Older than that, no segment can appear any more."""


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


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """How many shards the log has, by hour.

    Attributes:
        steps: (first hour, count), ascending; the first also covers everything before it.
    """

    steps: tuple[tuple[datetime, int], ...] = ((EPOCH, DEFAULT_SHARDS),)

    def __post_init__(self) -> None:
        hours = [hour for hour, _ in self.steps]
        if not hours or hours != sorted(set(hours)) or any(hour_of(h) != h for h in hours):
            raise InvariantError("a shard plan needs steps at full hours, ascending")
        if not all(1 <= count <= 999 for _, count in self.steps):
            raise InvariantError("a shard count is 1 to 999")

    def shards(self, hour: datetime) -> int:
        """The count for an hour."""
        count = self.steps[0][1]
        for effective_from, step in self.steps:
            if effective_from > hour:
                break
            count = step
        return count

    def partition_of(self, product_id: str, subject: str, occurred_at: datetime) -> Partition:
        """Where an event belongs: always the same for the same product, subject and hour."""
        hour = hour_of(occurred_at)
        return Partition(hour, shard_number(product_id, subject, self.shards(hour)))

    def changed(self, count: int, effective_from: datetime, now: datetime) -> ShardPlan:
        """This plan with another count from an hour on.

        Raises:
            InvalidInputError: the hour is not a full one at least two hours ahead. (Writers hold a
                plan for a minute and events may be 15 minutes ahead: nobody may have used it yet.)
        """
        if hour_of(effective_from) != effective_from or effective_from < now + 2 * HOUR:
            raise InvalidInputError(
                "effective_from_too_early",
                "a shard count changes at a full hour at least two hours ahead",
                "/effective_from",
            )
        kept = tuple(step for step in self.steps if step[0] < effective_from)
        return ShardPlan((*kept, (effective_from, count)))


def shard_number(product_id: str, subject: str, shards: int) -> int:
    """Which of so many shards holds a customer's events."""
    return crc32(f"{product_id}\0{subject}".encode()) % shards


def bucket_of(moment: datetime) -> datetime:
    """Start of the arrival bucket that holds a moment."""
    return moment - (moment - EPOCH) % ARRIVAL_BUCKET


def segment_key(moment: datetime, unique: bytes) -> str:
    """Sort key of a segment made at a moment: milliseconds, then something unique, in hex."""
    return segment_floor(moment) + unique.hex()


def segment_floor(moment: datetime) -> str:
    """Not greater than the key of any segment made at the moment or later."""
    return f"{(moment - EPOCH) // timedelta(milliseconds=1):012x}"
