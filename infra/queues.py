"""Queues, and the dead-letter queues in which nothing may lie unseen."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.accepted_findings import accept
from infra.config import DeploymentConfig

_MAX_RECEIVES = 5


class ServiceQueue(sqs.Queue):
    """A queue that keeps what it gets for 14 days and takes it over TLS only.

    TLS is not demanded locally: the emulator speaks plain HTTP on the loopback interface.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: DeploymentConfig,
        consumer_timeout: Duration | None = None,
        dead_letters: sqs.IQueue | None = None,
    ) -> None:
        """Make the queue.

        Args:
            scope: the construct it belongs to.
            construct_id: its id there.
            config: the deployment's settings.
            consumer_timeout: the timeout of the function that reads it. A message stays invisible
                for six times as long, as Lambda asks for.
            dead_letters: where a message goes that failed five times.
        """
        self._is_local = config.is_local
        super().__init__(
            scope,
            construct_id,
            retention_period=Duration.days(14),
            visibility_timeout=(
                Duration.seconds(6 * consumer_timeout.to_seconds()) if consumer_timeout else None
            ),
            dead_letter_queue=(
                sqs.DeadLetterQueue(queue=dead_letters, max_receive_count=_MAX_RECEIVES)
                if dead_letters
                else None
            ),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=not config.is_local,
            removal_policy=RemovalPolicy.DESTROY if config.is_local else RemovalPolicy.RETAIN,
        )
        if dead_letters is None:
            accept(
                self, "SQS3", "It holds what was given up; an alarm watches it, nothing reads it"
            )

    def allow_sending(self, grantee: iam.IGrantable) -> None:
        """Let `grantee` put messages into the queue, and nothing else."""
        actions = ["sqs:SendMessage"]
        if self._is_local:
            # AWS checks SendMessage for a batch too; the emulator has an action for it.
            actions.append("sqs:SendMessageBatch")
        iam.Grant.add_to_principal(grantee=grantee, actions=actions, resource_arns=[self.queue_arn])
