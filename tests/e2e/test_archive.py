"""What was received lies in the archive's bucket, as a query engine reads it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from e2e.conftest import Deployment, llm_request
from meterbridge.adapters.dynamodb.usage_log_store import UsageLogStore
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.partitions import ShardPlan
from meterbridge.domain.usage_log import pack_events
from sandbox.local_cloud.emulator import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY


def archived(deployment: Deployment, kind: str, folder: Path) -> str:
    """A glob of the archive's files, downloaded."""
    s3, bucket = deployment.cloud.client("s3"), deployment.cloud.outputs["ArchiveBucketName"]
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{kind}/"):
        for found in page.get("Contents", ()):
            file = folder / found["Key"]
            file.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, found["Key"], str(file))
    return f"{folder}/{kind}/*/*/*.parquet"


def query(sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as database:
        return database.execute(sql).fetchall()


def log_of(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> UsageLogStore:
    """The deployed usage log: events cannot be sent over HTTP at a time that has passed."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", deployment.cloud.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_REGION", REGION)
    return UsageLogStore(deployment.cloud.outputs["UsageLogTableName"])


def test_usage_is_archived_event_by_event_and_by_the_hour(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
    old_hour, exact = hour - timedelta(days=3), Decimal("0.12345678901234567890123")
    old = [
        UsageEvent(
            "prd_archive",
            "e2e",
            f"old-{n}",
            "llm.request",
            "archive",
            old_hour + timedelta(minutes=n),
            {"tokens": n, "cost": exact + n},
        )
        for n in range(20)
    ]
    log = log_of(deployment, monkeypatch)
    for batch, days in ((old[:15], 0), (old[:5], 0), (old[15:], 1)):
        received_at = old_hour + timedelta(minutes=59, days=days)
        log.append(pack_events(batch, ShardPlan()), received_at)
    buyer = deployment.new_buyer()
    deployment.send([llm_request(buyer, n, hour + timedelta(minutes=n)) for n in range(20)])
    deployment.wait_for(lambda: deployment.requests_billed(buyer) == "20")

    answer = deployment.cloud.invoke("ArchiveUsage", {})
    assert (answer["finished"], answer["slices"], answer["events"]) == (True, 2, 25)
    files = archived(deployment, "events", tmp_path)
    rows = query(
        "SELECT id, occurred_at, numbers['tokens'], numbers['cost'] "
        f"FROM read_parquet('{files}', hive_partitioning = true) "
        f"WHERE standing = 'first' AND day = '{old_hour:%Y-%m-%d}' AND hour = {old_hour.hour}"
    )
    assert sorted(rows) == sorted(
        (
            event.id,
            event.occurred_at.replace(tzinfo=None),
            str(event.values["tokens"]),
            str(event.values["cost"]),
        )
        for event in old
    )
    assert query(f"SELECT standing, count(*) FROM '{files}' GROUP BY 1 ORDER BY 1") == [
        ("duplicate", 5),
        ("first", 20),
    ]
    files = archived(deployment, "usage", tmp_path)
    assert query(
        f"SELECT quantity FROM read_parquet('{files}', hive_partitioning = true) "
        f"WHERE subject = '{buyer.id}' AND day = '{hour:%Y-%m-%d}' AND hour = {hour.hour} "
        "AND aggregation = 'count'"
    ) == [("20",)]

    again = deployment.cloud.invoke("ArchiveUsage", {})
    assert (again["slices"], again["events"]) == (0, 0)
