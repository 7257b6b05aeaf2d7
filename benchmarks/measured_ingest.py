"""What ingest costs, measured on the deployed handler: CPU, and items written to the log."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

import boto3
from moto import mock_aws

from benchmarks.llm_usage import START, llm_batch
from dynamodb import make_table
from fakes.clock import FakeClock
from ingest_setup import ENVIRONMENT, Context, load_handler, request
from meterbridge.adapters.dynamodb.usage_log_store import UsageLogStore
from meterbridge.application.ingest_usage import ShardPlans
from meterbridge.domain.partitions import ShardPlan
from meterbridge.domain.usage_log import SegmentDraft

PRODUCT = "prd_llm"


class DefaultPlan:
    """A registry whose shard plan was never changed."""

    def shard_plan(self) -> ShardPlan:
        return ShardPlan()


class NoLog:
    """A log that keeps nothing."""

    def append(self, drafts: Sequence[SegmentDraft], received_at: datetime) -> None:
        """Nothing is stored."""


@dataclass
class Handler:
    """The deployed handler, writing to a log of ours."""

    log: Any = field(default_factory=NoLog)
    clock: FakeClock = field(default_factory=lambda: FakeClock(START + timedelta(minutes=1)))

    def __post_init__(self) -> None:
        self._module = load_handler()
        self._module.CLOCK = self.clock
        self._module.LOG = self.log
        self._module.PLANS = ShardPlans(DefaultPlan(), self.clock)

    def __call__(self, body: bytes) -> None:
        """Ingest a batch.

        Raises:
            RuntimeError: not everything was accepted, so the figure would mean nothing.
        """
        event = request(body.decode(), products=PRODUCT)
        with redirect_stdout(io.StringIO()):
            answer = self._module.handler(event, Context())
        if answer["statusCode"] != 202 or json.loads(answer["body"])["rejected"]:
            raise RuntimeError(answer["body"])


def least_cpu(*calls: Callable[[], object], rounds: int = 60) -> list[float]:
    """The least CPU seconds of each call; they take turns, so that all see the same machine."""
    best = [float("inf")] * len(calls)
    for _ in range(rounds):
        for number, call in enumerate(calls):
            started = time.process_time()
            call()
            best[number] = min(best[number], time.process_time() - started)
    return best


@dataclass(frozen=True)
class Written:
    """Write units of batches of 1,000 events, by batch, and the bytes of their segments."""

    units: list[int]
    body_bytes: int


def written(batches: int, every: timedelta, customers: int = 100) -> Written:
    """Items that the real store writes for batches of one warm process, by DynamoDB's own rule."""
    units = []
    body_bytes = 0
    with patch.dict("os.environ", ENVIRONMENT), mock_aws():
        make_table("UsageLog")
        client = boto3.client("dynamodb", region_name="us-east-1")
        handler = Handler(log=UsageLogStore("UsageLog"))
        seen: set[tuple[str, str]] = set()
        for number in range(batches):
            start = START + number * every
            handler.clock.set(start + timedelta(minutes=1))
            handler(llm_batch(start=start, customers=customers, seed=number))
            fresh = [
                item
                for page in client.get_paginator("scan").paginate(TableName="UsageLog")
                for item in page["Items"]
                if (item["pk"]["S"], item["sk"]["S"]) not in seen
            ]
            seen |= {(item["pk"]["S"], item["sk"]["S"]) for item in fresh}
            units.append(sum(-(-item_bytes(item) // 1024) for item in fresh))
            body_bytes += sum(len(item["body"]["B"]) for item in fresh if "body" in item)
    return Written(units, body_bytes)


def item_bytes(item: dict[str, Any]) -> int:
    """Size of an item as DynamoDB counts it: names, UTF-8 texts, bytes, numbers by digit pairs."""
    size = 0
    for name, value in item.items():
        size += len(name)
        if "S" in value:
            size += len(value["S"].encode())
        elif "B" in value:
            size += len(value["B"])
        else:
            size += len(value["N"].strip("0")) // 2 + 2
    return size
