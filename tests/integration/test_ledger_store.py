"""One contract, two ledgers: the fake that use cases are tested with, and DynamoDB."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

import pricing_setup
from builders import NOON, at, metering_record
from dynamodb import mocked_table
from fakes.ledger import FakeLedger
from meterbridge.adapters.dynamodb.ledger_store import LedgerStore
from meterbridge.application.ports import Ledger
from meterbridge.domain.errors import InvariantError, StaleVersionError, StoreUnavailableError
from meterbridge.domain.ledger_head import LedgerHead, Position
from meterbridge.domain.metering_record import MeteringRecord, RecordState
from meterbridge.domain.offerings import Channel, QuantityKind
from meterbridge.domain.pricing.advance import advance
from meterbridge.domain.pricing.agreement_terms import Grant
from meterbridge.domain.pricing.models import PerUnit
from meterbridge.domain.pricing.plan_terms import Entitlement
from meterbridge.domain.pricing.rating_state import RatingState
from meterbridge.domain.windows import BillingPeriod

NOVEMBER, OCTOBER = BillingPeriod(2026, 11), BillingPeriod(2026, 10)


@pytest.fixture(params=["fake", "dynamodb"])
def ledger(request: pytest.FixtureRequest) -> Iterator[Ledger]:
    if request.param == "fake":
        yield FakeLedger()
        return
    with mocked_table("Ledger", "pending") as name:
        yield LedgerStore(name)


def head_at(version: int, agreement_id: str = "agr_1") -> LedgerHead:
    return LedgerHead(
        agreement_id=agreement_id,
        version=version,
        live_from=OCTOBER,
        settled_at=NOON + timedelta(microseconds=1),
        settled_through=at("2026-11-24T10"),
        opening={"requests": {OCTOBER: Decimal("0.123456789012345678901234567890123456789012345")}},
        sealed={"requests": {OCTOBER: Decimal("17")}},
        positions={
            "requests": {NOVEMBER: Position(Decimal("12.5"), Decimal("12"), Decimal("0.5"))},
            "tokens": {},
        },
        corrected={"requests": {OCTOBER: Decimal("0.1234567890123456789")}},
    )


def committed(ledger: Ledger, *records: MeteringRecord) -> None:
    agreements = {record.key.agreement_id for record in records}
    for agreement_id in agreements:
        ledger.commit(
            head_at(1, agreement_id),
            expected_version=0,
            new_records=[r for r in records if r.key.agreement_id == agreement_id],
        )


def test_an_unsettled_agreement_has_no_head_and_no_records(ledger: Ledger) -> None:
    assert ledger.head("agr_1") is None
    assert ledger.records("agr_1") == []
    assert ledger.record(metering_record().key) is None


def test_the_heads_of_many_agreements_come_back_at_once(ledger: Ledger) -> None:
    ids = [f"agr_{number:03d}" for number in range(130)]
    for agreement_id in ids:
        ledger.commit(head_at(1, agreement_id), expected_version=0, new_records=[])
    assert ledger.heads([]) == {}
    assert ledger.heads(["agr_none"]) == {}
    found = ledger.heads(["agr_none", *ids, ids[0]])
    assert found == {agreement_id: head_at(1, agreement_id) for agreement_id in ids}


def test_a_settlement_comes_back_to_the_last_digit(ledger: Ledger) -> None:
    record = metering_record(
        quantity="2147483647.000001",
        units_per_quantity="1000.5",
        reported_hour_start=at("2026-11-24T10:17:03"),
    )
    ledger.commit(head_at(1), expected_version=0, new_records=[record])
    assert ledger.head("agr_1") == head_at(1)
    assert ledger.records("agr_1") == [record]
    assert ledger.record(record.key) == record


def test_a_head_that_never_settled_an_hour_comes_back(ledger: Ledger) -> None:
    head = replace(head_at(1), settled_through=None)
    ledger.commit(head, expected_version=0, new_records=[])
    assert ledger.head("agr_1") == head


def test_a_finished_record_comes_back_with_all_its_evidence(ledger: Ledger) -> None:
    committed(ledger, metering_record())
    sent = metering_record().submitted({"Dimension": "requests", "Quantity": "5"}, at=NOON)
    ledger.save(sent, expected_state=RecordState.PENDING, expected_attempts=0)
    done = sent.finished(
        RecordState.CONFLICTED,
        at=NOON + timedelta(seconds=2),
        reason="another quantity was metered before",
        receipt="receipt-1",
        accepted_quantity=Decimal("4.5"),
    )
    ledger.save(done, expected_state=RecordState.SUBMITTED, expected_attempts=1)
    assert ledger.record(done.key) == done


def test_a_record_keeps_its_kind_its_end_and_when_it_was_refused(ledger: Ledger) -> None:
    record = metering_record(
        quantity="2.5",
        quantity_kind=QuantityKind.DECIMAL,
        reported_hour_end=at("2026-11-24T10:20"),
        refused_at=at("2026-11-24T11:05"),
        resend_until=at("2026-11-24T12:20"),
    )
    committed(ledger, record)
    assert ledger.record(record.key) == record


@pytest.mark.parametrize("expected", [0, 2])
def test_a_settlement_of_another_version_is_refused_and_writes_nothing(
    ledger: Ledger, expected: int
) -> None:
    committed(ledger, metering_record())
    late = metering_record(hour=at("2026-11-24T11"))
    with pytest.raises(StaleVersionError):
        ledger.commit(head_at(9), expected_version=expected, new_records=[late])
    assert ledger.head("agr_1") == head_at(1)
    assert ledger.record(late.key) is None


def test_a_record_key_is_never_used_twice(ledger: Ledger) -> None:
    committed(ledger, metering_record())
    other = metering_record(quantity="6")
    with pytest.raises(StaleVersionError):
        ledger.commit(head_at(2), expected_version=1, new_records=[other])
    assert ledger.record(other.key) == metering_record()
    assert ledger.head("agr_1") == head_at(1)


@pytest.mark.parametrize("state", [RecordState.REJECTED, RecordState.EXPIRED])
def test_a_refused_record_is_absorbed_once(ledger: Ledger, state: RecordState) -> None:
    record = metering_record()
    committed(ledger, record)
    refused = record.finished(state, at=NOON, reason="said no")
    ledger.save(refused, expected_state=RecordState.PENDING, expected_attempts=0)
    ledger.commit(head_at(2), expected_version=1, new_records=[], absorbed=[record.key])
    assert ledger.record(record.key) == replace(refused, absorbed=True)
    with pytest.raises(StaleVersionError):
        ledger.commit(head_at(3), expected_version=2, new_records=[], absorbed=[record.key])
    assert ledger.head("agr_1") == head_at(2)


def test_a_conflict_with_another_figure_is_settled_soon_and_absorbed_once(ledger: Ledger) -> None:
    record = metering_record()
    committed(ledger, record)
    told = record.finished(
        RecordState.CONFLICTED, at=NOON, request_id="r-1", accepted_quantity=Decimal("3.5")
    )
    ledger.save(told, expected_state=RecordState.PENDING, expected_attempts=0)
    assert list(ledger.waiting()) == ["agr_1"]
    ledger.commit(head_at(2), expected_version=1, new_records=[], absorbed=[record.key])
    assert ledger.record(record.key) == replace(told, absorbed=True)
    assert list(ledger.waiting()) == []
    with pytest.raises(StaleVersionError):
        ledger.commit(head_at(3), expected_version=2, new_records=[], absorbed=[record.key])


@pytest.mark.parametrize("accepted", [None, Decimal("5.0")])
def test_a_conflict_without_another_figure_waits_for_a_person(
    ledger: Ledger, accepted: Decimal | None
) -> None:
    record = metering_record(quantity="5")
    committed(ledger, record)
    told = record.finished(RecordState.CONFLICTED, at=NOON, accepted_quantity=accepted)
    ledger.save(told, expected_state=RecordState.PENDING, expected_attempts=0)
    assert list(ledger.waiting()) == []
    with pytest.raises(StaleVersionError):
        ledger.commit(head_at(2), expected_version=1, new_records=[], absorbed=[record.key])


def test_a_record_that_may_be_billed_is_not_absorbed(ledger: Ledger) -> None:
    record = metering_record()
    committed(ledger, record)
    with pytest.raises(StaleVersionError):
        ledger.commit(head_at(2), expected_version=1, new_records=[], absorbed=[record.key])
    assert ledger.record(record.key) == record


def test_a_settlement_takes_ninety_records_and_nine_marks_at_once(ledger: Ledger) -> None:
    refused = [metering_record(code=f"old{i}") for i in range(9)]
    committed(ledger, *refused)
    for record in refused:
        done = record.finished(RecordState.REJECTED, at=NOON)
        ledger.save(done, expected_state=RecordState.PENDING, expected_attempts=0)
    new = [metering_record(code=f"new{i:02d}", hour=at("2026-11-24T11")) for i in range(90)]
    ledger.commit(
        head_at(2), expected_version=1, new_records=new, absorbed=[r.key for r in refused]
    )
    assert ledger.records("agr_1", start=at("2026-11-24T11")) == new
    assert all(record.absorbed for record in ledger.records("agr_1", end=at("2026-11-24T11")))


@pytest.mark.parametrize(("new", "absorbed"), [(91, 0), (90, 10)])
def test_more_than_a_transaction_takes_is_a_defect(ledger: Ledger, new: int, absorbed: int) -> None:
    records = [metering_record(code=f"d{i}") for i in range(new)]
    keys = [metering_record(code=f"a{i}").key for i in range(absorbed)]
    with pytest.raises(InvariantError):
        ledger.commit(head_at(1), expected_version=0, new_records=records, absorbed=keys)
    assert ledger.head("agr_1") is None


def test_records_of_a_range_come_by_hour_and_dimension(ledger: Ledger) -> None:
    records = [
        metering_record(hour=at(hour), code=code)
        for hour in ("2026-11-24T09", "2026-11-24T10", "2026-11-24T11")
        for code in ("a#b", "requests")
    ]
    committed(ledger, *reversed(records), metering_record(agreement_id="agr_10"))
    assert ledger.records("agr_1") == records
    assert ledger.records("agr_1", at("2026-11-24T10"), at("2026-11-24T11")) == records[2:4]
    assert ledger.records("agr_1", at("2026-11-24T09:30")) == records[2:]
    assert ledger.records("agr_1", end=at("2026-11-24T10:30")) == records[:4]
    assert ledger.records("agr_1", at("2026-11-24T10"), at("2026-11-24T10")) == []


def test_pending_comes_earliest_deadline_first_and_no_more_than_asked(ledger: Ledger) -> None:
    late = metering_record(agreement_id="agr_1", hour=at("2026-11-24T10"))
    early = metering_record(agreement_id="agr_2", hour=at("2026-11-24T08"))
    soon = metering_record(agreement_id="agr_3", deadline=at("2026-11-24T13"))
    committed(ledger, late, early, soon)
    assert ledger.pending(Channel.AWS, 10) == [soon, early, late]
    assert ledger.pending(Channel.AWS, 2) == [soon, early]
    assert ledger.pending(Channel.AZURE, 10) == []


def test_pending_holds_what_was_sent_without_an_answer_and_nothing_final(ledger: Ledger) -> None:
    asked, answered = metering_record(code="asked"), metering_record(code="answered")
    committed(ledger, asked, answered)
    sent = asked.submitted({"k": "v"}, at=NOON)
    ledger.save(sent, expected_state=RecordState.PENDING, expected_attempts=0)
    done = answered.submitted({"k": "v"}, at=NOON)
    ledger.save(done, expected_state=RecordState.PENDING, expected_attempts=0)
    ledger.save(
        done.finished(RecordState.ACCEPTED, at=NOON),
        expected_state=RecordState.SUBMITTED,
        expected_attempts=1,
    )
    assert ledger.pending(Channel.AWS, 10) == [sent]


@pytest.mark.parametrize(
    ("state", "attempts"), [(RecordState.SUBMITTED, 0), (RecordState.PENDING, 1)]
)
def test_progress_is_saved_only_over_what_was_read(
    ledger: Ledger, state: RecordState, attempts: int
) -> None:
    record = metering_record()
    committed(ledger, record)
    with pytest.raises(StaleVersionError):
        ledger.save(
            record.submitted({"k": "v"}, at=NOON),
            expected_state=state,
            expected_attempts=attempts,
        )
    assert ledger.record(record.key) == record


def test_a_record_that_was_never_written_cannot_progress(ledger: Ledger) -> None:
    record = metering_record()
    with pytest.raises(StaleVersionError):
        ledger.save(record, expected_state=RecordState.PENDING, expected_attempts=0)


def test_a_missing_table_is_an_unavailable_store() -> None:
    with mocked_table("Other"):
        store = LedgerStore("Ledger")
        with pytest.raises(StoreUnavailableError, match="ResourceNotFoundException"):
            store.head("agr_1")
        with pytest.raises(StoreUnavailableError):
            store.commit(head_at(1), expected_version=0, new_records=[metering_record()])
        with pytest.raises(StoreUnavailableError):
            store.pending(Channel.AWS, 1)


def test_two_records_of_one_key_in_a_settlement_are_a_defect() -> None:
    with mocked_table("Ledger", "pending") as name:
        store = LedgerStore(name)
        twice = [metering_record(), metering_record()]
        with pytest.raises(InvariantError):
            store.commit(head_at(1), expected_version=0, new_records=twice)
        assert store.head("agr_1") is None


def test_an_agreement_waits_while_its_head_says_so(ledger: Ledger) -> None:
    ledger.commit(
        replace(head_at(1), waiting=True), expected_version=0, new_records=[metering_record()]
    )
    assert list(ledger.waiting()) == ["agr_1"]
    ledger.commit(head_at(2), expected_version=1, new_records=[])
    assert list(ledger.waiting()) == []


def test_an_agreement_waits_until_its_rejected_record_is_taken_back(ledger: Ledger) -> None:
    record = metering_record()
    committed(ledger, record)
    assert list(ledger.waiting()) == []
    ledger.save(
        record.finished(RecordState.REJECTED, at=NOON),
        expected_state=RecordState.PENDING,
        expected_attempts=0,
    )
    assert list(ledger.waiting()) == ["agr_1"]
    ledger.commit(head_at(2), expected_version=1, new_records=[], absorbed=[record.key])
    assert list(ledger.waiting()) == []


def rated(through: str) -> RatingState:
    """Where the rating of a plan with an included quantity and credits stands."""
    terms = pricing_setup.terms(
        pricing_setup.plan(
            pricing_setup.priced(PerUnit(Decimal("0.3")), entitlement=Entitlement(Decimal(2)))
        ),
        grants=(Grant("gift", Decimal("0.5"), at("2026-11-01T00")),),
    )
    hours = [pricing_setup.used("2026-11-02T09", api="3.25")]
    return advance(terms, RatingState(), hours, through=at(through))[0]


def test_where_rating_stands_is_kept_in_the_head_and_for_each_month_that_was_sealed(
    ledger: Ledger,
) -> None:
    state = rated("2026-11-24T10")
    earlier = rated("2026-11-02T10")
    head = replace(head_at(1), rating=state)
    ledger.commit(
        head,
        expected_version=0,
        new_records=[],
        rating_states={NOVEMBER: state, OCTOBER: earlier},
    )
    assert ledger.head("agr_1") == head
    assert ledger.rating_state("agr_1", NOVEMBER) == state
    assert ledger.rating_state("agr_1", OCTOBER) == earlier
    assert ledger.rating_state("agr_1", NOVEMBER.next) is None
    assert ledger.rating_state("agr_2", NOVEMBER) is None


def test_a_settlement_that_came_too_late_seals_nothing(ledger: Ledger) -> None:
    ledger.commit(head_at(1), expected_version=0, new_records=[])
    with pytest.raises(StaleVersionError):
        ledger.commit(
            head_at(1),
            expected_version=0,
            new_records=[],
            rating_states={NOVEMBER: rated("2026-11-24T10")},
        )
    assert ledger.rating_state("agr_1", NOVEMBER) is None


def test_what_is_due_without_usage_is_listed_by_its_hour_until_it_moves_on(ledger: Ledger) -> None:
    for name, due_at in (("agr_2", "2026-11-30T23"), ("agr_1", "2026-12-01T00")):
        head = replace(head_at(1, name), due_at=at(due_at))
        ledger.commit(head, expected_version=0, new_records=[])
    ledger.commit(
        replace(head_at(1, "agr_3"), due_at=at("2026-11-29T00"), waiting=True),
        expected_version=0,
        new_records=[],
    )
    assert list(ledger.due(at("2026-11-30T23"))) == []
    assert list(ledger.due(at("2026-12-01T00"))) == ["agr_2"]
    assert list(ledger.due(at("2026-12-01T01"))) == ["agr_2", "agr_1"]
    assert list(ledger.waiting()) == ["agr_3"]
    ledger.commit(
        replace(head_at(2, "agr_2"), due_at=at("2026-12-31T23")), expected_version=1, new_records=[]
    )
    assert list(ledger.due(at("2026-12-01T01"))) == ["agr_1"]


def test_as_many_sealed_months_as_fit_a_transaction_and_no_more(ledger: Ledger) -> None:
    months = [NOVEMBER]
    while len(months) < 100:
        months.append(months[-1].next)
    state = rated("2026-11-02T10")
    with pytest.raises(InvariantError):
        ledger.commit(
            head_at(1),
            expected_version=0,
            new_records=[],
            rating_states=dict.fromkeys(months, state),
        )
    ledger.commit(
        head_at(1),
        expected_version=0,
        new_records=[],
        rating_states=dict.fromkeys(months[:99], state),
    )
    assert ledger.rating_state("agr_1", months[98]) == state
