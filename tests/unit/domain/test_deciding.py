"""A person's decision about a record: each cell of the table, and what it does to the books."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from builders import at
from decision_setup import Books
from meterbridge.domain.agreements import AgreementState, RecoveryPolicy
from meterbridge.domain.decisions import DecisionAction
from meterbridge.domain.errors import InvalidInputError, InvariantError, RefusedDecisionError
from meterbridge.domain.metering_record import MeteringRecord, RecordState
from meterbridge.domain.statement import Bucket
from meterbridge.domain.windows import hour_text

RETRY, CONFIRM = DecisionAction.RETRY, DecisionAction.CONFIRM
WRITE_OFF, RE_DATE = DecisionAction.WRITE_OFF, DecisionAction.RE_DATE
MORE: dict[DecisionAction, dict[str, Any]] = {
    RETRY: {},
    CONFIRM: {"accepted_quantity": Decimal(3)},
    WRITE_OFF: {},
    RE_DATE: {"new_hour": at("2026-11-24T11")},
}
USED = {"2026-11-24T10": "5"}
AUTOMATIC = RecoveryPolicy.AUTOMATIC


def prepared(standing: str) -> tuple[Books, MeteringRecord]:
    """Books with one record that stands so."""
    results = {
        "in_doubt": "in_doubt",
        "same_told": "same_told",
        "held": "expired",
        "rejected": "rejected",
        "expired_automatic": "expired",
        "pending": "pending",
        "submitted": "submitted",
        "accepted": "accepted",
        "another_told": "another_told",
        "adopted": "another_told",
        "rejected_taken_back": "rejected",
        "expired_taken_back": "expired",
        "written_off": "in_doubt",
    }
    automatic = standing in ("expired_automatic", "expired_taken_back")
    books = Books(USED, recovery=AUTOMATIC if automatic else RecoveryPolicy.MANUAL)
    record = books.with_result(results[standing])
    if standing in ("adopted", "rejected_taken_back", "expired_taken_back"):
        books.settle()
    if standing == "written_off":
        books.decide(record, WRITE_OFF)
    return books, books.record(record.key)


ALLOWED = [
    ("in_doubt", RETRY, RecordState.REJECTED, {Bucket.CARRIED: 5}),
    ("in_doubt", CONFIRM, RecordState.CONFLICTED, {Bucket.ACCEPTED: 3, Bucket.CARRIED: 2}),
    ("in_doubt", WRITE_OFF, RecordState.WRITTEN_OFF, {Bucket.WRITTEN_OFF: 5}),
    ("same_told", RETRY, RecordState.REJECTED, {Bucket.CARRIED: 5}),
    ("same_told", CONFIRM, RecordState.CONFLICTED, {Bucket.ACCEPTED: 3, Bucket.CARRIED: 2}),
    ("same_told", WRITE_OFF, RecordState.WRITTEN_OFF, {Bucket.WRITTEN_OFF: 5}),
    ("held", RETRY, RecordState.EXPIRED, {Bucket.CARRIED: 5}),
    ("held", WRITE_OFF, RecordState.WRITTEN_OFF, {Bucket.WRITTEN_OFF: 5}),
    ("held", RE_DATE, RecordState.EXPIRED, {Bucket.IN_FLIGHT: 5}),
    ("rejected", WRITE_OFF, RecordState.WRITTEN_OFF, {Bucket.WRITTEN_OFF: 5}),
    ("rejected", RE_DATE, RecordState.REJECTED, {Bucket.IN_FLIGHT: 5}),
    ("expired_automatic", WRITE_OFF, RecordState.WRITTEN_OFF, {Bucket.WRITTEN_OFF: 5}),
    ("expired_automatic", RE_DATE, RecordState.EXPIRED, {Bucket.IN_FLIGHT: 5}),
]
WHY = {
    "pending": "record_in_flight",
    "submitted": "record_in_flight",
    "accepted": "record_accepted",
    "another_told": "record_adopted",
    "adopted": "record_adopted",
    "rejected_taken_back": "record_taken_back",
    "expired_taken_back": "record_taken_back",
    "written_off": "record_written_off",
}
REFUSED = [
    ("in_doubt", RE_DATE, "record_in_doubt"),
    ("same_told", RE_DATE, "record_in_doubt"),
    ("held", CONFIRM, "record_not_booked"),
    ("rejected", RETRY, "record_released"),
    ("rejected", CONFIRM, "record_not_booked"),
    ("expired_automatic", RETRY, "record_released"),
    ("expired_automatic", CONFIRM, "record_not_booked"),
    *((standing, action, code) for standing, code in WHY.items() for action in DecisionAction),
]


def test_the_table_has_a_cell_for_every_standing_and_action() -> None:
    cells = {(standing, action) for standing, action, *_ in [*ALLOWED, *REFUSED]}
    assert len(cells) == len(ALLOWED) + len(REFUSED) == 13 * len(DecisionAction)


@pytest.mark.parametrize(("standing", "action", "state", "buckets"), ALLOWED)
def test_a_fitting_decision_moves_the_quantity_and_the_books_balance(
    standing: str, action: DecisionAction, state: RecordState, buckets: dict[Bucket, int]
) -> None:
    books, record = prepared(standing)
    version = books.head.version
    made = books.decide(record, action, **MORE[action])
    after = books.record(record.key)
    assert (after.state, after.key, after.decision) == (state, record.key, made)
    assert (after.reason, after.finished_at) == (record.reason, record.finished_at)
    assert books.head.version == version + 1
    assert books.buckets() == buckets
    assert books.ledger.decisions("agr_1", "", 10) == [made]
    assert made.state_before == record.state


@pytest.mark.parametrize(("standing", "action", "code"), REFUSED)
def test_a_decision_that_does_not_fit_is_refused_by_name_and_changes_nothing(
    standing: str, action: DecisionAction, code: str
) -> None:
    books, record = prepared(standing)
    head, buckets = books.head, books.buckets()
    known = books.ledger.decisions("agr_1", "", 10)
    with pytest.raises(RefusedDecisionError) as refusal:
        books.decide(record, action, **MORE[action])
    assert refusal.value.code == code
    assert (books.head, books.buckets(), books.record(record.key)) == (head, buckets, record)
    assert books.ledger.decisions("agr_1", "", 10) == known
    assert books.queue.agreement_ids == []


@pytest.mark.parametrize(("standing", "action", "state", "buckets"), ALLOWED)
def test_a_record_is_decided_once(
    standing: str, action: DecisionAction, state: RecordState, buckets: dict[Bucket, int]
) -> None:
    books, record = prepared(standing)
    books.decide(record, action, **MORE[action])
    for another in DecisionAction:
        with pytest.raises(RefusedDecisionError):
            books.decide(record, another, **MORE[another])
    assert books.buckets() == buckets
    assert books.record(record.key).state is state


@pytest.mark.parametrize("standing", ["in_doubt", "same_told", "held"])
def test_what_is_retried_bills_itself_in_the_next_open_hour_and_once(standing: str) -> None:
    books, record = prepared(standing)
    books.decide(record, RETRY)
    assert (list(books.ledger.waiting()), books.queue.agreement_ids) == (["agr_1"], ["agr_1"])
    (again,) = books.settle()
    assert (hour_text(again.key.hour), again.quantity) == ("2026-11-24T11", 5)
    assert books.settle() == []
    assert list(books.ledger.waiting()) == []
    assert books.buckets() == {Bucket.IN_FLIGHT: 5}
    assert hour_text(books.record(record.key).key.hour) == "2026-11-24T10"


def test_what_was_booked_as_written_is_accepted_and_bills_nothing() -> None:
    books, record = prepared("in_doubt")
    books.decide(record, CONFIRM, accepted_quantity=Decimal("5.000"))
    assert books.record(record.key).state is RecordState.ACCEPTED
    assert books.settle() == []
    assert (list(books.ledger.waiting()), books.queue.agreement_ids) == ([], [])
    assert books.buckets() == {Bucket.ACCEPTED: 5}


@pytest.mark.parametrize(
    ("accepted", "again", "buckets"),
    [
        ("0", ["5"], {Bucket.IN_FLIGHT: 5}),
        ("3", ["2"], {Bucket.ACCEPTED: 3, Bucket.IN_FLIGHT: 2}),
        ("8", [], {Bucket.ACCEPTED: 8, Bucket.CARRIED: -3}),
    ],
)
def test_what_was_booked_otherwise_bills_the_difference(
    accepted: str, again: list[str], buckets: dict[Bucket, int]
) -> None:
    books, record = prepared("in_doubt")
    books.decide(record, CONFIRM, accepted_quantity=Decimal(accepted))
    assert [str(each.quantity) for each in books.settle()] == again
    assert books.buckets() == buckets
    assert books.record(record.key).accepted_quantity == Decimal(accepted)


@pytest.mark.parametrize("standing", ["in_doubt", "held", "rejected"])
def test_what_was_written_off_is_never_billed_whatever_the_policy_becomes(standing: str) -> None:
    books, record = prepared(standing)
    books.decide(record, WRITE_OFF)
    for recovery in RecoveryPolicy:
        books.change(recovery=recovery)
        assert books.settle() == []
        assert books.buckets() == {Bucket.WRITTEN_OFF: 5}
    assert list(books.ledger.waiting()) == []


@pytest.mark.parametrize("standing", ["held", "rejected"])
def test_a_re_dated_quantity_is_the_same_in_its_new_hour(standing: str) -> None:
    books, record = prepared(standing)
    books.decide(record, RE_DATE, new_hour=at("2026-11-24T09"))
    (new,) = [each for each in books.ledger.records("agr_1") if each.key != record.key]
    assert hour_text(new.key.hour) == "2026-11-24T09"
    assert new.re_dated_from == record.key.hour
    assert (new.state, new.attempts, new.submission) == (RecordState.PENDING, 0, {})
    assert (new.quantity, new.allocations) == (record.quantity, record.allocations)
    assert new.reported_hour_start == at("2026-11-24T09")
    assert new.deadline == at("2026-11-25T09")
    assert new.buyer == books.agreement.buyer_reference()
    assert books.settle() == []
    assert books.buckets() == {Bucket.IN_FLIGHT: 5}


def test_a_re_dated_record_that_expires_too_waits_for_a_person_again() -> None:
    books, record = prepared("held")
    books.decide(record, RE_DATE, new_hour=at("2026-11-24T11"))
    new = books.ledger.records("agr_1")[-1]
    books.finish(new.finished(RecordState.EXPIRED, at=new.deadline))
    assert books.buckets() == {Bucket.EXPIRED: 5}
    books.clock.set(at("2026-11-26T12:20"))
    books.decide(new, RE_DATE, new_hour=at("2026-11-26T11"))
    assert books.ledger.records("agr_1")[-1].re_dated_from == at("2026-11-24T11")
    assert books.buckets() == {Bucket.IN_FLIGHT: 5}


@pytest.mark.parametrize(
    ("hour", "now", "code"),
    [
        ("2026-11-24T09:30", "2026-11-24T12:20", "full_hour"),
        ("2026-10-31T23", "2026-11-24T12:20", "hour_not_owned"),
        ("2026-11-24T12", "2026-11-24T12:20", "hour_not_closed"),
        ("2026-11-24T11", "2026-11-24T12:14", "hour_not_closed"),
        ("2026-12-24T11", "2026-11-24T12:20", "hour_not_closed"),
        ("2026-11-23T12", "2026-11-24T12:20", "window_closed"),
        ("2026-11-23T11", "2026-11-24T12:20", "window_closed"),
    ],
)
def test_an_hour_that_the_marketplace_would_not_take_is_refused(
    hour: str, now: str, code: str
) -> None:
    books, record = prepared("held")
    books.clock.set(at(now))
    with pytest.raises(InvalidInputError) as refusal:
        books.decide(record, RE_DATE, new_hour=at(hour))
    assert (refusal.value.code, refusal.value.pointer) == (code, "/hour")
    assert books.buckets() == {Bucket.EXPIRED: 5}


def test_an_hour_after_the_agreements_end_is_refused() -> None:
    books, record = prepared("held")
    books.change(state=AgreementState.ENDED, ends_at=at("2026-11-24T11:30"))
    books.clock.set(at("2026-11-24T12:20"))
    with pytest.raises(InvalidInputError, match="hour_not_owned"):
        books.decide(record, RE_DATE, new_hour=at("2026-11-24T12"))
    books.decide(record, RE_DATE, new_hour=at("2026-11-24T11"))
    new = books.ledger.records("agr_1")[-1]
    assert (new.reported_hour_end, new.deadline) == (at("2026-11-24T11:30"), at("2026-11-24T12:30"))


def test_an_hour_with_a_record_of_the_dimension_is_refused() -> None:
    books, record = prepared("held")
    for hour in (record.key.hour, at("2026-11-24T11")):
        if hour != record.key.hour:
            books.usage[hour] = Decimal(2)
            books.settle()
        with pytest.raises(RefusedDecisionError) as refusal:
            books.decide(record, RE_DATE, new_hour=hour)
        assert refusal.value.code == "hour_taken"


def test_nothing_is_re_dated_into_an_agreement_that_is_not_reported() -> None:
    books, record = prepared("held")
    books.change(state=AgreementState.SUSPENDED, state_reason="unpaid")
    with pytest.raises(RefusedDecisionError) as refusal:
        books.decide(record, RE_DATE, new_hour=at("2026-11-24T11"))
    assert refusal.value.code == "agreement_not_reported"
    books.decide(record, RETRY)
    assert books.settle() == []
    assert books.buckets() == {Bucket.UNBILLABLE: 5}
    books.change(state=AgreementState.ACTIVE)
    assert [each.quantity for each in books.settle()] == [5]


def test_a_whole_dimension_is_confirmed_in_whole_units() -> None:
    books, record = prepared("in_doubt")
    with pytest.raises(InvalidInputError) as refusal:
        books.decide(record, CONFIRM, accepted_quantity=Decimal("2.5"))
    assert (refusal.value.code, refusal.value.pointer) == ("whole_number", "/accepted_quantity")


def test_a_report_never_ends_in_a_write_off() -> None:
    books, record = prepared("submitted")
    with pytest.raises(InvariantError):
        record.finished(RecordState.WRITTEN_OFF, at=books.clock.now())
