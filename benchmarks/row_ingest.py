"""Ingest: write units, CPU and cold start."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from statistics import mean

import orjson

from benchmarks.llm_usage import llm_batch
from benchmarks.measured_ingest import Handler, least_cpu, written
from benchmarks.row import Row
from ingest_setup import ENVIRONMENT

EVENTS = 1_000
BASELINE = "import boto3, aws_lambda_powertools"
INGEST = "import ingest_usage.handler"
COLD_STARTS = 15


def run() -> list[Row]:
    """All rows of ingest."""
    return [_write_units(), _cpu(), _cold_import()]


def _write_units() -> Row:
    # Twenty batches half a minute apart: ten minutes of one warm process, three arrival buckets.
    found = written(20, timedelta(seconds=30))
    worst = max(found.units)
    return Row(
        name="write units per 1,000 events, arrival notes included",
        value=worst,
        yardstick=EVENTS,
        ratio=worst / EVENTS,
        target="<= 0.045",
        unit="DynamoDB write units; yardstick: one item per event",
        note=(
            f"worst of 20 batches of 1,000 events of 100 customers on 4 shards; mean "
            f"{mean(found.units):.1f}; {found.body_bytes / (20 * EVENTS):.1f} bytes per event"
        ),
    )


def _cpu() -> Row:
    body = llm_batch(EVENTS)
    handler = Handler()
    ours, theirs = least_cpu(lambda: handler(body), lambda: orjson.loads(body), rounds=150)
    scale = 1e6 / EVENTS
    return Row(
        name="ingest handler, CPU per event",
        value=ours * scale,
        yardstick=theirs * scale,
        ratio=ours / theirs,
        target="<= 4",
        unit="µs per event; yardstick: orjson.loads of the same bytes",
        note=f"HTTP API event to answer, log faked; {len(body) / EVENTS:.0f} bytes per event",
    )


def _cold_import() -> Row:
    path = os.pathsep.join(sys.path[:3])
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": path}
    best = {BASELINE: float("inf"), INGEST: float("inf")}
    for _ in range(COLD_STARTS):
        for code in best:
            best[code] = min(best[code], _seconds_to_run(code, environment))
    return Row(
        name="cold import of the ingest function",
        value=best[INGEST] * 1_000,
        yardstick=best[BASELINE] * 1_000,
        ratio=best[INGEST] / best[BASELINE],
        target="<= 1.5",
        unit="ms; yardstick: importing boto3 and Powertools alone",
        note=f"best of {COLD_STARTS} fresh processes each, taking turns",
    )


def _seconds_to_run(code: str, environment: dict[str, str]) -> float:
    timed = f"import time; t = time.perf_counter(); {code}; print(time.perf_counter() - t)"
    done = subprocess.run(
        [sys.executable, "-c", timed], env=environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout)
