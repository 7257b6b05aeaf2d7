"""The front door: one HTTP API, and an authorizer in front of every route."""

from __future__ import annotations

import json

import jsii
from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_apigateway as rest_api
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.service_function import Platform, ServiceFunction
from infra.storage import READ_REGISTRY, Storage

_RATE_PER_SECOND = 1000
_BURST = 2000


class Api(Construct):
    """An HTTP API that knows no open route.

    The authorizer is the API's default, so that a route gets it without asking. Its answers are not
    cached: a revoked key stops at once, and an answer for one route is never used for another.

    Attributes:
        http_api: the API itself.
        authorizer: ``functions/authorize``.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, platform: Platform, storage: Storage
    ) -> None:
        super().__init__(scope, construct_id)
        self.authorizer = ServiceFunction(
            self,
            "Authorize",
            name="authorize",
            platform=platform,
            timeout=Duration.seconds(10),
            memory_size=512,
            environment={"REGISTRY_TABLE": storage.registry.table_name},
        )
        storage.registry.allow(self.authorizer, *READ_REGISTRY)
        self.http_api = apigateway.HttpApi(
            self,
            "HttpApi",
            api_name="meterbridge",
            description="Usage in, books out",
            create_default_stage=False,
            default_authorizer=authorizers.HttpLambdaAuthorizer(
                "ApiKey",
                self.authorizer,
                response_types=[authorizers.HttpLambdaResponseType.SIMPLE],
                identity_source=["$request.header.Authorization"],
                results_cache_ttl=Duration.seconds(0),
            ),
        )
        config = platform.config
        access_log = logs.LogGroup(
            self,
            "AccessLog",
            retention=config.log_retention,
            removal_policy=RemovalPolicy.DESTROY if config.is_local else RemovalPolicy.RETAIN,
        )
        apigateway.HttpStage(
            self,
            "Stage",
            http_api=self.http_api,
            auto_deploy=True,
            throttle=apigateway.ThrottleSettings(rate_limit=_RATE_PER_SECOND, burst_limit=_BURST),
            detailed_metrics_enabled=True,
            access_log_settings=_JsonAccessLog(access_log),
        )

    def route(self, method: str, path: str, function: lambda_.IFunction) -> None:
        """Send `method` (or ``ANY``) on `path` to `function`, behind the authorizer."""
        self.http_api.add_routes(
            path=path,
            methods=[apigateway.HttpMethod(method)],
            integration=integrations.HttpLambdaIntegration(
                f"To{function.node.id}",
                function,
                payload_format_version=apigateway.PayloadFormatVersion.VERSION_2_0,
            ),
        )


@jsii.implements(apigateway.IAccessLogSettings)
class _JsonAccessLog:
    """One JSON object per request, without the key and without the body."""

    def __init__(self, log_group: logs.ILogGroup) -> None:
        self._destination = apigateway.LogGroupLogDestination(log_group)

    @property
    def destination(self) -> apigateway.IAccessLogDestination:
        return self._destination

    @property
    def format(self) -> rest_api.AccessLogFormat:
        field = rest_api.AccessLogField
        return rest_api.AccessLogFormat.custom(
            json.dumps(
                {
                    "request_id": field.context_request_id(),
                    "requested_at": field.context_request_time(),
                    "source_ip": field.context_identity_source_ip(),
                    "route": "$context.routeKey",
                    "path": field.context_path(),
                    "status": field.context_status(),
                    "response_bytes": field.context_response_length(),
                    "milliseconds": field.context_response_latency(),
                    "integration_error": "$context.integrationErrorMessage",
                    "authorizer_error": "$context.authorizer.error",
                }
            )
        )
