"""Schedule → sweep arrivals, fold, close finished hours, queue agreements to settle."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from meterbridge.adapters.dynamodb.ledger_store import LedgerStore
from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.adapters.dynamodb.usage_log_store import UsageLogStore
from meterbridge.adapters.dynamodb.usage_store import UsageStore
from meterbridge.adapters.settle_queue import SqsSettleQueue
from meterbridge.application.close_windows import close_windows
from meterbridge.application.usage_freshness import usage_freshness
from meterbridge.application.waiting_agreements import waiting_agreements
from meterbridge.lambda_runtime.clock import SystemClock
from meterbridge.lambda_runtime.deadlines import publish_deadlines, publish_freshness
from meterbridge.lambda_runtime.observability import Metric, count, make_logger, make_metrics
from meterbridge.lambda_runtime.settings import load, minutes, variable


@dataclass(frozen=True, slots=True)
class Settings:
    """This function's environment."""

    usage_log_table: str = variable("USAGE_LOG_TABLE")
    usage_table: str = variable("USAGE_TABLE")
    ledger_table: str = variable("LEDGER_TABLE")
    registry_table: str = variable("REGISTRY_TABLE")
    settle_queue_url: str = variable("SETTLE_QUEUE_URL")
    grace: timedelta = variable("GRACE_MINUTES", minutes, default=timedelta(minutes=15))


SETTINGS = load(Settings, os.environ)
LOG = UsageLogStore(SETTINGS.usage_log_table)
USAGE = UsageStore(SETTINGS.usage_table)
LEDGER = LedgerStore(SETTINGS.ledger_table)
REGISTRY = RegistryStore(SETTINGS.registry_table)
QUEUE = SqsSettleQueue(SETTINGS.settle_queue_url)
CLOCK = SystemClock()
logger = make_logger()
metrics = make_metrics()


@logger.inject_lambda_context
@metrics.log_metrics
def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """One sweep; answers what it did.

    First is measured how things stand: also when the sweep then fails, or settling has failed before.
    """
    try:
        _measure()
    finally:
        answer = _sweep()
    return answer


def _measure() -> None:
    now = CLOCK.now()
    publish_freshness(usage_freshness(log=LOG, usage=USAGE, now=now))
    waiting = waiting_agreements(
        REGISTRY.agreements(),
        links=REGISTRY.customer_links(),
        ledger=LEDGER,
        usage=USAGE,
        now=now,
        grace=SETTINGS.grace,
    )
    publish_deadlines(waiting, now, logger)


def _sweep() -> dict[str, Any]:
    summary = close_windows(
        log=LOG,
        usage=USAGE,
        ledger=LEDGER,
        registry=REGISTRY,
        queue=QUEUE,
        clock=CLOCK,
        grace=SETTINGS.grace,
    )
    for partition, reason in summary.unreadable.items():
        logger.error("partition cannot be read", partition=str(partition), reason=reason)
    count(
        metrics,
        {
            Metric.FOLD_FAILURES: len(summary.unreadable),
            Metric.EVENT_CONFLICTS: summary.conflicts,
        },
    )
    answer = {
        "closed_through": summary.closed_through.isoformat() if summary.closed_through else None,
        "hours_closed": summary.hours_closed,
        "partitions_folded": summary.partitions_folded,
        "agreements_queued": summary.agreements_queued,
        "finished": summary.finished,
    }
    logger.info("sweep", **answer)
    return answer
