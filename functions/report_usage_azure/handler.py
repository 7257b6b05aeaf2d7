"""Schedule → submit pending metering records to Azure Marketplace."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import boto3
import certifi
from aws_lambda_powertools.utilities.typing import LambdaContext

from meterbridge.adapters.dynamodb.ledger_store import LedgerStore
from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.adapters.marketplaces.azure import (
    PUBLIC_ENDPOINT,
    AzureMarketplace,
    connection_pool,
)
from meterbridge.adapters.marketplaces.azure_credentials import (
    PUBLIC_AUTHORITY,
    AzureApp,
    AzureTokens,
    by_aws_identity,
    by_secret,
)
from meterbridge.adapters.marketplaces.pacing import real_pacer
from meterbridge.adapters.secrets import SecretsManagerSecret
from meterbridge.application.report_usage import ReportLimits
from meterbridge.domain.offerings import Channel
from meterbridge.domain.policy import policy_at
from meterbridge.lambda_runtime.clock import SystemClock
from meterbridge.lambda_runtime.observability import make_logger, make_metrics
from meterbridge.lambda_runtime.reporting import ReportingFunction
from meterbridge.lambda_runtime.settings import load, one_of, variable


@dataclass(frozen=True, slots=True)
class Settings:
    """This function's environment; without a secret AWS vouches for the function to Entra."""

    ledger_table: str = variable("LEDGER_TABLE")
    registry_table: str = variable("REGISTRY_TABLE")
    mode: str = variable("REPORTING_MODE", one_of("live", "dry-run"))
    tenant_id: str = variable("AZURE_TENANT_ID")
    client_id: str = variable("AZURE_CLIENT_ID")
    secret_arn: str = variable("AZURE_SECRET_ARN", default="")
    endpoint: str = variable("MARKETPLACE_ENDPOINT", default=PUBLIC_ENDPOINT)
    authority: str = variable("AZURE_AUTHORITY", default=PUBLIC_AUTHORITY)


SETTINGS = load(Settings, os.environ)
LIMITS = ReportLimits()
CLOCK = SystemClock()
LEDGER = LedgerStore(SETTINGS.ledger_table)
REGISTRY = RegistryStore(SETTINGS.registry_table)
APP = AzureApp(SETTINGS.tenant_id, SETTINGS.client_id, SETTINGS.authority)
POOL = connection_pool(LIMITS.workers, certifi.where())
TOKENS = AzureTokens(
    by_secret(APP, SecretsManagerSecret(boto3.client("secretsmanager"), SETTINGS.secret_arn))
    if SETTINGS.secret_arn
    else by_aws_identity(APP, boto3.client("sts"))
)
MARKETPLACE = AzureMarketplace(
    POOL,
    TOKENS,
    real_pacer(policy_at(Channel.AZURE, CLOCK.now()).max_calls_per_second),
    endpoint=SETTINGS.endpoint,
)
FUNCTION = ReportingFunction(
    MARKETPLACE, LEDGER, REGISTRY, CLOCK, dry_run=SETTINGS.mode == "dry-run", limits=LIMITS
)
logger = make_logger()
metrics = make_metrics()


@logger.inject_lambda_context
@metrics.log_metrics
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """One run; answers the number of records by what became of them."""
    return FUNCTION.run(context, logger, metrics)
