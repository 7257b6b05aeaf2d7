"""Schedule → submit pending metering records, and approved corrections, to AWS Marketplace."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from meterbridge.adapters.dynamodb.correction_store import CorrectionStore
from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.adapters.marketplaces.aws import AwsMarketplace
from meterbridge.adapters.marketplaces.aws_adjustments import AwsAdjustments
from meterbridge.adapters.marketplaces.aws_seller_account import (
    agreement_client,
    metering_client,
)
from meterbridge.adapters.marketplaces.pacing import real_pacer
from meterbridge.application.report_usage import ReportLimits
from meterbridge.application.submit_corrections import submit_corrections
from meterbridge.domain.offerings import Channel
from meterbridge.domain.policy import policy_at
from meterbridge.lambda_runtime.clock import SystemClock
from meterbridge.lambda_runtime.observability import make_logger, make_metrics
from meterbridge.lambda_runtime.reporting import RemainingTime, ReportingFunction, until_timeout
from meterbridge.lambda_runtime.settings import load, one_of, variable


@dataclass(frozen=True, slots=True)
class Settings:
    """This function's environment; without a role the function reports as itself."""

    ledger_table: str = variable("LEDGER_TABLE")
    registry_table: str = variable("REGISTRY_TABLE")
    mode: str = variable("REPORTING_MODE", one_of("live", "dry-run"))
    region: str = variable("MARKETPLACE_REGION")
    role_arn: str = variable("MARKETPLACE_ROLE_ARN", default="")
    external_id: str = variable("MARKETPLACE_EXTERNAL_ID", default="")
    adjustments: str = variable("BILLING_ADJUSTMENTS", one_of("by-hand", "api"), default="by-hand")


SETTINGS = load(Settings, os.environ)
LIMITS = ReportLimits()
CLOCK = SystemClock()
LEDGER = CorrectionStore(SETTINGS.ledger_table)
REGISTRY = RegistryStore(SETTINGS.registry_table)
MARKETPLACE = AwsMarketplace(
    metering_client(
        SETTINGS.region,
        role_arn=SETTINGS.role_arn,
        external_id=SETTINGS.external_id,
        connections=LIMITS.workers,
    ),
    real_pacer(policy_at(Channel.AWS, CLOCK.now()).max_calls_per_second),
)
ADJUSTMENTS = (
    AwsAdjustments(agreement_client(role_arn=SETTINGS.role_arn, external_id=SETTINGS.external_id))
    if SETTINGS.adjustments == "api" and SETTINGS.mode == "live"
    else None
)
FUNCTION = ReportingFunction(
    MARKETPLACE, LEDGER, REGISTRY, CLOCK, dry_run=SETTINGS.mode == "dry-run", limits=LIMITS
)
logger = make_logger()
metrics = make_metrics()


@logger.inject_lambda_context
@metrics.log_metrics
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """One run; answers the number of records by what became of them.

    Corrections are submitted also when some records could not be.
    """
    try:
        return FUNCTION.run(context, logger, metrics)
    finally:
        _submit_corrections(context)


def _submit_corrections(context: RemainingTime) -> None:
    if ADJUSTMENTS is None:
        return
    summary = submit_corrections(
        adjustments=ADJUSTMENTS,
        registry=REGISTRY,
        ledger=LEDGER,
        clock=CLOCK,
        may_continue=until_timeout(context),
    )
    counts = {state.value: number for state, number in summary.counts.items()}
    logger.info("submitted corrections", counts=counts)
    for correction, note in summary.notes.items():
        logger.warning("a correction waits", correction=correction, note=note)
    if summary.error is not None:
        raise summary.error
