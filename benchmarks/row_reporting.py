"""Reporting 10,000 records at 50 ms a call, against what each marketplace's limits allow.

The yardsticks are arithmetic, not rivals: the fewest calls that the marketplace's rules ask for, at
the rate of `policy.py`. AWS publishes its rate. Azure and Google publish none, so there the rate is
the pace we keep to, and the row says so: it shows that the pace is all we wait for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from urllib3 import PoolManager

from benchmarks.measured_reporting import (
    CALL_SECONDS,
    WRITE_SECONDS,
    SlowMetering,
    SlowPool,
    StillClock,
    Token,
    a_record,
    pacer_of,
    policy_of,
    records_per_second,
)
from benchmarks.row import Row
from meterbridge.adapters.marketplaces.aws import AwsMarketplace
from meterbridge.adapters.marketplaces.azure import AzureMarketplace
from meterbridge.adapters.marketplaces.gcp import GcpMarketplace
from meterbridge.adapters.marketplaces.gcp_client import ServiceControl
from meterbridge.application.ports import Marketplace
from meterbridge.domain.metering_record import MeteringRecord
from meterbridge.domain.offerings import Channel

RECORDS = 10_000
GOOGLE_METRICS = 4
GOOGLE_BUYERS = RECORDS // GOOGLE_METRICS
_WAITS = f"{CALL_SECONDS * 1000:.0f} ms per call, {WRITE_SECONDS * 1000:.0f} ms per write"


class Listings:
    """One service for every product; nobody has left."""

    def service_of(self, _product_id: str) -> str:
        return "assistant.gcpmarketplace.acme.example"

    def has_ended(self, _agreement_id: str) -> bool:
        return False


def run() -> list[Row]:
    """The rows of reporting, one for each marketplace."""
    return [to_aws(), to_azure(), to_google()]


def to_aws() -> Row:
    """Every agreement has one dimension, the costliest shape to look up."""
    metering = SlowMetering()
    records = [
        a_record(
            Channel.AWS,
            number,
            "requests",
            {
                "customer_aws_account_id": f"{number:012d}",
                "license_arn": f"arn:aws:license-manager::444455556666:license:l-{number:032x}",
            },
        )
        for number in range(RECORDS)
    ]
    rate = records_per_second(AwsMarketplace(metering, pacer_of(Channel.AWS)), records, Channel.AWS)
    return _row(
        Channel.AWS,
        rate,
        calls=metering.calls,
        fewest=_batches(Channel.AWS),
        unit="records a second; yardstick: AWS's own batch and rate limits",
        note=_WAITS,
    )


def to_azure() -> Row:
    """The same shape; the rate is ours."""
    pool = SlowPool(_accepted_by_azure)
    records = [
        a_record(
            Channel.AZURE,
            number,
            "requests",
            {"resource_id": f"6f1c2f4e-0000-4000-8000-{number:012d}", "plan_id": "std"},
        )
        for number in range(RECORDS)
    ]
    marketplace = AzureMarketplace(cast(PoolManager, pool), Token(), pacer_of(Channel.AZURE))
    rate = records_per_second(marketplace, records, Channel.AZURE)
    pace = policy_of(Channel.AZURE).max_calls_per_second
    return _row(
        Channel.AZURE,
        rate,
        calls=pool.calls,
        fewest=_batches(Channel.AZURE),
        unit="records a second; yardstick: Azure's batch limit at our own pace",
        note=f"Azure publishes no rate; {pace} calls a second are our choice; {_WAITS}",
    )


def to_google() -> Row:
    """Four metrics of each buyer: a call to check each buyer, and reports of 200 operations."""
    pool = SlowPool(_accepted_by_google)
    records = [
        a_record(
            Channel.GCP,
            number,
            f"metric_{metric}",
            {"usage_reporting_id": f"project_number:{number + 10**11}"},
        )
        for number in range(GOOGLE_BUYERS)
        for metric in range(GOOGLE_METRICS)
    ]
    marketplace = GcpMarketplace(
        ServiceControl(cast(PoolManager, pool), Token(), pacer_of(Channel.GCP)),
        Listings(),
        StillClock(),
    )
    rate = records_per_second(marketplace, records, Channel.GCP)
    calls = pool.calls
    checked_before = _again(marketplace, records)
    pace = policy_of(Channel.GCP).max_calls_per_second
    return _row(
        Channel.GCP,
        rate,
        calls=calls,
        fewest=GOOGLE_BUYERS + _batches(Channel.GCP),
        unit="records a second; yardstick: the calls Google asks for, at our own pace",
        note=f"Google publishes no rate; {pace} calls a second are our choice. It asks for a check of "
        f"each of the {GOOGLE_BUYERS:,} buyers before their usage is reported; with buyers checked "
        f"within the last minute {checked_before:,.0f} records a second, which our own writes limit; "
        f"{_WAITS}",
    )


def _again(marketplace: Marketplace, records: list[MeteringRecord]) -> float:
    """The rate of the same records while every check still holds."""
    return records_per_second(marketplace, records, Channel.GCP)


def _row(channel: Channel, rate: float, *, calls: int, fewest: int, unit: str, note: str) -> Row:
    """Raises RuntimeError: more calls were made than needed."""
    if calls != fewest:
        raise RuntimeError(f"{channel}: {calls} calls instead of {fewest}")
    limit = RECORDS / (fewest / policy_of(channel).max_calls_per_second)
    names = {Channel.AWS: "AWS", Channel.AZURE: "Azure", Channel.GCP: "Google"}
    return Row(
        name=f"reporting {RECORDS:,} records to {names[channel]}",
        value=rate,
        yardstick=limit,
        ratio=rate / limit,
        target=">= 0.9",
        unit=unit,
        note=note,
    )


def _batches(channel: Channel) -> int:
    return -(-RECORDS // policy_of(channel).max_batch)


def _accepted_by_azure(request: Mapping[str, Any]) -> Mapping[str, Any]:
    results = [
        {**event, "status": "Accepted", "usageEventId": "id"} for event in request["request"]
    ]
    return {"count": len(results), "result": results[::-1]}


def _accepted_by_google(_request: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"serviceConfigId": "2026-11-01r0"}
