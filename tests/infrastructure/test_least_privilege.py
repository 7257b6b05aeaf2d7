from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aws_cdk.assertions import Template

from infra.stack import MeterbridgeStack

Resources = dict[str, dict[str, Any]]

# What each function may do, by table or service: the whole of it.
READ = {"GetItem", "Query"}
READ_REGISTRY = READ | {"BatchGetItem"}
ALLOWED: dict[str, dict[str, set[str]]] = {
    "Authorize": {"Registry": READ_REGISTRY, "Registry index": {"Query"}},
    "IngestUsage": {
        "UsageLog": {"BatchWriteItem"},
        "Registry": READ_REGISTRY,
        "Registry index": {"Query"},
    },
    "AggregateUsage": {
        "UsageLog": {"Query"},
        "UsageLog stream": {"DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"},
        "Registry": READ_REGISTRY,
        "Registry index": {"Query"},
        "Usage": READ | {"PutItem"},
        "LostBatches": {"SendMessage", "GetQueueAttributes", "GetQueueUrl"},
    },
    "CloseWindows": {
        "UsageLog": {"Query"},
        "Registry": READ_REGISTRY,
        "Registry index": {"Query"},
        "Usage": READ | {"PutItem"},
        "Ledger": {"BatchGetItem"},
        "Ledger index": {"Query"},
        "SettleQueue": {"SendMessage"},
        "LostWakeUps": {"SendMessage", "GetQueueAttributes", "GetQueueUrl"},
    },
    "SettleAgreements": {
        "Usage": READ,
        "Registry": READ_REGISTRY,
        "Registry index": {"Query"},
        "Ledger": READ | {"PutItem", "UpdateItem"},
        "Ledger index": {"Query"},
        "SettleQueue": {
            "ReceiveMessage",
            "ChangeMessageVisibility",
            "DeleteMessage",
            "GetQueueAttributes",
            "GetQueueUrl",
        },
    },
    "ReportUsageAws": {
        "Ledger": READ | {"PutItem", "UpdateItem"},
        "Ledger index": {"Query"},
        "Registry index": {"Query"},
        "Registry": READ_REGISTRY | {"UpdateItem"},
        "Marketplace": {"BatchMeterUsage"},
        "LostWakeUps": {"SendMessage", "GetQueueAttributes", "GetQueueUrl"},
    },
    "ReportUsageAzure": {
        "Ledger": READ | {"PutItem", "UpdateItem"},
        "Ledger index": {"Query"},
        "Registry index": {"Query"},
        "Registry": READ_REGISTRY | {"UpdateItem"},
        "Secret": {"GetSecretValue"},
        "LostWakeUps": {"SendMessage", "GetQueueAttributes", "GetQueueUrl"},
    },
    "ReportUsageGcp": {
        "Ledger": READ | {"PutItem", "UpdateItem"},
        "Ledger index": {"Query"},
        "Registry index": {"Query"},
        "Registry": READ_REGISTRY | {"UpdateItem"},
        "Secret": {"GetSecretValue"},
        "LostWakeUps": {"SendMessage", "GetQueueAttributes", "GetQueueUrl"},
    },
    "ArchiveUsage": {
        "UsageLog": {"Query"},
        "Usage": READ | {"PutItem"},
        "Bucket": {"ListBucket"},
        "Bucket/events/*": {"GetObject", "PutObject"},
        "Bucket/usage/*": {"GetObject", "PutObject"},
        "LostWakeUps": {"SendMessage", "GetQueueAttributes", "GetQueueUrl"},
    },
    "IssueInvoices": {
        "Registry": READ_REGISTRY,
        "Registry index": {"Query"},
        "Usage": READ,
        "Ledger": READ,
        "Ledger index": {"Query"},
        "Invoices": READ | {"PutItem", "BatchGetItem"},
        "Invoices index": {"Query"},
        "LostWakeUps": {"SendMessage", "GetQueueAttributes", "GetQueueUrl"},
    },
    "Manage": {
        "Registry index": {"Query"},
        "Registry": READ_REGISTRY | {"PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem"},
        "Ledger": READ | {"BatchGetItem", "PutItem"},
        "Ledger index": {"Query"},
        "Usage": READ,
        "UsageLog": {"Query"},
        "Invoices": READ | {"PutItem"},
        "Invoices index": {"Query"},
        "SettleQueue": {"SendMessage"},
    },
}


def _statements(resources: Resources) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each statement of each policy, with the logical id of what it is attached to."""
    for logical_id, resource in resources.items():
        if resource["Type"] == "AWS::IAM::Policy":
            for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
                yield logical_id, statement


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _named(resource: Any, action: str) -> str:
    """The name of what a statement's resource is, as in `ALLOWED`."""
    if action.startswith("aws-marketplace:"):
        return "Marketplace"
    if action == "secretsmanager:GetSecretValue":
        return "Secret"
    text = str(resource)
    if action.startswith("s3:"):
        return "Bucket" + (re.search(r"/\w+/\*", text) or [""])[0]
    names = ("UsageLog", "Usage", "Ledger", "Registry", "Invoices")
    names += ("SettleQueue", "LostBatches", "LostWakeUps")
    owners = "(Storage|Aggregation|Archive|Invoicing)"
    known = [name for name in names if re.search(f"{owners}{name}", text)]
    known += [name for name in names if re.search(f"Reporting[A-Z][a-z]+{name}", text)]
    part = " stream" if "tream" in text else " index" if "/index/" in text else ""
    return f"{known[0]}{part}" if known else text


@pytest.mark.parametrize("function", ALLOWED)
def test_a_function_may_do_exactly_what_its_work_needs(resources: Resources, function: str) -> None:
    allowed: dict[str, set[str]] = {}
    for logical_id, statement in _statements(resources):
        if f"{function}Role" not in logical_id:
            continue
        assert statement["Effect"] == "Allow"
        for action in _listed(statement["Action"]):
            if action.startswith("logs:"):
                continue
            for resource in _listed(statement["Resource"]):
                name = _named(resource, action)
                allowed.setdefault(name, set()).add(action.split(":")[1])

    assert allowed == ALLOWED[function]


def test_every_function_has_a_role_of_its_own(resources: Resources) -> None:
    roles = [
        str(resource["Properties"]["Role"])
        for resource in resources.values()
        if resource["Type"] == "AWS::Lambda::Function"
    ]

    assert len(set(roles)) == len(roles) == len(ALLOWED)


def test_a_function_may_write_its_own_log_group_only(resources: Resources) -> None:
    for function in ALLOWED:
        written = [
            str(resource)
            for logical_id, statement in _statements(resources)
            if f"{function}Role" in logical_id and "logs:PutLogEvents" in statement["Action"]
            for resource in _listed(statement["Resource"])
        ]

        assert len(written) == 1, function
        assert f"{function}Logs" in written[0]


def test_no_action_has_a_wildcard(resources: Resources) -> None:
    actions = [
        action for _, statement in _statements(resources) for action in _listed(statement["Action"])
    ]

    assert [action for action in actions if "*" in action] == []


def test_no_role_has_a_policy_that_aws_manages(resources: Resources) -> None:
    assert [
        logical_id
        for logical_id, resource in resources.items()
        if resource["Type"] == "AWS::IAM::Role" and resource["Properties"].get("ManagedPolicyArns")
    ] == []


def test_only_reporting_without_resource_types_reaches_every_resource(
    resources: Resources,
) -> None:
    everywhere = [
        _listed(statement["Action"])
        for _, statement in _statements(resources)
        if "*" in _listed(statement["Resource"])
    ]

    assert everywhere == [["aws-marketplace:BatchMeterUsage"]]


def test_with_a_seller_role_the_function_may_assume_it_and_report_nothing_itself(
    build_stack: Callable[..., MeterbridgeStack],
) -> None:
    arn = "arn:aws:iam::123456789012:role/Seller"
    stack = build_stack({"marketplace_role_arn": arn, "marketplace_external_id": "outside"})
    resources = Template.from_stack(stack).to_json()["Resources"]
    statements = [
        statement for name, statement in _statements(resources) if "ReportUsageAwsRole" in name
    ]

    assert {"Action": "sts:AssumeRole", "Effect": "Allow", "Resource": arn} in statements
    assert "BatchMeterUsage" not in str(statements)


def test_billing_adjustments_are_asked_for_only_where_the_deployment_says_so(
    build_stack: Callable[..., MeterbridgeStack],
) -> None:
    stack = build_stack({"aws_billing_adjustments": "api"})
    resources = Template.from_stack(stack).to_json()["Resources"]
    asked = {
        action
        for name, statement in _statements(resources)
        if "ReportUsageAwsRole" in name
        for action in _listed(statement["Action"])
        if action.startswith("aws-marketplace:")
    }

    assert asked == {
        "aws-marketplace:BatchMeterUsage",
        "aws-marketplace:SearchAgreements",
        "aws-marketplace:ListAgreementInvoiceLineItems",
        "aws-marketplace:BatchCreateBillingAdjustmentRequest",
        "aws-marketplace:GetBillingAdjustmentRequest",
        "aws-marketplace:ListBillingAdjustmentRequests",
    }


def test_an_azure_app_without_a_secret_is_vouched_for_by_aws(
    build_stack: Callable[..., MeterbridgeStack], marketplaces: dict[str, str]
) -> None:
    stack = build_stack({**marketplaces, "azure_secret_arn": ""})
    resources = Template.from_stack(stack).to_json()["Resources"]
    statements = [
        statement for name, statement in _statements(resources) if "ReportUsageAzureRole" in name
    ]

    assert "secretsmanager" not in str(statements)
    assert {
        "Action": "sts:GetWebIdentityToken",
        "Condition": {
            "ForAllValues:StringEquals": {
                "sts:IdentityTokenAudience": "api://AzureADTokenExchange"
            },
            "NumericLessThanEquals": {"sts:DurationSeconds": "300"},
        },
        "Effect": "Allow",
        "Resource": "*",
    } in statements


def test_without_an_azure_app_nothing_is_deployed_for_azure(
    build_stack: Callable[..., MeterbridgeStack],
) -> None:
    resources = Template.from_stack(build_stack({})).to_json()["Resources"]

    assert _but_the_alarm(resources, "Azure") == []


def test_a_google_account_that_trusts_our_role_needs_no_grant(
    build_stack: Callable[..., MeterbridgeStack], marketplaces: dict[str, str]
) -> None:
    provider = "projects/42/locations/global/workloadIdentityPools/aws/providers/lambda"
    settings = {
        "gcp_secret_arn": "",
        "gcp_audience": f"//iam.googleapis.com/{provider}",
        "gcp_service_account": "meter@acme.iam.gserviceaccount.com",
    }
    resources = Template.from_stack(build_stack({**marketplaces, **settings})).to_json()[
        "Resources"
    ]
    actions = {
        action
        for name, statement in _statements(resources)
        if "ReportUsageGcpRole" in name
        for action in _listed(statement["Action"])
    }

    assert {action.split(":")[0] for action in actions} == {"dynamodb", "logs", "sqs"}


def test_without_a_google_account_nothing_is_deployed_for_google(
    build_stack: Callable[..., MeterbridgeStack],
) -> None:
    resources = Template.from_stack(build_stack({})).to_json()["Resources"]

    assert _but_the_alarm(resources, "Gcp") == []


def _but_the_alarm(resources: Resources, marketplace: str) -> list[str]:
    """Usage of an agreement there would be lost: that has an alarm whatever is deployed."""
    found = [name for name in resources if marketplace in name]
    return [name for name in found if f"DeadlineNear{marketplace}" not in name]


def test_no_function_can_take_anything_out_of_the_books(resources: Resources) -> None:
    deleting = {
        _named(resource, action)
        for _, statement in _statements(resources)
        for action in _listed(statement["Action"])
        for resource in _listed(statement["Resource"])
        if action == "dynamodb:DeleteItem"
    }

    assert deleting == {"Registry"}
