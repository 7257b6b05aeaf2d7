"""Usage is kept for good: usage log and hourly rows → Parquet in a bucket."""

from __future__ import annotations

from typing import cast

from aws_cdk import CfnElement, Duration, RemovalPolicy, Size, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.accepted_findings import accept
from infra.queues import ServiceQueue
from infra.schedule import Schedule
from infra.service_function import Platform, ServiceFunction
from infra.storage import READ_LOG, WRITE_USAGE, Storage

_EVERY_MINUTES = 60
_KINDS = ("events", "usage")


class Archive(Construct):
    """Every usage event and every closed hour, for people with a query engine.

    Attributes:
        bucket: the Parquet files; docs/archive.md describes them.
        function: ``functions/archive_usage``.
        lost_wake_ups: invocations that failed every time.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, platform: Platform, storage: Storage
    ) -> None:
        super().__init__(scope, construct_id)
        config = platform.config
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            # The emulator speaks plain HTTP on the loopback interface.
            enforce_ssl=not config.is_local,
            # What is overwritten or deleted, by whomever, can be had again for a while.
            versioned=True,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="what-was-replaced",
                    noncurrent_version_expiration=Duration.days(90),
                    abort_incomplete_multipart_upload_after=Duration.days(7),
                ),
                s3.LifecycleRule(
                    id="what-is-seldom-read",
                    transitions=[
                        s3.Transition(
                            storage_class=s3.StorageClass.INTELLIGENT_TIERING,
                            transition_after=Duration.days(30),
                        )
                    ],
                ),
            ],
            removal_policy=RemovalPolicy.DESTROY if config.is_local else RemovalPolicy.RETAIN,
        )
        accept(
            self.bucket,
            "S1",
            "Who may read it is the seller's choice; CloudTrail's data events tell who did",
        )
        self.lost_wake_ups = ServiceQueue(self, "LostWakeUps", config=config)
        self.function = ServiceFunction(
            self,
            "ArchiveUsage",
            name="archive_usage",
            platform=platform,
            timeout=Duration.minutes(15),
            memory_size=1769,
            environment={
                "USAGE_LOG_TABLE": storage.usage_log.table_name,
                "USAGE_TABLE": storage.usage.table_name,
                "ARCHIVE_BUCKET": self.bucket.bucket_name,
                "GRACE_MINUTES": str(config.grace_minutes),
            },
            lost_events=self.lost_wake_ups,
            # Two at once would make the same objects: harmless, but wasted work.
            reserved_concurrency=1,
            layers=[platform.layers.parquet],
            # 90 bytes for each event of the largest partition while it is written, and what spills.
            disk_size=Size.gibibytes(4),
        )
        storage.usage_log.allow(self.function, *READ_LOG)
        storage.usage.allow(self.function, *WRITE_USAGE)
        # Looking at an object (HeadObject) and replacing it on a condition both take s3:GetObject.
        iam.Grant.add_to_principal(
            grantee=self.function,
            actions=["s3:GetObject", "s3:PutObject"],
            resource_arns=[self.bucket.arn_for_objects(f"{kind}/*") for kind in _KINDS],
        )
        bucket = Stack.of(self).get_logical_id(cast("CfnElement", self.bucket.node.default_child))
        for kind in _KINDS:
            accept(
                self.function.service_role,
                f"IAM5[Resource::<{bucket}.Arn>/{kind}/*]",
                "Objects are named by hour and shard: the folder is as narrow as it can be",
            )
        # Without it S3 would say "forbidden" of what is not there.
        iam.Grant.add_to_principal(
            grantee=self.function,
            actions=["s3:ListBucket"],
            resource_arns=[self.bucket.bucket_arn],
        )
        Schedule(self, "Schedule", function=self.function, minutes=_EVERY_MINUTES)
