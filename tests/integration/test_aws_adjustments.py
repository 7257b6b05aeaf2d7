"""Billing adjustments at AWS, by botocore's own service model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import NoCredentialsError, ReadTimeoutError
from botocore.session import get_session
from botocore.stub import ANY, Stubber

from builders import LICENSE_ARN, at
from correction_setup import OCTOBER, correction
from meterbridge.adapters.marketplaces.aws_adjustments import (
    CALL_ERRORS,
    ENTRY_ERRORS,
    NOT_LET_IN,
    STATUSES,
    AwsAdjustments,
)
from meterbridge.adapters.marketplaces.aws_seller_account import agreement_client
from meterbridge.application.billing_adjustments import (
    Adjustment,
    AdjustmentStatus,
    Invoice,
    SendOutcome,
    SendResult,
)
from meterbridge.domain.correction_requests import aws_adjustment
from meterbridge.domain.errors import MarketplaceError
from meterbridge.domain.money import Money

SERVICE = get_session().get_service_model("marketplace-agreement")
REQUEST = aws_adjustment(correction(), agreement_id="agmt-1", invoice_id="inv-1")
TOKEN = REQUEST["clientToken"]
CREATED = datetime(2026, 12, 8, 12, 20, tzinfo=UTC)
TOLD = {
    "billingAdjustmentRequestId": "ba-1",
    "originalInvoiceId": "inv-1",
    "adjustmentAmount": "0.05",
    "currencyCode": "USD",
    "status": "PENDING",
    "agreementId": "agmt-1",
    "createdAt": CREATED,
    "updatedAt": CREATED,
}
BATCH = "batch_create_billing_adjustment_request"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    return agreement_client()


@pytest.fixture
def stub(client: Any) -> Iterator[Stubber]:
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def aws(client: Any) -> AwsAdjustments:
    return AwsAdjustments(client)


def test_the_service_is_asked_in_its_only_region(client: Any) -> None:
    assert client.meta.endpoint_url == "https://agreement-marketplace.us-east-1.amazonaws.com"


def test_every_status_and_error_of_the_service_model_is_mapped() -> None:
    entry = SERVICE.operation_model("BatchCreateBillingAdjustmentRequest")
    errors = entry.output_shape.members["errors"].member.members["code"].enum
    assert set(errors) == set(ENTRY_ERRORS)
    found = SERVICE.operation_model("GetBillingAdjustmentRequest").output_shape
    assert set(found.members["status"].enum) == set(STATUSES)
    assert {shape.error_code or shape.name for shape in entry.error_shapes} == set(CALL_ERRORS) | {
        "AccessDeniedException"
    }
    assert "AccessDeniedException" in NOT_LET_IN


def test_a_request_is_one_entry_and_its_answer_the_reference(
    aws: AwsAdjustments, stub: Stubber
) -> None:
    stub.add_response(
        BATCH,
        {"items": [{"billingAdjustmentRequestId": "ba-1", "clientToken": TOKEN}], "errors": []},
        {"billingAdjustmentRequestEntries": [REQUEST]},
    )
    assert aws.send(REQUEST) == SendResult(SendOutcome.RECEIVED, "ba-1")


@pytest.mark.parametrize(("code", "outcome"), ENTRY_ERRORS.items())
def test_an_entrys_error_is_read_by_its_code(
    aws: AwsAdjustments, stub: Stubber, code: str, outcome: SendOutcome
) -> None:
    error = {"code": code, "message": "why", "clientToken": TOKEN}
    stub.add_response(BATCH, {"items": [], "errors": [error]})
    assert aws.send(REQUEST) == SendResult(outcome, detail=f"{code}: why")


@pytest.mark.parametrize(
    ("code", "outcome"),
    [*CALL_ERRORS.items(), ("Odd", SendOutcome.UNKNOWN)],
)
def test_a_calls_error_is_read_by_its_code(
    aws: AwsAdjustments, stub: Stubber, code: str, outcome: SendOutcome
) -> None:
    for _ in range(3 if code in ("ThrottlingException",) else 1):
        stub.add_client_error(BATCH, code, "why", http_status_code=400)
    result = aws.send(REQUEST)
    stub._queue.clear()  # type: ignore[attr-defined]
    assert result == SendResult(outcome, detail=f"{code}: why")


def test_silence_is_no_success(aws: AwsAdjustments, stub: Stubber) -> None:
    other = {"billingAdjustmentRequestId": "ba-2", "clientToken": "other"}
    stub.add_response(BATCH, {"items": [other], "errors": []})
    assert aws.send(REQUEST).outcome is SendOutcome.UNKNOWN


def test_a_send_that_failed_on_its_way_is_unknown(
    aws: AwsAdjustments, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> None:
        raise ReadTimeoutError(endpoint_url="https://aws")

    monkeypatch.setattr(aws._client, BATCH, fail)
    assert aws.send(REQUEST).outcome is SendOutcome.UNKNOWN


@pytest.mark.parametrize("code", sorted(NOT_LET_IN))
def test_not_being_let_in_judges_nothing(aws: AwsAdjustments, stub: Stubber, code: str) -> None:
    stub.add_client_error(BATCH, code)
    with pytest.raises(MarketplaceError, match=code):
        aws.send(REQUEST)
    stub.add_client_error("get_billing_adjustment_request", code)
    with pytest.raises(MarketplaceError, match=code):
        aws.adjustment("agmt-1", "ba-1")
    stub.add_client_error("search_agreements", code)
    with pytest.raises(MarketplaceError, match=code):
        aws.agreement_of({"license_arn": LICENSE_ARN}, OCTOBER)


def test_without_credentials_nothing_is_judged(
    aws: AwsAdjustments, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> None:
        raise NoCredentialsError

    monkeypatch.setattr(aws._client, BATCH, fail)
    with pytest.raises(MarketplaceError):
        aws.send(REQUEST)


def test_what_the_client_itself_refuses_is_refused(aws: AwsAdjustments) -> None:
    result = aws.send({**REQUEST, "agreementId": ""})
    assert result.outcome is SendOutcome.REFUSED


def test_an_agreement_is_found_by_its_licence_and_period(
    aws: AwsAdjustments, stub: Stubber
) -> None:
    def agreement(name: str, start: str, end: str | None) -> dict[str, Any]:
        found: dict[str, Any] = {"agreementId": name, "startTime": at(start)}
        return found if end is None else {**found, "endTime": at(end)}

    filters = [
        {"name": "PartyType", "values": ["Proposer"]},
        {"name": "AgreementType", "values": ["PurchaseAgreement"]},
        {"name": "LicenseArn", "values": [LICENSE_ARN]},
    ]
    stub.add_response(
        "search_agreements",
        {
            "agreementViewSummaries": [
                agreement("agmt-before", "2026-08-01T00", "2026-10-01T00"),
                agreement("agmt-first", "2026-09-01T00", "2026-10-20T00"),
            ],
            "nextToken": "t1",
        },
        {"catalog": "AWSMarketplace", "filters": filters},
    )
    stub.add_response(
        "search_agreements",
        {
            "agreementViewSummaries": [
                agreement("agmt-second", "2026-10-20T00", None),
                agreement("agmt-later", "2026-11-01T00", None),
            ]
        },
        {"catalog": "AWSMarketplace", "filters": filters, "nextToken": "t1"},
    )
    assert aws.agreement_of({"license_arn": LICENSE_ARN}, OCTOBER) == "agmt-second"
    stub.add_response("search_agreements", {})
    assert aws.agreement_of({"license_arn": LICENSE_ARN}, OCTOBER) == ""


def test_invoices_are_those_of_the_period_oldest_first(aws: AwsAdjustments, stub: Stubber) -> None:
    def line(name: str, most: str | None, issued: str) -> dict[str, Any]:
        amount = {"amount": "9", "currencyCode": "USD"}
        if most is not None:
            amount["maxAdjustmentAmount"] = most
        return {
            "agreementId": "agmt-1",
            "invoiceId": name,
            "pricingCurrencyAmount": amount,
            "issuedTime": at(issued),
            "invoiceType": "INVOICE",
        }

    wanted = {
        "agreementId": "agmt-1",
        "groupBy": "INVOICE_ID",
        "invoiceType": "INVOICE",
        "invoiceBillingPeriod": {"month": 10, "year": 2026},
    }
    key = "agreementInvoiceLineItemGroupSummaries"
    lines = [line("inv-2", "1.25", "2026-11-03T01"), line("inv-1", None, "2026-11-03T00")]
    stub.add_response("list_agreement_invoice_line_items", {key: [*lines, {}]}, wanted)
    assert aws.invoices("agmt-1", OCTOBER) == [
        Invoice("inv-1", "USD", Decimal(0), at("2026-11-03T00")),
        Invoice("inv-2", "USD", Decimal("1.25"), at("2026-11-03T01")),
    ]


def test_adjustments_come_back_as_they_are(aws: AwsAdjustments, stub: Stubber) -> None:
    found = {
        **TOLD,
        "adjustmentReasonCode": "INCORRECT_METERING",
        "status": "VALIDATION_FAILED",
        "statusMessage": "above the amount",
    }
    stub.add_response(
        "get_billing_adjustment_request",
        found,
        {"agreementId": "agmt-1", "billingAdjustmentRequestId": "ba-1"},
    )
    expected = Adjustment(
        "ba-1", "inv-1", Decimal("0.05"), "USD", AdjustmentStatus.PENDING, CREATED
    )
    assert aws.adjustment("agmt-1", "ba-1") == replace(
        expected, status=AdjustmentStatus.FAILED, message="above the amount"
    )
    stub.add_client_error("get_billing_adjustment_request", "ResourceNotFoundException")
    assert aws.adjustment("agmt-1", "ba-9") is None
    listed = {**TOLD, "agreementType": "PurchaseAgreement", "catalog": "AWSMarketplace"}
    stub.add_response(
        "list_billing_adjustment_requests",
        {"items": [listed], "nextToken": "t"},
        {"agreementId": "agmt-1"},
    )
    stub.add_response(
        "list_billing_adjustment_requests",
        {"items": []},
        {"agreementId": "agmt-1", "nextToken": ANY},
    )
    assert aws.adjustments("agmt-1") == [expected]


@pytest.mark.parametrize(
    ("amount", "sent"),
    [("0.05", "0.05"), ("1234567.891", "1234567.891"), ("0.123456785", "0.12345679"), ("7", "7")],
)
def test_an_amount_has_at_most_eight_decimals(amount: str, sent: str) -> None:
    request = aws_adjustment(correction(amount=Money(Decimal(amount), "USD")))
    assert request["adjustmentAmount"] == sent
    assert len(request["description"]) <= 500
    assert "originalInvoiceId" in request


def test_a_long_description_is_cut_to_what_aws_takes() -> None:
    long = Decimal("1." + "3" * 99)
    figures = replace(correction().figures, accepted=long * 10, metered=long)
    request = aws_adjustment(correction(figures=figures, quantity=long, units=long))
    assert len(request["description"]) <= 500
    assert request["description"].startswith("Usage of dimension requests in 2026-10")
