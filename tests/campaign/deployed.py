"""The same six customers behind the deployed functions: handlers, DynamoDB and SQS in moto.

The fuse is around every call of boto3 that a handler makes.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from os import environ
from types import ModuleType
from typing import Any
from unittest.mock import patch

import boto3
import msgspec
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from campaign.schedule import Schedule
from campaign.world import Doubles, ThreeClouds
from dynamodb import REGION, make_table, mocked_table
from ingest_setup import request
from lambda_setup import Context
from meterbridge.adapters.dynamodb.ledger_store import LedgerStore
from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.adapters.dynamodb.usage_log_store import UsageLogStore
from meterbridge.adapters.dynamodb.usage_store import UsageStore
from meterbridge.adapters.settle_queue import SqsSettleQueue
from meterbridge.application.ingest_usage import ShardPlans
from meterbridge.application.report_usage import ReportLimits
from meterbridge.domain.errors import MarketplaceError, StoreUnavailableError
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.partitions import Partition

FUNCTIONS = (
    "ingest_usage",
    "aggregate_usage",
    "close_windows",
    "settle_agreements",
    "report_usage_aws",
    "report_usage_azure",
    "report_usage_gcp",
)
ENVIRONMENT = {
    "USAGE_LOG_TABLE": "UsageLog",
    "USAGE_TABLE": "Usage",
    "LEDGER_TABLE": "Ledger",
    "REGISTRY_TABLE": "Registry",
    "GRACE_MINUTES": "15",
    "REPORTING_MODE": "live",
    "MARKETPLACE_REGION": REGION,
    "AZURE_TENANT_ID": "11111111-1111-1111-1111-111111111111",
    "AZURE_CLIENT_ID": "22222222-2222-2222-2222-222222222222",
    "GCP_AUDIENCE": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/a/providers/b",
    "GCP_SERVICE_ACCOUNT": "meter@acme.iam.gserviceaccount.com",
    "AWS_ACCESS_KEY_ID": "any",
    "AWS_SECRET_ACCESS_KEY": "any",
    "POWERTOOLS_LOG_LEVEL": "CRITICAL",
}
THROTTLED = ClientError(
    {"Error": {"Code": "ProvisionedThroughputExceededException", "Message": "set to fail"}}, "any"
)


@contextmanager
def deployment(schedule: Schedule) -> Iterator[DeployedClouds]:
    """Fresh tables, a queue, and the functions as Lambda loads them."""
    with patch.dict(environ, ENVIRONMENT), mocked_table("Ledger", "pending"):
        make_table("Registry", "ref", "by_reference")
        for name in ("UsageLog", "Usage"):
            make_table(name)
        queue = boto3.client("sqs", region_name=REGION).create_queue(QueueName="settle")
        environ["SETTLE_QUEUE_URL"] = queue["QueueUrl"]
        modules = {name: importlib.import_module(f"{name}.handler") for name in FUNCTIONS}
        world = DeployedClouds(
            schedule, {name: importlib.reload(module) for name, module in modules.items()}
        )
        real_call = BaseClient._make_api_call

        def call(client: BaseClient, operation: str, parameters: Any) -> Any:
            made: Callable[[], Any] = lambda: real_call(client, operation, parameters)  # noqa: E731
            return world.fuse.around(made, THROTTLED) if world.inside else made()

        with patch.object(BaseClient, "_make_api_call", call):
            yield world


class DeployedClouds(ThreeClouds):
    """Every step is an invocation.

    Attributes:
        inside: how many handlers are running; only their calls can be interrupted.
    """

    def __init__(self, schedule: Schedule, modules: dict[str, ModuleType]) -> None:
        self.inside = 0
        self._modules = modules
        self._stored: set[Partition] = set()
        super().__init__(schedule, Doubles())

    def _set_up(self, schedule: Schedule) -> None:
        self.real_registry = self.registry = RegistryStore("Registry")  # type: ignore[assignment]
        self.real_ledger = self.ledger = LedgerStore("Ledger")  # type: ignore[assignment]
        self.real_log = self.log = UsageLogStore("UsageLog")  # type: ignore[assignment]
        self.usage = UsageStore("Usage")
        self._sqs = boto3.client("sqs", region_name=REGION)
        self._queue_url = environ["SETTLE_QUEUE_URL"]
        self.queue = SqsSettleQueue(self._queue_url, client=self._sqs)
        super()._set_up(schedule)

    def forget(self) -> None:
        """Cold starts: nothing is left of what a process kept."""
        super().forget()
        for name, module in self._modules.items():
            module.CLOCK = self.clock  # type: ignore[attr-defined]
            if name.startswith("report_usage"):
                reporting = module.FUNCTION  # type: ignore[attr-defined]
                reporting.clock = self.clock
                reporting.limits = ReportLimits(workers=1, rounds=1)
                reporting.backoff = lambda _round: None
        self._modules["aggregate_usage"].KEPT = self.kept  # type: ignore[attr-defined]
        plans = ShardPlans(self.registry, self.clock)
        self._modules["ingest_usage"].PLANS = plans  # type: ignore[attr-defined]

    def _invoke(self, function: str, event: Any) -> Any:
        self.inside += 1
        try:
            with warnings.catch_warnings():
                # A killed handler has counted nothing yet, and Powertools warns of that.
                warnings.filterwarnings("ignore", "No application metrics")
                return self._modules[function].handler(event, Context())
        finally:
            self.inside -= 1

    def store(self, events: Iterable[UsageEvent]) -> None:
        known = list(events)
        plan = self.real_registry.shard_plan()
        self._stored |= {
            plan.partition_of(each.product_id, each.subject, each.occurred_at) for each in known
        }
        body = msgspec.json.encode([_cloud_event(each) for each in known]).decode()
        answer = self._invoke("ingest_usage", request(body, products="prd_llm"))
        if answer["statusCode"] == 503:
            raise StoreUnavailableError("answered 503")
        assert answer["statusCode"] == 202, answer

    def aggregate(self) -> None:
        records = [
            {
                "eventName": "INSERT",
                "dynamodb": {"Keys": {"pk": {"S": str(partition)}}, "SequenceNumber": str(number)},
            }
            for number, partition in enumerate(sorted(self._stored))
        ]
        answer = self._invoke("aggregate_usage", {"Records": records})
        assert not answer["batchItemFailures"] or self.fuse.fired

    def sweep(self) -> None:
        self._invoke("close_windows", {})

    def settle_all(self) -> None:
        self.queue.enqueue([each.id for each in self.real_registry.agreements()])
        self.drain()

    def drain(self) -> None:
        """Messages are deleted once they were worked off; others are delivered again."""
        while messages := self._received():
            answer = self._invoke("settle_agreements", {"Records": messages})
            failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
            for message in messages:
                if message["messageId"] not in failed:
                    self._sqs.delete_message(
                        QueueUrl=self._queue_url, ReceiptHandle=message["receiptHandle"]
                    )
            if failed:
                assert self.fuse.fired
                return

    def _received(self) -> list[dict[str, Any]]:
        answer = self._sqs.receive_message(
            QueueUrl=self._queue_url, MaxNumberOfMessages=10, VisibilityTimeout=0
        )
        return [
            {
                "messageId": each["MessageId"],
                "receiptHandle": each["ReceiptHandle"],
                "body": each["Body"],
                "eventSource": "aws:sqs",
            }
            for each in answer.get("Messages", [])
        ]

    def report_to(self, marketplace: Any) -> None:
        """An invocation that fails is alarming, and the next one goes on."""
        function = f"report_usage_{marketplace.channel}"
        self._modules[function].FUNCTION.marketplace = marketplace  # type: ignore[attr-defined]
        try:
            self._invoke(function, {})
        except MarketplaceError:
            return


def _cloud_event(event: UsageEvent) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "time": event.occurred_at.isoformat(),
        "data": {"tokens": str(event.values["tokens"]), "model": event.values["model"]},
    }
