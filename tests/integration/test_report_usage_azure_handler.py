"""What Azure's deployed function has of its own, beside test_report_usage_handlers.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lambda_setup import Context
from marketplace_setups import SETUPS, setup_record
from reporting_functions import AZURE, Deployment, deployed


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    with deployed(AZURE, monkeypatch) as deployment:
        yield deployment


def test_a_warm_function_asks_where_to_sign_in_and_for_a_token_once(deployment: Deployment) -> None:
    module = deployment.start()
    first, second = AZURE.records()[0], setup_record(SETUPS["azure"], "d00", "12.5", "agr_2")
    for record in (first, second):
        deployment.stored.add(record)
        assert module.handler({}, Context()) == {"accepted": 1}
    grants = [call for call in deployment.control.calls("azure") if call["operation"] == "token"]
    assert len(grants) == 2
