"""Pending records go to the marketplace: one schedule, one role, one function per marketplace."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.accepted_findings import accept
from infra.queues import ServiceQueue
from infra.schedule import Schedule
from infra.service_function import Platform, ServiceFunction
from infra.storage import SUSPEND_IN_REGISTRY, WRITE_LEDGER, Storage


class ReportingAws(Construct):
    """Submits pending metering records to AWS Marketplace.

    Attributes:
        function: ``functions/report_usage_aws``.
        lost_wake_ups: invocations that failed every time.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, platform: Platform, storage: Storage
    ) -> None:
        super().__init__(scope, construct_id)
        config = platform.config
        self.lost_wake_ups = ServiceQueue(self, "LostWakeUps", config=config)
        marketplace = {
            "MARKETPLACE_REGION": config.marketplace_region,
            "MARKETPLACE_ROLE_ARN": config.marketplace_role_arn,
            "MARKETPLACE_EXTERNAL_ID": config.marketplace_external_id,
            "AWS_ENDPOINT_URL_MARKETPLACE_METERING": config.marketplace_endpoint,
        }
        self.function = ServiceFunction(
            self,
            "ReportUsageAws",
            name="report_usage_aws",
            platform=platform,
            timeout=Duration.minutes(min(config.schedule_minutes, 15)),
            memory_size=1024,
            environment={
                "LEDGER_TABLE": storage.ledger.table_name,
                "REGISTRY_TABLE": storage.registry.table_name,
                "REPORTING_MODE": config.reporting_mode.value,
            }
            | {name: value for name, value in marketplace.items() if value},
            lost_events=self.lost_wake_ups,
            # Two at once would race for the same records: harmless, but wasted calls.
            reserved_concurrency=1,
        )
        storage.ledger.allow(self.function, *WRITE_LEDGER)
        storage.registry.allow(self.function, *SUSPEND_IN_REGISTRY)
        self._allow_reporting(config.marketplace_role_arn)
        Schedule(self, "Schedule", function=self.function, minutes=config.schedule_minutes)

    def _allow_reporting(self, seller_role_arn: str | None) -> None:
        """Let the function report, in this account or through the seller account's role."""
        if seller_role_arn:
            iam.Grant.add_to_principal(
                grantee=self.function,
                actions=["sts:AssumeRole"],
                resource_arns=[seller_role_arn],
            )
            return
        iam.Grant.add_to_principal(
            grantee=self.function,
            actions=["aws-marketplace:BatchMeterUsage"],
            resource_arns=["*"],
        )
        accept(
            self.function.service_role,
            "IAM5[Resource::*]",
            "BatchMeterUsage has no resource types: IAM accepts it with the resource * only",
        )
