"""Usage comes in: the events route → ingest_usage → usage log."""

from __future__ import annotations

from aws_cdk import Duration
from constructs import Construct

from infra.api import Api
from infra.service_function import Platform, ServiceFunction
from infra.storage import APPEND_LOG, READ_REGISTRY, Storage


class Ingest(Construct):
    """Takes usage events over HTTP and appends them to the usage log.

    Attributes:
        function: ``functions/ingest_usage``.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        platform: Platform,
        storage: Storage,
        api: Api,
    ) -> None:
        super().__init__(scope, construct_id)
        self.function = ServiceFunction(
            self,
            "IngestUsage",
            name="ingest_usage",
            platform=platform,
            timeout=Duration.seconds(29),
            memory_size=1769,
            environment={
                "USAGE_LOG_TABLE": storage.usage_log.table_name,
                "REGISTRY_TABLE": storage.registry.table_name,
            },
        )
        storage.usage_log.allow(self.function, *APPEND_LOG)
        storage.registry.allow(self.function, *READ_REGISTRY)
        api.route("POST", "/v1/events", self.function)
