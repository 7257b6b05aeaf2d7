"""Asking for a stopped buyer, killed anywhere and done twice at once: billed once, and set going."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from threading import Barrier, Thread

import pytest

from builders import NOON, at, metering_record
from fakes.marketplace import FakeMarketplace, answer_lost, answering, never_arrived
from killing import Fuse, Fused, Killed
from meterbridge.application.manage_agreements import patched
from meterbridge.application.report_usage import Progress
from meterbridge.domain.agreements import AgreementState
from meterbridge.domain.errors import StoreUnavailableError
from meterbridge.domain.metering_record import MeteringRecord, RecordState, ReportOutcome
from reporting_setup import Reporting

HOURS = [at(f"2026-11-24T{hour:02d}") for hour in (7, 8, 9, 10)]
NEWEST = HOURS[-1]
HOUR = timedelta(hours=1)
ACCEPTED = RecordState.ACCEPTED


def waiting() -> list[MeteringRecord]:
    return [
        metering_record(hour=hour, code=code, quantity="5") for hour in HOURS for code in ("a", "b")
    ]


class Stopped:
    """An agreement whose buyer was refused some time ago, and what is around it."""

    def __init__(
        self, *, entitled: bool, refused_ago: timedelta = 2 * HOUR, count: int = 8
    ) -> None:
        self.fake = FakeMarketplace()
        self.reporting = Reporting(marketplace=self.fake)
        self.records = waiting()[:count]
        self.reporting.add(*self.records)
        self.reporting.registry.suspend("agr_1", "CustomerNotSubscribed")
        marked = self.records[0].submitted(
            self.fake.build(self.records[0]).entry, at=NOON - refused_ago
        )
        self.reporting.ledger.save(marked, expected_state=RecordState.PENDING, expected_attempts=0)
        refused = replace(marked.unsent(), refused_at=NOON - refused_ago)
        self.reporting.ledger.save(
            refused, expected_state=RecordState.SUBMITTED, expected_attempts=1
        )
        if not entitled:
            self.fake.refused = {record.key: ReportOutcome.NOT_ENTITLED for record in self.records}
        self.fuse = Fuse()
        reporting = self.reporting
        reporting.ledger = Fused(reporting.ledger, self.fuse, "save", "pending")
        reporting.marketplace = Fused(self.fake, self.fuse, "submit")
        reporting.registry = Fused(reporting.registry, self.fuse, "agreement", "suspend", "resume")

    def state(self) -> AgreementState:
        found: AgreementState = self.reporting.registry.agreement("agr_1").state
        return found

    def states(self) -> Counter[RecordState]:
        return Counter(self.reporting.states(self.records))

    def run(self) -> None:
        self.reporting.run()

    def run_killed(self, at_step: int) -> bool:
        self.fuse.arm(at_step)
        try:
            self.reporting.run()
        except Killed:
            return True
        finally:
            self.fuse.arm(None)
        return False

    def check_billed(self) -> None:
        assert {key: entry["quantity"] for key, entry in self.fake.booked.items()} == {
            record.key: "5" for record in self.records
        }
        assert self.states() == Counter({ACCEPTED: len(self.records)})
        assert self.state() is AgreementState.ACTIVE


def test_the_newest_record_asks_and_the_others_follow_in_the_same_run() -> None:
    stopped = Stopped(entitled=True)
    summary = stopped.reporting.run()
    assert [len(call) for call in stopped.fake.calls] == [1, 7]
    assert stopped.fake.calls[0][0].hour == NEWEST
    assert summary.counts == Counter({ACCEPTED: 8})
    assert (summary.resumed, summary.suspended) == (("agr_1",), ())
    stopped.check_billed()


def test_with_one_round_the_others_follow_in_the_next_run() -> None:
    stopped = Stopped(entitled=True)
    summary = stopped.reporting.run(rounds=1)
    assert summary.counts == Counter({ACCEPTED: 1, Progress.WAITING: 7})
    assert stopped.reporting.later().counts == Counter({ACCEPTED: 7})
    stopped.check_billed()


def test_refused_again_the_record_is_as_if_never_sent_and_waits_an_hour() -> None:
    stopped = Stopped(entitled=False)
    summary = stopped.reporting.run()
    assert summary.counts == Counter({Progress.HELD: 8})
    assert (summary.resumed, summary.suspended) == ((), ())
    assert len(stopped.fake.calls) == 1
    assert stopped.states() == Counter({RecordState.PENDING: 8})
    assert {stopped.reporting.ledger.record(each.key).attempts for each in stopped.records} == {0}
    for _ in range(11):
        assert stopped.reporting.later().counts == Counter({Progress.HELD: 8})
    assert len(stopped.fake.calls) == 1
    stopped.reporting.later()
    assert len(stopped.fake.calls) == 2


def test_killed_before_or_after_any_read_write_or_call_it_is_billed_once_and_set_going() -> None:
    step, killed = 0, True
    while killed:
        stopped = Stopped(entitled=True)
        killed = stopped.run_killed(step)
        for _ in range(3):
            stopped.reporting.later()
        stopped.check_billed()
        step += 1
    # Reading what is pending and the agreement; 8 marks, 8 saves, 2 calls, and setting it going.
    assert step == 2 * (1 + 1 + 8 + 8 + 2 + 1) + 1


def test_killed_anywhere_the_only_record_sets_its_agreement_going() -> None:
    for step in range(13):
        stopped = Stopped(entitled=True, count=1)
        stopped.run_killed(step)
        stopped.reporting.later()
        stopped.check_billed()


@pytest.mark.parametrize("entitled", [True, False])
def test_a_second_run_in_the_middle_of_the_first_asks_and_bills_once(entitled: bool) -> None:
    for step in range(44):
        stopped = Stopped(entitled=entitled)
        stopped.fuse.arm(step, stopped.run)
        stopped.reporting.run()
        stopped.fuse.arm(None)
        if entitled:
            stopped.reporting.later()
            stopped.check_billed()
        else:
            # Reading what the other has just changed may ask once more, and never more than that.
            assert len(stopped.fake.calls) <= 2, step
            assert stopped.fake.booked == {}
            assert stopped.states() <= Counter({RecordState.PENDING: 8, RecordState.SUBMITTED: 1})
            assert stopped.state() is AgreementState.SUSPENDED


def test_two_runs_at_once_bill_everything_once() -> None:
    for _ in range(20):
        stopped = Stopped(entitled=True)
        start = Barrier(2)

        def report(stopped: Stopped = stopped, start: Barrier = start) -> None:
            start.wait()
            stopped.reporting.run(workers=4)

        threads = [Thread(target=report) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stopped.reporting.later()
        stopped.check_billed()


def test_an_answer_that_is_lost_is_asked_for_again_and_sets_it_going() -> None:
    stopped = Stopped(entitled=True)
    stopped.fake.script = [answer_lost, answer_lost]
    assert stopped.reporting.run(rounds=2).counts == Counter(
        {Progress.HELD: 7, Progress.WAITING: 1}
    )
    assert stopped.state() is AgreementState.SUSPENDED
    stopped.reporting.later()
    stopped.check_billed()


def test_a_passing_fault_says_nothing_and_is_asked_again_in_the_next_run() -> None:
    stopped = Stopped(entitled=True)
    stopped.fake.script = [never_arrived] * 3
    stopped.reporting.run()
    assert stopped.state() is AgreementState.SUSPENDED
    stopped.reporting.later()
    stopped.check_billed()


def test_an_invalid_record_says_nothing_of_the_buyer_and_the_next_one_asks() -> None:
    stopped = Stopped(entitled=True)
    stopped.fake.script = [answering(ReportOutcome.INVALID)]
    assert stopped.reporting.run().counts == Counter({RecordState.REJECTED: 1, Progress.HELD: 7})
    assert stopped.state() is AgreementState.SUSPENDED
    assert stopped.reporting.later().counts == Counter({ACCEPTED: 7})
    assert stopped.state() is AgreementState.ACTIVE


def test_where_it_cannot_be_set_going_the_answer_is_not_saved_and_asked_for_again() -> None:
    stopped = Stopped(entitled=True)
    resume = stopped.reporting.registry._target.resume

    def unavailable(_: str) -> None:
        raise StoreUnavailableError("throttled")

    stopped.reporting.registry._target.resume = unavailable
    summary = stopped.reporting.run()
    assert str(summary.error) == "throttled"
    assert stopped.states() == Counter({RecordState.SUBMITTED: 1, RecordState.PENDING: 7})
    stopped.reporting.registry._target.resume = resume
    stopped.reporting.later()
    stopped.check_billed()


def test_a_person_who_suspends_while_we_ask_is_not_overruled() -> None:
    stopped = Stopped(entitled=True)
    registry = stopped.reporting.registry._target

    def suspend_by_hand() -> None:
        before = registry.agreement("agr_1")
        after = patched(before, {"state": AgreementState.SUSPENDED})
        registry.save_agreement(replace(after, version=before.version + 1))

    stopped.fake.before_call = suspend_by_hand
    stopped.reporting.run(rounds=1)
    assert stopped.state() is AgreementState.SUSPENDED
    assert stopped.reporting.later().counts == Counter({Progress.HELD: 7})
    assert len(stopped.fake.booked) == 1


def test_whoever_is_entitled_now_is_not_stopped_for_an_hour_without_entitlement() -> None:
    stopped = Stopped(entitled=True)
    old = [record for record in stopped.records if record.key.hour == HOURS[0]]
    stopped.fake.refused = {record.key: ReportOutcome.NOT_ENTITLED for record in old}
    summary = stopped.reporting.run()
    assert summary.counts == Counter({ACCEPTED: 6, RecordState.REJECTED: 2})
    assert (summary.resumed, summary.suspended) == (("agr_1",), ())
    assert stopped.state() is AgreementState.ACTIVE


@pytest.mark.parametrize("limit", [1, 2, 8, 9])
def test_what_is_held_hides_nobody_who_comes_after_it(limit: int) -> None:
    stopped = Stopped(entitled=False, refused_ago=timedelta(minutes=5))
    later_ones = [
        metering_record(agreement_id=f"agr_{number}", hour=at("2026-11-24T11"))
        for number in range(2, 6)
    ]
    stopped.reporting.add(*later_ones)
    summary = stopped.reporting.run(max_records=limit)
    assert summary.counts[Progress.HELD] == 8
    assert summary.counts[ACCEPTED] >= min(limit, 4)
    for _ in range(4):
        stopped.reporting.later(max_records=limit)
    assert set(stopped.reporting.states(later_ones)) == {ACCEPTED}
