"""Every status that Microsoft documents has a meaning, and the one meant."""

from __future__ import annotations

import pytest

from fakes.azure_http import results, submit
from meterbridge.adapters.marketplaces.azure_outcomes import (
    REFUSED_TOKEN,
    STATUSES,
    verdict_of_status,
)
from meterbridge.domain.metering_record import ReportOutcome

RETRY = ReportOutcome.RETRY

DOCUMENTED_STATUSES = [
    "Accepted",
    "Duplicate",
    "Expired",
    "Error",
    "ResourceNotFound",
    "ResourceNotAuthorized",
    "ResourceNotActive",
    "InvalidDimension",
    "InvalidQuantity",
    "BadArgument",
]
"""`UsageEventStatusEnum` of the metering API 2018-08-31 (contracts.md §2.1.3)."""

DOCUMENTED_HTTP = {
    (400, "BadArgument"): (ReportOutcome.INVALID, False, True),
    (400, ""): (RETRY, True, True),
    # Of the single usageEvent; a batch answers per event.
    (409, "Conflict"): (RETRY, True, True),
    (429, ""): (RETRY, False, False),
    (500, ""): (RETRY, True, False),
    (502, ""): (RETRY, True, False),
    (503, ""): (RETRY, True, False),
    (504, ""): (RETRY, True, False),
}
"""Statuses of a call beside 200, and 401 and 403 for a token (§2.1.2): outcome, reached, splits."""


def test_every_documented_status_is_mapped() -> None:
    assert set(DOCUMENTED_STATUSES) == set(STATUSES)


@pytest.mark.parametrize(("status", "code"), DOCUMENTED_HTTP)
def test_every_documented_status_of_a_call_has_the_meaning_that_is_meant(
    status: int, code: str
) -> None:
    verdict = verdict_of_status(status, code, "", {})
    found = (verdict.outcome, verdict.reached, verdict.splits)
    assert found == DOCUMENTED_HTTP[status, code]
    assert verdict.throttled is (status == 429)


@pytest.mark.parametrize(("status", "early"), [("BadArgument", True), ("InvalidDimension", False)])
def test_what_may_mean_the_future_is_marked(status: str, early: bool) -> None:
    found, _ = submit(lambda events: results({**events[0], "status": status}), "a")
    assert found["a"].may_be_early is early


def test_both_words_for_a_token_that_is_refused_are_known() -> None:
    assert {401, 403} == REFUSED_TOKEN
