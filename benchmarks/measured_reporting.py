"""One run of the reporting use case over transports and stores that sleep as the real ones take.

The use case, the adapters and their pacers are the real ones; what is faked is what is waited for:
50 ms for a call, 5 ms for a write of a record, 3 ms for reading an agreement.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any, cast

from urllib3 import HTTPResponse

from meterbridge.adapters.marketplaces.pacing import CallPacer, real_backoff, real_pacer
from meterbridge.application.ports import Ledger, Marketplace, Registry
from meterbridge.application.report_usage import ReportLimits, report_usage
from meterbridge.domain.agreements import Agreement
from meterbridge.domain.metering_record import MeteringRecord, RecordKey, RecordState
from meterbridge.domain.offerings import Channel
from meterbridge.domain.policy import MarketplacePolicy, policy_at
from meterbridge.domain.windows import BillingPeriod

CALL_SECONDS, WRITE_SECONDS, READ_SECONDS = 0.050, 0.005, 0.003
NOW = datetime(2026, 11, 24, 12, 20, tzinfo=UTC)
HOUR = datetime(2026, 11, 24, 11, tzinfo=UTC)


@dataclass
class SlowMetering:
    """AWS's client: accepts everything, 50 ms after it was asked."""

    calls: int = 0

    def batch_meter_usage(self, **request: Any) -> Mapping[str, Any]:
        self.calls += 1
        time.sleep(CALL_SECONDS)
        return {
            "Results": [
                {"UsageRecord": record, "MeteringRecordId": "id", "Status": "Success"}
                for record in request["UsageRecords"]
            ]
        }


@dataclass
class SlowPool:
    """urllib3's pool: `answer` makes of a request what the marketplace answers 50 ms later."""

    answer: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    calls: int = 0

    def request(self, _method: str, _url: str, *, body: bytes, **_: object) -> HTTPResponse:
        self.calls += 1
        time.sleep(CALL_SECONDS)
        said = json.dumps(self.answer(json.loads(body))).encode()
        return HTTPResponse(BytesIO(said), status=200, preload_content=True)


class Token:
    """A token that is good for the whole run."""

    def bearer(self) -> str:
        return "token"

    def renewed(self, _refused: str) -> str:
        return "token"


class SlowLedger:
    """Keeps records in a dict and takes 5 ms for each write."""

    def __init__(self, records: Iterable[MeteringRecord]) -> None:
        self.records = {record.key: record for record in records}

    def pending(self, _channel: Channel, limit: int) -> list[MeteringRecord]:
        return list(self.records.values())[:limit]

    def save(self, record: MeteringRecord, **_: object) -> None:
        time.sleep(WRITE_SECONDS)
        self.records[record.key] = record


@dataclass(frozen=True)
class SlowRegistry:
    """Every agreement is active, and takes 3 ms to read."""

    channel: Channel

    def agreement(self, agreement_id: str) -> Agreement:
        time.sleep(READ_SECONDS)
        return Agreement(
            id=agreement_id,
            customer_id=agreement_id,
            product_id="prd",
            channel=self.channel,
            offering_id="off",
            offering_version=1,
            plan_code="std",
            starts_at=HOUR,
        )


class StillClock:
    """The hour under report."""

    def now(self) -> datetime:
        return NOW


def policy_of(channel: Channel) -> MarketplacePolicy:
    """The rules in force in the hour under report."""
    return policy_at(channel, NOW)


def pacer_of(channel: Channel) -> CallPacer:
    """A new pacer at the rate of the channel's policy."""
    return real_pacer(policy_of(channel).max_calls_per_second)


def a_record(
    channel: Channel, agreement: int, dimension: str, buyer: Mapping[str, str]
) -> MeteringRecord:
    """A pending record of one unit."""
    return MeteringRecord(
        key=RecordKey(f"agr_{agreement:05d}", dimension, HOUR),
        channel=channel,
        product_id="prd",
        quantity=Decimal(1),
        units_per_quantity=Decimal(1),
        allocations={BillingPeriod.of(HOUR): Decimal(1)},
        reported_hour_start=HOUR,
        deadline=policy_of(channel).deadline(HOUR),
        buyer=buyer,
        created_at=HOUR + timedelta(hours=1, minutes=15),
    )


def records_per_second(
    marketplace: Marketplace, records: Iterable[MeteringRecord], channel: Channel
) -> float:
    """How fast one run reports.

    Raises:
        RuntimeError: not every record was accepted, so the figure would mean nothing.
    """
    ledger = SlowLedger(records)
    started = time.perf_counter()
    summary = report_usage(
        marketplace=marketplace,
        ledger=cast(Ledger, ledger),
        registry=cast(Registry, SlowRegistry(channel)),
        clock=StillClock(),
        limits=ReportLimits(),
        backoff=real_backoff(),
        may_continue=lambda: True,
    )
    seconds = time.perf_counter() - started
    if summary.counts != {RecordState.ACCEPTED: len(ledger.records)}:
        raise RuntimeError(f"not everything was accepted: {summary.counts}")
    return len(ledger.records) / seconds
