"""Usage becomes quantities, and quantities become records to report.

Two ways lead to a quantity. The usage log's stream wakes `aggregate_usage`, which is fast; a
schedule wakes `close_windows`, which finds every partition that changed whatever the stream did.
Agreements with something new go through a queue to `settle_agreements`.
"""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources
from constructs import Construct

from infra.accepted_findings import accept
from infra.queues import ServiceQueue
from infra.schedule import Schedule
from infra.service_function import Platform, ServiceFunction
from infra.storage import (
    READ_HEADS,
    READ_LOG,
    READ_REGISTRY,
    READ_USAGE,
    WRITE_LEDGER,
    WRITE_USAGE,
    Storage,
)

_LONGEST = Duration.minutes(15)
# A message whose settling failed is tried again after six times this.
_SETTLE_TIMEOUT = Duration.minutes(1)


class Aggregation(Construct):
    """Usage log → hourly quantities → metering records.

    Attributes:
        aggregate_usage: folds the partitions that the stream names.
        close_windows: folds whatever changed, and closes finished hours.
        settle_agreements: rates closed hours and writes metering records.
        settle_queue: the agreements to settle.
        lost_batches: stream batches, as positions, that were given up.
        lost_wake_ups: invocations of `close_windows` that failed every time.
        stream_mapping_id: the event source mapping from the usage log to `aggregate_usage`.
        unsettled: agreements that could not be settled in five tries.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, platform: Platform, storage: Storage
    ) -> None:
        super().__init__(scope, construct_id)
        config = platform.config
        self._storage = storage

        self.lost_batches = ServiceQueue(self, "LostBatches", config=config)
        self.lost_wake_ups = ServiceQueue(self, "LostWakeUps", config=config)
        self.unsettled = ServiceQueue(self, "Unsettled", config=config)
        self.settle_queue = ServiceQueue(
            self,
            "SettleQueue",
            config=config,
            consumer_timeout=_SETTLE_TIMEOUT,
            dead_letters=self.unsettled,
        )
        tables = {
            "USAGE_TABLE": storage.usage.table_name,
            "REGISTRY_TABLE": storage.registry.table_name,
        }
        log = {"USAGE_LOG_TABLE": storage.usage_log.table_name}
        ledger = {"LEDGER_TABLE": storage.ledger.table_name}
        grace = {"GRACE_MINUTES": str(config.grace_minutes)}

        self.aggregate_usage = ServiceFunction(
            self,
            "AggregateUsage",
            name="aggregate_usage",
            platform=platform,
            timeout=Duration.minutes(5),
            memory_size=1769,
            environment=tables | log,
        )
        storage.usage_log.allow(self.aggregate_usage, *READ_LOG)
        storage.registry.allow(self.aggregate_usage, *READ_REGISTRY)
        storage.usage.allow(self.aggregate_usage, *WRITE_USAGE)
        self.stream_mapping_id = self._read_stream()

        self.close_windows = ServiceFunction(
            self,
            "CloseWindows",
            name="close_windows",
            platform=platform,
            timeout=_LONGEST,
            memory_size=1769,
            environment=tables
            | log
            | ledger
            | grace
            | {"SETTLE_QUEUE_URL": self.settle_queue.queue_url},
            lost_events=self.lost_wake_ups,
        )
        storage.usage_log.allow(self.close_windows, *READ_LOG)
        storage.registry.allow(self.close_windows, *READ_REGISTRY)
        storage.usage.allow(self.close_windows, *WRITE_USAGE)
        storage.ledger.allow(self.close_windows, *READ_HEADS)
        storage.ledger.allow_indexes(self.close_windows)
        self.settle_queue.allow_sending(self.close_windows)
        Schedule(
            self,
            "CloseWindowsSchedule",
            function=self.close_windows,
            minutes=config.schedule_minutes,
        )

        self.settle_agreements = ServiceFunction(
            self,
            "SettleAgreements",
            name="settle_agreements",
            platform=platform,
            timeout=_SETTLE_TIMEOUT,
            memory_size=1024,
            environment=tables | ledger | grace,
        )
        storage.usage.allow(self.settle_agreements, *READ_USAGE)
        storage.registry.allow(self.settle_agreements, *READ_REGISTRY)
        storage.ledger.allow(self.settle_agreements, *WRITE_LEDGER)
        self.settle_agreements.add_event_source(
            event_sources.SqsEventSource(
                self.settle_queue,
                batch_size=10,
                report_batch_item_failures=True,
                # So that settling never takes what ingest needs of the account's concurrency.
                max_concurrency=10,
            )
        )

    def _read_stream(self) -> str:
        """Wake `aggregate_usage` with the keys of new segments.

        A batch that keeps failing is halved until the bad record is alone. It is given up after an
        hour, since the sweep folds the partition anyway; the position of what was given up is kept.

        Returns:
            The mapping's id: what an operator disables and enables.
        """
        table = self._storage.usage_log
        stream = table.table_stream_arn
        if stream is None:
            raise ValueError("the usage log has no stream")
        reading = [
            iam.Grant.add_to_principal(
                grantee=self.aggregate_usage,
                actions=[
                    "dynamodb:DescribeStream",
                    "dynamodb:GetRecords",
                    "dynamodb:GetShardIterator",
                ],
                resource_arns=[stream],
            ),
            iam.Grant.add_to_principal(
                grantee=self.aggregate_usage,
                actions=["dynamodb:ListStreams"],
                resource_arns=[f"{table.table_arn}/stream/*"],
            ),
        ]
        mapping = lambda_.EventSourceMapping(
            self,
            "UsageLogStream",
            target=self.aggregate_usage,
            event_source_arn=stream,
            starting_position=lambda_.StartingPosition.TRIM_HORIZON,
            batch_size=1000,
            max_batching_window=Duration.seconds(20),
            bisect_batch_on_error=True,
            report_batch_item_failures=True,
            retry_attempts=10,
            max_record_age=Duration.hours(1),
            on_failure=event_sources.SqsDlq(self.lost_batches),
            # Nothing is edited, and what expires needs no folding.
            filters=[
                lambda_.FilterCriteria.filter({"eventName": lambda_.FilterRule.is_equal("INSERT")})
            ],
        )
        for grant in reading:
            grant.apply_before(mapping)
        accept(
            self.aggregate_usage.service_role,
            f"IAM5[Resource::<{table.logical_id}.Arn>/stream/*]",
            "ListStreams is a listing: Lambda asks it of the table's streams, not of one of them",
        )
        return mapping.event_source_mapping_id
