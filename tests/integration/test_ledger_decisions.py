"""One contract, two ledgers: decisions in the fake that use cases are tested with, and in DynamoDB."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import boto3
import pytest

from builders import GRACE, NOON, agreement, at, metering_record
from decision_setup import conflicted, decision, refused
from dynamodb import REGION, make_table, mocked_table
from fakes.ledger import FakeLedger
from fakes.registry import FakeRegistry
from meterbridge.adapters.dynamodb.ledger_decisions import LedgerAdminStore
from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.application.ledger_admin import AttentionPlace, LedgerAdmin
from meterbridge.application.registry_admin import Answer, AnsweredError, RegistryAdmin
from meterbridge.domain.agreements import RecoveryPolicy
from meterbridge.domain.deciding import Case, DecisionEffect, decide
from meterbridge.domain.decisions import DecisionAction
from meterbridge.domain.errors import StaleVersionError, StoreUnavailableError
from meterbridge.domain.ledger_head import LedgerHead, Position
from meterbridge.domain.metering_record import MeteringRecord, RecordKey, RecordState
from meterbridge.domain.offerings import Channel
from meterbridge.domain.policy import policy_at
from meterbridge.domain.windows import BillingPeriod

NOVEMBER = BillingPeriod(2026, 11)
RETRY, RE_DATE = DecisionAction.RETRY, DecisionAction.RE_DATE
ANSWER = Answer("key_ops", "k1", "hash", 201, '{"id": "dec"}', NOON)


class Shelf:
    """A ledger, and the registry that keeps answers for it."""

    def __init__(self, ledger: LedgerAdmin, registry: RegistryAdmin) -> None:
        self.ledger = ledger
        self.registry = registry

    def kept(self) -> Answer | None:
        return self.registry.answer("key_ops", "k1", NOON + timedelta(minutes=1))

    def put(self, *records: MeteringRecord, version: int = 1) -> None:
        """Each record as a settlement and reports leave it."""
        for agreement_id in dict.fromkeys(record.key.agreement_id for record in records):
            own = [record for record in records if record.key.agreement_id == agreement_id]
            self.ledger.commit(
                head_at(version, agreement_id),
                expected_version=version - 1,
                new_records=[unsent(record) for record in own],
            )
        for record in records:
            if record.state is not RecordState.PENDING:
                self.ledger.save(record, expected_state=RecordState.PENDING, expected_attempts=0)

    def effect(self, record: MeteringRecord, action: DecisionAction, **more: Any) -> DecisionEffect:
        """What a decision makes of the record as it is in the ledger now."""
        head, known = self.ledger.head(record.key.agreement_id), self.ledger.record(record.key)
        assert head is not None
        assert known is not None
        case = Case(
            known,
            head,
            agreement(recovery=RecoveryPolicy.MANUAL),
            policy_at(Channel.AWS, NOON),
            GRACE,
        )
        return decide(decision(action, known, NOON + timedelta(minutes=20), **more), case)


def head_at(version: int, agreement_id: str = "agr_1") -> LedgerHead:
    five = Decimal(5)
    return LedgerHead(
        agreement_id=agreement_id,
        version=version,
        live_from=BillingPeriod(2026, 10),
        settled_at=NOON,
        settled_through=at("2026-11-24T10"),
        positions={"requests": {NOVEMBER: Position(five, five, Decimal(0))}},
    )


def unsent(record: MeteringRecord) -> MeteringRecord:
    return metering_record(
        agreement_id=record.key.agreement_id,
        code=record.key.dimension,
        hour=record.key.hour,
    )


@pytest.fixture(params=["fake", "dynamodb"])
def shelf(request: pytest.FixtureRequest) -> Iterator[Shelf]:
    if request.param == "fake":
        registry = FakeRegistry()
        yield Shelf(FakeLedger(registry), registry)
        return
    with mocked_table("Ledger", "pending") as name:
        make_table("Registry", "ref", "by_reference")
        yield Shelf(LedgerAdminStore(name, answers_table="Registry"), RegistryStore("Registry"))


def doubtful(**changes: Any) -> MeteringRecord:
    return conflicted(metering_record(**changes))


def test_a_decision_its_record_and_the_head_come_back_to_the_last_digit(shelf: Shelf) -> None:
    record = doubtful()
    shelf.put(record)
    accepted = Decimal("0.123456789012345678901234567890123456789")
    effect = shelf.effect(record, DecisionAction.CONFIRM, accepted_quantity=Decimal(3))
    exact = replace(effect.decision, accepted_quantity=accepted, reason="Ü\n…", new_hour=NOON)
    after = replace(effect.after, accepted_quantity=accepted, decision=exact)
    shelf.ledger.decide(replace(effect, decision=exact, after=after))
    assert shelf.ledger.record(record.key) == after
    assert shelf.ledger.head("agr_1") == effect.head
    assert shelf.ledger.decisions("agr_1", "", 10) == [exact]
    assert shelf.kept() is None


def test_a_re_dated_record_comes_in_as_the_old_one_goes_out(shelf: Shelf) -> None:
    record = refused(metering_record(), RecordState.EXPIRED)
    shelf.put(record)
    effect = shelf.effect(record, RE_DATE, new_hour=at("2026-11-24T11"))
    shelf.ledger.decide(effect)
    assert shelf.ledger.records("agr_1") == [effect.after, effect.new_record]
    assert shelf.ledger.pending(Channel.AWS, 10) == [effect.new_record]
    assert list(shelf.ledger.waiting()) == []
    assert list(shelf.ledger.attention()) == []


def test_a_decision_of_another_version_of_the_books_is_refused_whole(shelf: Shelf) -> None:
    record = doubtful()
    shelf.put(record)
    effect = shelf.effect(record, RETRY)
    shelf.ledger.commit(head_at(2), expected_version=1, new_records=[])
    with pytest.raises(StaleVersionError):
        shelf.ledger.decide(effect, ANSWER)
    untouched(shelf, record, head_at(2))


def test_a_settlement_that_read_before_a_decision_is_refused_whole(shelf: Shelf) -> None:
    record = doubtful()
    shelf.put(record)
    effect = shelf.effect(record, RETRY)
    shelf.ledger.decide(effect)
    late = metering_record(hour=at("2026-11-24T11"))
    with pytest.raises(StaleVersionError):
        shelf.ledger.commit(head_at(2), expected_version=1, new_records=[late])
    assert shelf.ledger.records("agr_1") == [effect.after]


@pytest.mark.parametrize("changed", ["state", "absorbed", "attempts"])
def test_a_decision_about_another_state_of_the_record_is_refused_whole(
    shelf: Shelf, changed: str
) -> None:
    record = doubtful()
    shelf.put(record)
    effect = shelf.effect(record, RETRY)
    before = {
        "state": replace(record, state=RecordState.EXPIRED),
        "absorbed": replace(record, absorbed=True),
        "attempts": replace(record, attempts=7),
    }[changed]
    with pytest.raises(StaleVersionError):
        shelf.ledger.decide(replace(effect, before=before), ANSWER)
    untouched(shelf, record, head_at(1))


def test_a_re_dating_into_an_hour_that_was_taken_meanwhile_is_refused_whole(shelf: Shelf) -> None:
    record = refused(metering_record(), RecordState.EXPIRED)
    taken = metering_record(hour=at("2026-11-24T11"))
    shelf.put(record)
    effect = shelf.effect(record, RE_DATE, new_hour=taken.key.hour)
    shelf.ledger.commit(head_at(2), expected_version=1, new_records=[taken])
    on_top = replace(effect, head=replace(effect.head, version=3))
    with pytest.raises(StaleVersionError):
        shelf.ledger.decide(on_top, ANSWER)
    assert shelf.ledger.record(taken.key) == taken
    untouched(shelf, record, head_at(2))


def untouched(shelf: Shelf, record: MeteringRecord, head: LedgerHead) -> None:
    """Nothing of a decision is there."""
    assert shelf.ledger.record(record.key) == record
    assert shelf.ledger.head("agr_1") == head
    assert shelf.ledger.decisions("agr_1", "", 10) == []
    assert shelf.kept() is None


def test_of_two_decisions_at_once_one_is_written(shelf: Shelf) -> None:
    record = doubtful()
    shelf.put(record)
    first, second = (shelf.effect(record, action) for action in (RETRY, DecisionAction.WRITE_OFF))
    shelf.ledger.decide(first)
    with pytest.raises(StaleVersionError):
        shelf.ledger.decide(second)
    assert shelf.ledger.record(record.key) == first.after
    assert shelf.ledger.decisions("agr_1", "", 10) == [first.decision]


def test_a_decision_is_written_once_and_never_over_another(shelf: Shelf) -> None:
    one, other = doubtful(), doubtful(code="tokens")
    shelf.put(one, other)
    first = shelf.effect(one, RETRY)
    shelf.ledger.decide(first)
    second = shelf.effect(other, RETRY)
    same_id = replace(second, decision=replace(second.decision, id=first.decision.id))
    with pytest.raises(StaleVersionError):
        shelf.ledger.decide(same_id)
    assert shelf.ledger.decisions("agr_1", "", 10) == [first.decision]
    assert shelf.ledger.record(other.key) == other


def test_the_answer_is_kept_with_the_decision_and_given_once(shelf: Shelf) -> None:
    one, other = doubtful(), doubtful(code="tokens")
    shelf.put(one, other)
    shelf.ledger.decide(shelf.effect(one, RETRY), ANSWER)
    assert shelf.kept() == ANSWER
    with pytest.raises(AnsweredError):
        shelf.ledger.decide(shelf.effect(other, RETRY), ANSWER)
    assert shelf.ledger.record(other.key) == other
    assert len(shelf.ledger.decisions("agr_1", "", 10)) == 1
    a_kept_answer_expires_after = replace(ANSWER, given_at=ANSWER.expires_at)
    shelf.ledger.decide(shelf.effect(other, RETRY), a_kept_answer_expires_after)


def test_decisions_are_listed_in_the_order_they_were_made(shelf: Shelf) -> None:
    records = [doubtful(code=f"d{number}") for number in range(4)]
    shelf.put(*records, doubtful(agreement_id="agr_2"))
    made = []
    for record in reversed(records):
        effect = shelf.effect(record, RETRY)
        shelf.ledger.decide(effect)
        made.append(effect.decision)
    assert shelf.ledger.decisions("agr_1", "", 10) == made
    assert shelf.ledger.decisions("agr_1", "", 2) == made[:2]
    assert shelf.ledger.decisions("agr_1", made[1].id, 2) == made[2:]
    assert shelf.ledger.decisions("agr_1", made[3].id, 2) == []
    assert shelf.ledger.decisions("agr_2", "", 2) == []


def test_decisions_and_records_do_not_get_into_each_others_lists(shelf: Shelf) -> None:
    record = doubtful()
    shelf.put(record)
    shelf.ledger.decide(shelf.effect(record, RETRY))
    assert [each.key for each in shelf.ledger.records("agr_1")] == [record.key]
    assert len(shelf.ledger.decisions("agr_1", "", 10)) == 1


def test_what_may_wait_for_a_person_is_listed_over_all_agreements_and_from_any_place(
    shelf: Shelf,
) -> None:
    first = doubtful(agreement_id="agr-0", hour=at("2026-11-24T11"))
    second = conflicted(metering_record(hour=at("2026-11-24T09")), "5.00")
    third = doubtful()
    fourth = refused(metering_record(code="a.b"), RecordState.REJECTED)
    fifth = refused(metering_record(agreement_id="agr_2"), RecordState.EXPIRED)
    told = conflicted(metering_record(code="told"), "4")
    accepted = metering_record(code="accepted").finished(RecordState.ACCEPTED, at=NOON)
    shelf.put(fifth, metering_record(code="open"), told, fourth, third, accepted, second, first)
    expected = [first, second, third, fourth, fifth]
    assert list(shelf.ledger.attention()) == expected
    for number, record in enumerate(expected):
        rest = list(shelf.ledger.attention(AttentionPlace.of(record)))
        assert rest == expected[number + 1 :]


def test_a_place_whose_record_has_gone_still_is_one(shelf: Shelf) -> None:
    record = doubtful()
    shelf.put(record)
    gone = RecordKey("agr_0", "requests", at("2026-11-24T10"))
    assert list(shelf.ledger.attention(AttentionPlace(refused=False, key=gone))) == [record]
    assert list(shelf.ledger.attention(AttentionPlace(refused=True, key=gone))) == []


@pytest.mark.parametrize("action", [RETRY, DecisionAction.WRITE_OFF, DecisionAction.CONFIRM])
def test_what_was_decided_is_no_longer_listed(shelf: Shelf, action: DecisionAction) -> None:
    record = doubtful()
    shelf.put(record)
    more = {"accepted_quantity": Decimal(5)} if action is DecisionAction.CONFIRM else {}
    shelf.ledger.decide(shelf.effect(record, action, **more))
    assert list(shelf.ledger.attention()) == []
    assert list(shelf.ledger.waiting()) == (["agr_1"] if action is RETRY else [])


def test_a_settlement_does_not_take_back_what_waits_for_a_person(shelf: Shelf) -> None:
    record = conflicted(metering_record(), "5.0")
    shelf.put(record)
    with pytest.raises(StaleVersionError):
        shelf.ledger.commit(head_at(2), expected_version=1, new_records=[], absorbed=[record.key])
    assert list(shelf.ledger.attention()) == [record]


def test_a_missing_table_is_an_unavailable_store() -> None:
    record = doubtful()
    with mocked_table("Ledger", "pending") as name:
        store = LedgerAdminStore(name, answers_table="Registry")
        shelf = Shelf(store, FakeRegistry())
        shelf.put(record)
        with pytest.raises(StoreUnavailableError):
            store.decide(shelf.effect(record, RETRY), ANSWER)
        assert store.record(record.key) == record
        absent = LedgerAdminStore("Other", answers_table="Registry")
        with pytest.raises(StoreUnavailableError):
            absent.decisions("agr_1", "", 1)
        with pytest.raises(StoreUnavailableError):
            list(absent.attention())


def test_a_record_of_before_there_were_decisions_is_read_as_undecided() -> None:
    """As stored without the attributes that came with them."""
    record = doubtful()
    with mocked_table("Ledger", "pending") as name:
        store = LedgerAdminStore(name, answers_table="Registry")
        Shelf(store, FakeRegistry()).put(record)
        item = boto3.client("dynamodb", region_name=REGION).get_item(
            TableName=name, Key={"pk": {"S": "agr_1"}, "sk": {"S": "record#2026-11-24T10#requests"}}
        )["Item"]
        assert {"decision", "re_dated_from"}.isdisjoint(item)
        assert item["pending_pk"] == {"S": "attention"}
        assert store.record(record.key) == record
