"""Keep hourly usage live: fold the partitions that the usage log's stream names."""

from __future__ import annotations

from collections.abc import Iterable

from meterbridge.application.fold_partitions import KeptFolds, fold_partition
from meterbridge.application.ports import Clock, Registry, UsageLog, UsageStore
from meterbridge.domain.errors import CorruptSegmentError, StoreUnavailableError
from meterbridge.domain.partitions import Partition


def aggregate_usage(
    partitions: Iterable[Partition],
    *,
    log: UsageLog,
    usage: UsageStore,
    registry: Registry,
    clock: Clock,
    kept: KeptFolds,
) -> dict[Partition, str]:
    """Fold each partition once, and return those that could not be, with the reason.

    This gives speed, not the guarantee: what a lost stream record leaves, `close_windows` finds.
    One partition that cannot be folded does not hold up the others.
    """
    failed = {}
    for partition in sorted(set(partitions)):
        try:
            fold_partition(
                partition, log=log, usage=usage, registry=registry, clock=clock, kept=kept
            )
        except (StoreUnavailableError, CorruptSegmentError) as exc:
            failed[partition] = f"{type(exc).__name__}: {exc}"
    return failed
