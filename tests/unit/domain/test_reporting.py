"""Every answer, with and without doubt, against what it may make of a record."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import product

import pytest

from builders import NOON, metering_record
from meterbridge.application.ports import ReportResult
from meterbridge.domain.errors import InvariantError
from meterbridge.domain.metering_record import MeteringRecord, RecordState, ReportOutcome
from meterbridge.domain.reporting import (
    batches,
    closed_at_deadline,
    in_doubt,
    next_record,
    refused_unsent,
)

ENTRY = {"Dimension": "requests"}
FIRST = metering_record().submitted(ENTRY, at=NOON)
SECOND = FIRST.submitted(ENTRY, at=NOON + timedelta(minutes=5))
LATER = NOON + timedelta(minutes=6)

ACCEPTED, CONFLICTED = RecordState.ACCEPTED, RecordState.CONFLICTED
REJECTED, EXPIRED = RecordState.REJECTED, RecordState.EXPIRED
PENDING, SUBMITTED = RecordState.PENDING, RecordState.SUBMITTED

# (outcome, this send may have been booked) → state (no earlier doubt, earlier doubt)
TABLE = {
    (ReportOutcome.ACCEPTED, False): (ACCEPTED, ACCEPTED),
    (ReportOutcome.ACCEPTED, True): (ACCEPTED, ACCEPTED),
    (ReportOutcome.ALREADY_ACCEPTED, False): (ACCEPTED, ACCEPTED),
    (ReportOutcome.ALREADY_ACCEPTED, True): (ACCEPTED, ACCEPTED),
    (ReportOutcome.CONFLICT, False): (CONFLICTED, ACCEPTED),
    (ReportOutcome.CONFLICT, True): (CONFLICTED, ACCEPTED),
    (ReportOutcome.NOT_ENTITLED, False): (PENDING, SUBMITTED),
    (ReportOutcome.NOT_ENTITLED, True): (SUBMITTED, SUBMITTED),
    (ReportOutcome.NOT_AUTHORIZED, False): (PENDING, SUBMITTED),
    (ReportOutcome.NOT_AUTHORIZED, True): (SUBMITTED, SUBMITTED),
    (ReportOutcome.INVALID, False): (REJECTED, CONFLICTED),
    (ReportOutcome.INVALID, True): (CONFLICTED, CONFLICTED),
    (ReportOutcome.EXPIRED, False): (EXPIRED, CONFLICTED),
    (ReportOutcome.EXPIRED, True): (CONFLICTED, CONFLICTED),
    (ReportOutcome.RETRY, False): (PENDING, SUBMITTED),
    (ReportOutcome.RETRY, True): (SUBMITTED, SUBMITTED),
}


def answer(outcome: ReportOutcome, *, reached: bool = False, **more: object) -> ReportResult:
    return ReportResult(FIRST.key, outcome, "Code", detail="why", reached=reached, **more)


def concluded(result: ReportResult, *, had_doubt: bool) -> MeteringRecord:
    marked = SECOND if had_doubt else FIRST
    return next_record(marked, result, had_doubt=had_doubt, at=LATER)


def test_the_table_holds_every_outcome() -> None:
    assert set(TABLE) == set(product(ReportOutcome, (False, True)))


@pytest.mark.parametrize(
    ("outcome", "reached", "had_doubt"), list(product(ReportOutcome, (False, True), (False, True)))
)
def test_every_answer_leads_where_the_table_says(
    outcome: ReportOutcome, reached: bool, had_doubt: bool
) -> None:
    after = concluded(answer(outcome, reached=reached), had_doubt=had_doubt)
    assert after.state is TABLE[outcome, reached][had_doubt]


@pytest.mark.parametrize(("outcome", "reached"), list(product(ReportOutcome, (False, True))))
def test_what_may_be_booked_never_leaves_the_committed_sum(
    outcome: ReportOutcome, reached: bool
) -> None:
    assert concluded(answer(outcome, reached=reached), had_doubt=True).committed
    assert concluded(answer(outcome, reached=True), had_doubt=False).committed


def test_an_accepted_record_keeps_its_receipt_and_needs_no_reason() -> None:
    after = concluded(answer(ReportOutcome.ACCEPTED, receipt="receipt-1"), had_doubt=False)
    assert (after.receipt, after.reason, after.finished_at) == ("receipt-1", "", LATER)
    assert (after.attempts, after.submission, after.submitted_at) == (1, ENTRY, NOON)


def test_a_refusal_keeps_the_marketplaces_words() -> None:
    assert concluded(answer(ReportOutcome.INVALID), had_doubt=False).reason == "Code: why"
    long = ReportResult(FIRST.key, ReportOutcome.INVALID, "Code", detail="x" * 9000, reached=False)
    assert len(concluded(long, had_doubt=False).reason) == 500


@pytest.mark.parametrize("had_doubt", [False, True])
@pytest.mark.parametrize(
    "outcome", [ReportOutcome.ACCEPTED, ReportOutcome.ALREADY_ACCEPTED, ReportOutcome.CONFLICT]
)
def test_another_quantity_than_ours_is_a_conflict_and_is_kept(
    outcome: ReportOutcome, had_doubt: bool
) -> None:
    after = concluded(answer(outcome, accepted_quantity=Decimal(4)), had_doubt=had_doubt)
    assert (after.state, after.accepted_quantity) == (CONFLICTED, Decimal(4))


def test_an_equal_quantity_in_another_form_is_no_conflict() -> None:
    told = answer(ReportOutcome.ALREADY_ACCEPTED, accepted_quantity=Decimal("5.00"))
    assert concluded(told, had_doubt=False).state is ACCEPTED


def test_a_send_that_never_arrived_leaves_no_trace_but_its_reason_and_its_submission() -> None:
    after = concluded(answer(ReportOutcome.RETRY), had_doubt=False)
    assert (after.state, after.attempts, after.submitted_at) == (PENDING, 0, None)
    assert (after.submission, after.reason) == (ENTRY, "Code: why")
    assert not in_doubt(after)


def test_who_is_not_entitled_is_remembered_and_a_later_fault_does_not_forget_it() -> None:
    refused = concluded(answer(ReportOutcome.NOT_ENTITLED), had_doubt=False)
    assert (refused.state, refused.refused_at, refused.reason) == (PENDING, LATER, "Code: why")
    again = refused.submitted(ENTRY, at=LATER + timedelta(hours=1))
    passing = answer(ReportOutcome.RETRY)
    after = next_record(again, passing, had_doubt=False, at=LATER + timedelta(hours=1))
    assert (after.refused_at, after.attempts) == (LATER, 0)


@pytest.mark.parametrize("outcome", [ReportOutcome.EXPIRED, ReportOutcome.INVALID])
@pytest.mark.parametrize(
    ("minutes", "may_be_early", "waits"),
    [(15, True, True), (29, True, True), (30, True, False), (15, False, False)],
)
def test_what_may_lie_in_the_marketplaces_future_is_not_judged_while_its_hour_is_barely_over(
    outcome: ReportOutcome, minutes: int, may_be_early: bool, waits: bool
) -> None:
    judged = next_record(
        FIRST,
        answer(outcome, may_be_early=may_be_early),
        had_doubt=False,
        at=FIRST.covered_until + timedelta(minutes=minutes),
    )
    final = EXPIRED if outcome is ReportOutcome.EXPIRED else REJECTED
    assert judged.state is (PENDING if waits else final)


def test_an_earlier_doubt_outlives_a_send_that_never_arrived() -> None:
    after = concluded(answer(ReportOutcome.RETRY), had_doubt=True)
    assert (after.state, after.attempts) == (SUBMITTED, 2)
    assert in_doubt(after)


def test_a_record_that_was_not_sent_cannot_be_answered() -> None:
    with pytest.raises(InvariantError):
        next_record(metering_record(), answer(ReportOutcome.ACCEPTED), had_doubt=False, at=LATER)


def test_past_its_deadline_a_record_never_sent_expires_and_one_in_doubt_stays_committed() -> None:
    unsent = closed_at_deadline(metering_record(), at=LATER)
    assert (unsent.state, unsent.committed) == (EXPIRED, False)
    doubtful = closed_at_deadline(FIRST, at=LATER)
    assert (doubtful.state, doubtful.committed) == (CONFLICTED, True)
    assert "unknown" in doubtful.reason


def test_a_record_that_cannot_be_built_is_rejected_by_ourselves() -> None:
    after = refused_unsent(metering_record(), "no licence", at=LATER)
    assert (after.state, after.reason, after.attempts) == (REJECTED, "no licence", 0)


def test_batches_hold_one_product_each_and_keep_the_order_of_deadlines() -> None:
    records = [
        metering_record(code=f"d{number}", product_id=f"prd_{letter}")
        for number, letter in enumerate("abaabbaca")
    ]
    found = [[record.key.dimension for record in batch] for batch in batches(records, 2)]
    assert found == [["d0", "d2"], ["d1", "d4"], ["d3", "d6"], ["d5"], ["d7"], ["d8"]]


def test_no_records_make_no_batches() -> None:
    assert batches([], 25) == []
