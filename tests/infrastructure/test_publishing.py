from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Validations
from aws_cdk.assertions import Template
from cdk_nag import AwsSolutionsChecks

from infra.publishing import _CHANGE_TYPES
from infra.stack import MeterbridgeStack
from meterbridge.domain.publishing import aws_change_sets

Build = Callable[..., MeterbridgeStack]
SELLER = {"marketplace_role_arn": "arn:aws:iam::123456789012:role/Seller"}
CATALOG = "arn:aws:aws-marketplace:us-east-1:"


def manage(stack: MeterbridgeStack) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The statements of the management function, and its environment."""
    resources = Template.from_stack(stack).to_json()["Resources"]
    statements = [
        statement
        for name, resource in resources.items()
        if resource["Type"] == "AWS::IAM::Policy" and "ManageRole" in name
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]
    ]
    (function,) = [
        resource["Properties"]
        for resource in resources.values()
        if resource["Type"] == "AWS::Lambda::Function"
        and resource["Properties"]["Handler"] == "manage.handler.handler"
    ]
    return statements, function["Environment"]["Variables"]


def beyond_our_tables(statements: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What the function may do elsewhere, by action."""
    found = {}
    for statement in statements:
        actions = statement["Action"]
        for action in actions if isinstance(actions, list) else [actions]:
            if not action.startswith(("dynamodb:", "logs:", "sqs:")):
                found[action] = statement
    return found


def test_publishing_is_off_unless_it_is_switched_on(
    build_stack: Build, marketplaces: dict[str, str]
) -> None:
    statements, environment = manage(build_stack({**marketplaces, **SELLER}))

    assert beyond_our_tables(statements) == {}
    assert "PUBLISHING" not in environment
    assert not any(name.startswith(("AZURE", "MARKETPLACE")) for name in environment)


def test_it_may_change_saas_listings_and_read_how_far_that_is(build_stack: Build) -> None:
    statements, environment = manage(build_stack({"publishing": True}))
    allowed = beyond_our_tables(statements)

    assert set(allowed) == {"aws-marketplace:StartChangeSet", "aws-marketplace:DescribeChangeSet"}
    start, describe = (
        allowed[f"aws-marketplace:{each}ChangeSet"] for each in ("Start", "Describe")
    )
    assert sorted(map(_ending, start["Resource"])) == [
        "ChangeSet/*",
        "Offer/*",
        "SaaSProduct/*",
    ]
    assert start["Condition"] == {"StringEquals": {"catalog:ChangeType": list(_CHANGE_TYPES)}}
    assert _ending(describe["Resource"]) == "ChangeSet/*"
    assert environment["PUBLISHING"] == "true"


def _ending(resource: dict[str, Any]) -> str:
    text = resource["Fn::Join"][1][-1]
    assert isinstance(text, str)
    return text.removeprefix(":AWSMarketplace/")


def test_it_may_start_exactly_the_changes_that_are_compiled() -> None:
    source = Path(aws_change_sets.__file__).read_text()
    compiled = set(re.findall(r'_(?:change|creation)\(\s*"([A-Za-z]+)"', source))

    assert compiled == set(_CHANGE_TYPES)


def test_with_a_sellers_role_it_may_assume_that_and_change_nothing_itself(
    build_stack: Build, marketplaces: dict[str, str]
) -> None:
    statements, environment = manage(build_stack({**marketplaces, **SELLER, "publishing": "true"}))
    allowed = beyond_our_tables(statements)

    assert {action: each["Resource"] for action, each in allowed.items()} == {
        "sts:AssumeRole": SELLER["marketplace_role_arn"],
        "secretsmanager:GetSecretValue": marketplaces["azure_secret_arn"],
    }
    assert environment["MARKETPLACE_ROLE_ARN"] == SELLER["marketplace_role_arn"]
    assert environment["AZURE_CLIENT_ID"] == marketplaces["azure_client_id"]


def test_without_a_secret_aws_vouches_for_it(
    build_stack: Build, marketplaces: dict[str, str]
) -> None:
    statements, _ = manage(
        build_stack({**marketplaces, **SELLER, "publishing": True, "azure_secret_arn": ""})
    )
    token = beyond_our_tables(statements)["sts:GetWebIdentityToken"]

    assert token["Condition"]["ForAllValues:StringEquals"] == {
        "sts:IdentityTokenAudience": "api://AzureADTokenExchange"
    }


def test_the_local_stage_publishes_to_the_sandbox(build_stack: Build) -> None:
    url = "http://127.0.0.1:8642"
    _, environment = manage(
        build_stack({"stage": "local", "marketplace_endpoint": url, "publishing": True})
    )

    for name in ("AWS_ENDPOINT_URL_MARKETPLACE_CATALOG", "MARKETPLACE_ENDPOINT", "AZURE_AUTHORITY"):
        assert environment[name] == url


@pytest.mark.parametrize("secret", [True, False])
def test_cdk_nag_finds_nothing(
    build_stack: Build, marketplaces: dict[str, str], tmp_path: Path, secret: bool
) -> None:
    settings = {"alarm_email": "b@example.com", **marketplaces, "publishing": True}
    if not secret:
        settings["azure_secret_arn"] = ""
    app = build_stack(settings, outdir=tmp_path).node.root
    assert isinstance(app, App)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    try:
        app.synth()
    except RuntimeError as error:
        assert "ValidationFailed" in str(error)  # noqa: PT017
    report = json.loads((tmp_path / "validation-report.json").read_text())

    assert [
        f"{finding['ruleName']} {construct['constructPath']}"
        for plugin in report["pluginReports"]
        for finding in plugin["violations"]
        for construct in finding["violatingConstructs"]
    ] == []
