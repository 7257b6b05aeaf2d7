"""Schedule → submit pending metering records to Google Cloud Marketplace."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import boto3
import certifi
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.session import get_session

from meterbridge.adapters.dynamodb.ledger_store import LedgerStore
from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.adapters.marketplaces.connections import connection_pool
from meterbridge.adapters.marketplaces.gcp import GcpMarketplace
from meterbridge.adapters.marketplaces.gcp_client import PUBLIC_ENDPOINT, ServiceControl
from meterbridge.adapters.marketplaces.gcp_credentials import (
    GoogleEndpoints,
    GoogleTokens,
    by_aws_identity,
    by_key,
)
from meterbridge.adapters.marketplaces.gcp_listings import RegistryListings
from meterbridge.adapters.marketplaces.pacing import real_pacer
from meterbridge.adapters.secrets import SecretsManagerSecret
from meterbridge.application.report_usage import ReportLimits
from meterbridge.domain.errors import SettingsError
from meterbridge.domain.offerings import Channel
from meterbridge.domain.policy import policy_at
from meterbridge.lambda_runtime.clock import SystemClock
from meterbridge.lambda_runtime.observability import make_logger, make_metrics
from meterbridge.lambda_runtime.reporting import ReportingFunction
from meterbridge.lambda_runtime.settings import load, one_of, variable


@dataclass(frozen=True, slots=True)
class Settings:
    """This function's environment; without a secret Google asks AWS who the function is."""

    ledger_table: str = variable("LEDGER_TABLE")
    registry_table: str = variable("REGISTRY_TABLE")
    mode: str = variable("REPORTING_MODE", one_of("live", "dry-run"))
    audience: str = variable("GCP_AUDIENCE", default="")
    service_account: str = variable("GCP_SERVICE_ACCOUNT", default="")
    secret_arn: str = variable("GCP_SECRET_ARN", default="")
    user_labels: str = variable("GCP_USER_LABELS", one_of("none", "agreement"), default="none")
    endpoint: str = variable("MARKETPLACE_ENDPOINT", default="")

    def __post_init__(self) -> None:
        if not self.secret_arn and not (self.audience and self.service_account):
            raise SettingsError(
                "GCP_SECRET_ARN, or GCP_AUDIENCE and GCP_SERVICE_ACCOUNT, is missing"
            )


SETTINGS = load(Settings, os.environ)
LIMITS = ReportLimits()
CLOCK = SystemClock()
LEDGER = LedgerStore(SETTINGS.ledger_table)
REGISTRY = RegistryStore(SETTINGS.registry_table)
POOL = connection_pool(LIMITS.workers, certifi.where())
ENDPOINTS = GoogleEndpoints.all_at(SETTINGS.endpoint)
MARKETPLACE = GcpMarketplace(
    ServiceControl(
        POOL,
        GoogleTokens(
            by_key(
                SecretsManagerSecret(boto3.client("secretsmanager"), SETTINGS.secret_arn), ENDPOINTS
            )
            if SETTINGS.secret_arn
            else by_aws_identity(
                SETTINGS.audience, SETTINGS.service_account, get_session(), ENDPOINTS
            ),
            POOL,
        ),
        real_pacer(policy_at(Channel.GCP, CLOCK.now()).max_calls_per_second),
        endpoint=SETTINGS.endpoint or PUBLIC_ENDPOINT,
    ),
    RegistryListings(REGISTRY, CLOCK),
    CLOCK,
    label_agreements=SETTINGS.user_labels == "agreement",
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
