"""Invoices become final by themselves: closed periods → numbered documents."""

from __future__ import annotations

from aws_cdk import Duration
from constructs import Construct

from infra.config import DeploymentConfig
from infra.queues import ServiceQueue
from infra.schedule import Schedule
from infra.service_function import Platform, ServiceFunction
from infra.storage import ISSUE_INVOICES, READ_LEDGER, READ_REGISTRY, READ_USAGE, Storage

_EVERY_MINUTES = 60


class Invoicing(Construct):
    """Every agreement's invoice, some days after its period's end.

    Attributes:
        function: ``functions/issue_invoices``.
        lost_wake_ups: invocations that failed every time.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, platform: Platform, storage: Storage
    ) -> None:
        super().__init__(scope, construct_id)
        config = platform.config
        self.lost_wake_ups = ServiceQueue(self, "LostWakeUps", config=config)
        self.function = ServiceFunction(
            self,
            "IssueInvoices",
            name="issue_invoices",
            platform=platform,
            timeout=Duration.minutes(15),
            memory_size=1769,
            environment={
                "REGISTRY_TABLE": storage.registry.table_name,
                "USAGE_TABLE": storage.usage.table_name,
                "LEDGER_TABLE": storage.ledger.table_name,
                "INVOICES_TABLE": storage.invoices.table_name,
                **invoicing_settings(config),
            },
            lost_events=self.lost_wake_ups,
            # Two at once would make the same documents: harmless, but wasted work.
            reserved_concurrency=1,
        )
        storage.registry.allow(self.function, *READ_REGISTRY)
        storage.usage.allow(self.function, *READ_USAGE)
        storage.ledger.allow(self.function, *READ_LEDGER)
        storage.invoices.allow(self.function, *ISSUE_INVOICES)
        Schedule(self, "Schedule", function=self.function, minutes=_EVERY_MINUTES)


def invoicing_settings(config: DeploymentConfig) -> dict[str, str]:
    """The environment by which invoices are made and shown."""
    return {
        "SELLER_NAME": config.seller_name or "",
        "SELLER_ADDRESS": config.seller_address or "",
        "SELLER_TAX_ID": config.seller_tax_id or "",
        "SELLER_EMAIL": config.seller_email or "",
        "INVOICE_PREFIX": config.invoice_prefix,
        "INVOICE_DAYS": str(config.invoice_days),
    }
