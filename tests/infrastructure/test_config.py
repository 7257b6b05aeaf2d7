from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from aws_cdk import aws_logs as logs

from infra.config import (
    BillingAdjustments,
    ConfigError,
    DeploymentConfig,
    ReportingMode,
    Stage,
    UserLabels,
)

PROJECT = Path(__file__).resolve().parents[2]
AUDIENCE = (
    "//iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/aws/providers/lambda"
)


def test_an_empty_context_is_a_production_deployment_with_defaults() -> None:
    assert DeploymentConfig.from_context({}) == DeploymentConfig(
        stage=Stage.PRODUCTION,
        schedule_minutes=5,
        grace_minutes=15,
        marketplace_endpoint=None,
        marketplace_role_arn=None,
        marketplace_external_id=None,
        marketplace_region="us-east-1",
        aws_billing_adjustments=BillingAdjustments.BY_HAND,
        azure_tenant_id=None,
        azure_client_id=None,
        azure_secret_arn=None,
        gcp_audience=None,
        gcp_service_account=None,
        gcp_secret_arn=None,
        gcp_user_labels=UserLabels.NONE,
        publishing=False,
        reporting_mode=ReportingMode.LIVE,
        seller_name=None,
        seller_address=None,
        seller_tax_id=None,
        seller_email=None,
        invoice_prefix="MB-",
        invoice_days=3,
        alarm_email=None,
        log_retention=logs.RetentionDays.THREE_MONTHS,
    )


def test_settings_given_on_the_command_line_are_strings_and_are_parsed() -> None:
    config = DeploymentConfig.from_context(
        {
            "stage": "local",
            "schedule_minutes": "1",
            "grace_minutes": "0",
            "marketplace_endpoint": "http://127.0.0.1:8642",
            "marketplace_role_arn": "arn:aws:iam::123456789012:role/path/Seller",
            "marketplace_external_id": "outside",
            "publishing": "true",
            "reporting_mode": "dry-run",
            "log_retention": "ONE_DAY",
        }
    )

    assert (config.stage, config.is_local) == (Stage.LOCAL, True)
    assert (config.schedule_minutes, config.grace_minutes) == (1, 0)
    assert config.marketplace_role_arn == "arn:aws:iam::123456789012:role/path/Seller"
    assert config.publishing is True
    assert config.reporting_mode is ReportingMode.DRY_RUN
    assert config.log_retention is logs.RetentionDays.ONE_DAY


def test_all_faults_are_reported_at_once_by_name() -> None:
    with pytest.raises(ConfigError) as failure:
        DeploymentConfig.from_context(
            {
                "stage": "staging",
                "schedule_minutes": "0",
                "grace_minutes": 1.5,
                "marketplace_role_arn": "Seller",
                "gcp_audience": "my-pool",
                "gcp_service_account": "meter@acme.example",
                "gcp_user_labels": "all",
                "seller_name": "a\nb",
                "invoice_prefix": "MB 1",
                "invoice_days": "0",
                "publishing": "yes",
                "alarm_email": "nobody",
                "log_retention": "FOREVER",
            }
        )

    named = [fault.split(" must be ")[0] for fault in str(failure.value).split("; ")]
    assert named == [
        "stage",
        "schedule_minutes",
        "grace_minutes",
        "marketplace_role_arn",
        "gcp_audience",
        "gcp_service_account",
        "gcp_user_labels",
        "publishing",
        "seller_name",
        "invoice_prefix",
        "invoice_days",
        "alarm_email",
        "log_retention",
    ]


@pytest.mark.parametrize(
    ("context", "fault"),
    [
        (
            {"marketplace_external_id": "outside"},
            "marketplace_external_id needs marketplace_role_arn",
        ),
        (
            {"azure_client_id": "11111111-2222-4333-8444-555555555555"},
            "azure_client_id and azure_tenant_id need each other",
        ),
        (
            {"azure_secret_arn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:s-AbCdEf"},
            "azure_secret_arn needs azure_client_id",
        ),
        (
            {"gcp_service_account": "meter@acme.iam.gserviceaccount.com"},
            "gcp_audience and gcp_service_account need each other",
        ),
        (
            {
                "gcp_audience": AUDIENCE,
                "gcp_service_account": "meter@acme.iam.gserviceaccount.com",
                "gcp_secret_arn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:s-AbCdEf",
            },
            "gcp_secret_arn and gcp_audience exclude each other",
        ),
        (
            {"marketplace_endpoint": "http://127.0.0.1:8642"},
            "marketplace_endpoint is for the local stage only",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    context: dict[str, object], fault: str
) -> None:
    with pytest.raises(ConfigError) as failure:
        DeploymentConfig.from_context(context)

    assert str(failure.value) == fault


def test_cdk_json_names_every_setting_with_its_default() -> None:
    context = json.loads((PROJECT / "cdk.json").read_text())["context"]
    settings = {name: value for name, value in context.items() if not name.startswith("@")}

    assert list(settings) == [field.name for field in dataclasses.fields(DeploymentConfig)]
    assert DeploymentConfig.from_context(settings) == DeploymentConfig.from_context({})
