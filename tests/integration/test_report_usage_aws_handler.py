"""What AWS's deployed function has of its own, beside test_report_usage_handlers.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from builders import NOON, at
from correction_setup import ANNA, OCTOBER, correction
from fakes.adjustments import FakeAdjustments
from fakes.clock import FakeClock
from lambda_setup import Context
from meterbridge.adapters.dynamodb.correction_store import CorrectionStore
from meterbridge.adapters.marketplaces.aws_adjustments import AwsAdjustments
from meterbridge.domain.correcting import approved
from meterbridge.domain.corrections import CorrectionState
from meterbridge.domain.errors import MarketplaceError, ProductRefusedError
from meterbridge.domain.metering_record import RecordState
from meterbridge.domain.over_reported import CorrectionWrite
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


def approved_correction() -> CorrectionStore:
    """Of the agreement that has records to report."""
    store = CorrectionStore("Ledger")
    head = store.head("agr_1")
    assert head is not None
    draft = correction()
    store.write_correction(CorrectionWrite(None, draft))
    store.write_correction(approved(draft, head, Decimal(5), at=NOON, by=ANNA, reason="not used"))
    return store


def test_approved_corrections_are_submitted_where_the_deployment_says_so(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.stored.add(*AWS.records())
    store = approved_correction()
    module = deployment.start(BILLING_ADJUSTMENTS="by-hand")
    assert module.ADJUSTMENTS is None
    assert deployment.start(BILLING_ADJUSTMENTS="api", REPORTING_MODE="dry-run").ADJUSTMENTS is None
    module = deployment.start(BILLING_ADJUSTMENTS="api", REPORTING_MODE="live")
    assert isinstance(module.ADJUSTMENTS, AwsAdjustments)
    aws = FakeAdjustments(FakeClock(NOON))
    monkeypatch.setattr(module, "ADJUSTMENTS", aws)
    aws.closed = True
    with pytest.raises(MarketplaceError, match="not let in"):
        module.handler({}, Context())
    known = store.correction(correction().key)
    assert known is not None
    assert known.state is CorrectionState.APPROVED
    assert deployment.stored.states(AWS.records()) == [RecordState.ACCEPTED, RecordState.ACCEPTED]
    aws.closed = False
    buyer = deployment.stored.registry.agreement("agr_1").buyer_reference()
    aws.agreements[buyer["license_arn"]] = "agmt-1"
    aws.invoice("agmt-1", OCTOBER, "0.20", at("2026-11-03T00"))
    module.handler({}, Context())
    known = store.correction(correction().key)
    assert known is not None
    assert (known.state, known.reference) == (CorrectionState.SUBMITTED, "ba-1")
