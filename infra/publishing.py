"""Changing what is listed: only where it is switched on, and no more of it than a plan needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Stack
from aws_cdk import aws_iam as iam

from infra.accepted_findings import accept
from infra.config import DeploymentConfig
from infra.service_function import ServiceFunction

_CHANGE_TYPES = (
    "CreateProduct",
    "UpdateInformation",
    "UpdateTargeting",
    "AddDeliveryOptions",
    "AddDimensions",
    "UpdateDimensions",
    "ReleaseProduct",
    "UpdateVisibility",
    "CreateOffer",
    "UpdatePricingTerms",
    "UpdateValidityTerms",
    "UpdatePaymentScheduleTerms",
    "UpdateLegalTerms",
    "UpdateSupportTerms",
    "UpdateAvailability",
    "ReleaseOffer",
)
"""What domain/publishing/aws_change_sets.py makes changes of."""

_MADE_THERE = "AWS gives products, offers and change sets their ids when it makes them"


def publishing_settings(config: DeploymentConfig) -> Mapping[str, str]:
    """What the function needs to know; nothing where publishing is off."""
    if not config.publishing:
        return {}
    settings = {
        "PUBLISHING": "true",
        "MARKETPLACE_ROLE_ARN": config.marketplace_role_arn,
        "MARKETPLACE_EXTERNAL_ID": config.marketplace_external_id,
        "AWS_ENDPOINT_URL_MARKETPLACE_CATALOG": config.marketplace_endpoint,
        "AZURE_TENANT_ID": config.azure_tenant_id,
        "AZURE_CLIENT_ID": config.azure_client_id,
        "AZURE_SECRET_ARN": config.azure_secret_arn,
        "MARKETPLACE_ENDPOINT": config.marketplace_endpoint,
        "AZURE_AUTHORITY": config.marketplace_endpoint,
    }
    return {name: value for name, value in settings.items() if value}


def let_publish(function: ServiceFunction, config: DeploymentConfig) -> None:
    """Grant what the marketplaces take to let the function change listings."""
    if not config.publishing:
        return
    if config.marketplace_role_arn:
        _allow(function, ["sts:AssumeRole"], [config.marketplace_role_arn])
    else:
        _let_change_listings(function)
    if not config.azure_client_id:
        return
    if config.azure_secret_arn:
        _allow(function, ["secretsmanager:GetSecretValue"], [config.azure_secret_arn])
        return
    _allow(
        function,
        ["sts:GetWebIdentityToken"],
        ["*"],
        {
            "ForAllValues:StringEquals": {
                "sts:IdentityTokenAudience": "api://AzureADTokenExchange"
            },
            "NumericLessThanEquals": {"sts:DurationSeconds": "300"},
        },
        "GetWebIdentityToken has no resource types; the condition limits its audience",
    )


def _let_change_listings(function: ServiceFunction) -> None:
    """In this account's catalog, by the types of change that a publication is made of."""
    stack = Stack.of(function)
    listings = f"arn:aws:aws-marketplace:us-east-1:{stack.account}:AWSMarketplace"
    change_sets = f"{listings}/ChangeSet/*"
    _allow(
        function,
        ["aws-marketplace:StartChangeSet"],
        [f"{listings}/SaaSProduct/*", f"{listings}/Offer/*", change_sets],
        {"StringEquals": {"catalog:ChangeType": list(_CHANGE_TYPES)}},
        _MADE_THERE,
    )
    _allow(function, ["aws-marketplace:DescribeChangeSet"], [change_sets], reason=_MADE_THERE)


def _allow(
    function: ServiceFunction,
    actions: Sequence[str],
    resources: Sequence[str],
    conditions: Mapping[str, Mapping[str, object]] | None = None,
    reason: str = "",
) -> None:
    """Let the function do this much; `reason` says why a resource has a wildcard."""
    iam.Grant.add_to_principal(
        grantee=function,
        actions=list(actions),
        resource_arns=list(resources),
        conditions=conditions,
    )
    account = Stack.of(function).account
    for resource in resources if reason else ():
        named = resource.replace(account, "<AWS::AccountId>")
        accept(function.service_role, f"IAM5[Resource::{named}]", reason)
