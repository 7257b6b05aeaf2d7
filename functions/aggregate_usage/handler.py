"""Usage-log stream → live hourly usage."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.adapters.dynamodb.usage_log_store import UsageLogStore
from meterbridge.adapters.dynamodb.usage_store import UsageStore
from meterbridge.application.aggregate_usage import aggregate_usage
from meterbridge.application.fold_partitions import KeptFolds
from meterbridge.domain.partitions import Partition
from meterbridge.lambda_runtime.clock import SystemClock
from meterbridge.lambda_runtime.observability import Metric, count, make_logger, make_metrics
from meterbridge.lambda_runtime.settings import load, variable


@dataclass(frozen=True, slots=True)
class Settings:
    """This function's environment."""

    usage_log_table: str = variable("USAGE_LOG_TABLE")
    usage_table: str = variable("USAGE_TABLE")
    registry_table: str = variable("REGISTRY_TABLE")


SETTINGS = load(Settings, os.environ)
LOG = UsageLogStore(SETTINGS.usage_log_table)
USAGE = UsageStore(SETTINGS.usage_table)
REGISTRY = RegistryStore(SETTINGS.registry_table)
CLOCK = SystemClock()
KEPT = KeptFolds()
logger = make_logger()
metrics = make_metrics()


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Fold the partitions whose segments the stream names; answers which records to repeat."""
    first_record: dict[Partition, str] = {}
    for record in event["Records"]:
        key = record["dynamodb"]["Keys"]["pk"]["S"]
        if record["eventName"] == "INSERT" and not key.startswith("arrivals#"):
            first_record.setdefault(Partition.parse(key), record["dynamodb"]["SequenceNumber"])
    failed = aggregate_usage(
        first_record, log=LOG, usage=USAGE, registry=REGISTRY, clock=CLOCK, kept=KEPT
    )
    for partition, reason in failed.items():
        logger.error("partition not folded", partition=str(partition), reason=reason)
    count(metrics, {Metric.FOLD_FAILURES: len(failed)})
    return {
        "batchItemFailures": [{"itemIdentifier": first_record[partition]} for partition in failed]
    }
