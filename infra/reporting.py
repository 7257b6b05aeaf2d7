"""Pending records go to the marketplace: one schedule, one role, one function per marketplace."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.accepted_findings import accept
from infra.config import BillingAdjustments, DeploymentConfig
from infra.queues import ServiceQueue
from infra.schedule import Schedule
from infra.service_function import Platform, ServiceFunction
from infra.storage import SUSPEND_IN_REGISTRY, WRITE_LEDGER, Storage

_ADJUST = (
    "SearchAgreements",
    "ListAgreementInvoiceLineItems",
    "BatchCreateBillingAdjustmentRequest",
    "GetBillingAdjustmentRequest",
    "ListBillingAdjustmentRequests",
)
"""What adapters/marketplaces/aws_adjustments.py calls."""


class Reporting(Construct):
    """Submits pending metering records to one marketplace; a subclass lets it in there.

    Attributes:
        marketplace: as the function's folder ends: ``aws``.
        function: ``functions/report_usage_<marketplace>``.
        lost_wake_ups: invocations that failed every time.
    """

    marketplace: ClassVar[str]

    def __init__(
        self, scope: Construct, construct_id: str, *, platform: Platform, storage: Storage
    ) -> None:
        """Make the function and its schedule.

        Args:
            scope: the construct it belongs to.
            construct_id: its id there.
            platform: runtime, layers and settings common to all functions.
            storage: where the records and agreements are.
        """
        super().__init__(scope, construct_id)
        config = platform.config
        self.lost_wake_ups = ServiceQueue(self, "LostWakeUps", config=config)
        self.function = ServiceFunction(
            self,
            f"ReportUsage{self.marketplace.capitalize()}",
            name=f"report_usage_{self.marketplace}",
            platform=platform,
            timeout=Duration.minutes(min(config.schedule_minutes, 15)),
            memory_size=1024,
            environment={
                "LEDGER_TABLE": storage.ledger.table_name,
                "REGISTRY_TABLE": storage.registry.table_name,
                "REPORTING_MODE": config.reporting_mode.value,
                **{name: value for name, value in self._settings(config).items() if value},
            },
            lost_events=self.lost_wake_ups,
            # Two at once would race for the same records: harmless, but wasted calls.
            reserved_concurrency=1,
        )
        storage.ledger.allow(self.function, *WRITE_LEDGER)
        storage.registry.allow(self.function, *SUSPEND_IN_REGISTRY)
        Schedule(self, "Schedule", function=self.function, minutes=config.schedule_minutes)
        self._let_in(config)

    @abstractmethod
    def _settings(self, config: DeploymentConfig) -> Mapping[str, str | None]:
        """The marketplace's own settings; what is None or empty is left out."""

    @abstractmethod
    def _let_in(self, config: DeploymentConfig) -> None:
        """Grant what the marketplace takes to let the function in."""

    def allow(
        self,
        action: str,
        resource: str = "*",
        *,
        conditions: Mapping[str, Mapping[str, str]] | None = None,
        reason: str = "",
    ) -> None:
        """Let the function do one thing; `reason` says why it may be on every resource."""
        iam.Grant.add_to_principal(
            grantee=self.function,
            actions=[action],
            resource_arns=[resource],
            conditions=conditions,
        )
        if resource == "*":
            accept(self.function.service_role, "IAM5[Resource::*]", reason)


class ReportingAws(Reporting):
    """To AWS Marketplace, in this account or through the seller account's role."""

    marketplace = "aws"

    def _settings(self, config: DeploymentConfig) -> Mapping[str, str | None]:
        return {
            "MARKETPLACE_REGION": config.marketplace_region,
            "MARKETPLACE_ROLE_ARN": config.marketplace_role_arn,
            "MARKETPLACE_EXTERNAL_ID": config.marketplace_external_id,
            "AWS_ENDPOINT_URL_MARKETPLACE_METERING": config.marketplace_endpoint,
            "AWS_ENDPOINT_URL_MARKETPLACE_AGREEMENT": config.marketplace_endpoint,
            "BILLING_ADJUSTMENTS": config.aws_billing_adjustments.value,
        }

    def _let_in(self, config: DeploymentConfig) -> None:
        if config.marketplace_role_arn:
            self.allow("sts:AssumeRole", config.marketplace_role_arn)
        else:
            self.allow(
                "aws-marketplace:BatchMeterUsage",
                reason="BatchMeterUsage has no resource types: IAM accepts it with the resource * only",
            )
            if config.aws_billing_adjustments is BillingAdjustments.API:
                for action in _ADJUST:
                    self.allow(
                        f"aws-marketplace:{action}",
                        reason="which agreements there are is known to AWS only",
                    )


class ReportingAzure(Reporting):
    """To Azure Marketplace, as an Entra app: by its secret, or by the function's own AWS identity."""

    marketplace = "azure"

    def _settings(self, config: DeploymentConfig) -> Mapping[str, str | None]:
        return {
            "AZURE_TENANT_ID": config.azure_tenant_id,
            "AZURE_CLIENT_ID": config.azure_client_id,
            "AZURE_SECRET_ARN": config.azure_secret_arn,
            "MARKETPLACE_ENDPOINT": config.marketplace_endpoint,
            "AZURE_AUTHORITY": config.marketplace_endpoint,
        }

    def _let_in(self, config: DeploymentConfig) -> None:
        if config.azure_secret_arn:
            self.allow("secretsmanager:GetSecretValue", config.azure_secret_arn)
        else:
            self.allow(
                "sts:GetWebIdentityToken",
                conditions={
                    "ForAllValues:StringEquals": {
                        "sts:IdentityTokenAudience": "api://AzureADTokenExchange"
                    },
                    "NumericLessThanEquals": {"sts:DurationSeconds": "300"},
                },
                reason="GetWebIdentityToken has no resource types; the condition limits its audience",
            )


class ReportingGcp(Reporting):
    """To Google Cloud Marketplace, as a service account: by the function's AWS role, or by its key."""

    marketplace = "gcp"

    def _settings(self, config: DeploymentConfig) -> Mapping[str, str | None]:
        return {
            "GCP_AUDIENCE": config.gcp_audience,
            "GCP_SERVICE_ACCOUNT": config.gcp_service_account,
            "GCP_SECRET_ARN": config.gcp_secret_arn,
            "GCP_USER_LABELS": config.gcp_user_labels.value,
            "MARKETPLACE_ENDPOINT": config.marketplace_endpoint,
        }

    def _let_in(self, config: DeploymentConfig) -> None:
        # Federation needs no grant: the function signs GetCallerIdentity, which every role may call.
        if config.gcp_secret_arn:
            self.allow("secretsmanager:GetSecretValue", config.gcp_secret_arn)
