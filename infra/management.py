"""People and their tools: everything under /v1 but the sending of events."""

from __future__ import annotations

from aws_cdk import Duration
from constructs import Construct

from infra.api import Api
from infra.invoicing import invoicing_settings
from infra.publishing import let_publish, publishing_settings
from infra.queues import ServiceQueue
from infra.service_function import Platform, ServiceFunction
from infra.storage import (
    CREDIT_INVOICES,
    DECIDE_IN_LEDGER,
    READ_HEADS,
    READ_LOG,
    READ_USAGE,
    WRITE_REGISTRY,
    Storage,
)


class Management(Construct):
    """The REST API.

    The function also makes the first API key: whoever may invoke it directly (IAM) asks with the
    event ``{"meterbridge": "create-admin-key", "name": "..."}``.

    Attributes:
        function: ``functions/manage``.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        platform: Platform,
        storage: Storage,
        settle_queue: ServiceQueue,
        api: Api,
        archive_bucket_name: str,
    ) -> None:
        super().__init__(scope, construct_id)
        self.function = ServiceFunction(
            self,
            "Manage",
            name="manage",
            platform=platform,
            timeout=Duration.seconds(29),
            memory_size=1769,
            environment={
                "REGISTRY_TABLE": storage.registry.table_name,
                "LEDGER_TABLE": storage.ledger.table_name,
                "USAGE_TABLE": storage.usage.table_name,
                "USAGE_LOG_TABLE": storage.usage_log.table_name,
                "SETTLE_QUEUE_URL": settle_queue.queue_url,
                "INVOICES_TABLE": storage.invoices.table_name,
                "ARCHIVE_BUCKET": archive_bucket_name,
                "GRACE_MINUTES": str(platform.config.grace_minutes),
                **publishing_settings(platform.config),
                **invoicing_settings(platform.config),
            },
            layers=[platform.layers.documents],
        )
        storage.registry.allow(self.function, *WRITE_REGISTRY)
        storage.ledger.allow(self.function, *DECIDE_IN_LEDGER, *READ_HEADS)
        storage.usage.allow(self.function, *READ_USAGE)
        storage.usage_log.allow(self.function, *READ_LOG)
        storage.invoices.allow(self.function, *CREDIT_INVOICES)
        settle_queue.allow_sending(self.function)
        let_publish(self.function, platform.config)
        api.route("ANY", "/v1/{proxy+}", self.function)
