from __future__ import annotations

from typing import Any

import pytest
from aws_cdk.assertions import Template

Resources = dict[str, dict[str, Any]]

TARGETS = {"POST /v1/events": "IngestUsage", "ANY /v1/{proxy+}": "Manage"}


def _of_type(resources: Resources, kind: str) -> dict[str, dict[str, Any]]:
    return {
        logical_id: resource["Properties"]
        for logical_id, resource in resources.items()
        if resource["Type"] == kind
    }


def test_there_are_no_other_routes(resources: Resources) -> None:
    routes = _of_type(resources, "AWS::ApiGatewayV2::Route").values()

    assert sorted(route["RouteKey"] for route in routes) == sorted(TARGETS)


def test_no_route_is_open(resources: Resources) -> None:
    authorizers = _of_type(resources, "AWS::ApiGatewayV2::Authorizer")

    for route in _of_type(resources, "AWS::ApiGatewayV2::Route").values():
        assert route["AuthorizationType"] == "CUSTOM", route["RouteKey"]
        assert route["AuthorizerId"]["Ref"] in authorizers


def test_nothing_but_the_api_is_reachable_from_outside(resources: Resources) -> None:
    kinds = {resource["Type"] for resource in resources.values()}

    assert kinds & {"AWS::Lambda::Url", "AWS::ApiGateway::RestApi"} == set()
    assert len(_of_type(resources, "AWS::ApiGatewayV2::Api")) == 1


@pytest.mark.parametrize(("route_key", "function"), TARGETS.items())
def test_a_route_leads_to_its_function(resources: Resources, route_key: str, function: str) -> None:
    (route,) = (
        route
        for route in _of_type(resources, "AWS::ApiGatewayV2::Route").values()
        if route["RouteKey"] == route_key
    )
    integration_id = route["Target"]["Fn::Join"][1][1]["Ref"]
    integration = resources[integration_id]["Properties"]

    assert integration["PayloadFormatVersion"] == "2.0"
    assert function in integration["IntegrationUri"]["Fn::GetAtt"][0]


def test_an_authorizers_answer_is_never_used_twice(template: Template) -> None:
    template.has_resource_properties(
        "AWS::ApiGatewayV2::Authorizer",
        {
            "AuthorizerResultTtlInSeconds": 0,
            "AuthorizerPayloadFormatVersion": "2.0",
            "EnableSimpleResponses": True,
            "IdentitySource": ["$request.header.Authorization"],
        },
    )


def test_requests_are_throttled_and_logged_without_the_key(template: Template) -> None:
    (stage,) = template.find_resources("AWS::ApiGatewayV2::Stage").values()
    properties = stage["Properties"]

    assert properties["StageName"] == "$default"
    assert properties["DefaultRouteSettings"]["ThrottlingRateLimit"] == 1000
    assert properties["DefaultRouteSettings"]["ThrottlingBurstLimit"] == 2000
    assert "$context.status" in properties["AccessLogSettings"]["Format"]
    assert "uthorization" not in properties["AccessLogSettings"]["Format"]
