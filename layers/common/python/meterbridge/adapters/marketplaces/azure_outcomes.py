"""What each answer of batchUsageEvent means for us: tables only (contracts.md §2.1.2, §2.1.3)."""

from __future__ import annotations

from collections.abc import Mapping

from urllib3.exceptions import HTTPError, LocationValueError

from meterbridge.adapters.marketplaces.calls import Verdict
from meterbridge.adapters.marketplaces.connections import NEVER_LEFT
from meterbridge.domain.errors import MarketplaceError
from meterbridge.domain.metering_record import ReportOutcome

STATUSES = {
    "Accepted": ReportOutcome.ACCEPTED,
    # Another quantity, unless the accepted message tells ours.
    "Duplicate": ReportOutcome.CONFLICT,
    "Expired": ReportOutcome.EXPIRED,
    "Error": ReportOutcome.RETRY,
    "ResourceNotFound": ReportOutcome.NOT_ENTITLED,
    "ResourceNotActive": ReportOutcome.NOT_ENTITLED,
    # Our app may not report for the offer: true of all its buyers, so none is suspended for it.
    "ResourceNotAuthorized": ReportOutcome.NOT_AUTHORIZED,
    "InvalidDimension": ReportOutcome.INVALID,
    "InvalidQuantity": ReportOutcome.INVALID,
    "BadArgument": ReportOutcome.INVALID,
}
"""`status` of one usage event."""

SURELY_NOT_BOOKED = frozenset(STATUSES) - {"Accepted", "Duplicate", "Error"}

EARLY = frozenset({"BadArgument", "Expired"})
"""No status is named for a time in the future (§2.1.5)."""

REFUSED_TOKEN = frozenset({401, 403})
"""Microsoft's texts disagree on which one a bad token gets (§2.1.2)."""

_THROTTLED = 429
_NOT_SERVED = frozenset({404, 405, 410})
_TIMED_OUT = 408


def verdict_of_status(status: int, code: str, detail: str, headers: Mapping[str, str]) -> Verdict:
    """What a call that was refused whole means for the events in it.

    Args:
        status: of HTTP; not 200, and not one for a bad token.
        code, detail: the body's `code` and `message`, "" where it has none.

    Raises:
        MarketplaceError: there is no such API at this address; nothing of the call was booked.
    """
    code = code or f"Http{status}"
    if status in _NOT_SERVED or 300 <= status < 400:
        raise MarketplaceError(f"batchUsageEvent is not served there: {status} {code}: {detail}")
    if status == _THROTTLED:
        after = headers.get("Retry-After", "")
        wait = int(after) if after.isascii() and after.isdigit() else 0
        return Verdict(ReportOutcome.RETRY, code, detail, throttled=True, retry_after=wait)
    if status == 400 and code == "BadArgument":
        return Verdict(ReportOutcome.INVALID, code, detail, splits=True, may_be_early=True)
    # A fault, or a word we do not know: nothing is certain. An unknown refusal is isolated too, so
    # that one event cannot hold up the others.
    unknown_refusal = 400 <= status < 500 and status != _TIMED_OUT
    return Verdict(ReportOutcome.RETRY, code, detail, reached=True, splits=unknown_refusal)


def verdict_of_failure(error: HTTPError) -> Verdict:
    """What a call without an answer means.

    Raises:
        MarketplaceError: the address is none; nothing was sent.
    """
    code = type(error).__name__
    if isinstance(error, LocationValueError):
        raise MarketplaceError(f"batchUsageEvent could not be called: {error}") from error
    reached = not isinstance(error, NEVER_LEFT)
    return Verdict(ReportOutcome.RETRY, code, str(error), reached=reached)
