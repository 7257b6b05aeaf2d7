"""Fold partitions of the usage log into hourly usage: from scratch, or on from a kept fold."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from meterbridge.application.ports import Catalog, Clock, Registry, UsageLog, UsageStore
from meterbridge.domain.errors import StaleVersionError, StoreUnavailableError
from meterbridge.domain.fold import PartitionFold
from meterbridge.domain.partitions import SETTLE_TIME, Partition, segment_floor
from meterbridge.domain.usage import FoldHead
from meterbridge.domain.usage_log import StoredSegment

MAX_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class FoldedPartition:
    """What folding a partition found: its head, and whose usage is in it (product, subject)."""

    head: FoldHead
    customers: frozenset[tuple[str, str]]


class _OpenFold:
    """A fold, and which segments went into it."""

    def __init__(self, partition: Partition, catalog: Catalog) -> None:
        self.fold = PartitionFold(partition, catalog)
        self.segments: set[str] = set()
        self.bytes = 0
        self.reread_from = ""

    def add(self, segment: StoredSegment) -> None:
        self.fold.add(segment)
        self.segments.add(segment.sk)
        self.bytes += len(segment.body)
        self.reread_from = segment_floor(segment.received_at - SETTLE_TIME)


class KeptFolds:
    """Folds of a warm process, so that a live view does not read a partition over and over.

    A segment whose key was made earlier may be stored later. So resuming reads the last moments
    again, and if a segment shows up there that the fold has not seen, the fold is dropped.
    """

    def __init__(self, max_bytes: int = 50_000_000) -> None:
        """Keep the latest used folds, up to so many bytes of packed segments in all."""
        self._folds: OrderedDict[Partition, _OpenFold] = OrderedDict()
        self._max_bytes = max_bytes

    def resume(self, partition: Partition, catalog: Catalog, log: UsageLog) -> _OpenFold | None:
        """The kept fold with everything that came since; None when there is none to go on from."""
        kept = self._folds.pop(partition, None)
        if kept is None or kept.fold.catalog_version != catalog.version:
            return None
        fresh = []
        for segment in log.read(partition, after=kept.reread_from):
            if segment.sk not in kept.segments:
                if segment.sk <= kept.fold.last_segment:
                    return None
                fresh.append(segment)
        for segment in fresh:
            kept.add(segment)
        return kept

    def keep(self, partition: Partition, fold: _OpenFold) -> None:
        """Keep a fold whose result was stored."""
        self._folds[partition] = fold
        while sum(each.bytes for each in self._folds.values()) > self._max_bytes:
            self._folds.popitem(last=False)


def fold_partition(
    partition: Partition,
    *,
    log: UsageLog,
    usage: UsageStore,
    registry: Registry,
    clock: Clock,
    kept: KeptFolds | None = None,
) -> FoldedPartition | None:
    """Fold a partition and store what came out. Safe to repeat, to kill, and to run twice at once.

    When another fold has stored more in the meantime, its knowledge is read again: afterwards the
    stored rows hold at least everything that was durable when this call began.

    Args:
        kept: folds to go on from, in a process that lives; without it, from scratch.

    Returns:
        None for a partition without a segment.

    Raises:
        StoreUnavailableError: a store failed, or others kept overtaking.
        CorruptSegmentError: a segment cannot be read. Nothing of the partition was stored.
    """
    for _ in range(MAX_ATTEMPTS):
        started_at = clock.now()
        catalog = registry.catalog()
        resumed = kept.resume(partition, catalog, log) if kept is not None else None
        fold = resumed or _from_scratch(partition, catalog, log)
        if not fold.segments:
            return None
        result = fold.fold.result(started_at=started_at, folded_at=clock.now())
        try:
            usage.advance(result.head, result.rows)
        except StaleVersionError:
            continue
        if kept is not None:
            kept.keep(partition, fold)
        customers = frozenset((row.product_id, row.subject) for row in result.rows)
        return FoldedPartition(result.head, customers)
    raise StoreUnavailableError(f"{partition} was overtaken {MAX_ATTEMPTS} times")


def _from_scratch(partition: Partition, catalog: Catalog, log: UsageLog) -> _OpenFold:
    fold = _OpenFold(partition, catalog)
    for segment in log.read(partition):
        fold.add(segment)
    return fold
