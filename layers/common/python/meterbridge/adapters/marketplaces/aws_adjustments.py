"""AWS Marketplace: money back through the Agreement API (contracts.md §1.4.5).

A request is one entry in a call of its own. Its client token is the correction's, so a repeat is the
same adjustment; the client may therefore retry by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from meterbridge.application.billing_adjustments import (
    Adjustment,
    AdjustmentStatus,
    Invoice,
    SendOutcome,
    SendResult,
)
from meterbridge.domain.errors import MarketplaceError
from meterbridge.domain.windows import BillingPeriod

STATUSES = {
    "PENDING": AdjustmentStatus.PENDING,
    "VALIDATION_FAILED": AdjustmentStatus.FAILED,
    "COMPLETED": AdjustmentStatus.COMPLETED,
}
"""`BillingAdjustmentStatus`."""

ENTRY_ERRORS = {
    "CONFLICT_EXCEPTION": SendOutcome.CONFLICT,
    "VALIDATION_EXCEPTION": SendOutcome.REFUSED,
    "RESOURCE_NOT_FOUND_EXCEPTION": SendOutcome.REFUSED,
    "INTERNAL_FAILURE": SendOutcome.UNKNOWN,
}
"""`BillingAdjustmentErrorCode` of one entry."""

CALL_ERRORS = {
    "ConflictException": SendOutcome.CONFLICT,
    "ValidationException": SendOutcome.REFUSED,
    "ThrottlingException": SendOutcome.NOT_SENT,
    "InternalServerException": SendOutcome.UNKNOWN,
}
"""Of the whole call. What is not named was not looked at because of us, or is unknown."""

NOT_LET_IN = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "IncompleteSignature",
        "MissingAuthenticationToken",
        "OptInRequired",
    }
)

_NEVER = datetime(9999, 1, 1, tzinfo=UTC)


class AwsAdjustments:
    """The BillingAdjustments port for AWS."""

    def __init__(self, client: Any) -> None:
        """Ask through a boto3 `marketplace-agreement` client."""
        self._client = client

    def agreement_of(self, buyer: Mapping[str, str], period: BillingPeriod) -> str:
        """See BillingAdjustments. Of several with the licence, the last that began in time."""
        wanted = {
            "PartyType": "Proposer",
            "AgreementType": "PurchaseAgreement",
            "LicenseArn": buyer["license_arn"],
        }
        filters = [{"name": name, "values": [value]} for name, value in wanted.items()]
        found = [
            (start, str(each["agreementId"]))
            for each in self._pages(
                "search_agreements",
                "agreementViewSummaries",
                catalog="AWSMarketplace",
                filters=filters,
            )
            if (start := _moment(each.get("startTime"))) < period.end
            and (each.get("endTime") is None or _moment(each["endTime"]) > period.start)
        ]
        return max(found)[1] if found else ""

    def invoices(self, agreement_id: str, period: BillingPeriod) -> list[Invoice]:
        """See BillingAdjustments."""
        found = [
            Invoice(
                id=each["invoiceId"],
                currency=each["pricingCurrencyAmount"]["currencyCode"],
                adjustable=Decimal(each["pricingCurrencyAmount"].get("maxAdjustmentAmount", "0")),
                issued_at=_moment(each.get("issuedTime")),
            )
            for each in self._pages(
                "list_agreement_invoice_line_items",
                "agreementInvoiceLineItemGroupSummaries",
                agreementId=agreement_id,
                groupBy="INVOICE_ID",
                invoiceType="INVOICE",
                invoiceBillingPeriod={"month": period.month, "year": period.year},
            )
            if "invoiceId" in each and "currencyCode" in each.get("pricingCurrencyAmount", {})
        ]
        return sorted(found, key=lambda invoice: (invoice.issued_at, invoice.id))

    def send(self, request: Mapping[str, str]) -> SendResult:
        """See BillingAdjustments."""
        try:
            answer = self._client.batch_create_billing_adjustment_request(
                billingAdjustmentRequestEntries=[dict(request)]
            )
        except ParamValidationError as exc:
            return SendResult(SendOutcome.REFUSED, detail=str(exc))
        except ClientError as exc:
            return SendResult(_outcome_of(exc), detail=_told(exc))
        except (NoCredentialsError, PartialCredentialsError) as exc:
            raise MarketplaceError(f"no credentials for AWS Marketplace: {exc}") from exc
        except BotoCoreError as exc:
            return SendResult(SendOutcome.UNKNOWN, detail=str(exc))
        token = request["clientToken"]
        for item in answer.get("items", ()):
            if item["clientToken"] == token:
                return SendResult(SendOutcome.RECEIVED, item["billingAdjustmentRequestId"])
        for error in answer.get("errors", ()):
            if error["clientToken"] == token:
                outcome = ENTRY_ERRORS.get(error["code"], SendOutcome.UNKNOWN)
                return SendResult(outcome, detail=f"{error['code']}: {error['message']}")
        return SendResult(SendOutcome.UNKNOWN, detail="left out of the answer")

    def adjustment(self, agreement_id: str, reference: str) -> Adjustment | None:
        """See BillingAdjustments."""
        try:
            answer = self._client.get_billing_adjustment_request(
                agreementId=agreement_id, billingAdjustmentRequestId=reference
            )
        except ClientError as exc:
            if exc.response["Error"]["Code"] == "ResourceNotFoundException":
                return None
            raise _not_asked(exc) from exc
        except BotoCoreError as exc:
            raise _not_asked(exc) from exc
        return _adjustment(answer)

    def adjustments(self, agreement_id: str) -> list[Adjustment]:
        """See BillingAdjustments."""
        listed = self._pages("list_billing_adjustment_requests", "items", agreementId=agreement_id)
        return [_adjustment(each) for each in listed]

    def _pages(self, operation: str, key: str, **parameters: Any) -> Iterator[Mapping[str, Any]]:
        try:
            for page in self._client.get_paginator(operation).paginate(**parameters):
                yield from page.get(key, ())
        except (ClientError, BotoCoreError) as exc:
            raise _not_asked(exc) from exc


def _outcome_of(error: ClientError) -> SendOutcome:
    """What a refused call means for its one entry. Raises MarketplaceError where it is about us."""
    code = error.response["Error"]["Code"]
    if code in NOT_LET_IN:
        raise _not_asked(error) from error
    return CALL_ERRORS.get(code, SendOutcome.UNKNOWN)


def _told(error: ClientError) -> str:
    told = error.response["Error"]
    return f"{told.get('Code', '')}: {told.get('Message', '')}"


def _not_asked(error: Exception) -> MarketplaceError:
    return MarketplaceError(f"AWS Marketplace's agreements cannot be asked: {error}")


def _adjustment(told: Mapping[str, Any]) -> Adjustment:
    status = told["status"]
    if status not in STATUSES:
        raise MarketplaceError(f"AWS has a status of an adjustment that is not known: {status}")
    return Adjustment(
        id=told["billingAdjustmentRequestId"],
        invoice_id=told["originalInvoiceId"],
        amount=Decimal(told["adjustmentAmount"]),
        currency=told["currencyCode"],
        status=STATUSES[status],
        created_at=_moment(told["createdAt"]),
        message=told.get("statusMessage", ""),
    )


def _moment(told: datetime | None) -> datetime:
    """Aware UTC; the end of time where none is told."""
    return _NEVER if told is None else told.astimezone(UTC)
