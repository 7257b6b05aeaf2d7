"""The tables, and the few things a function may be allowed to do with one."""

from __future__ import annotations

from typing import cast

from aws_cdk import CfnElement, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.config import DeploymentConfig

# What the stores in adapters/dynamodb call, and no more: the log is only added to, quantities are
# only replaced, and nothing is ever taken out of the ledger.
APPEND_LOG = ("dynamodb:BatchWriteItem",)
READ_LOG = ("dynamodb:Query",)
READ_USAGE = ("dynamodb:GetItem", "dynamodb:Query")
WRITE_USAGE = (*READ_USAGE, "dynamodb:PutItem")
READ_LEDGER = ("dynamodb:GetItem", "dynamodb:Query")
READ_HEADS = ("dynamodb:BatchGetItem",)
WRITE_LEDGER = (*READ_LEDGER, "dynamodb:PutItem", "dynamodb:UpdateItem")
DECIDE_IN_LEDGER = (*READ_LEDGER, "dynamodb:PutItem")
READ_REGISTRY = ("dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query")
SUSPEND_IN_REGISTRY = (*READ_REGISTRY, "dynamodb:UpdateItem")
READ_INVOICES = ("dynamodb:GetItem", "dynamodb:Query")
CREDIT_INVOICES = (*READ_INVOICES, "dynamodb:PutItem")
ISSUE_INVOICES = (*CREDIT_INVOICES, "dynamodb:BatchGetItem")
WRITE_REGISTRY = (
    *READ_REGISTRY,
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:ConditionCheckItem",
)


class ServiceTable(dynamodb.Table):
    """A table with our keys and our protection; billed by request."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: DeploymentConfig,
        stream: dynamodb.StreamViewType | None = None,
        expires: bool = False,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            partition_key=_text("pk"),
            sort_key=_text("sk"),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.AWS_MANAGED,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            stream=stream,
            time_to_live_attribute="expires_at" if expires else None,
            deletion_protection=not config.is_local,
            removal_policy=RemovalPolicy.DESTROY if config.is_local else RemovalPolicy.RETAIN,
        )
        self._index_names: list[str] = []

    def add_index(self, name: str, prefix: str) -> None:
        """Add a sparse index: only items that have ``<prefix>_pk`` and ``<prefix>_sk`` are in it."""
        self.add_global_secondary_index(
            index_name=name,
            partition_key=_text(f"{prefix}_pk"),
            sort_key=_text(f"{prefix}_sk"),
            projection_type=dynamodb.ProjectionType.ALL,
        )
        self._index_names.append(name)

    @property
    def logical_id(self) -> str:
        """The table's name in the template."""
        return Stack.of(self).get_logical_id(cast("CfnElement", self.node.default_child))

    def allow(self, grantee: iam.IGrantable, *actions: str) -> None:
        """Let `grantee` do exactly `actions`; a reader may also query the indexes."""
        iam.Grant.add_to_principal(
            grantee=grantee, actions=list(actions), resource_arns=[self.table_arn]
        )
        if self._index_names and "dynamodb:Query" in actions:
            self.allow_indexes(grantee)

    def allow_indexes(self, grantee: iam.IGrantable) -> None:
        """Let `grantee` query the indexes, and by this not the table."""
        iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["dynamodb:Query"],
            resource_arns=[f"{self.table_arn}/index/{name}" for name in self._index_names],
        )


class Storage(Construct):
    """Everything that is kept.

    Attributes:
        usage_log: packed segments of usage events, appended only; its stream carries keys.
        usage: hourly quantities.
        ledger: agreement versions and metering records; ``pending`` lists what is to be sent.
        registry: products, meters, offerings, customers, agreements, keys.
        invoices: invoices and credit notes, and their numbers; ``listed`` has them by product.
    """

    def __init__(self, scope: Construct, construct_id: str, *, config: DeploymentConfig) -> None:
        super().__init__(scope, construct_id)
        self.usage_log = ServiceTable(
            self,
            "UsageLog",
            config=config,
            stream=dynamodb.StreamViewType.KEYS_ONLY,
            expires=True,
        )
        self.usage = ServiceTable(self, "Usage", config=config)
        self.ledger = ServiceTable(self, "Ledger", config=config)
        self.ledger.add_index("pending", "pending")
        self.registry = ServiceTable(self, "Registry", config=config, expires=True)
        self.registry.add_index("by_reference", "ref")
        self.invoices = ServiceTable(self, "Invoices", config=config)
        self.invoices.add_index("listed", "listed")


def _text(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
