"""What a million events cost at list price: measured units × prices, against one item per event.

Prices: us-east-1, on demand, as published between July 2025 and September 2026, without the free
tier (DynamoDB after the cut of November 2024; Lambda on arm64; HTTP API, its first 300 million).
Check them against the AWS price list before quoting.

The load: a million events in one hour from 100 customers, in requests of 1,000, on 4 shards, with
two meters. The model leaves out what is the same for both and small (logs, storage for 45 days,
settling, reporting), and lets both ingest functions run equally long.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from statistics import mean

from benchmarks.llm_usage import llm_batch
from benchmarks.measured_ingest import PRODUCT, Handler, least_cpu, written
from benchmarks.row import Row
from meterbridge.application.ports import Catalog
from meterbridge.domain.cloud_events import judge
from meterbridge.domain.fold import PartitionFold
from meterbridge.domain.meters import Aggregation, Meter
from meterbridge.domain.partitions import SETTLE_TIME, ShardPlan
from meterbridge.domain.usage_log import SegmentDraft, StoredSegment, pack

WRITE_UNIT = 0.625e-6
READ_UNIT = 0.125e-6
GIBIBYTE_SECOND = 13.3334e-6
INVOCATION = 0.20e-6
API_REQUEST = 1.00e-6

EVENTS = 1_000_000
PER_REQUEST = 1_000
CUSTOMERS, SHARDS = 100, 4
MEMORY_GIBIBYTES = 1769 / 1024
STORE_SECONDS = 0.020
"""What an ingest request waits for DynamoDB."""
LIVE_FOLD_EVERY = timedelta(seconds=20)
FULL_FOLDS = 2
"""Sweeps that read a partition from its start: when its hour closes, and once more."""
LIVE_READS = (SETTLE_TIME + LIVE_FOLD_EVERY) / LIVE_FOLD_EVERY
"""How often the live fold reads a segment: it looks back over the time in which one may appear."""


@dataclass(frozen=True)
class Log:
    """A way of keeping events: write units and bytes for each."""

    write_units: float
    stored_bytes: float


def run() -> list[Row]:
    """The row of the cost model."""
    found = written(20, timedelta(seconds=30))
    packed = Log(mean(found.units) / PER_REQUEST, found.body_bytes / (20 * PER_REQUEST))
    event_bytes = len(llm_batch(PER_REQUEST)) / PER_REQUEST
    one_item_each = Log(write_units=1.0, stored_bytes=event_bytes)
    ours, theirs = _dollars(packed), _dollars(one_item_each)
    parts = ", ".join(f"{name} ${dollars:.4f}" for name, dollars in ours.items())
    total, yardstick = sum(ours.values()), sum(theirs.values())
    return [
        Row(
            name="list price per million events",
            value=total,
            yardstick=yardstick,
            ratio=total / yardstick,
            target="<= 0.125",
            unit="USD; yardstick: one item per event",
            note=f"{parts}; prices of 2025-07 to 2026-09, us-east-1, a million events in an hour",
        )
    ]


def _dollars(log: Log) -> dict[str, float]:
    requests = EVENTS / PER_REQUEST
    live_folds = timedelta(hours=1) / LIVE_FOLD_EVERY
    row_writes = (live_folds + FULL_FOLDS) * (CUSTOMERS + SHARDS)
    read_units = EVENTS * log.stored_bytes / 4096 * (LIVE_READS + FULL_FOLDS)
    handler_seconds, fold_seconds = _cpu_seconds()
    ingest_seconds = requests * (handler_seconds + STORE_SECONDS)
    folding_seconds = EVENTS * fold_seconds * (1 + FULL_FOLDS)
    return {
        "HTTP API": requests * API_REQUEST,
        "Lambda": (requests + live_folds) * INVOCATION
        + (ingest_seconds + folding_seconds) * MEMORY_GIBIBYTES * GIBIBYTE_SECOND,
        "log writes": EVENTS * log.write_units * WRITE_UNIT,
        "hourly rows": row_writes * WRITE_UNIT,
        "log reads": read_units * READ_UNIT,
    }


def _cpu_seconds() -> tuple[float, float]:
    """CPU of the handler for a request, and of the fold for an event."""
    body = llm_batch(PER_REQUEST)
    handler = Handler()
    moment = handler.clock.now()
    drafts = pack(judge(body, frozenset({PRODUCT}), moment).events, ShardPlan())
    (per_request,) = least_cpu(lambda: handler(body), rounds=20)
    seconds = sum(_fold_seconds(draft) for draft in drafts)
    return per_request, seconds / PER_REQUEST


def _fold_seconds(draft: SegmentDraft) -> float:
    moment = draft.partition.hour
    meters = tuple(
        Meter(key, PRODUCT, key, "llm.completion", Aggregation.SUM, f"$.{key}")
        for key in ("context_tokens", "generated_tokens")
    )
    best = float("inf")
    for _ in range(20):
        fold = PartitionFold(draft.partition, Catalog(1, meters))
        started = time.process_time()
        fold.add(StoredSegment(draft.partition, "1", moment, draft.body))
        fold.result(started_at=moment, folded_at=moment)
        best = min(best, time.process_time() - started)
    return best
