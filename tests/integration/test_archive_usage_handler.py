"""The archive's function as deployed: what it answers, and the lag that the alarm looks at."""

from __future__ import annotations

import importlib
import sys
from datetime import UTC, datetime, timedelta
from os import environ
from unittest.mock import patch

import boto3
import pytest

from dynamodb import REGION, make_table, mocked_table
from lambda_setup import Context, emitted
from meterbridge.adapters.dynamodb.usage_log_store import UsageLogStore
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.partitions import ShardPlan
from meterbridge.domain.usage_log import pack_events

SETTINGS = {"USAGE_LOG_TABLE": "log", "USAGE_TABLE": "usage", "ARCHIVE_BUCKET": "archive"}


def test_a_run_tells_what_it_archived_and_how_far_behind_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    received_at = datetime.now(UTC) - timedelta(days=5)
    event = UsageEvent("prd", "app", "1", "t", "acme", received_at, {"tokens": 1})
    with mocked_table("log"), patch.dict(environ, SETTINGS):
        make_table("usage")
        boto3.client("s3", region_name=REGION).create_bucket(Bucket="archive")
        sys.modules.pop("archive_usage.handler", None)
        handler = importlib.import_module("archive_usage.handler").handler
        UsageLogStore("log").append(pack_events([event], ShardPlan()), received_at)
        first = handler({}, Context())
        lag = emitted(capsys)["ArchiveLagHours"]
        second = handler({}, Context())
    assert (first["events"], first["slices"], first["finished"]) == (1, 1, True)
    assert (second["events"], lag) == (0, 0)
