"""What AWS's deployed function has of its own, beside test_report_usage_handlers.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from lambda_setup import Context
from meterbridge.domain.errors import ProductRefusedError
from meterbridge.domain.metering_record import RecordState
from reporting_functions import AWS, Deployment, deployed


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    with deployed(AWS, monkeypatch) as deployment:
        yield deployment


def test_one_product_that_is_refused_fails_the_function_after_the_others_were_billed(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    billed, refused = AWS.records()
    denied = {"code": "AccessDeniedException", "status": 400}
    match = {"dimension": refused.key.dimension}
    deployment.control.inject("error", count=None, match=match, **denied)
    refused = replace(refused, product_id="prd_other")
    deployment.stored.add(billed, refused)
    with pytest.raises(ProductRefusedError, match=r"prd_other: .*BatchMeterUsage"):
        deployment.start().handler({}, Context())
    assert deployment.stored.states([billed, refused]) == [
        RecordState.ACCEPTED,
        RecordState.PENDING,
    ]
    printed = capsys.readouterr()
    assert '"product_id":"prd_other"' in printed.out
    deployment.control.clear_faults()
    assert deployment.start().handler({}, Context()) == {"accepted": 1}
