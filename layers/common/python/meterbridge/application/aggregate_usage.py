"""Keep hourly usage live: fold the partitions that the usage log's stream names."""

from __future__ import annotations

from collections.abc import Iterable

from meterbridge.application.fold_partitions import KeptFolds, fold_partition
from meterbridge.application.ports import Clock, Registry, UsageLog, UsageStore
from meterbridge.domain.partitions import Partition


def aggregate_usage(
    partitions: Iterable[Partition],
    *,
    log: UsageLog,
    usage: UsageStore,
    registry: Registry,
    clock: Clock,
    kept: KeptFolds,
) -> int:
    """Fold each partition once, and return how many were.

    This gives speed, not the guarantee: what a lost stream record leaves, `close_windows` finds.

    Raises:
        StoreUnavailableError: a store failed; the stream delivers the same records again.
        CorruptSegmentError: a segment cannot be read.
    """
    distinct = sorted(set(partitions))
    for partition in distinct:
        fold_partition(partition, log=log, usage=usage, registry=registry, clock=clock, kept=kept)
    return len(distinct)
