"""What each answer of Service Control means for us: tables only (contracts.md §3.1.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from urllib3.exceptions import HTTPError, LocationValueError

from meterbridge.adapters.marketplaces.calls import Verdict
from meterbridge.adapters.marketplaces.connections import NEVER_LEFT
from meterbridge.domain.errors import MarketplaceError, ProductRefusedError
from meterbridge.domain.metering_record import ReportOutcome

CHECK_ERRORS = {
    # The buyer's side: stop, keep the usage, go on when the service is on again.
    "SERVICE_NOT_ACTIVATED": ReportOutcome.NOT_ENTITLED,
    "BILLING_DISABLED": ReportOutcome.NOT_ENTITLED,
    "PROJECT_DELETED": ReportOutcome.NOT_ENTITLED,
    # Something is set up wrongly: an alarm for a person.
    "NOT_FOUND": ReportOutcome.INVALID,
    "PROJECT_INVALID": ReportOutcome.INVALID,
    "CONSUMER_INVALID": ReportOutcome.INVALID,
    # We are not let in: nothing is known against the record, which waits for a person to repair it.
    "PERMISSION_DENIED": ReportOutcome.NOT_AUTHORIZED,
    "ABUSER_DETECTED": ReportOutcome.NOT_AUTHORIZED,
    "VISIBILITY_DENIED": ReportOutcome.NOT_AUTHORIZED,
    "IP_ADDRESS_BLOCKED": ReportOutcome.NOT_AUTHORIZED,
    "REFERER_BLOCKED": ReportOutcome.NOT_AUTHORIZED,
    "CLIENT_APP_BLOCKED": ReportOutcome.NOT_AUTHORIZED,
    "API_TARGET_BLOCKED": ReportOutcome.NOT_AUTHORIZED,
    "API_KEY_INVALID": ReportOutcome.NOT_AUTHORIZED,
    "API_KEY_EXPIRED": ReportOutcome.NOT_AUTHORIZED,
    "API_KEY_NOT_FOUND": ReportOutcome.NOT_AUTHORIZED,
    "SPATULA_HEADER_INVALID": ReportOutcome.NOT_AUTHORIZED,
    "LOAS_ROLE_INVALID": ReportOutcome.NOT_AUTHORIZED,
    "NO_LOAS_PROJECT": ReportOutcome.NOT_AUTHORIZED,
    "LOAS_PROJECT_DISABLED": ReportOutcome.NOT_AUTHORIZED,
    "SECURITY_POLICY_VIOLATED": ReportOutcome.NOT_AUTHORIZED,
    "LOCATION_POLICY_VIOLATED": ReportOutcome.NOT_AUTHORIZED,
    "INVALID_CREDENTIAL": ReportOutcome.NOT_AUTHORIZED,
    # It passes, or says nothing of the buyer.
    "ERROR_CODE_UNSPECIFIED": ReportOutcome.RETRY,
    "RESOURCE_EXHAUSTED": ReportOutcome.RETRY,
    "BUDGET_EXCEEDED": ReportOutcome.RETRY,
    "DENIAL_OF_SERVICE_DETECTED": ReportOutcome.RETRY,
    "LOAD_SHEDDING": ReportOutcome.RETRY,
    "NAMESPACE_LOOKUP_UNAVAILABLE": ReportOutcome.RETRY,
    "SERVICE_STATUS_UNAVAILABLE": ReportOutcome.RETRY,
    "BILLING_STATUS_UNAVAILABLE": ReportOutcome.RETRY,
    "QUOTA_CHECK_UNAVAILABLE": ReportOutcome.RETRY,
    "LOAS_PROJECT_LOOKUP_UNAVAILABLE": ReportOutcome.RETRY,
    "CLOUD_RESOURCE_MANAGER_BACKEND_UNAVAILABLE": ReportOutcome.RETRY,
    "SECURITY_POLICY_BACKEND_UNAVAILABLE": ReportOutcome.RETRY,
    "LOCATION_POLICY_BACKEND_UNAVAILABLE": ReportOutcome.RETRY,
    "INJECTED_ERROR": ReportOutcome.RETRY,
}
"""`CheckError.code`. A check books nothing, so none of these leaves a doubt."""

_GRAVEST_FIRST = (
    ReportOutcome.NOT_ENTITLED,
    ReportOutcome.INVALID,
    ReportOutcome.NOT_AUTHORIZED,
    ReportOutcome.RETRY,
)

CODES = {
    1: "CANCELLED",
    2: "UNKNOWN",
    3: "INVALID_ARGUMENT",
    4: "DEADLINE_EXCEEDED",
    5: "NOT_FOUND",
    6: "ALREADY_EXISTS",
    7: "PERMISSION_DENIED",
    8: "RESOURCE_EXHAUSTED",
    9: "FAILED_PRECONDITION",
    10: "ABORTED",
    11: "OUT_OF_RANGE",
    12: "UNIMPLEMENTED",
    13: "INTERNAL",
    14: "UNAVAILABLE",
    15: "DATA_LOSS",
    16: "UNAUTHENTICATED",
}
"""`google.rpc.Code`, of one operation in `reportErrors` or of a whole call. 0 is no error."""

OUTCOMES = {
    "INVALID_ARGUMENT": ReportOutcome.INVALID,
    "NOT_FOUND": ReportOutcome.INVALID,
    "UNIMPLEMENTED": ReportOutcome.INVALID,
    "PERMISSION_DENIED": ReportOutcome.NOT_AUTHORIZED,
    # The state of the buyer's entitlement does not allow it.
    "FAILED_PRECONDITION": ReportOutcome.NOT_ENTITLED,
    "OUT_OF_RANGE": ReportOutcome.EXPIRED,
    # The operationId is known with other content: our own, where an earlier send is in doubt.
    "ALREADY_EXISTS": ReportOutcome.CONFLICT,
    "RESOURCE_EXHAUSTED": ReportOutcome.RETRY,
    "UNAUTHENTICATED": ReportOutcome.RETRY,
    "CANCELLED": ReportOutcome.RETRY,
    "UNKNOWN": ReportOutcome.RETRY,
    "DEADLINE_EXCEEDED": ReportOutcome.RETRY,
    "ABORTED": ReportOutcome.RETRY,
    "INTERNAL": ReportOutcome.RETRY,
    "UNAVAILABLE": ReportOutcome.RETRY,
    "DATA_LOSS": ReportOutcome.RETRY,
}

_DOUBTFUL = frozenset(
    {
        "ALREADY_EXISTS",
        "CANCELLED",
        "UNKNOWN",
        "DEADLINE_EXCEEDED",
        "ABORTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
    }
)
"""It may have been booked all the same. Google calls a listed operation failed, but a failure in the
middle is worth an identical resend rather than a second bill."""

_CODE_OF_HTTP = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_WHOLE_SERVICE = frozenset({"PERMISSION_DENIED", "NOT_FOUND", "UNIMPLEMENTED"})
"""Of a call, true of its service: we are not let in, there is no such, it does not take this."""

_EARLY = frozenset({"INVALID_ARGUMENT", "OUT_OF_RANGE"})
"""No code is named for a time in the future (§3.1.5)."""

UNREADABLE = Verdict(ReportOutcome.RETRY, "Unreadable", "the answer is not JSON", reached=True)
UNATTRIBUTED = Verdict(
    ReportOutcome.RETRY, "Unattributed", "an operation failed that we did not send", reached=True
)


def verdict_of_check(errors: Iterable[Mapping[str, Any]]) -> Verdict:
    """What the errors of a check mean for the operations of its consumer; the gravest decides."""
    judged = [
        Verdict(
            CHECK_ERRORS.get(str(error.get("code")), ReportOutcome.RETRY),
            str(error.get("code")),
            str(error.get("detail", "")),
        )
        for error in errors
    ]
    return min(judged, key=lambda verdict: _GRAVEST_FIRST.index(verdict.outcome))


def verdict_of_operation(status: Mapping[str, Any]) -> Verdict:
    """What the error of one operation in a report means for it."""
    return _verdict(CODES.get(status.get("code", 0), "UNKNOWN"), str(status.get("message", "")))


def verdict_of_call(status: int, error: Mapping[str, Any], headers: Mapping[str, str]) -> Verdict:
    """What a call that failed whole means for the operations in it.

    Args:
        status: of HTTP; not 200.
        error: the body's `error`, empty where it has none.

    Raises:
        MarketplaceError: our token is refused, or nobody serves this address; nothing was booked.
        ProductRefusedError: we may not report for this service, or there is none.
    """
    detail = str(error.get("message", ""))
    named = str(error.get("status", ""))
    code = named if named in OUTCOMES else _CODE_OF_HTTP.get(status, "")
    if status == 401 or code == "UNAUTHENTICATED":
        raise MarketplaceError(f"Service Control refuses our token: {status} {code}: {detail}")
    if 300 <= status < 400 or (status in (404, 405, 410) and not named):
        raise MarketplaceError(f"Service Control is not served there: {status}")
    if status == 403 or code in _WHOLE_SERVICE:
        raise ProductRefusedError(f"Service Control refuses us: {status} {code}: {detail}")
    if code not in OUTCOMES:
        # Nothing is certain. An unknown refusal is isolated, so that one record holds up no others.
        unknown = f"Http{status}"
        return Verdict(
            ReportOutcome.RETRY, unknown, detail, reached=True, splits=400 <= status < 500
        )
    verdict = _verdict(code, detail, _seconds(headers.get("Retry-After", "")))
    return verdict if verdict.outcome is ReportOutcome.RETRY else replace(verdict, splits=True)


def verdict_of_failure(error: HTTPError) -> Verdict:
    """What a call without an answer means.

    Raises:
        MarketplaceError: the address is none; nothing was sent.
    """
    if isinstance(error, LocationValueError):
        raise MarketplaceError(f"Service Control could not be called: {error}") from error
    reached = not isinstance(error, NEVER_LEFT)
    return Verdict(ReportOutcome.RETRY, type(error).__name__, str(error), reached=reached)


def _verdict(code: str, detail: str, retry_after: int = 0) -> Verdict:
    return Verdict(
        OUTCOMES[code],
        code,
        detail,
        reached=code in _DOUBTFUL,
        throttled=code == "RESOURCE_EXHAUSTED",
        retry_after=retry_after,
        may_be_early=code in _EARLY,
    )


def _seconds(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
