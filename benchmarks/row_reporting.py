"""Reporting 10,000 records at 50 ms a call, against the marketplace's own batch and rate limits.

The yardstick is arithmetic, not a rival: AWS takes 10 calls a second with 25 records each. The use
case, the AWS adapter and its pacer are the real ones; the transport and the stores are sleeps of a
usual length (50 ms a call, 5 ms a write, 3 ms a read).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import SystemRandom
from typing import Any, cast

from benchmarks.row import Row
from meterbridge.adapters.marketplaces.aws import AwsMarketplace
from meterbridge.adapters.marketplaces.pacing import Backoff, CallPacer
from meterbridge.application.ports import Ledger, Registry
from meterbridge.application.report_usage import ReportLimits, report_usage
from meterbridge.domain.agreements import Agreement
from meterbridge.domain.metering_record import MeteringRecord, RecordKey, RecordState
from meterbridge.domain.offerings import Channel
from meterbridge.domain.policy import policy_at
from meterbridge.domain.windows import BillingPeriod

RECORDS = 10_000
CALL_SECONDS, WRITE_SECONDS, READ_SECONDS = 0.050, 0.005, 0.003
NOW = datetime(2026, 11, 24, 12, 20, tzinfo=UTC)
HOUR = datetime(2026, 11, 24, 11, tzinfo=UTC)
POLICY = policy_at(Channel.AWS, NOW)


class SlowTransport:
    """Accepts everything, 50 ms after it was asked."""

    def __init__(self) -> None:
        self.calls = 0

    def batch_meter_usage(self, **request: Any) -> Mapping[str, Any]:
        self.calls += 1
        time.sleep(CALL_SECONDS)
        return {
            "Results": [
                {"UsageRecord": record, "MeteringRecordId": "id", "Status": "Success"}
                for record in request["UsageRecords"]
            ]
        }


class SlowLedger:
    """Keeps records in a dict and takes 5 ms for each write."""

    def __init__(self, records: Sequence[MeteringRecord]) -> None:
        self.records = {record.key: record for record in records}

    def pending(self, _channel: Channel, limit: int) -> list[MeteringRecord]:
        return list(self.records.values())[:limit]

    def save(self, record: MeteringRecord, **_: object) -> None:
        time.sleep(WRITE_SECONDS)
        self.records[record.key] = record


class SlowRegistry:
    """Every agreement is active, and takes 3 ms to read."""

    def agreement(self, agreement_id: str) -> Agreement:
        time.sleep(READ_SECONDS)
        return Agreement(
            id=agreement_id,
            customer_id=agreement_id,
            product_id="prd",
            channel=Channel.AWS,
            offering_id="off",
            offering_version=1,
            plan_code="std",
            starts_at=HOUR,
        )


class StillClock:
    """The hour under report."""

    def now(self) -> datetime:
        return NOW


def a_record(number: int) -> MeteringRecord:
    """One of 10,000: every agreement has one dimension, the costliest shape to look up."""
    return MeteringRecord(
        key=RecordKey(f"agr_{number:05d}", "requests", HOUR),
        channel=Channel.AWS,
        product_id="prd",
        quantity=Decimal(number),
        units_per_quantity=Decimal(1),
        allocations={BillingPeriod.of(HOUR): Decimal(number)},
        reported_hour_start=HOUR,
        deadline=POLICY.deadline(HOUR),
        buyer={
            "customer_aws_account_id": f"{number:012d}",
            "license_arn": f"arn:aws:license-manager::444455556666:license:l-{number:032x}",
        },
        created_at=HOUR + timedelta(hours=1, minutes=15),
    )


def records_per_second(records: int = RECORDS) -> float:
    """How fast one run reports.

    Raises:
        RuntimeError: not every record was accepted in full batches, so the figure would mean nothing.
    """
    ledger = SlowLedger([a_record(number) for number in range(records)])
    transport = SlowTransport()
    jitter = SystemRandom().random
    pacer = CallPacer(
        POLICY.max_calls_per_second, monotonic=time.monotonic, sleep=time.sleep, jitter=jitter
    )
    started = time.perf_counter()
    summary = report_usage(
        marketplace=AwsMarketplace(transport, pacer),
        ledger=cast(Ledger, ledger),
        registry=cast(Registry, SlowRegistry()),
        clock=StillClock(),
        limits=ReportLimits(),
        backoff=Backoff(sleep=time.sleep, jitter=jitter),
        may_continue=lambda: True,
    )
    seconds = time.perf_counter() - started
    if summary.counts[RecordState.ACCEPTED] != records:
        raise RuntimeError(f"not everything was accepted: {summary.counts}")
    if transport.calls != -(-records // POLICY.max_batch):
        raise RuntimeError(f"{transport.calls} calls")
    return records / seconds


def limit() -> int:
    """Records a second that the marketplace itself takes."""
    return POLICY.max_calls_per_second * POLICY.max_batch


def run() -> list[Row]:
    """The row of reporting to AWS."""
    rate = records_per_second()
    return [
        Row(
            name=f"reporting {RECORDS:,} records",
            value=rate,
            yardstick=limit(),
            ratio=rate / limit(),
            target=">= 0.9",
            unit="records a second; yardstick: AWS's own batch and rate limits",
            note=f"{CALL_SECONDS * 1000:.0f} ms per call, {WRITE_SECONDS * 1000:.0f} ms per write",
        )
    ]
