"""Settle queue → rate what is closed, write metering records, draft corrections."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from meterbridge.adapters.dynamodb.correction_store import CorrectionStore
from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.adapters.dynamodb.usage_store import UsageStore
from meterbridge.application.draft_corrections import draft_agreement
from meterbridge.application.settle_agreements import settle_agreement
from meterbridge.lambda_runtime.clock import SystemClock
from meterbridge.lambda_runtime.observability import Metric, count, make_logger, make_metrics
from meterbridge.lambda_runtime.settings import load, minutes, variable


@dataclass(frozen=True, slots=True)
class Settings:
    """This function's environment."""

    usage_table: str = variable("USAGE_TABLE")
    ledger_table: str = variable("LEDGER_TABLE")
    registry_table: str = variable("REGISTRY_TABLE")
    grace: timedelta = variable("GRACE_MINUTES", minutes, default=timedelta(minutes=15))


SETTINGS = load(Settings, os.environ)
USAGE = UsageStore(SETTINGS.usage_table)
LEDGER = CorrectionStore(SETTINGS.ledger_table)
REGISTRY = RegistryStore(SETTINGS.registry_table)
CLOCK = SystemClock()
PROCESSOR = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)
logger = make_logger()
metrics = make_metrics()


def settle_one(record: SQSRecord) -> None:
    """Settle the agreement that a message names, check its books, and draft corrections."""
    summary = settle_agreement(
        record.body,
        registry=REGISTRY,
        usage=USAGE,
        ledger=LEDGER,
        clock=CLOCK,
        grace=SETTINGS.grace,
    )
    unbalanced = [each for each in summary.statements if not each.balanced]
    for statement in unbalanced:
        logger.error("books do not balance", agreement_id=record.body, period=str(statement.period))
    count(metrics, {Metric.UNBALANCED_STATEMENTS: len(unbalanced)})
    logger.info("settled", agreement_id=record.body, new_records=summary.new_records)
    for correction in draft_agreement(record.body, registry=REGISTRY, ledger=LEDGER, clock=CLOCK):
        logger.warning("correction", correction=str(correction.key), state=correction.state.value)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Settle each agreement of the batch; answers which messages to deliver again."""
    return process_partial_response(
        event=event, record_handler=settle_one, processor=PROCESSOR, context=context
    )
