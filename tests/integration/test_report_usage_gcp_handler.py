"""What Google's deployed function has of its own, beside test_report_usage_handlers.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lambda_setup import Context
from meterbridge.domain.errors import MarketplaceError, SettingsError
from reporting_functions import GCP, Deployment, deployed


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    with deployed(GCP, monkeypatch) as deployment:
        yield deployment


@pytest.mark.parametrize("missing", ["GCP_AUDIENCE", "GCP_SERVICE_ACCOUNT"])
def test_without_a_way_in_the_function_does_not_start(deployment: Deployment, missing: str) -> None:
    with pytest.raises(SettingsError, match="GCP_SECRET_ARN, or GCP_AUDIENCE"):
        deployment.start(**{missing: ""})


def test_a_key_in_secrets_manager_is_the_other_way_in(deployment: Deployment) -> None:
    deployment.stored.add(*GCP.records())
    module = deployment.start(GCP_SECRET_ARN="arn:aws:secretsmanager:us-east-1:1:secret:none")
    with pytest.raises(MarketplaceError, match="cannot be read"):
        module.handler({}, Context())
