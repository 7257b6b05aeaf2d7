"""Every status, code and error that Google documents has a meaning, and the one meant."""

from __future__ import annotations

import pytest
from urllib3.exceptions import (
    ConnectTimeoutError,
    LocationParseError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)

from meterbridge.adapters.marketplaces.gcp_outcomes import (
    CHECK_ERRORS,
    CODES,
    OUTCOMES,
    verdict_of_call,
    verdict_of_check,
    verdict_of_failure,
    verdict_of_operation,
)
from meterbridge.domain.errors import MarketplaceError, ProductRefusedError
from meterbridge.domain.metering_record import ReportOutcome

CONFLICT, INVALID, RETRY = ReportOutcome.CONFLICT, ReportOutcome.INVALID, ReportOutcome.RETRY
EXPIRED, NOT_ENTITLED = ReportOutcome.EXPIRED, ReportOutcome.NOT_ENTITLED

DOCUMENTED_CHECK_ERRORS = [
    "ERROR_CODE_UNSPECIFIED",
    "NOT_FOUND",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "BUDGET_EXCEEDED",
    "DENIAL_OF_SERVICE_DETECTED",
    "LOAD_SHEDDING",
    "ABUSER_DETECTED",
    "SERVICE_NOT_ACTIVATED",
    "VISIBILITY_DENIED",
    "BILLING_DISABLED",
    "PROJECT_DELETED",
    "PROJECT_INVALID",
    "CONSUMER_INVALID",
    "IP_ADDRESS_BLOCKED",
    "REFERER_BLOCKED",
    "CLIENT_APP_BLOCKED",
    "API_TARGET_BLOCKED",
    "API_KEY_INVALID",
    "API_KEY_EXPIRED",
    "API_KEY_NOT_FOUND",
    "SPATULA_HEADER_INVALID",
    "LOAS_ROLE_INVALID",
    "NO_LOAS_PROJECT",
    "LOAS_PROJECT_DISABLED",
    "SECURITY_POLICY_VIOLATED",
    "INVALID_CREDENTIAL",
    "LOCATION_POLICY_VIOLATED",
    "NAMESPACE_LOOKUP_UNAVAILABLE",
    "SERVICE_STATUS_UNAVAILABLE",
    "BILLING_STATUS_UNAVAILABLE",
    "QUOTA_CHECK_UNAVAILABLE",
    "LOAS_PROJECT_LOOKUP_UNAVAILABLE",
    "CLOUD_RESOURCE_MANAGER_BACKEND_UNAVAILABLE",
    "SECURITY_POLICY_BACKEND_UNAVAILABLE",
    "LOCATION_POLICY_BACKEND_UNAVAILABLE",
    "INJECTED_ERROR",
]
"""`CheckError.code` in the discovery document servicecontrol.v1, revision 20261015."""

DOCUMENTED_CODES = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
]
"""`google.rpc.Code`, in the order of its numbers."""


def test_every_check_error_is_mapped() -> None:
    assert set(DOCUMENTED_CHECK_ERRORS) == set(CHECK_ERRORS)


def test_every_code_of_an_operation_is_mapped() -> None:
    assert [CODES[number] for number in sorted(CODES)] == DOCUMENTED_CODES[1:]
    assert set(OUTCOMES) == set(CODES.values())


def test_only_the_three_final_check_errors_stop_an_agreement() -> None:
    assert {code for code, outcome in CHECK_ERRORS.items() if outcome is NOT_ENTITLED} == {
        "SERVICE_NOT_ACTIVATED",
        "BILLING_DISABLED",
        "PROJECT_DELETED",
    }
    transient = [code for code in CHECK_ERRORS if code.endswith("_UNAVAILABLE")]
    assert {CHECK_ERRORS[code] for code in transient} == {RETRY}


@pytest.mark.parametrize(
    ("codes", "outcome"),
    [
        (["BILLING_STATUS_UNAVAILABLE"], RETRY),
        (["BILLING_STATUS_UNAVAILABLE", "NOT_FOUND"], INVALID),
        (["NOT_FOUND", "BILLING_DISABLED"], NOT_ENTITLED),
        (["BRAND_NEW"], RETRY),
    ],
)
def test_the_gravest_check_error_decides(codes: list[str], outcome: ReportOutcome) -> None:
    verdict = verdict_of_check([{"code": code} for code in codes])
    assert (verdict.outcome, verdict.reached) == (outcome, False)


def test_every_code_of_an_operation_means_what_is_meant() -> None:
    verdicts = {name: verdict_of_operation({"code": number}) for number, name in CODES.items()}
    assert {name: (each.outcome, each.reached) for name, each in verdicts.items()} == {
        "CANCELLED": (RETRY, True),
        "UNKNOWN": (RETRY, True),
        "INVALID_ARGUMENT": (INVALID, False),
        "DEADLINE_EXCEEDED": (RETRY, True),
        "NOT_FOUND": (INVALID, False),
        "ALREADY_EXISTS": (CONFLICT, True),
        "PERMISSION_DENIED": (ReportOutcome.NOT_AUTHORIZED, False),
        "RESOURCE_EXHAUSTED": (RETRY, False),
        "FAILED_PRECONDITION": (NOT_ENTITLED, False),
        "ABORTED": (RETRY, True),
        "OUT_OF_RANGE": (EXPIRED, False),
        "UNIMPLEMENTED": (INVALID, False),
        "INTERNAL": (RETRY, True),
        "UNAVAILABLE": (RETRY, True),
        "DATA_LOSS": (RETRY, True),
        "UNAUTHENTICATED": (RETRY, False),
    }


@pytest.mark.parametrize("status", [{}, {"code": 0}, {"code": 99}])
def test_an_error_without_a_known_code_is_no_success_and_no_refusal(status: dict[str, int]) -> None:
    verdict = verdict_of_operation(status)
    assert (verdict.outcome, verdict.reached) == (RETRY, True)


@pytest.mark.parametrize(
    ("status", "named", "outcome", "reached", "splits"),
    [
        (400, "INVALID_ARGUMENT", INVALID, False, True),
        (400, "FAILED_PRECONDITION", NOT_ENTITLED, False, True),
        (400, "OUT_OF_RANGE", EXPIRED, False, True),
        (400, "", INVALID, False, True),
        (409, "ALREADY_EXISTS", CONFLICT, True, True),
        (409, "ABORTED", RETRY, True, False),
        (413, "", INVALID, False, True),
        (418, "", RETRY, True, True),
        (429, "RESOURCE_EXHAUSTED", RETRY, False, False),
        (429, "", RETRY, False, False),
        (499, "CANCELLED", RETRY, True, False),
        (500, "INTERNAL", RETRY, True, False),
        (502, "", RETRY, True, False),
        (503, "UNAVAILABLE", RETRY, True, False),
        (504, "DEADLINE_EXCEEDED", RETRY, True, False),
        (599, "", RETRY, True, False),
    ],
)
def test_every_status_of_a_call_has_a_meaning(
    status: int, named: str, outcome: ReportOutcome, reached: bool, splits: bool
) -> None:
    verdict = verdict_of_call(status, {"status": named} if named else {}, {})
    assert (verdict.outcome, verdict.reached, verdict.splits) == (outcome, reached, splits)
    assert verdict.throttled is (status == 429)


def test_google_may_say_how_long_to_wait() -> None:
    verdict = verdict_of_call(429, {}, {"Retry-After": "7"})
    assert (verdict.throttled, verdict.retry_after) == (True, 7)
    assert verdict_of_call(429, {}, {"Retry-After": "soon"}).retry_after == 0


@pytest.mark.parametrize(
    ("status", "named"),
    [
        (401, "UNAUTHENTICATED"),
        (403, "PERMISSION_DENIED"),
        (403, ""),
        (404, ""),
        (302, ""),
        (405, ""),
    ],
)
def test_when_google_cannot_be_asked_no_record_is_judged(status: int, named: str) -> None:
    with pytest.raises(MarketplaceError):
        verdict_of_call(status, {"status": named} if named else {}, {})


@pytest.mark.parametrize(
    ("status", "named"),
    [(403, "PERMISSION_DENIED"), (403, ""), (404, "NOT_FOUND"), (501, "UNIMPLEMENTED")],
)
def test_what_is_refused_for_one_service_says_nothing_of_another(status: int, named: str) -> None:
    with pytest.raises(ProductRefusedError):
        verdict_of_call(status, {"status": named} if named else {}, {})


def test_what_never_left_was_not_booked_and_what_broke_later_may_have_been() -> None:
    connection: object = None
    for error, reached in (
        (NewConnectionError(connection, "refused"), False),  # type: ignore[arg-type]
        (ConnectTimeoutError("slow"), False),
        (ReadTimeoutError(None, "url", "slow"), True),  # type: ignore[arg-type]
        (ProtocolError("reset"), True),
    ):
        verdict = verdict_of_failure(error)
        assert (verdict.outcome, verdict.reached) == (RETRY, reached)
    with pytest.raises(MarketplaceError):
        verdict_of_failure(LocationParseError("nowhere"))
