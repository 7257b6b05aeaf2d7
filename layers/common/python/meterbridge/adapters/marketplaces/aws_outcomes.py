"""What each answer of BatchMeterUsage means for us: tables only (contracts.md §1.1.3, §1.1.4)."""

from __future__ import annotations

from dataclasses import replace

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ParamValidationError,
    ProxyConnectionError,
    SSLError,
)
from botocore.parsers import ResponseParserError

from meterbridge.adapters.marketplaces.calls import Verdict
from meterbridge.domain.errors import MarketplaceError, ProductRefusedError
from meterbridge.domain.metering_record import ReportOutcome

STATUSES = {
    "Success": ReportOutcome.ACCEPTED,
    "DuplicateRecord": ReportOutcome.CONFLICT,
    "CustomerNotSubscribed": ReportOutcome.NOT_ENTITLED,
}
"""`UsageRecordResultStatus` of one record."""


_REFUSALS = {
    "TimestampOutOfBoundsException": ReportOutcome.EXPIRED,
    "InvalidLicenseException": ReportOutcome.NOT_ENTITLED,
    "InvalidCustomerIdentifierException": ReportOutcome.NOT_ENTITLED,
    "InvalidProductCodeException": ReportOutcome.INVALID,
    "InvalidUsageDimensionException": ReportOutcome.INVALID,
    "InvalidTagException": ReportOutcome.INVALID,
    "TooManyTagsException": ReportOutcome.INVALID,
    "InvalidUsageAllocationsException": ReportOutcome.INVALID,
    "ValidationException": ReportOutcome.INVALID,
    "SerializationException": ReportOutcome.INVALID,
}
"""The call is refused because of a record in it; "whole request fails, nothing processed"."""

_EARLY = frozenset({"TimestampOutOfBoundsException"})
"""One word for too late and for a time in the future (contracts.md §1.1.6)."""

_THROTTLED = frozenset(
    {
        "ThrottlingException",
        "Throttling",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "LimitExceededException",
        "SlowDown",
    }
)

_FAULTS = frozenset(
    {
        "InternalServiceErrorException",
        "InternalServiceError",
        "InternalServerError",
        "InternalServerException",
        "InternalFailure",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "RequestTimeout",
        "RequestTimeoutException",
    }
)
"""It failed over there; what was booked before it failed is unknown."""

_PRODUCT_REFUSED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "NotAuthorized",
        "UnauthorizedOperation",
    }
)
"""We are not let report what is in the call; another product may be another matter."""

_NOT_ASKED = frozenset(
    {
        "AuthFailure",
        "DisabledApiException",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotSignedUp",
        "OptInRequired",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "SubscriptionRequiredException",
        "UnknownOperationException",
        "UnrecognizedClientException",
    }
)
"""We are not let in, or not in this region: true of every call, so no record is judged by it."""

KNOWN_CODES = frozenset(_REFUSALS) | _THROTTLED | _FAULTS | _PRODUCT_REFUSED | _NOT_ASKED

_NEVER_LEFT = (EndpointConnectionError, ConnectTimeoutError, ProxyConnectionError)
_PERHAPS_ARRIVED = (HTTPClientError, SSLError, ResponseParserError)


def verdict_of(error: Exception) -> Verdict:
    """What a failed call means for the records in it.

    Args:
        error: as botocore raised it, ClientError, BotoCoreError or ResponseParserError.

    Raises:
        MarketplaceError: the marketplace could not be asked; nothing of the call was booked.
        ProductRefusedError: likewise, but of what is in this call only.
    """
    if isinstance(error, ClientError):
        metadata = error.response.get("ResponseMetadata", {})
        return replace(_verdict_of_answer(error), request_id=str(metadata.get("RequestId", "")))
    code = type(error).__name__
    if isinstance(error, ParamValidationError):
        return Verdict(ReportOutcome.INVALID, code, str(error), splits=True)
    if isinstance(error, _NEVER_LEFT):
        return Verdict(ReportOutcome.RETRY, code, str(error))
    if isinstance(error, _PERHAPS_ARRIVED):
        return Verdict(ReportOutcome.RETRY, code, str(error), reached=True)
    if isinstance(error, BotoCoreError):
        # What is left is raised before a request exists: no credentials, no region, no endpoint.
        raise MarketplaceError(f"BatchMeterUsage could not be called: {error}") from error
    raise error


def _verdict_of_answer(error: ClientError) -> Verdict:
    answer = error.response.get("Error", {})
    code, detail = answer.get("Code", ""), answer.get("Message", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _PRODUCT_REFUSED or code in _NOT_ASKED:
        refused = ProductRefusedError if code in _PRODUCT_REFUSED else MarketplaceError
        raise refused(f"aws-marketplace:BatchMeterUsage was refused: {code}: {detail}") from error
    if code in _REFUSALS:
        early = code in _EARLY
        return Verdict(_REFUSALS[code], code, detail, splits=True, may_be_early=early)
    if code in _THROTTLED or status == 429:
        return Verdict(ReportOutcome.RETRY, code, detail, throttled=True)
    # A fault, or a word we do not know: nothing is certain. An unknown refusal is isolated too, so
    # that one record cannot hold up the others.
    unknown_refusal = code not in _FAULTS and 400 <= status < 500
    return Verdict(ReportOutcome.RETRY, code, detail, reached=True, splits=unknown_refusal)
