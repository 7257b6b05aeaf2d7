"""One contract, two ledgers: corrections in the fake that use cases are tested with, and in DynamoDB."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import boto3
import pytest

from builders import NOON
from correction_setup import ANNA, OCTOBER, correction
from dynamodb import REGION, make_table, mocked_table
from fakes.ledger import FakeLedger
from fakes.registry import FakeRegistry
from meterbridge.adapters.dynamodb.ledger_decisions import LedgerAdminStore
from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.application.ledger_admin import LedgerAdmin
from meterbridge.application.registry_admin import Answer, AnsweredError, RegistryAdmin
from meterbridge.domain.correcting import approved, submitting, withdrawn
from meterbridge.domain.corrections import Correction, CorrectionKey, CorrectionState
from meterbridge.domain.errors import StaleVersionError, StoreUnavailableError
from meterbridge.domain.ledger_head import LedgerHead, Position
from meterbridge.domain.over_reported import CorrectionWrite
from meterbridge.domain.windows import BillingPeriod

NOVEMBER = BillingPeriod(2026, 11)
ANSWER = Answer("key_ops", "k1", "hash", 200, '{"id": "x"}', NOON)
Shelf = tuple[LedgerAdmin, RegistryAdmin]


@pytest.fixture(params=["fake", "dynamodb"])
def shelf(request: pytest.FixtureRequest) -> Iterator[Shelf]:
    if request.param == "fake":
        registry = FakeRegistry()
        yield FakeLedger(registry), registry
        return
    with mocked_table("Ledger", "pending") as name:
        make_table("Registry", "ref", "by_reference")
        yield LedgerAdminStore(name, answers_table="Registry"), RegistryStore("Registry")


def head(version: int = 1) -> LedgerHead:
    over = Position(Decimal(15), Decimal(20), Decimal(-5))
    return LedgerHead(
        agreement_id="agr_1",
        version=version,
        live_from=NOVEMBER,
        settled_at=NOON,
        settled_through=None,
        positions={"requests": {OCTOBER: over}},
    )


def drafted(ledger: LedgerAdmin) -> Correction:
    ledger.commit(head(), expected_version=0, new_records=())
    draft = correction()
    ledger.write_correction(CorrectionWrite(None, draft))
    return draft


def approval(draft: Correction, known: LedgerHead) -> CorrectionWrite:
    return approved(draft, known, draft.quantity, at=NOON, by=ANNA, reason="Ü\n…")


def test_a_correction_and_its_head_come_back_to_the_last_digit(shelf: Shelf) -> None:
    ledger, _ = shelf
    draft = drafted(ledger)
    assert ledger.correction(draft.key) == draft
    assert ledger.correction(replace(draft.key, number=2)) is None
    write = approval(draft, head())
    exact = Decimal("0.123456789012345678901234567890123456789")
    request = {"agreementId": "agmt-1", "originalInvoiceId": "inv-1"}
    after = replace(
        write.after,
        amount=replace(draft.amount, amount=exact),
        request=request,
        first_sent_at=NOON + timedelta(microseconds=1),
    )
    ledger.write_correction(replace(write, after=after))
    assert ledger.correction(draft.key) == after
    assert ledger.head("agr_1") == write.head
    assert write.head is not None
    assert write.head.corrected == {"requests": {OCTOBER: Decimal(5)}}


def test_a_draft_is_written_once(shelf: Shelf) -> None:
    ledger, _ = shelf
    draft = drafted(ledger)
    with pytest.raises(StaleVersionError):
        ledger.write_correction(CorrectionWrite(None, draft))
    assert ledger.corrections("agr_1") == [draft]


def test_an_approval_on_a_head_that_was_settled_meanwhile_changes_nothing(shelf: Shelf) -> None:
    ledger, registry = shelf
    draft = drafted(ledger)
    write = approval(draft, head())
    ledger.commit(head(2), expected_version=1, new_records=())
    with pytest.raises(StaleVersionError):
        ledger.write_correction(write, ANSWER)
    assert (ledger.correction(draft.key), ledger.head("agr_1")) == (draft, head(2))
    assert registry.answer("key_ops", "k1", NOON) is None


def test_a_settlement_on_a_head_from_before_an_approval_fails(shelf: Shelf) -> None:
    ledger, _ = shelf
    ledger.write_correction(approval(drafted(ledger), head()))
    with pytest.raises(StaleVersionError):
        ledger.commit(head(2), expected_version=1, new_records=())


def test_of_two_changes_of_one_correction_the_second_fails(shelf: Shelf) -> None:
    ledger, _ = shelf
    draft = drafted(ledger)
    write = withdrawn(draft, head(), at=NOON, by=ANNA, reason="no")
    assert write.head is None
    ledger.write_correction(write)
    with pytest.raises(StaleVersionError):
        ledger.write_correction(approval(draft, head()))
    assert ledger.head("agr_1") == head()
    assert ledger.correction(draft.key) == write.after


def test_an_answer_is_kept_with_the_change_and_only_once(shelf: Shelf) -> None:
    ledger, registry = shelf
    write = approval(drafted(ledger), head())
    ledger.write_correction(write, ANSWER)
    assert registry.answer("key_ops", "k1", NOON) == ANSWER
    assert write.head is not None
    back = withdrawn(write.after, write.head, at=NOON, by=ANNA, reason="no")
    with pytest.raises(AnsweredError):
        ledger.write_correction(back, ANSWER)
    assert ledger.correction(write.after.key) == write.after


def test_corrections_are_listed_by_agreement_and_by_state_in_order(shelf: Shelf) -> None:
    ledger, _ = shelf
    keys = [
        CorrectionKey("agr_1", "requests", OCTOBER, 1),
        CorrectionKey("agr_1", "requests", OCTOBER, 2),
        CorrectionKey("agr_1", "requests", OCTOBER, 12),
        CorrectionKey("agr_1", "tokens", OCTOBER, 1),
        CorrectionKey("agr_1", "requests", NOVEMBER, 1),
        CorrectionKey("agr_2", "requests", OCTOBER, 1),
    ]
    for key in reversed(keys):
        ledger.write_correction(CorrectionWrite(None, correction(key=key)))
    assert [each.key for each in ledger.corrections("agr_1")] == keys[:5]
    assert ledger.corrections("agr_3") == []
    drafts = [each.key for each in ledger.corrections_in(CorrectionState.DRAFTED)]
    assert drafts == keys
    later = [each.key for each in ledger.corrections_in(CorrectionState.DRAFTED, keys[2])]
    assert later == keys[3:]
    first = ledger.correction(keys[0])
    assert first is not None
    gone = withdrawn(first, head(), at=NOON, by=ANNA, reason="no")
    ledger.write_correction(gone)
    assert [each.key for each in ledger.corrections_in(CorrectionState.DRAFTED)] == keys[1:]
    assert list(ledger.corrections_in(CorrectionState.WITHDRAWN)) == [gone.after]
    assert ledger.records("agr_1") == []
    assert ledger.decisions("agr_1", "", 10) == []


def test_what_was_sent_is_kept_as_it_was_sent(shelf: Shelf) -> None:
    ledger, _ = shelf
    write = approval(drafted(ledger), head())
    ledger.write_correction(write)
    request = {"agreementId": "agmt-1", "originalInvoiceId": "inv-1", "description": "ü"}
    sent = submitting(write.after, request, at=NOON)
    ledger.write_correction(sent)
    known = ledger.correction(sent.after.key)
    assert known is not None
    assert (dict(known.request), known.attempts, known.state) == (
        request,
        1,
        CorrectionState.SUBMITTED,
    )


def test_a_store_that_is_gone_is_unavailable() -> None:
    with mocked_table("Ledger", "pending") as name:
        ledger = LedgerAdminStore(name, answers_table="Registry")
        boto3.client("dynamodb", region_name=REGION).delete_table(TableName=name)
        draft = correction()
        for call in (
            lambda: ledger.correction(draft.key),
            lambda: ledger.corrections("agr_1"),
            lambda: list(ledger.corrections_in(CorrectionState.DRAFTED)),
            lambda: ledger.write_correction(CorrectionWrite(None, draft)),
        ):
            with pytest.raises(StoreUnavailableError):
                call()
