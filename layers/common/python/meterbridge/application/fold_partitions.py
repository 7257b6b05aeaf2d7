"""Fold partitions of the usage log into hourly usage: from scratch, or on from a kept fold."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from meterbridge.application.ports import Catalog, Clock, Registry, UsageLog, UsageStore
from meterbridge.domain.errors import StaleVersionError, StoreUnavailableError
from meterbridge.domain.fold import PartitionFold
from meterbridge.domain.partitions import Partition, segment_floor
from meterbridge.domain.usage import FoldHead
from meterbridge.domain.usage_log import StoredSegment

MAX_ATTEMPTS = 5

SETTLE_TIME = timedelta(minutes=2)
"""Longest time between the making of a segment's sort key and its being stored, with a margin: an
ingest request lives at most 30 seconds. Older than that, no segment can appear any more."""


@dataclass(frozen=True, slots=True)
class FoldedPartition:
    """What folding a partition found: its head, and whose usage is in it (product, subject)."""

    head: FoldHead
    customers: frozenset[tuple[str, str]]


def fold_partition(
    partition: Partition,
    *,
    log: UsageLog,
    usage: UsageStore,
    registry: Registry,
    clock: Clock,
    kept: KeptFolds | None = None,
) -> FoldedPartition:
    """Fold a partition and store what came out. Safe to repeat, to kill, and to run twice at once.

    When another fold has stored more in the meantime, its knowledge is read again: afterwards the
    stored rows hold at least everything that was durable when this call began.

    Args:
        kept: folds to go on from, in a process that lives; without it, from scratch.

    Raises:
        StoreUnavailableError: a store failed, or others kept overtaking.
        CorruptSegmentError: a segment cannot be read. Nothing of the partition was stored.
    """
    for _ in range(MAX_ATTEMPTS):
        started_at = clock.now()
        catalog = registry.catalog()
        fold = None
        if kept is not None:
            fold = kept.resume(partition, catalog, log)
        if fold is None:
            fold = _from_scratch(partition, catalog, log)
        result = fold.result(started_at=started_at, folded_at=clock.now())
        try:
            usage.advance(result.head, result.rows)
        except StaleVersionError:
            if kept is not None:
                kept.forget(partition)
            continue
        if kept is not None:
            kept.keep(partition, catalog, fold)
        customers = frozenset((row.product_id, row.subject) for row in result.rows)
        return FoldedPartition(result.head, customers)
    raise StoreUnavailableError(f"{partition} was overtaken {MAX_ATTEMPTS} times")


def _from_scratch(partition: Partition, catalog: Catalog, log: UsageLog) -> PartitionFold:
    fold = PartitionFold(partition, catalog.version, catalog.meters)
    for segment in log.read(partition):
        fold.add(segment)
    return fold


class KeptFolds:
    """Folds of a warm process, so that a live view does not read a partition over and over.

    A segment whose key was made earlier may be stored later. So resuming reads the last moments
    again, and if a segment shows up there that the fold has not seen, the fold is dropped.
    """

    def __init__(self, max_events: int = 2_000_000) -> None:
        """Keep the latest used folds, up to so many events in all."""
        self._folds: OrderedDict[Partition, tuple[int, PartitionFold]] = OrderedDict()
        self._max_events = max_events

    def resume(self, partition: Partition, catalog: Catalog, log: UsageLog) -> PartitionFold | None:
        """The kept fold with everything that came since; None when there is none to go on from."""
        kept = self._folds.pop(partition, None)
        if kept is None or kept[0] != catalog.version:
            return None
        fold = kept[1]
        fresh: list[StoredSegment] = []
        for segment in log.read(partition, after=segment_floor(self._reread_from(fold))):
            if segment.sk > fold.last_segment:
                fresh.append(segment)
            elif segment.sk not in fold.segments:
                return None
        for segment in fresh:
            fold.add(segment)
        return fold

    def keep(self, partition: Partition, catalog: Catalog, fold: PartitionFold) -> None:
        """Keep a fold whose result was stored."""
        self._folds[partition] = (catalog.version, fold)
        while sum(each.events for _, each in self._folds.values()) > self._max_events:
            self._folds.popitem(last=False)

    def forget(self, partition: Partition) -> None:
        """Start from scratch next time."""
        self._folds.pop(partition, None)

    @staticmethod
    def _reread_from(fold: PartitionFold) -> datetime:
        return fold.fresh_through - SETTLE_TIME
