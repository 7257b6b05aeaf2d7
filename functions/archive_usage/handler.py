"""Schedule → archive events and closed hours that are not archived yet."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from meterbridge.adapters.archive.s3_archive import S3UsageArchive
from meterbridge.adapters.dynamodb.usage_log_store import UsageLogStore
from meterbridge.adapters.dynamodb.usage_store import UsageStore
from meterbridge.application.archive_usage import archive_usage
from meterbridge.lambda_runtime.clock import SystemClock
from meterbridge.lambda_runtime.observability import Metric, make_logger, make_metrics
from meterbridge.lambda_runtime.reporting import until_timeout
from meterbridge.lambda_runtime.settings import load, minutes, variable


@dataclass(frozen=True, slots=True)
class Settings:
    """This function's environment."""

    usage_log_table: str = variable("USAGE_LOG_TABLE")
    usage_table: str = variable("USAGE_TABLE")
    archive_bucket: str = variable("ARCHIVE_BUCKET")
    grace: timedelta = variable("GRACE_MINUTES", minutes, default=timedelta(minutes=15))


SETTINGS = load(Settings, os.environ)
LOG = UsageLogStore(SETTINGS.usage_log_table)
USAGE = UsageStore(SETTINGS.usage_table)
ARCHIVE = S3UsageArchive(SETTINGS.archive_bucket)
CLOCK = SystemClock()
logger = make_logger()
metrics = make_metrics()


@logger.inject_lambda_context
@metrics.log_metrics
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """One run; answers what it did."""
    summary = archive_usage(
        log=LOG,
        usage=USAGE,
        archive=ARCHIVE,
        clock=CLOCK,
        grace=SETTINGS.grace,
        may_go_on=until_timeout(context),
    )
    for partition, reason in summary.unreadable.items():
        logger.error("partition cannot be read", partition=str(partition), reason=reason)
    metrics.add_metric(
        name=Metric.ARCHIVE_LAG_HOURS.value,
        unit=MetricUnit.Count,
        value=(CLOCK.now() - summary.archived_through) // timedelta(hours=1),
    )
    answer = {
        "archived_through": summary.archived_through.isoformat(),
        "slices": summary.slices,
        "events": summary.events,
        "hours": summary.hours,
        "finished": summary.finished,
    }
    logger.info("archived usage", **answer)
    return answer
