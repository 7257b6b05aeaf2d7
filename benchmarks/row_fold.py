"""The fold against DuckDB: a million events of an hour, repeats removed, three meters.

Both give the same answer, and it is compared: for each customer the number of events and the sums
of context and generated tokens; how many repeats were left out, and how many of them contradict the
first. Both run on one thread from a warm file cache: DuckDB from NDJSON of the events, the fold from
the segments that ingest made of them. DuckDB is told the columns and their types, so that it does
not guess; the query is the quickest of several, and a quicker one with less of an answer is noted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import duckdb

from benchmarks.llm_usage import llm_events
from benchmarks.row import Row
from meterbridge.application.ports import Catalog
from meterbridge.domain.events import EPOCH, UsageEvent
from meterbridge.domain.fold import FoldResult, PartitionFold
from meterbridge.domain.meters import Aggregation, Meter
from meterbridge.domain.partitions import Partition, ShardPlan
from meterbridge.domain.usage_log import StoredSegment, pack_events

EVENTS = 1_000_000
BATCH = 1_000
RESENT = 0.01
ROUNDS = 5
PRODUCT = "prd_llm"
TYPE = "llm.completion"
HOUR = datetime(2026, 11, 24, 10, tzinfo=UTC)
PARTITION = Partition(HOUR, 0)
PLAN = ShardPlan(((EPOCH, 1),))
CATALOG = Catalog(
    1,
    (
        Meter("mtr_context", PRODUCT, "context", TYPE, Aggregation.SUM, "$.context_tokens"),
        Meter("mtr_generated", PRODUCT, "generated", TYPE, Aggregation.SUM, "$.generated_tokens"),
        Meter("mtr_requests", PRODUCT, "requests", TYPE, Aggregation.COUNT),
    ),
)
COLUMNS = {
    "id": "VARCHAR",
    "source": "VARCHAR",
    "type": "VARCHAR",
    "subject": "VARCHAR",
    "time": "VARCHAR",
    "data": "STRUCT(model VARCHAR, context_tokens BIGINT, generated_tokens BIGINT, latency_ms BIGINT)",
}
QUERY = f"""
SELECT subject, count(*), sum(context), sum(generated),
       sum(times_sent) - count(*), count(*) FILTER (WHERE lowest <> highest)
FROM (
    SELECT subject, first(context) AS context, first(generated) AS generated,
           count(*) AS times_sent, min(content) AS lowest, max(content) AS highest
    FROM (
        SELECT subject, source, id, data.context_tokens AS context,
               data.generated_tokens AS generated, hash(time, data) AS content
        FROM read_ndjson($path, columns = {COLUMNS})
        WHERE type = '{TYPE}'
    )
    GROUP BY subject, source, id
)
GROUP BY subject
"""
QUERY_WITHOUT_CONFLICTS = f"""
WITH events AS MATERIALIZED (
    SELECT subject, source, id, data.context_tokens AS context, data.generated_tokens AS generated
    FROM read_ndjson($path, columns = {COLUMNS})
    WHERE type = '{TYPE}'
)
SELECT subject, count(*), sum(context), sum(generated)
FROM (SELECT DISTINCT ON (subject, source, id) * FROM events)
GROUP BY subject
"""
"""Quicker, but its answer is less: it cannot tell a repeat from another event of the same id."""

_T = TypeVar("_T")
Totals = dict[str, tuple[int, int, int]]
"""Events, context tokens and generated tokens by customer."""


@dataclass(frozen=True)
class Sample:
    """The same events twice: as segments, and as a file of NDJSON."""

    segments: list[StoredSegment]
    ndjson: Path
    events: int


def run() -> list[Row]:
    """The row of the fold."""
    with TemporaryDirectory() as folder:
        sample = build(EVENTS, Path(folder) / "events.ndjson")
        ours, theirs, less = least_cpu(sample)
    rate, yardstick = sample.events / ours, sample.events / theirs
    body = sum(len(segment.body) for segment in sample.segments) / sample.events
    return [
        Row(
            name="fold of a million events, repeats removed",
            value=rate,
            yardstick=yardstick,
            ratio=rate / yardstick,
            target=">= 1.5",
            unit=f"events per CPU second; yardstick: DuckDB {duckdb.__version__}, one thread, NDJSON",
            note=(
                f"{sample.events:,} events in batches of {BATCH:,}, 100 customers, three meters, "
                f"{RESENT:.0%} of batches sent again as they were and {RESENT:.0%} in other batches, "
                f"some events contradicted; {body:.1f} bytes per event packed; best of {ROUNDS}, "
                f"taking turns; without looking for contradictions DuckDB makes "
                f"{sample.events / less:,.0f} ({less / ours:.2f} instead of {theirs / ours:.2f})"
            ),
        )
    ]


def build(events: int, path: Path) -> Sample:
    """Batches in the order sent; some come again as they were, some re-batched by two halves."""
    segments: list[StoredSegment] = []
    sent = 0
    with path.open("w") as file:
        for number, batch in enumerate(batches(events)):
            file.writelines(json.dumps(event, separators=(",", ":")) + "\n" for event in batch)
            for draft in pack_events([usage_event(event) for event in batch], PLAN):
                received_at = HOUR + timedelta(milliseconds=number)
                segments.append(StoredSegment(PARTITION, f"{number:09d}", received_at, draft.body))
            sent += len(batch)
    return Sample(segments, path, sent)


def batches(events: int) -> Iterator[list[dict[str, Any]]]:
    """Batches of about an hour's events, with repeats. A repeat in ten thousand is another event."""
    random = Random(11)
    before: list[dict[str, Any]] = []
    for number in range(events // BATCH):
        start = HOUR + timedelta(seconds=3_599 * number * BATCH / events)
        batch = llm_events(BATCH, start=start, seconds=3_599 * BATCH / events, seed=number)
        yield batch
        if random.random() < RESENT:
            yield batch
        if before and random.random() < RESENT:
            first, *others = before[BATCH // 2 :] + batch[: BATCH // 2]
            yield [{**first, "data": {**first["data"], "context_tokens": 0}}, *others]
        before = batch


def usage_event(event: dict[str, Any]) -> UsageEvent:
    """A CloudEvent as ingest takes it in."""
    return UsageEvent(
        product_id=PRODUCT,
        source=event["source"],
        id=event["id"],
        type=event["type"],
        subject=event["subject"],
        occurred_at=datetime.fromisoformat(event["time"]),
        values=event["data"],
    )


def least_cpu(sample: Sample) -> tuple[float, float, float]:
    """The least CPU seconds of the fold, of DuckDB, and of DuckDB with less of an answer.

    They take turns, so that all see the same machine.

    Raises:
        RuntimeError: their answers differ, so the figures would mean nothing.
    """
    database = duckdb.connect()
    database.execute("SET threads = 1")

    def query(text: str) -> list[tuple[Any, ...]]:
        return database.execute(text, {"path": str(sample.ndjson)}).fetchall()

    ours = theirs = less = float("inf")
    for _ in range(ROUNDS):
        seconds, result = timed(lambda: fold(sample.segments))
        ours = min(ours, seconds)
        seconds, found = timed(lambda: query(QUERY))
        theirs = min(theirs, seconds)
        seconds, found_less = timed(lambda: query(QUERY_WITHOUT_CONFLICTS))
        less = min(less, seconds)
        head = result.head
        expected = {
            subject: (events, context, made) for subject, events, context, made, *_ in found
        }
        repeats, conflicts = (sum(row[place] for row in found) for place in (4, 5))
        if (head.duplicates + head.conflicts, head.conflicts) != (repeats, conflicts):
            raise RuntimeError("the fold and DuckDB disagree about repeats")
        if not totals(result) == expected == {row[0]: row[1:] for row in found_less}:
            raise RuntimeError("the fold and DuckDB disagree about usage")
    return ours, theirs, less


def timed(call: Callable[[], _T]) -> tuple[float, _T]:
    """The CPU seconds of a call, and its result."""
    started = time.process_time()
    result = call()
    return time.process_time() - started, result


def fold(segments: list[StoredSegment]) -> FoldResult:
    """Fold from scratch."""
    partition = PartitionFold(PARTITION, CATALOG)
    for segment in segments:
        partition.add(segment)
    return partition.result(started_at=HOUR, folded_at=HOUR)


def totals(result: FoldResult) -> Totals:
    """What the fold found, in the shape of the query's answer."""
    found: Totals = {}
    for row in result.rows:
        events, context, generated = (
            int(row.meters[meter_id][()].quantity)
            for meter_id in ("mtr_requests", "mtr_context", "mtr_generated")
        )
        found[row.subject] = events, context, generated
    return found
