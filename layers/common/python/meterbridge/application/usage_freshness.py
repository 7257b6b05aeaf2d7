"""How far behind usage is: what was received and is not folded yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from meterbridge.application.close_windows import ARRIVALS, HISTORY, UNREADABLE
from meterbridge.application.ports import UsageLog, UsageStore
from meterbridge.domain.partitions import ARRIVAL_BUCKET, SETTLE_TIME, Partition, bucket_of


@dataclass(frozen=True, slots=True)
class UsageFreshness:
    """How fresh the usage of all customers is.

    Attributes:
        counted_through: all usage received before this moment is in the hourly quantities.
        behind: age of the oldest usage that is not; 0 when all is folded.
        partition: where that is; None when all is folded.
    """

    counted_through: datetime
    behind: timedelta
    partition: Partition | None


def usage_freshness(*, log: UsageLog, usage: UsageStore, now: datetime) -> UsageFreshness:
    """Find the oldest segment that is not folded.

    Arrivals before the sweep's position were folded, but for partitions that cannot be read. Of the
    others the oldest bucket with something left tells: what is noted in a later one came later. A
    segment that is being stored while this looks may be overlooked.

    Raises:
        StoreUnavailableError: something could not be read.
    """
    position = usage.cursor(ARRIVALS)
    since = datetime.fromisoformat(position) if position else bucket_of(now - HISTORY)
    unreadable = [Partition.parse(text) for text in usage.cursor(UNREADABLE).split()]
    oldest = list(_unfolded(log, usage, unreadable))
    arrivals = log.arrivals(since, now + ARRIVAL_BUCKET)
    for bucket, noted in groupby(arrivals, key=lambda arrival: arrival[0]):
        durable_at = bucket + ARRIVAL_BUCKET + SETTLE_TIME
        found = list(_unfolded(log, usage, (partition for _, partition in noted), durable_at))
        if found:
            oldest += found
            break
    if not oldest:
        return UsageFreshness(now, timedelta(0), None)
    received_at, partition = min(oldest)
    received_at = min(received_at, now)
    return UsageFreshness(received_at, now - received_at, partition)


def _unfolded(
    log: UsageLog,
    usage: UsageStore,
    partitions: Iterable[Partition],
    durable_at: datetime | None = None,
) -> Iterator[tuple[datetime, Partition]]:
    """The oldest segment of each partition that its fold has not read.

    Args:
        durable_at: from when on a fold has read all that is looked for.
    """
    for partition in partitions:
        head = usage.head(partition)
        if head is not None and durable_at is not None and head.started_at >= durable_at:
            continue
        segment = next(iter(log.read(partition, after=head.last_segment if head else "")), None)
        if segment is not None:
            yield segment.received_at, partition
