"""When a correction is drafted, over how much, and what its approval does to the books."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from builders import at, dimension
from correction_setup import AFTER_OCTOBER, ANNA, NOVEMBER, OCTOBER, Correcting
from decision_setup import conflicted, refused
from meterbridge.domain.correcting import approved, completed, failed, submitting, withdrawn
from meterbridge.domain.corrections import (
    Correction,
    CorrectionFigures,
    CorrectionKey,
    CorrectionState,
)
from meterbridge.domain.errors import InvariantError, RefusedDecisionError
from meterbridge.domain.ledger_head import Position
from meterbridge.domain.metering_record import RecordState
from meterbridge.domain.money import Money
from meterbridge.domain.over_reported import ReportedFrom, draft_corrections
from meterbridge.domain.statement import Bucket

KEY = CorrectionKey("agr_1", "requests", OCTOBER, 1)


def over_reported(**changes: object) -> Correcting:
    """20 were billed of an hour in October, and 5 too many, as the mended meter says."""
    books = Correcting({"2026-10-10T10": "20"}, **changes)
    books.bill()
    books.mend("2026-10-10T10", "15")
    books.settle("2026-10-10T13:20")
    return books


def drafted(**changes: object) -> tuple[Correcting, Correction]:
    books = over_reported(**changes)
    books.settle(AFTER_OCTOBER)
    (write,) = books.draft()
    return books, write.after


def approve(books: Correcting, correction: Correction) -> Correction:
    return books.write(
        approved(
            correction,
            books.head,
            books.due(),
            at=books.clock.now(),
            by=ANNA,
            reason="the meter counted retries",
        )
    )


def decimals(*values: str) -> Position:
    return Position(*map(Decimal, values))


def test_nothing_is_drafted_while_later_usage_may_make_up_for_it() -> None:
    books = over_reported()
    for now in ("2026-10-31T23:20", "2026-11-02T12:20", "2026-12-06T00:20"):
        books.settle(now)
        assert books.draft() == []
    assert books.head.position("requests", OCTOBER) == decimals("15", "20", "-5")


def test_what_nothing_made_up_for_until_the_period_is_final_is_drafted_with_its_figures() -> None:
    books, correction = drafted()
    assert correction.key == KEY
    assert str(correction.key) == "agr_1.2026-10.1.requests"
    assert (correction.quantity, correction.units) == (5, 5)
    assert correction.amount == Money(Decimal("0.05"), "USD")
    assert correction.state is CorrectionState.DRAFTED
    assert correction.figures == CorrectionFigures(
        accepted=Decimal(20),
        corrected=Decimal(0),
        metered=Decimal(15),
        made_up=Decimal(0),
        settled_at=at(AFTER_OCTOBER),
    )
    assert books.draft() == [], "drafting again finds the same"


def test_later_usage_makes_up_for_it_and_the_draft_is_withdrawn() -> None:
    books, _ = drafted()
    books.mend("2026-12-08T12", "3")
    books.settle("2026-12-08T13:20")
    (write,) = books.draft()
    assert (write.after.quantity, write.after.amount.amount) == (2, Decimal("0.02"))
    assert write.after.figures.made_up == 3
    books.mend("2026-12-08T13", "9")
    books.bill("2026-12-08T14:20")
    (write,) = books.draft()
    assert write.after.state is CorrectionState.WITHDRAWN
    assert write.after.history[-1].by.key_id == ""
    assert books.accepted() == 27, "20 + 7, for 15 + 3 + 9 that were used"
    assert books.draft() == []


def test_an_agreement_that_is_over_is_corrected_at_once() -> None:
    books = over_reported()
    books.change(ends_at=at("2026-10-10T13:00"))
    books.settle("2026-10-10T13:30")
    assert books.draft() == [], "the marketplace still takes the last usage"
    books.settle("2026-10-10T14:30")
    (write,) = books.draft()
    assert (write.after.key, write.after.quantity) == (KEY, 5)


def test_an_approved_correction_is_not_made_up_for_by_usage_as_well() -> None:
    books, correction = drafted()
    approve(books, correction)
    assert books.head.position("requests", OCTOBER) == decimals("15", "15", "0")
    assert books.head.corrected == {"requests": {OCTOBER: Decimal(5)}}
    assert books.settle() == []
    books.mend("2026-12-08T12", "3")
    books.bill("2026-12-08T13:20")
    assert books.accepted() - books.given_back() == 15 + 3
    assert books.draft() == []
    assert books.head.corrected == {"requests": {OCTOBER: Decimal(5)}}


def test_a_settlement_after_the_approval_finds_what_the_approval_wrote() -> None:
    books, correction = drafted()
    approve(books, correction)
    before = books.head
    books.settle()
    assert books.head == before


@pytest.mark.parametrize("state", [CorrectionState.WITHDRAWN, CorrectionState.FAILED])
def test_what_came_to_nothing_is_made_up_for_by_usage_again(state: CorrectionState) -> None:
    books, correction = drafted()
    untouched = books.head
    correction = approve(books, correction)
    now = books.clock.now()
    if state is CorrectionState.WITHDRAWN:
        books.write(withdrawn(correction, books.head, at=now, by=ANNA, reason="paid otherwise"))
    else:
        request = {"agreementId": "agmt-1", "originalInvoiceId": "inv-1"}
        correction = books.write(submitting(correction, request, at=now))
        books.write(failed(correction, books.head, at=now, reason="VALIDATION_FAILED"))
    assert books.known[KEY].state is state
    assert replace(books.head, version=untouched.version) == untouched
    books.settle()
    assert replace(books.head, version=untouched.version) == untouched
    books.mend("2026-12-08T12", "8")
    books.bill("2026-12-08T13:20")
    assert books.accepted() == 23


def test_a_refused_correction_is_drafted_anew_under_the_next_number() -> None:
    books, correction = drafted()
    correction = approve(books, correction)
    now = books.clock.now()
    request = {"agreementId": "agmt-1", "originalInvoiceId": "inv-1"}
    correction = books.write(submitting(correction, request, at=now))
    books.write(failed(correction, books.head, at=now, reason="VALIDATION_FAILED"))
    (write,) = books.draft()
    assert (write.before, write.after.key.number, write.after.quantity) == (None, 2, 5)
    assert write.after.key.client_token != KEY.client_token


def test_what_a_person_decided_against_is_drafted_again_only_when_it_is_more() -> None:
    books = over_reported()
    books.change(ends_at=at("2026-10-10T13:00"))
    books.settle("2026-10-10T14:30")
    (write,) = books.draft()
    books.write(withdrawn(write.after, books.head, at=books.clock.now(), by=ANNA, reason="a gift"))
    assert books.draft() == []
    books.mend("2026-10-10T10", "14")
    books.settle()
    (write,) = books.draft()
    assert (write.after.key.number, write.after.quantity) == (2, 6)


def test_a_second_correction_of_a_period_is_over_what_the_first_did_not_cover() -> None:
    books = over_reported()
    books.change(ends_at=at("2026-10-10T13:00"))
    books.settle("2026-10-10T14:30")
    (write,) = books.draft()
    approve(books, write.after)
    books.mend("2026-10-10T10", "12")
    books.settle()
    (write,) = books.draft()
    assert (write.after.key.number, write.after.quantity) == (2, 3)
    assert (write.after.figures.corrected, write.after.figures.over_reported) == (5, 3)
    approve(books, write.after)
    assert books.buckets(OCTOBER) == {Bucket.ACCEPTED: 20, Bucket.CORRECTED: -8}


def test_the_statement_tells_what_was_given_back() -> None:
    books, correction = drafted()
    assert books.buckets(OCTOBER) == {Bucket.ACCEPTED: 20, Bucket.CARRIED: -5}
    approve(books, correction)
    assert books.buckets(OCTOBER) == {Bucket.ACCEPTED: 20, Bucket.CORRECTED: -5}


def test_usage_that_comes_back_after_an_approval_is_due_again() -> None:
    books = over_reported()
    books.change(ends_at=at("2026-10-20T00:00"))
    books.settle("2026-10-20T03:20")
    (write,) = books.draft()
    approve(books, write.after)
    books.mend("2026-10-10T10", "17")
    books.settle()
    assert books.head.position("requests", OCTOBER) == decimals("17", "15", "2")
    assert books.draft() == []


def test_what_was_perhaps_not_booked_is_not_given_back() -> None:
    for doubt in ("in_doubt", "expired", "written_off"):
        books = Correcting({"2026-10-10T10": "20"})
        (record,) = books.settle()
        after = refused(record, RecordState.EXPIRED) if doubt == "expired" else conflicted(record)
        if doubt == "written_off":
            after = replace(after, state=RecordState.WRITTEN_OFF)
        books.finish(after)
        books.mend("2026-10-10T10", "15")
        books.settle(AFTER_OCTOBER)
        assert books.head.position("requests", OCTOBER).carried == -5, doubt
        assert books.draft() == [], doubt


def test_a_conflict_with_more_than_was_reported_is_given_back() -> None:
    books = Correcting({"2026-10-10T10": "20"})
    (record,) = books.settle()
    books.finish(conflicted(record, "24"))
    books.settle("2026-10-10T13:20")
    books.settle(AFTER_OCTOBER)
    (write,) = books.draft()
    assert (write.after.quantity, write.after.figures.accepted) == (4, 24)


def test_less_than_the_smallest_unit_of_the_currency_stays_for_usage_to_make_up_for() -> None:
    books = Correcting({"2026-10-10T10": "20"})
    books.bill()
    books.mend("2026-10-10T10", "19.5")
    books.settle(AFTER_OCTOBER)
    assert books.due() == Decimal("0.5")
    assert books.draft() == []


def test_of_two_months_over_the_oldest_is_made_up_for_first() -> None:
    books = Correcting({"2026-10-10T10": "20", "2026-10-31T23": "0"})
    books.bill()
    books.mend("2026-11-05T10", "30")
    books.bill("2026-11-05T12:20")
    books.mend("2026-10-10T10", "15")
    books.mend("2026-11-05T10", "26")
    books.mend("2026-12-05T10", "7")
    books.clock.set(at("2026-12-05T12:20"))
    books.settle()
    assert books.settle("2027-02-20T12:20") == []
    writes = books.draft()
    assert [(str(each.after.key), each.after.quantity) for each in writes] == [
        ("agr_1.2026-11.1.requests", Decimal(2))
    ]
    assert writes[0].after.figures.made_up == 2
    assert books.due(NOVEMBER) == 2


def test_a_period_is_corrected_at_the_price_that_held_at_its_end() -> None:
    books = over_reported()
    books.settle(AFTER_OCTOBER)
    prices = ("0.01", "0.03", "0.07")
    starts = ("2026-10-01T00", "2026-10-15T00", "2026-11-01T00")
    versions = [
        ReportedFrom(at(start), (dimension(unit_price=Money(Decimal(price), "USD")),))
        for start, price in zip(starts, prices, strict=True)
    ]
    (write,) = draft_corrections(replace(books.overview, reported=versions))
    assert write.after.amount == Money(Decimal("0.15"), "USD")
    assert books.overview.dimension("tokens", OCTOBER) is None


def test_money_that_was_reported_too_much_is_corrected_as_money() -> None:
    books = Correcting({"2026-10-10T10": "20.00"})
    books.dimension = dimension(
        units_per_quantity=Decimal("0.01"),
        unit_price=Money(Decimal("0.01"), "USD"),
        in_currency=True,
    )
    books.bill()
    books.mend("2026-10-10T10", "15.257")
    books.settle(AFTER_OCTOBER)
    (write,) = books.draft()
    assert (write.after.quantity, write.after.units) == (Decimal("4.743"), Decimal("474.3"))
    assert write.after.amount == Money(Decimal("4.743"), "USD")


def test_a_stale_draft_is_not_approved() -> None:
    books, correction = drafted()
    books.mend("2026-12-08T12", "3")
    books.settle("2026-12-08T13:20")
    with pytest.raises(RefusedDecisionError) as refusal:
        approve(books, correction)
    assert refusal.value.code == "correction_outdated"


def test_what_does_not_fit_the_state_is_refused_by_name() -> None:
    books, draft = drafted()
    now, head = books.clock.now(), books.head
    with pytest.raises(RefusedDecisionError, match="approved first") as refusal:
        completed(draft, at=now, by=ANNA, reason="paid")
    assert refusal.value.code == "correction_drafted"
    done = approve(books, draft)
    with pytest.raises(RefusedDecisionError) as refusal:
        approve(books, done)
    assert refusal.value.code == "correction_approved"
    done = completed(done, at=now, by=ANNA, reason="paid", reference="ba-1").after
    assert (done.state, done.reference) == (CorrectionState.COMPLETED, "ba-1")
    for act in (
        lambda: withdrawn(done, head, at=now, by=ANNA, reason="no"),
        lambda: completed(done, at=now, by=ANNA, reason="again"),
        lambda: submitting(done, {"agreementId": "a", "originalInvoiceId": "i"}, at=now),
        lambda: failed(done, head, at=now, reason="no"),
    ):
        with pytest.raises(RefusedDecisionError, match="for ever"):
            act()


def test_a_sent_correction_is_not_withdrawn_and_only_sent_again_as_the_same() -> None:
    books, draft = drafted()
    now = books.clock.now()
    sent = submitting(
        approve(books, draft), {"agreementId": "a", "originalInvoiceId": "i"}, at=now
    ).after
    again = submitting(sent, {"agreementId": "a", "originalInvoiceId": "i"}, at=now + timedelta(1))
    assert (again.after.attempts, again.after.first_sent_at) == (2, now)
    assert again.after.history == sent.history
    for act in (
        lambda: withdrawn(sent, books.head, at=now, by=ANNA, reason="no"),
        lambda: submitting(sent, {"agreementId": "a", "originalInvoiceId": "j"}, at=now),
    ):
        with pytest.raises(RefusedDecisionError) as refusal:
            act()
        assert refusal.value.code == "correction_submitted"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "agr_1",
        "agr_1.2026-10.1",
        "agr_1.2026-10.0.d",
        "agr_1.2026-10.01.d",
        "agr_1.2026-1.1.d",
        "agr_1.2026-13.1.d",
        ".2026-10.1.d",
        "agr_1.2026-10.1.",
        "agr_1.2026-10.\u00b2.d",
    ],
)
def test_other_texts_are_no_ids(text: str) -> None:
    with pytest.raises(ValueError):
        CorrectionKey.parse(text)


def test_an_id_names_what_is_corrected() -> None:
    for code in ("requests", "tokens.v2", "a-b_c.9"):
        key = CorrectionKey("agr_1-x", code, OCTOBER, 12)
        assert CorrectionKey.parse(str(key)) == key
    assert KEY.client_token == CorrectionKey.parse("agr_1.2026-10.1.requests").client_token
    with pytest.raises(InvariantError):
        CorrectionKey("agr_1", "d", OCTOBER, 0)
