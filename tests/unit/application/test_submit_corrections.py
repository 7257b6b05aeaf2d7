"""Approved corrections on their way through AWS: killed, repeated, refused, with answers lost."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from builders import at
from correction_setup import AFTER_OCTOBER, ANNA, OCTOBER, Correcting
from fakes.adjustments import FakeAdjustments
from killing import Fuse, Fused, Killed
from meterbridge.application.billing_adjustments import (
    AdjustmentStatus,
    SendOutcome,
    SendResult,
)
from meterbridge.application.draft_corrections import draft_agreement
from meterbridge.application.submit_corrections import SubmitSummary, submit_corrections
from meterbridge.domain.channels import Channel
from meterbridge.domain.correcting import approved, completed, withdrawn
from meterbridge.domain.corrections import Correction, CorrectionState
from meterbridge.domain.errors import (
    MarketplaceError,
    RefusedDecisionError,
    StaleVersionError,
)

LICENSE = "arn:aws:license-manager::444455556666:license:l-0aaa1bbb2ccc3ddd4eee5fff6aaa7bbb"
CENTS = Decimal("0.05")


class Submitting:
    """5 requests too many of October, approved; AWS has invoiced October."""

    def __init__(self, *, invoiced: bool = True) -> None:
        self.books = books = Correcting({"2026-10-10T10": "20"})
        books.bill()
        books.mend("2026-10-10T10", "15")
        books.settle("2026-10-10T13:20")
        books.settle(AFTER_OCTOBER)
        self.fuse = Fuse()
        names = ("correction", "corrections", "corrections_in", "write_correction", "head")
        self.ledger: Any = Fused(books.ledger, self.fuse, *names)
        self.aws = FakeAdjustments(books.clock)
        self.adjustments: Any = Fused(
            self.aws,
            self.fuse,
            *("agreement_of", "invoices", "send", "adjustment", "adjustments"),
        )
        self.aws.agreements[LICENSE] = "agmt-1"
        if invoiced:
            self.aws.invoice("agmt-1", OCTOBER, "0.20", at("2026-11-03T00"))
        self.draft_and_approve()

    def draft_and_approve(self) -> None:
        books = self.books
        written = draft_agreement(
            "agr_1", registry=books.registry, ledger=books.ledger, clock=books.clock
        )
        head = books.head
        for draft in written:
            due, now = draft.quantity, books.clock.now()
            books.ledger.write_correction(approved(draft, head, due, at=now, by=ANNA, reason="yes"))

    def run(self) -> SubmitSummary:
        return submit_corrections(
            adjustments=self.adjustments,
            registry=self.books.registry,
            ledger=self.ledger,
            clock=self.books.clock,
        )

    def run_and_wait(self, times: int = 1, minutes: int = 5) -> None:
        for _ in range(times):
            self.run()
            self.books.clock.advance(timedelta(minutes=minutes))

    @property
    def known(self) -> Correction:
        (found,) = self.books.ledger.corrections("agr_1")
        return found

    def check(self) -> None:
        """What is given back in the books is what AWS gives back, or may."""
        in_force = [each for each in self.books.ledger.corrections("agr_1") if each.in_force]
        given_back = sum((each.quantity for each in in_force), Decimal(0))
        corrected = self.books.head.corrected.get("requests", {})
        assert sum(corrected.values(), Decimal(0)) == given_back
        assert self.aws.paid_back() <= sum((each.amount.amount for each in in_force), Decimal(0))


def test_an_approved_correction_is_sent_once_followed_and_completed() -> None:
    office = Submitting()
    assert dict(office.run().counts) == {CorrectionState.SUBMITTED: 1}
    known = office.known
    assert (known.reference, known.attempts, known.invoice_id) == ("ba-1", 1, "inv-2026-10-1")
    assert known.request == {
        "agreementId": "agmt-1",
        "originalInvoiceId": "inv-2026-10-1",
        "adjustmentAmount": "0.05",
        "currencyCode": "USD",
        "adjustmentReasonCode": "INCORRECT_METERING",
        "description": "Usage of dimension requests in 2026-10 was over-reported: 5 units, 0.05 "
        "USD. 20 accepted, 15 due. Reference agr_1.2026-10.1.requests",
        "clientToken": known.key.client_token,
    }
    office.run_and_wait(3)
    assert (office.known, office.aws.sends) == (known, 1), "pending changes nothing"
    office.aws.decide(AdjustmentStatus.COMPLETED)
    office.run()
    assert office.known.state is CorrectionState.COMPLETED
    assert [each.state.value for each in office.known.history] == [
        "drafted",
        "approved",
        "submitted",
        "completed",
    ]
    assert office.run().counts == {}
    office.check()


def test_a_draft_is_never_sent() -> None:
    office = Submitting()
    books = office.books
    known = office.known
    books.ledger.write_correction(
        withdrawn(known, books.head, at=books.clock.now(), by=ANNA, reason="no")
    )
    books.mend("2026-10-10T10", "14")
    assert office.run().counts == {}
    assert office.aws.sends == 0
    office.check()


def test_what_failed_is_taken_back_in_the_books_and_drafted_anew() -> None:
    office = Submitting()
    office.run()
    office.aws.decide(AdjustmentStatus.FAILED, "above the invoice's amount")
    office.run()
    assert (office.known.state, office.known.note) == ("failed", "above the invoice's amount")
    assert office.books.head.corrected == {}
    assert office.books.head.position("requests", OCTOBER).carried == -5
    office.check()
    office.draft_and_approve()
    office.run()
    first, second = office.books.ledger.corrections("agr_1")
    assert (first.key.number, second.key.number, second.reference) == (1, 2, "ba-2")
    assert office.aws.paid_back() == CENTS
    office.check()


@pytest.mark.parametrize("half_step", range(20))
@pytest.mark.parametrize("lost", [False, True])
def test_killed_anywhere_and_repeated_the_buyer_gets_it_once(half_step: int, lost: bool) -> None:
    office = Submitting()
    office.aws.lose_answers = int(lost)
    office.fuse.arm(half_step)
    with suppress(Killed):
        office.run()
    office.fuse.arm(None)
    office.check()
    office.run_and_wait(3)
    assert office.aws.paid_back() == CENTS
    assert len(office.aws.taken) == 1
    office.aws.decide(AdjustmentStatus.COMPLETED)
    office.run()
    assert office.known.state is CorrectionState.COMPLETED
    office.check()


@pytest.mark.parametrize("half_step", range(18))
def test_two_runs_at_once_send_the_same_adjustment(half_step: int) -> None:
    office = Submitting()
    office.fuse.arm(half_step, office.run)  # type: ignore[arg-type]
    office.run()
    office.fuse.arm(None)
    office.run_and_wait(2)
    assert len(office.aws.taken) == 1
    assert office.known.reference == "ba-1"
    office.check()


@pytest.mark.parametrize("half_step", range(16))
def test_a_person_withdraws_in_the_middle_of_a_run(half_step: int) -> None:
    """Either it is withdrawn and never sent, or sent and the person is told."""
    office = Submitting()
    refused: list[str] = []

    def withdraw() -> None:
        books = office.books
        try:
            books.ledger.write_correction(
                withdrawn(office.known, books.head, at=books.clock.now(), by=ANNA, reason="no")
            )
        except RefusedDecisionError as refusal:
            refused.append(type(refusal).__name__)

    office.fuse.arm(half_step, withdraw)
    office.run()
    office.fuse.arm(None)
    office.run_and_wait(2)
    office.check()
    if office.known.state is CorrectionState.WITHDRAWN:
        assert (office.aws.taken, refused) == ({}, [])
    else:
        assert (len(office.aws.taken), refused) == (1, ["RefusedDecisionError"])


def test_without_an_invoice_it_waits_and_says_so() -> None:
    office = Submitting(invoiced=False)
    summary = office.run()
    note = "AWS has not invoiced 2026-10 in USD yet"
    assert summary.notes == {"agr_1.2026-10.1.requests": note}
    assert (office.known.state, office.known.note) == ("approved", note)
    version = office.known.version
    office.run_and_wait(3)
    assert office.known.version == version, "the same note is written once"
    office.aws.invoice("agmt-1", OCTOBER, "0.04", at("2026-11-03T00"))
    office.run()
    assert office.known.note == "no invoice takes 0.05 USD; the most is 0.04"
    office.aws.invoice("agmt-1", OCTOBER, "0.05", at("2026-11-03T01"))
    office.run()
    assert (office.known.invoice_id, office.known.note) == ("inv-2026-10-2", "")


def test_without_an_agreement_at_aws_it_waits() -> None:
    office = Submitting()
    office.aws.agreements.clear()
    office.run()
    assert office.known.note == "AWS knows no agreement with the buyer's licence"
    assert office.aws.sends == 0


def test_a_refusal_of_the_first_send_fails_at_once() -> None:
    office = Submitting()
    office.aws.refuse = [SendResult(SendOutcome.REFUSED, detail="VALIDATION_EXCEPTION: no")]
    office.run()
    assert (office.known.state, office.known.note) == ("failed", "VALIDATION_EXCEPTION: no")
    office.check()


def test_a_refusal_after_a_lost_answer_finds_what_was_taken() -> None:
    office = Submitting()
    office.aws.lose_answers = 1
    office.run()
    assert (office.known.reference, office.known.note) == ("", "the answer was lost")
    office.aws.refuse = [SendResult(SendOutcome.REFUSED, detail="it was adjusted already")]
    office.run()
    assert (office.known.state, office.known.reference) == ("submitted", "ba-1")
    office.check()


@pytest.mark.parametrize(
    ("outcome", "hours"), [(SendOutcome.REFUSED, 1), (SendOutcome.CONFLICT, 72)]
)
def test_a_refusal_after_a_send_of_unknown_outcome_is_believed_only_later(
    outcome: SendOutcome, hours: int
) -> None:
    office = Submitting()
    lost = SendResult(SendOutcome.UNKNOWN, detail="502")
    office.aws.refuse = [lost, *[SendResult(outcome, detail="no")] * 3]
    office.run()
    office.books.clock.advance(timedelta(hours=hours, seconds=-1))
    office.run()
    assert (office.known.state, office.known.note) == ("submitted", "no")
    office.books.clock.advance(timedelta(seconds=1))
    office.run()
    assert office.known.state is CorrectionState.FAILED
    office.check()


def test_a_conflict_of_the_first_send_is_sent_again() -> None:
    office = Submitting()
    office.aws.refuse = [SendResult(SendOutcome.CONFLICT, detail="another is pending")]
    office.run()
    assert (office.known.state, office.known.note) == ("submitted", "another is pending")
    office.run()
    assert (office.known.reference, office.known.note, office.aws.sends) == ("ba-1", "", 2)


def test_a_send_that_surely_never_began_leaves_it_approved() -> None:
    office = Submitting()
    office.aws.refuse = [SendResult(SendOutcome.NOT_SENT, detail="ThrottlingException")]
    office.run()
    known = office.known
    assert (known.state, known.attempts, known.note) == ("approved", 0, "ThrottlingException")
    assert [each.state.value for each in known.history] == ["drafted", "approved"]
    office.run()
    assert office.known.reference == "ba-1"


def test_where_aws_does_not_let_us_in_nothing_changes_and_the_run_says_so() -> None:
    office = Submitting()
    before = office.known
    office.aws.closed = True
    summary = office.run()
    assert isinstance(summary.error, MarketplaceError)
    assert office.known == before


def test_what_a_person_completed_meanwhile_is_not_followed() -> None:
    office = Submitting()
    office.run()
    books = office.books
    books.ledger.write_correction(
        completed(office.known, at=books.clock.now(), by=ANNA, reason="seen in the console")
    )
    assert office.run().counts == {}


def test_an_adjustment_that_aws_does_not_know_is_told_to_a_person() -> None:
    office = Submitting()
    office.run()
    office.aws.taken.clear()
    office.run()
    assert (office.known.state, office.known.note) == ("submitted", "AWS does not know ba-1")


def test_a_failure_is_not_written_over_what_somebody_else_wrote() -> None:
    office = Submitting()
    office.run()
    office.aws.decide(AdjustmentStatus.FAILED)
    books = office.books

    def complete() -> None:
        write = completed(office.known, at=books.clock.now(), by=ANNA, reason="paid")
        books.ledger.write_correction(write)

    office.fuse.arm(6, complete)
    assert office.run().counts == {}
    office.fuse.arm(None)
    assert office.known.state is CorrectionState.COMPLETED
    office.check()


def test_other_marketplaces_are_left_to_people() -> None:
    office = Submitting()
    ledger = office.books.ledger
    (key,) = ledger._corrections
    object.__setattr__(ledger._corrections[key], "channel", Channel.GCP)
    assert office.run().counts == {}
    assert office.aws.sends == 0


def test_a_store_conflict_is_left_to_the_next_run() -> None:
    office = Submitting()
    real = office.books.ledger.write_correction

    def conflict(*_: Any) -> None:
        raise StaleVersionError("somebody else")

    office.books.ledger.write_correction = conflict  # type: ignore[method-assign]
    assert office.run().counts == {}
    office.books.ledger.write_correction = real  # type: ignore[method-assign]
    office.run()
    assert office.known.reference == "ba-1"
