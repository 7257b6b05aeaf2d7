"""Drafts and approvals, killed anywhere, repeated, and in the middle of each other and of settlements."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from builders import GRACE, at
from decision_setup import OPERATOR, next_id, unanswered
from killing import Fused
from meterbridge.application.decide_corrections import Approval, CorrectionDesk
from meterbridge.application.decide_records import DecisionOrder, decide_record
from meterbridge.application.draft_corrections import draft_agreement
from meterbridge.application.refusals import InvalidRequestError
from meterbridge.application.registry_admin import Answer
from meterbridge.domain.api_keys import Caller, Scope
from meterbridge.domain.corrections import Correction, CorrectionKey, CorrectionState
from meterbridge.domain.decisions import DecisionAction
from meterbridge.domain.errors import NotFoundError, RefusedDecisionError, StaleVersionError
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.metering_record import RecordKey
from meterbridge.domain.money import ZERO, exact_sum
from meterbridge.domain.offerings import Channel
from meterbridge.domain.statement import Bucket
from meterbridge.domain.windows import BillingPeriod
from world import World

START = at("2026-10-24T10:03:00")
OCTOBER = BillingPeriod(2026, 10)
KEY = CorrectionKey("agr_acme", "requests", OCTOBER, 1)
THREE = Decimal(3)


def no_answer(_: Correction) -> Answer | None:
    return None


def requests(count: int, moment: Any, prefix: str) -> list[UsageEvent]:
    return [
        UsageEvent(
            product_id="prd_llm",
            source="app",
            id=f"{prefix}{number}",
            type="llm.request",
            subject="acme",
            occurred_at=moment,
            values={"tokens": "0"},
        )
        for number in range(count)
    ]


class Office:
    """8 requests of October are on the bill where 5 were used; nothing made up for it until December."""

    def __init__(self) -> None:
        self.world = world = World(START)
        names = ("head", "records", "commit", "correction", "corrections", "write_correction")
        self.ledger: Any = Fused(world.real_ledger, world.fuse, *names)
        self.desk = CorrectionDesk(world.registry, self.ledger, world.queue, world.clock)
        world.clock.set(at("2026-10-24T10:10"))
        world.report_elsewhere("acme", 8)
        world.send(requests(5, at("2026-10-24T09:30"), "o"))
        world.clock.set(at("2026-10-24T10:20"))
        world.cycle()
        decide_record(
            RecordKey("agr_acme", "requests", at("2026-10-24T09")),
            DecisionOrder(DecisionAction.CONFIRM, "the bill says 8", Decimal(8)),
            caller=OPERATOR,
            registry=world.registry,
            ledger=world.ledger,
            queue=world.queue,
            clock=world.clock,
            grace=GRACE,
            new_id=next_id,
            answering=unanswered,
        )
        world.clock.set(at("2026-12-08T12:20"))
        world.settle("agr_acme")

    def draft(self) -> None:
        world = self.world
        draft_agreement("agr_acme", registry=world.registry, ledger=self.ledger, clock=world.clock)

    def settle(self) -> None:
        """As the deployed function does."""
        self.world.settle("agr_acme")
        self.draft()

    def approve(self, quantity: str = "3", caller: Caller = OPERATOR, **ids: str) -> Correction:
        return self.desk.approve(
            KEY,
            Approval("not ours", Decimal(quantity), **ids),
            caller=caller,
            answering=no_answer,
        )

    def withdraw(self) -> Correction:
        return self.desk.withdraw(KEY, "a gift", caller=OPERATOR, answering=no_answer)

    def complete(self) -> Correction:
        return self.desk.complete(KEY, "credited", "ba-1", caller=OPERATOR, answering=no_answer)

    def use(self, count: int) -> None:
        """So many requests in the hour that has just ended."""
        world = self.world
        world.send(requests(count, world.clock.now() - timedelta(minutes=30), "n"))
        world.clock.advance(timedelta(hours=1))
        world.aggregate()

    @property
    def known(self) -> Correction:
        found = self.world.real_ledger.correction(KEY)
        assert found is not None
        return found

    def net(self) -> Decimal:
        """What the buyer has paid for requests, less what was given back."""
        billed = [
            amount
            for (dimension, _), amount in self.world.bill("acme").items()
            if dimension == "requests"
        ]
        corrections = self.world.real_ledger.corrections("agr_acme")
        given_back = [each.quantity for each in corrections if each.in_force]
        return exact_sum(billed) - exact_sum(given_back)

    def check(self) -> None:
        """Statements balance, and the head knows what the corrections say."""
        statements = self.world.books("acme")
        assert all(line.balanced for each in statements for line in each.lines)
        head = self.world.real_ledger.head("agr_acme")
        assert head is not None
        corrections = self.world.real_ledger.corrections("agr_acme")
        given_back = exact_sum(each.quantity for each in corrections if each.in_force)
        assert exact_sum(head.corrected.get("requests", {}).values()) == given_back
        told = [each.lines[0].buckets[Bucket.CORRECTED] for each in statements]
        assert exact_sum(told) == -given_back

    def let_run(self) -> None:
        self.world.drain()
        self.settle()
        self.world.report()
        self.settle()


@pytest.mark.parametrize("half_step", range(24))
def test_drafting_killed_anywhere_leaves_one_draft_when_repeated(half_step: int) -> None:
    office = Office()
    killed = office.world.run_killed(office.settle, half_step)
    assert killed == (half_step < 18), "settling makes four calls, drafting five"
    office.settle()
    office.settle()
    assert [each.key for each in office.world.real_ledger.corrections("agr_acme")] == [KEY]
    assert (office.known.quantity, office.known.version) == (THREE, 1)
    office.check()


@pytest.mark.parametrize("half_step", range(12))
def test_two_that_draft_at_once_leave_one_draft(half_step: int) -> None:
    office = Office()
    office.world.run_overlapped(office.draft, half_step, office.draft)
    assert [each.version for each in office.world.real_ledger.corrections("agr_acme")] == [1]


@pytest.mark.parametrize("half_step", range(16))
def test_an_approval_killed_anywhere_is_there_or_not_and_can_be_repeated(half_step: int) -> None:
    office = Office()
    office.settle()
    killed = office.world.run_killed(office.approve, half_step)
    approved = office.known.state is CorrectionState.APPROVED
    assert approved or killed
    office.check()
    if approved and killed:
        with pytest.raises(RefusedDecisionError) as refusal:
            office.approve()
        assert refusal.value.code == "correction_approved"
    elif killed:
        office.approve()
    assert [each.state for each in office.known.history] == ["drafted", "approved"]
    office.let_run()
    office.check()
    office.use(4)
    office.let_run()
    assert office.net() == 5 + 4


@pytest.mark.parametrize("half_step", range(16))
def test_a_settlement_in_the_middle_of_an_approval(half_step: int) -> None:
    """Usage that makes up for it comes in between: either it is given back, or made up for."""
    office = Office()
    office.settle()
    office.use(2)
    refused = ""
    try:
        office.world.run_overlapped(office.approve, half_step, office.settle)
    except (RefusedDecisionError, StaleVersionError) as refusal:
        refused = getattr(refusal, "code", "stale")
    office.check()
    if refused:
        assert refused in ("correction_outdated", "stale")
        assert (office.known.state, office.known.quantity) == (CorrectionState.DRAFTED, 1)
        office.approve("1")
    office.let_run()
    office.check()
    assert office.net() == 5 + 2
    assert office.known.quantity == (1 if refused else 3)


@pytest.mark.parametrize("half_step", range(20))
def test_an_approval_in_the_middle_of_a_settlement(half_step: int) -> None:
    office = Office()
    office.settle()
    office.use(2)
    refused = []

    def attempt() -> None:
        try:
            office.approve()
        except RefusedDecisionError as refusal:
            refused.append(refusal.code)

    office.world.run_overlapped(office.settle, half_step, attempt)
    office.check()
    office.let_run()
    office.check()
    if refused == ["correction_outdated"]:
        assert office.known.quantity == 1
        office.approve("1")
        office.let_run()
    assert office.net() == 5 + 2


@pytest.mark.parametrize("half_step", range(12))
def test_of_two_people_at_once_one_wins_and_the_other_is_told(half_step: int) -> None:
    office = Office()
    office.settle()
    told = []

    def attempt(act: Any) -> None:
        try:
            act()
        except (RefusedDecisionError, StaleVersionError) as refusal:
            told.append(type(refusal).__name__)

    office.world.run_overlapped(
        lambda: attempt(office.approve), half_step, lambda: attempt(office.withdraw)
    )
    office.check()
    states = [each.state.value for each in office.known.history]
    if office.known.state is CorrectionState.APPROVED:
        assert told, "the withdrawal came too early or too late"
    else:
        # Approved first and withdrawn then, or only withdrawn.
        assert states in (["drafted", "withdrawn"], ["drafted", "approved", "withdrawn"])
    office.use(4)
    office.let_run()
    office.check()
    assert office.net() == 5 + 4


def test_a_withdrawn_approval_is_made_up_for_by_later_usage() -> None:
    office = Office()
    office.settle()
    office.approve()
    office.withdraw()
    office.check()
    assert office.net() == 8
    office.use(4)
    office.let_run()
    office.check()
    assert office.net() == 5 + 4


def test_a_completed_correction_is_for_ever_and_later_usage_is_billed_in_full() -> None:
    office = Office()
    office.settle()
    office.approve(marketplace_agreement_id="agmt-1", invoice_id="inv-1")
    office.complete()
    known = office.known
    assert (known.state, known.reference) == (CorrectionState.COMPLETED, "ba-1")
    assert (known.marketplace_agreement_id, known.invoice_id) == ("agmt-1", "inv-1")
    assert [(each.state, each.by.key_id, each.reason) for each in known.history[1:]] == [
        (CorrectionState.APPROVED, "key_ops", "not ours"),
        (CorrectionState.COMPLETED, "key_ops", "credited"),
    ]
    with pytest.raises(RefusedDecisionError, match="for ever"):
        office.withdraw()
    for _ in range(3):
        office.use(4)
        office.let_run()
        office.check()
    assert office.net() == 5 + 12


def test_an_approval_of_another_quantity_than_was_seen_is_refused() -> None:
    office = Office()
    office.settle()
    with pytest.raises(RefusedDecisionError) as refusal:
        office.approve("4")
    assert refusal.value.code == "correction_outdated"
    assert office.world.queue.agreement_ids[-1] == "agr_acme"
    assert office.known.state is CorrectionState.DRAFTED


def test_a_draft_that_usage_made_up_for_is_withdrawn_by_the_next_settlement() -> None:
    office = Office()
    office.settle()
    office.use(9)
    office.let_run()
    assert (office.known.state, office.known.history[-1].by.key_id) == ("withdrawn", "")
    office.check()
    assert office.net() == 5 + 9


def test_a_key_of_another_product_sees_no_correction() -> None:
    office = Office()
    office.settle()
    other = Caller("key_b", frozenset({Scope.ADMIN}), frozenset({"prd_b"}))
    with pytest.raises(NotFoundError):
        office.approve(caller=other)
    with pytest.raises(NotFoundError):
        office.desk.evidence(KEY, caller=other)
    assert list(office.desk.corrections_in(CorrectionState.DRAFTED, None, caller=other)) == []
    assert [
        each.key
        for each in office.desk.corrections_in(CorrectionState.DRAFTED, None, caller=OPERATOR)
    ] == [KEY]


def test_ids_of_aws_are_not_taken_for_another_marketplace() -> None:
    office = Office()
    office.settle()
    ledger = office.world.real_ledger
    ledger._corrections[KEY] = replace(office.known, channel=Channel.AZURE)
    with pytest.raises(InvalidRequestError) as refusal:
        office.approve(marketplace_agreement_id="agmt-1", invoice_id="inv-1")
    assert [each.pointer for each in refusal.value.faults] == [
        "/marketplace_agreement_id",
        "/invoice_id",
    ]


def test_the_evidence_is_the_records_that_the_marketplace_accepted() -> None:
    office = Office()
    office.settle()
    evidence = office.desk.evidence(KEY, caller=OPERATOR)
    (record,) = evidence.records
    assert (record.hour, record.quantity, record.of_period) == (at("2026-10-24T09"), 8, 8)
    assert evidence.listing == "prodcode123"
    assert evidence.correction.amount.amount == Decimal("0.03")
    assert evidence.correction.figures.made_up == ZERO
