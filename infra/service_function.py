"""Our Lambda function: one handler folder, one role, one log group, and a place for lost events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aws_cdk import Duration, IgnoreMode, RemovalPolicy, Size
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.accepted_findings import accept
from infra.config import DeploymentConfig
from infra.layers import Layers
from infra.runtime import LambdaRuntime

FUNCTIONS = Path(__file__).resolve().parents[1] / "functions"
METRICS_NAMESPACE = "Meterbridge"
# Powertools puts this on every metric as the dimension `service`; the alarms look for it.
SERVICE_NAME = "meterbridge"


@dataclass(frozen=True, slots=True)
class Platform:
    """What all functions of one deployment have in common."""

    config: DeploymentConfig
    runtime: LambdaRuntime
    layers: Layers


class ServiceFunction(lambda_.Function):
    """The handler in ``functions/<name>``, with a role that may write its own log and no more.

    Attributes:
        folder: `name`.
        service_role: what grants to the function end up in.
        lost_events: where an asynchronous event goes when every try failed.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        platform: Platform,
        timeout: Duration,
        memory_size: int,
        environment: Mapping[str, str],
        lost_events: sqs.IQueue | None = None,
        reserved_concurrency: int | None = None,
        layers: Sequence[lambda_.ILayerVersion] = (),
        disk_size: Size | None = None,
    ) -> None:
        """Make the function.

        Args:
            scope: the construct it belongs to.
            construct_id: its id there.
            name: the folder under ``functions/``.
            platform: runtime, layers and settings common to all functions.
            timeout: the longest one invocation may take.
            memory_size: in MB; CPU comes with it, one core at 1,769 MB.
            environment: this function's own settings.
            lost_events: for asynchronous invocations: where an event goes when every try failed.
            reserved_concurrency: the most invocations at once.
            layers: more layers than every function has.
            disk_size: of its temporary folder, where 512 MB are not enough.
        """
        config = platform.config
        log_group = logs.LogGroup(
            scope,
            f"{construct_id}Logs",
            retention=config.log_retention,
            removal_policy=RemovalPolicy.DESTROY if config.is_local else RemovalPolicy.RETAIN,
        )
        role = iam.Role(
            scope,
            f"{construct_id}Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"What {name} may do",
        )
        log_group.grant_write(role)
        super().__init__(
            scope,
            construct_id,
            description=f"functions/{name}",
            runtime=platform.runtime.runtime,
            architecture=platform.runtime.architecture,
            handler=f"{name}.handler.handler",
            code=handler_code(name),
            layers=[*platform.layers.on_path, *layers],
            ephemeral_storage_size=disk_size,
            role=role,
            log_group=log_group,
            timeout=timeout,
            memory_size=memory_size,
            reserved_concurrent_executions=None if config.is_local else reserved_concurrency,
            on_failure=destinations.SqsDestination(lost_events) if lost_events else None,
            environment={
                "POWERTOOLS_SERVICE_NAME": SERVICE_NAME,
                "POWERTOOLS_METRICS_NAMESPACE": METRICS_NAMESPACE,
                "LOG_LEVEL": "INFO",
                "STAGE": config.stage.value,
                **environment,
            },
        )
        accept(
            self, "L1", "Python is pinned in runtime.py, to the version the layer's wheels are for"
        )
        self.service_role = role
        self.folder = name
        self.lost_events = lost_events


def handler_code(name: str) -> lambda_.AssetCode:
    """The one folder of ``functions/`` as an asset that keeps its package path.

    The negation works in GIT ignore mode only; GLOB stages an empty asset without a word. Because
    the rest is excluded, editing another function leaves this one's hash as it is.

    Raises:
        FileNotFoundError: if there is no handler to deploy.
    """
    if not (FUNCTIONS / name / "handler.py").is_file():
        raise FileNotFoundError(FUNCTIONS / name / "handler.py")
    return lambda_.Code.from_asset(
        str(FUNCTIONS),
        exclude=["/*", f"!/{name}", "__pycache__", "*.pyc"],
        ignore_mode=IgnoreMode.GIT,
    )
