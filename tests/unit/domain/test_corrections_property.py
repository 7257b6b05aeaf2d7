"""Any usage, mending, settlement, approval and change of mind: each unit is paid for once, net."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import at
from correction_setup import ANNA, Correcting
from meterbridge.domain.correcting import approved, completed, failed, submitting, withdrawn
from meterbridge.domain.corrections import CorrectionState
from meterbridge.domain.money import ZERO, exact_sum
from meterbridge.domain.over_reported import due_corrections
from meterbridge.domain.statement import Bucket
from meterbridge.domain.windows import HOUR, BillingPeriod, hour_of

START = "2026-10-20T12:20"
REQUEST = {"agreementId": "agmt-1", "originalInvoiceId": "inv-1"}
AMOUNTS = st.sampled_from(["0", "1", "3", "7", "0.25", "2.5"])

STEPS = st.one_of(
    st.tuples(st.just("use"), st.integers(2, 60), AMOUNTS),
    st.tuples(st.just("use"), st.integers(2, 700), AMOUNTS),
    st.tuples(st.just("bill")),
    st.tuples(st.just("settle")),
    st.tuples(st.just("wait"), st.sampled_from([1, 30, 24 * 20, 24 * 45])),
    st.tuples(st.just("draft")),
    st.tuples(st.just("approve")),
    st.tuples(st.just("approve")),
    st.tuples(st.just("undo"), st.sampled_from(["withdraw", "fail", "complete"])),
)


def take(books: Correcting, step: tuple[object, ...]) -> None:
    now = books.clock.now()
    match step:
        case ("use", int(hours_ago), str(amount)):
            hour = hour_of(now) - HOUR * hours_ago
            # As events are taken: not of a month that is final.
            if hour >= books.head.live_from.start and hour >= books.agreement.starts_at:
                books.usage[hour] = Decimal(amount)
        case ("bill",):
            books.bill()
        case ("settle",):
            books.settle()
        case ("wait", int(hours)):
            books.clock.advance(timedelta(hours=hours))
        case ("draft",):
            books.draft()
        case ("approve",):
            approve_one(books)
        case ("undo", str(how)):
            end_one(books, how)
        case _:
            raise AssertionError(step)


def approve_one(books: Correcting) -> None:
    for draft in books.known.values():
        due = due_corrections(books.overview, books.dimension.code).get(draft.key.period)
        if (
            draft.state is CorrectionState.DRAFTED
            and due is not None
            and due.quantity >= draft.quantity
        ):
            now = books.clock.now()
            books.write(approved(draft, books.head, due.quantity, at=now, by=ANNA, reason="yes"))
            return


def end_one(books: Correcting, how: str) -> None:
    now = books.clock.now()
    for each in list(books.known.values()):
        if each.state is not CorrectionState.APPROVED:
            continue
        if how == "withdraw":
            books.write(withdrawn(each, books.head, at=now, by=ANNA, reason="no"))
        elif how == "complete":
            books.write(completed(each, at=now, by=ANNA, reason="paid"))
        else:
            sent = books.write(submitting(each, REQUEST, at=now))
            books.write(failed(sent, books.head, at=now, reason="refused"))
        return


def check(books: Correcting) -> None:
    """Position by position, and against what the corrections and the marketplace say."""
    head = books.head
    given_back: dict[BillingPeriod, Decimal] = {}
    for each in books.known.values():
        if each.in_force:
            known = given_back.get(each.key.period, ZERO)
            given_back[each.key.period] = known + each.quantity
        assert each.quantity > 0
        assert len(each.history) <= each.version
    assert head.corrected.get("requests", {}) == given_back
    records = books.ledger.records("agr_1")
    for period, position in head.positions["requests"].items():
        committed = exact_sum(
            each.counted(absorbed=each.absorbed).get(period, ZERO) for each in records
        )
        assert position.metered == position.committed + position.carried
        assert position.committed == committed - given_back.get(period, ZERO)
    for period in (BillingPeriod(2026, month) for month in (10, 11, 12)):
        if period <= BillingPeriod.of(books.clock.now()):
            assert books.buckets(period).get(Bucket.CORRECTED, ZERO) == -given_back.get(
                period, ZERO
            )


@given(st.lists(STEPS, min_size=4, max_size=30))
@settings(max_examples=150, deadline=None)
def test_what_was_given_back_is_committed_no_more_and_nothing_else_changes(
    steps: list[tuple[object, ...]],
) -> None:
    books = Correcting({"2026-10-20T09": "9"}, now=START, starts_at=at("2026-10-01T00"))
    books.bill()
    for step in steps:
        take(books, step)
        check(books)


@given(st.lists(STEPS, min_size=4, max_size=30), st.booleans())
@settings(max_examples=150, deadline=None)
def test_in_the_end_the_buyer_has_not_paid_for_a_unit_more_than_was_used(
    steps: list[tuple[object, ...]], over: bool
) -> None:
    books = Correcting({"2026-10-20T09": "9"}, now=START, starts_at=at("2026-10-01T00"))
    books.bill()
    for step in steps:
        take(books, step)
    if over:
        books.change(ends_at=hour_of(books.clock.now()))
    for _ in range(3):
        books.clock.advance(timedelta(hours=5))
        books.bill()
    books.clock.advance(timedelta(days=80))
    books.settle()
    books.settle()
    for _ in range(4):
        books.draft()
        approve_one(books)
        books.settle()
    used = exact_sum(books.usage.values())
    beyond = books.accepted() - books.given_back() - used
    assert beyond == exact_sum(
        position.carried.copy_negate() for position in books.head.positions["requests"].values()
    )
    declined = [each.quantity for each in books.known.values() if each.declined]
    assert beyond < 1 or beyond <= max(declined), "all that is worth a cent was given back"
