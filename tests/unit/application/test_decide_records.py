"""A person's decision, killed anywhere and in the middle of everything else: all of it or nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from builders import GRACE, at
from decision_setup import OPERATOR, next_id, unanswered
from killing import Fused
from meterbridge.application.decide_records import (
    DecisionOrder,
    decide_record,
    records_awaiting_person,
)
from meterbridge.application.refusals import InvalidRequestError
from meterbridge.domain.agreements import RecoveryPolicy
from meterbridge.domain.api_keys import Caller, Scope
from meterbridge.domain.decisions import Decision, DecisionAction
from meterbridge.domain.errors import NotFoundError, RefusedDecisionError, StaleVersionError
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.metering_record import MeteringRecord, RecordKey, RecordState
from meterbridge.domain.statement import Bucket
from world import World

START = at("2026-11-24T10:03:00")
CLOSED = at("2026-11-24T10:20:00")
"""When the hour of 9 o'clock is complete."""
RETRY, CONFIRM = DecisionAction.RETRY, DecisionAction.CONFIRM
WRITE_OFF, RE_DATE = DecisionAction.WRITE_OFF, DecisionAction.RE_DATE
HALF_STEPS = range(12)
"""A decision makes up to five calls to the outside: agreement, head, record, decide and enqueue, or
to re-date the record of the new hour as well."""


def five_requests() -> list[UsageEvent]:
    return [
        UsageEvent(
            product_id="prd_llm",
            source="app",
            id=f"{number}",
            type="llm.request",
            subject="acme",
            occurred_at=START - timedelta(minutes=30),
            values={"tokens": "0"},
        )
        for number in range(5)
    ]


class Office:
    """A person with an API key, and the pipeline with a record that waits for them."""

    def __init__(self, world: World) -> None:
        self.world = world
        names = ("head", "record", "decide")
        self.ledger: Any = Fused(world.real_ledger, world.fuse, *names)

    @property
    def waiting(self) -> list[MeteringRecord]:
        return list(self.list_for(OPERATOR))

    def list_for(self, caller: Caller) -> list[MeteringRecord]:
        world = self.world
        return list(
            records_awaiting_person(
                None, caller=caller, registry=world.real_registry, ledger=world.real_ledger
            )
        )

    def decide(self, action: DecisionAction, caller: Caller = OPERATOR, **more: Any) -> Decision:
        """About the one record there is of 9 o'clock."""
        return decide_record(
            RecordKey("agr_acme", "requests", at("2026-11-24T09")),
            DecisionOrder(action, "asked the marketplace", **more),
            caller=caller,
            registry=self.world.registry,
            ledger=self.ledger,
            queue=self.world.queue,
            clock=self.world.clock,
            grace=GRACE,
            new_id=next_id,
            answering=unanswered,
        )

    def made(self) -> list[DecisionAction]:
        decisions = self.world.real_ledger.decisions("agr_acme", "", 10)
        return [decision.action for decision in decisions]

    def found(self) -> dict[Bucket, Decimal]:
        """Requests by bucket, of statements that balance."""
        lines = [each.lines[0] for each in self.world.statements("acme")]
        assert all(line.balanced for line in lines)
        sums = {bucket: sum(line.buckets[bucket] for line in lines) for bucket in Bucket}
        return {bucket: Decimal(amount) for bucket, amount in sums.items() if amount}

    def billed(self) -> Decimal:
        return sum(self.world.bill("acme").values(), Decimal(0))

    def let_run(self, times: int = 6) -> None:
        for _ in range(times):
            self.world.clock.advance(timedelta(minutes=15))
            self.world.cycle()


def in_doubt(*, booked: bool) -> Office:
    """Sent, no answer until the window closed; and whether the marketplace has it."""
    world = World(START)
    world.send(five_requests())
    world.clock.set(CLOSED)
    world.sweep()
    world.drain()
    if booked:
        world.aws.lose_answers = 1
    else:
        world.aws.refuse = "InternalServiceErrorException"
    world.report()
    world.clock.advance(timedelta(hours=30))
    world.report()
    world.aws.refuse = ""
    return Office(world)


def held(recovery: RecoveryPolicy = RecoveryPolicy.MANUAL) -> Office:
    """Never let in until the window closed."""
    world = World(START)
    known = world.real_registry.agreement("agr_acme")
    world.real_registry.save_agreement(replace(known, recovery=recovery, version=known.version + 1))
    world.send(five_requests())
    world.clock.set(CLOSED)
    world.sweep()
    world.drain()
    world.clock.advance(timedelta(hours=30))
    world.cycle()
    return Office(world)


def taken_by_others() -> Office:
    """Somebody else of the seller's reported 3 for our hour; AWS does not tell how many."""
    world = World(START)
    world.clock.set(at("2026-11-24T10:10"))
    world.report_elsewhere("acme", 3)
    world.send(five_requests())
    world.clock.set(CLOSED)
    world.cycle()
    return Office(world)


def hour_before(office: Office) -> Any:
    now = office.world.clock.now()
    return now.replace(minute=0, second=0) - timedelta(hours=2)


def retry_unbooked(office: Office) -> None:
    office.decide(RETRY)


def confirm_booked(office: Office) -> None:
    office.decide(CONFIRM, accepted_quantity=Decimal(5))


def confirm_of_others(office: Office) -> None:
    office.decide(CONFIRM, accepted_quantity=Decimal(3))


def write_off(office: Office) -> None:
    office.decide(WRITE_OFF)


def re_date(office: Office) -> None:
    office.decide(RE_DATE, new_hour=hour_before(office))


Act = Callable[[Office], None]
Make = Callable[[], Office]
CASES: dict[str, tuple[Make, Act, dict[Bucket, int], int]] = {
    "doubt_retried": (lambda: in_doubt(booked=False), retry_unbooked, {Bucket.ACCEPTED: 5}, 5),
    "doubt_confirmed": (lambda: in_doubt(booked=True), confirm_booked, {Bucket.ACCEPTED: 5}, 5),
    "doubt_written_off": (lambda: in_doubt(booked=False), write_off, {Bucket.WRITTEN_OFF: 5}, 0),
    "others_confirmed": (taken_by_others, confirm_of_others, {Bucket.ACCEPTED: 5}, 5),
    "held_retried": (held, retry_unbooked, {Bucket.ACCEPTED: 5}, 5),
    "never_retried": (
        lambda: held(RecoveryPolicy.NEVER),
        retry_unbooked,
        {Bucket.ACCEPTED: 5},
        5,
    ),
    "held_written_off": (held, write_off, {Bucket.WRITTEN_OFF: 5}, 0),
    "held_re_dated": (held, re_date, {Bucket.ACCEPTED: 5}, 5),
}


@pytest.mark.parametrize("name", CASES)
def test_a_decision_is_carried_out_to_the_last_unit(name: str) -> None:
    make, act, expected, billed = CASES[name]
    office = make()
    assert [str(each.key) for each in office.waiting] == ["agr_acme/requests/2026-11-24T09"]
    office.let_run(2)
    assert len(office.waiting) == 1, "nobody but a person goes on with it"
    act(office)
    assert office.waiting == []
    office.found()
    office.let_run()
    assert (office.found(), office.billed()) == (expected, billed)
    kept = office.world.real_ledger.record(RecordKey("agr_acme", "requests", at("2026-11-24T09")))
    assert kept is not None
    assert kept.decision is not None
    assert office.made() == [kept.decision.action]


@pytest.mark.parametrize("half_step", HALF_STEPS)
@pytest.mark.parametrize("name", CASES)
def test_a_decision_killed_anywhere_is_there_or_not_and_can_be_repeated(
    name: str, half_step: int
) -> None:
    make, act, expected, billed = CASES[name]
    office = make()
    before = office.found()
    killed = office.world.run_killed(lambda: act(office), half_step)
    done = office.made()
    written_at = 9 if act is re_date else 7
    assert len(done) == (0 if killed and half_step < written_at else 1)
    if not done:
        assert (office.found(), len(office.waiting)) == (before, 1)
    if killed:
        try:
            act(office)
        except RefusedDecisionError:
            assert done, "nothing was decided, and yet it cannot be"
    office.let_run()
    assert (office.found(), office.billed(), len(office.made())) == (expected, billed, 1)


def test_what_was_released_is_found_though_the_message_was_lost() -> None:
    for make in (lambda: in_doubt(booked=False), held):
        office = make()
        assert office.world.run_killed(lambda office=office: retry_unbooked(office), 8)
        assert office.made() == [RETRY]
        assert office.world.queue.agreement_ids == []
        assert list(office.world.real_ledger.waiting()) == ["agr_acme"]
        office.let_run()
        assert (office.found(), office.billed()) == ({Bucket.ACCEPTED: 5}, 5)


@pytest.mark.parametrize("half_step", range(24))
@pytest.mark.parametrize("name", CASES)
def test_a_decision_in_the_middle_of_a_settlement(name: str, half_step: int) -> None:
    make, act, expected, billed = CASES[name]
    office = make()
    world = office.world
    world.run_overlapped(lambda: world.settle("agr_acme"), half_step, lambda: act(office))
    if not office.made():
        act(office)
    office.found()
    office.let_run()
    assert (office.found(), office.billed(), len(office.made())) == (expected, billed, 1)


@pytest.mark.parametrize("half_step", HALF_STEPS)
@pytest.mark.parametrize("name", CASES)
def test_a_settlement_or_a_whole_cycle_in_the_middle_of_a_decision(
    name: str, half_step: int
) -> None:
    make, act, expected, billed = CASES[name]
    for other in ("settle", "cycle", "later"):
        office = make()
        world = office.world
        steps = {
            "settle": lambda world=world: world.settle("agr_acme"),
            "cycle": world.cycle,
            "later": lambda office=office: office.let_run(1),
        }
        world.run_overlapped(lambda office=office: act(office), half_step, steps[other])
        office.let_run()
        assert (office.found(), office.billed(), len(office.made())) == (expected, billed, 1)


@pytest.mark.parametrize("half_step", range(10))
@pytest.mark.parametrize(("first", "second"), [("retry", "write_off"), ("write_off", "retry")])
@pytest.mark.parametrize("doubt", [True, False])
def test_of_two_decisions_at_once_one_wins_and_the_other_is_told(
    first: str, second: str, doubt: bool, half_step: int
) -> None:
    office = in_doubt(booked=False) if doubt else held()
    winners: list[str] = []

    def attempt(action: str) -> None:
        try:
            office.decide(DecisionAction(action))
        except (StaleVersionError, RefusedDecisionError):
            return
        winners.append(action)

    office.world.run_overlapped(lambda: attempt(first), half_step, lambda: attempt(second))
    assert winners == office.made()
    assert winners == [first if half_step >= 7 else second]
    office.let_run()
    expected = {"retry": Bucket.ACCEPTED, "write_off": Bucket.WRITTEN_OFF}[winners[0]]
    assert office.found() == {expected: 5}


def test_an_expired_record_under_automatic_recovery_waits_for_nobody() -> None:
    office = held(RecoveryPolicy.AUTOMATIC)
    assert office.waiting == []
    office.let_run()
    assert office.found() == {Bucket.ACCEPTED: 5}
    states = {record.state for record in office.world.real_ledger.records("agr_acme")}
    assert states == {RecordState.EXPIRED, RecordState.ACCEPTED}


def test_a_key_of_another_product_sees_nothing_to_decide() -> None:
    office = held()
    other = Caller("key_b", frozenset({Scope.ADMIN}), frozenset({"prd_b"}))
    assert office.list_for(other) == []
    with pytest.raises(NotFoundError):
        office.decide(RETRY, other)
    assert office.made() == []


@pytest.mark.parametrize(
    ("action", "more", "fault"),
    [
        (RETRY, {"accepted_quantity": Decimal(1)}, ("unexpected", "/accepted_quantity")),
        (WRITE_OFF, {"new_hour": START}, ("unexpected", "/hour")),
        (CONFIRM, {}, ("missing", "/accepted_quantity")),
        (RE_DATE, {}, ("missing", "/hour")),
    ],
)
def test_what_an_action_needs_and_does_not_take_is_named(
    action: DecisionAction, more: dict[str, Any], fault: tuple[str, str]
) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        DecisionOrder(action, "why", **more)
    assert [(each.code, each.pointer) for each in refusal.value.faults] == [fault]
