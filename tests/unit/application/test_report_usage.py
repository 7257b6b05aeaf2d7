"""What one run does with what is pending."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import chain, repeat

import pytest

from builders import NOON, at, metering_record
from fakes.marketplace import (
    answer_lost,
    answering,
    half_unprocessed,
    never_arrived,
    raising,
)
from meterbridge.application.manage_agreements import patched
from meterbridge.application.report_usage import Progress
from meterbridge.domain.agreements import AgreementState, SuspendedBy
from meterbridge.domain.errors import InvariantError, MarketplaceError, StoreUnavailableError
from meterbridge.domain.metering_record import RecordKey, RecordState, ReportOutcome
from reporting_setup import Reporting, some_records

ACCEPTED, CONFLICTED = RecordState.ACCEPTED, RecordState.CONFLICTED
REJECTED, EXPIRED = RecordState.REJECTED, RecordState.EXPIRED
PENDING, SUBMITTED = RecordState.PENDING, RecordState.SUBMITTED
WAITING, HELD, RACED = Progress.WAITING, Progress.HELD, Progress.RACED
LAST_MINUTE = timedelta(hours=22) - timedelta(minutes=1)


@pytest.fixture
def reporting() -> Reporting:
    return Reporting()


def suspend_by_hand(reporting: Reporting, agreement_id: str = "agr_1") -> None:
    """A person's suspension."""
    before = reporting.registry.agreement(agreement_id)
    after = patched(before, {"state": AgreementState.SUSPENDED})
    reporting.registry.save_agreement(replace(after, version=before.version + 1))


def test_pending_records_are_sent_and_accepted_with_their_receipts(reporting: Reporting) -> None:
    records = some_records(3)
    reporting.add(*records)
    summary = reporting.run()
    assert summary.counts == Counter({ACCEPTED: 3})
    assert (summary.next_deadline, summary.error) == (None, None)
    stored = reporting.ledger.record(records[0].key)
    assert stored.receipt == f"receipt {records[0].key}"
    assert (stored.attempts, stored.submitted_at, stored.finished_at) == (1, NOON, NOON)
    assert reporting.ledger.pending(reporting.marketplace.channel, 9) == []


def test_nothing_pending_is_a_quiet_run(reporting: Reporting) -> None:
    summary = reporting.run()
    assert (summary.counts, summary.next_deadline) == (Counter(), None)
    assert reporting.marketplace.calls == []


def test_batches_are_full_of_one_product_and_earliest_deadlines_go_first(
    reporting: Reporting,
) -> None:
    late = some_records(30)
    early = [metering_record(agreement_id="agr_2", hour=at("2026-11-24T08"), product_id="prd_b")]
    reporting.add(*late, *early)
    reporting.run()
    assert [len(call) for call in reporting.marketplace.calls] == [1, 25, 5]
    assert reporting.marketplace.calls[0] == [early[0].key]


def test_the_mark_is_written_before_the_call(reporting: Reporting) -> None:
    records = some_records(2)
    reporting.add(*records)
    seen: list[list[RecordState]] = []
    reporting.marketplace.before_call = lambda: seen.append(reporting.states(records))
    reporting.run()
    assert seen == [[SUBMITTED, SUBMITTED]]


class TestRetries:
    def test_what_was_left_unprocessed_is_sent_again_in_the_same_run(
        self, reporting: Reporting
    ) -> None:
        reporting.add(*some_records(4))
        reporting.marketplace.script = [half_unprocessed]
        assert reporting.run().counts == Counter({ACCEPTED: 4})
        assert [len(call) for call in reporting.marketplace.calls] == [4, 2]
        assert reporting.backoffs == [1]

    def test_rounds_are_bounded_and_the_rest_waits_for_the_next_run(
        self, reporting: Reporting
    ) -> None:
        records = some_records(2)
        reporting.add(*records)
        reporting.marketplace.script = [never_arrived] * 3
        summary = reporting.run()
        assert summary.counts == Counter({WAITING: 2})
        assert summary.next_deadline == records[0].deadline
        assert reporting.backoffs == [1, 2]
        assert reporting.states(records) == [PENDING, PENDING]
        assert reporting.later().counts == Counter({ACCEPTED: 2})

    def test_a_lost_answer_is_resent_byte_for_byte_and_billed_once(
        self, reporting: Reporting
    ) -> None:
        (record,) = some_records(1)
        reporting.add(record)
        reporting.marketplace.script = [answer_lost]
        assert reporting.run(rounds=1).counts == Counter({WAITING: 1})
        doubtful = reporting.ledger.record(record.key)
        assert doubtful.state is SUBMITTED
        reporting.marketplace.build = None
        assert reporting.later().counts == Counter({ACCEPTED: 1})
        assert reporting.marketplace.booked == {record.key: dict(doubtful.submission)}
        assert reporting.ledger.record(record.key).attempts == 2

    def test_a_duplicate_after_a_lost_answer_is_our_own(self, reporting: Reporting) -> None:
        reporting.add(*some_records(1))
        reporting.marketplace.script = [answer_lost]
        reporting.marketplace.identical_resend = ReportOutcome.CONFLICT
        assert reporting.run().counts == Counter({ACCEPTED: 1})

    def test_a_duplicate_without_any_doubt_is_a_conflict(self, reporting: Reporting) -> None:
        (record,) = some_records(1)
        reporting.add(record)
        reporting.marketplace.booked[record.key] = {"quantity": "4"}
        assert reporting.run().counts == Counter({CONFLICTED: 1})


class TestRefusals:
    @pytest.mark.parametrize(
        ("outcome", "state"),
        [
            (ReportOutcome.INVALID, REJECTED),
            (ReportOutcome.EXPIRED, EXPIRED),
            (ReportOutcome.NOT_ENTITLED, PENDING),
            (ReportOutcome.NOT_AUTHORIZED, PENDING),
        ],
    )
    def test_a_refusal_strikes_its_record_alone(
        self, reporting: Reporting, outcome: ReportOutcome, state: RecordState
    ) -> None:
        records = some_records(3)
        reporting.add(*records)
        reporting.marketplace.refused = {records[1].key: outcome}
        reporting.run()
        assert reporting.states(records) == [ACCEPTED, state, ACCEPTED]

    @pytest.mark.parametrize("outcome", [ReportOutcome.INVALID, ReportOutcome.EXPIRED])
    def test_a_refusal_after_a_lost_answer_stays_committed(
        self, reporting: Reporting, outcome: ReportOutcome
    ) -> None:
        records = some_records(1)
        reporting.add(*records)
        reporting.marketplace.script = [answer_lost, answering(outcome)]
        assert reporting.run().counts == Counter({CONFLICTED: 1})
        assert reporting.ledger.record(records[0].key).committed

    def test_a_buyer_who_is_not_entitled_suspends_the_agreement_with_the_reason(
        self, reporting: Reporting
    ) -> None:
        first, second = some_records(26)[0], metering_record(agreement_id="agr_2")
        reporting.add(*some_records(26), second)
        reporting.marketplace.refused = {first.key: ReportOutcome.NOT_ENTITLED}
        summary = reporting.run()
        assert summary.counts == Counter({ACCEPTED: 25, HELD: 2})
        assert summary.suspended == ("agr_1",)
        stopped = reporting.registry.agreement("agr_1")
        assert (stopped.state, stopped.state_reason) == (AgreementState.SUSPENDED, "not_entitled")
        assert stopped.suspended_by is SuspendedBy.MARKETPLACE
        assert reporting.registry.agreement("agr_2").state is AgreementState.ACTIVE

    def test_a_record_that_cannot_be_built_is_rejected_and_the_others_go_out(
        self, reporting: Reporting
    ) -> None:
        good, bad = some_records(2)
        reporting.add(good, replace(bad, buyer={}))
        assert reporting.run().counts == Counter({ACCEPTED: 1, REJECTED: 1})
        refused = reporting.ledger.record(bad.key)
        assert (refused.reason, refused.attempts) == (f"{bad.key}: no buyer", 0)


class TestDeadlines:
    def test_a_record_is_sent_until_its_deadline(self, reporting: Reporting) -> None:
        reporting.add(*some_records(1))
        assert reporting.later(LAST_MINUTE).counts == Counter({ACCEPTED: 1})

    def test_past_its_deadline_a_record_never_sent_expires_and_is_not_sent(
        self, reporting: Reporting
    ) -> None:
        reporting.add(*some_records(1))
        assert reporting.later(timedelta(hours=22)).counts == Counter({EXPIRED: 1})
        assert reporting.marketplace.calls == []

    def test_past_its_deadline_a_record_in_doubt_stays_committed(
        self, reporting: Reporting
    ) -> None:
        reporting.add(*some_records(1))
        reporting.marketplace.script = [answer_lost]
        reporting.run(rounds=1)
        assert reporting.later(timedelta(hours=22)).counts == Counter({CONFLICTED: 1})
        assert len(reporting.marketplace.calls) == 1

    def test_a_deadline_that_passes_during_the_run_is_kept(self, reporting: Reporting) -> None:
        reporting.add(*some_records(26))
        reporting.clock.advance(LAST_MINUTE)
        reporting.marketplace.before_call = lambda: reporting.clock.advance(timedelta(minutes=2))
        assert reporting.run().counts == Counter({ACCEPTED: 25, EXPIRED: 1})

    def test_the_next_deadline_is_that_of_what_is_still_open(self, reporting: Reporting) -> None:
        soon = metering_record(agreement_id="agr_2", hour=at("2026-11-24T08"))
        reporting.add(*some_records(1))
        reporting.add(soon, state=AgreementState.SUSPENDED)
        assert reporting.run().next_deadline == at("2026-11-25T08")


class TestAgreementsThatAreNotReported:
    @pytest.mark.parametrize("state", [AgreementState.SUSPENDED, AgreementState.PENDING])
    def test_their_records_wait_and_go_out_when_the_agreement_is_active(
        self, reporting: Reporting, state: AgreementState
    ) -> None:
        reporting.add(*some_records(2), state=state)
        assert reporting.run().counts == Counter({HELD: 2})
        assert reporting.marketplace.calls == []
        held = reporting.registry.agreement("agr_1")
        active = replace(held, state=AgreementState.ACTIVE, version=held.version + 1)
        reporting.registry.save_agreement(active)
        assert reporting.later().counts == Counter({ACCEPTED: 2})

    def test_their_records_expire_at_the_deadline_and_bill_themselves_again(
        self, reporting: Reporting
    ) -> None:
        reporting.add(*some_records(1), state=AgreementState.SUSPENDED)
        assert reporting.later(timedelta(hours=22)).counts == Counter({EXPIRED: 1})

    def test_a_record_in_doubt_waits_too(self, reporting: Reporting) -> None:
        reporting.add(*some_records(1))
        reporting.marketplace.script = [answer_lost]
        reporting.run(rounds=1)
        suspend_by_hand(reporting)
        assert reporting.later().counts == Counter({HELD: 1})
        assert reporting.later(timedelta(hours=22)).counts == Counter({CONFLICTED: 1})

    def test_an_ended_agreement_is_flushed(self, reporting: Reporting) -> None:
        reporting.add(*some_records(1), state=AgreementState.ENDED)
        assert reporting.run().counts == Counter({ACCEPTED: 1})

    def test_an_agreement_nobody_knows_holds_up_only_itself(self, reporting: Reporting) -> None:
        reporting.add(*some_records(1), metering_record(agreement_id="agr_2"))
        del reporting.registry._agreements["agr_2"]
        assert reporting.run().counts == Counter({ACCEPTED: 1, HELD: 1})


class TestWhenItCannotGoOn:
    def test_a_marketplace_that_cannot_be_asked_burns_no_record(self, reporting: Reporting) -> None:
        records = some_records(30)
        reporting.add(*records)
        reporting.marketplace.script = [raising(MarketplaceError("no access"))]
        summary = reporting.run()
        assert (summary.counts, str(summary.error)) == (Counter({WAITING: 30}), "no access")
        assert [len(call) for call in reporting.marketplace.calls] == [25]
        assert set(reporting.states(records)) == {PENDING}
        assert {reporting.ledger.record(r.key).attempts for r in records} == {0}
        assert reporting.later().counts == Counter({ACCEPTED: 30})

    def test_an_earlier_doubt_outlives_a_marketplace_that_cannot_be_asked(
        self, reporting: Reporting
    ) -> None:
        records = some_records(1)
        reporting.add(*records)
        reporting.marketplace.script = [answer_lost, raising(MarketplaceError("no access"))]
        reporting.run(rounds=1)
        reporting.later()
        assert reporting.states(records) == [SUBMITTED]
        reporting.marketplace.refused = {records[0].key: ReportOutcome.INVALID}
        assert reporting.later().counts == Counter({CONFLICTED: 1})

    def test_a_run_stops_before_its_time_is_over(self, reporting: Reporting) -> None:
        records = some_records(60)
        reporting.add(*records)
        allowed = chain([True], repeat(False))
        summary = reporting.run(may_continue=lambda: next(allowed))
        assert summary.counts == Counter({ACCEPTED: 25, WAITING: 35})
        assert summary.next_deadline == records[0].deadline
        assert reporting.later().counts == Counter({ACCEPTED: 35})

    def test_an_answer_that_cannot_be_saved_ends_the_run_and_is_asked_for_again(
        self, reporting: Reporting
    ) -> None:
        records = some_records(2)
        reporting.add(*records)
        ledger, saves = reporting.ledger, []
        real_save = ledger.save

        def save(record: object, **expected: object) -> None:
            saves.append(record)
            if len(saves) == 3:
                raise StoreUnavailableError("throttled")
            real_save(record, **expected)

        ledger.save = save
        summary = reporting.run()
        assert (summary.counts, str(summary.error)) == (
            Counter({ACCEPTED: 1, WAITING: 1}),
            "throttled",
        )
        assert reporting.states(records) == [SUBMITTED, ACCEPTED]
        assert reporting.later().counts == Counter({ACCEPTED: 1})

    def test_a_mark_that_cannot_be_written_is_not_followed_by_a_send(
        self, reporting: Reporting
    ) -> None:
        reporting.add(*some_records(1))

        def save(record: object, **expected: object) -> None:
            raise StoreUnavailableError("throttled")

        reporting.ledger.save = save
        assert str(reporting.run().error) == "throttled"
        assert reporting.marketplace.calls == []

    @pytest.mark.parametrize("method", ["agreement", "suspend"])
    def test_a_registry_that_cannot_be_used_ends_the_run_and_loses_nothing(
        self, reporting: Reporting, method: str
    ) -> None:
        (record,) = some_records(1)
        reporting.add(record)
        reporting.marketplace.refused = {record.key: ReportOutcome.NOT_ENTITLED}

        def unavailable(*_: object) -> None:
            raise StoreUnavailableError("throttled")

        setattr(reporting.registry, method, unavailable)
        assert str(reporting.run().error) == "throttled"
        assert reporting.states([record]) == [PENDING]

    def test_an_adapter_that_owes_an_answer_is_a_defect(self, reporting: Reporting) -> None:
        reporting.add(*some_records(2))
        reporting.marketplace.script = [lambda fake, sent: [fake.book(sent[0])]]
        with pytest.raises(InvariantError, match="one result"):
            reporting.run()

    def test_no_more_than_the_limit_is_read_and_the_earliest_come_first(
        self, reporting: Reporting
    ) -> None:
        reporting.add(
            metering_record(code="late"), metering_record(code="a", hour=at("2026-11-24T08"))
        )
        reporting.run(max_records=1)
        key = RecordKey("agr_1", "a", at("2026-11-24T08"))
        assert reporting.marketplace.calls == [[key]]


class TestDryRun:
    def test_everything_is_built_and_nothing_sent_or_written(self, reporting: Reporting) -> None:
        good, bad, old = *some_records(2), metering_record(code="old", deadline=NOON)
        bad = replace(bad, buyer={})
        reporting.add(good, bad, old)
        reporting.add(metering_record(agreement_id="agr_2"), state=AgreementState.SUSPENDED)
        summary = reporting.run(dry_run=True)
        assert summary.planned == (reporting.marketplace.build(good),)
        assert summary.counts == Counter({WAITING: 1, REJECTED: 1, EXPIRED: 1, HELD: 1})
        assert summary.next_deadline == good.deadline
        assert reporting.marketplace.calls == []
        assert reporting.states([good, bad, old]) == [PENDING] * 3

    def test_a_record_in_doubt_is_planned_as_it_was_first_sent(self, reporting: Reporting) -> None:
        reporting.add(*some_records(1))
        reporting.marketplace.script = [answer_lost]
        reporting.run(rounds=1)
        (record,) = reporting.ledger.pending(reporting.marketplace.channel, 9)
        assert reporting.run(dry_run=True).planned[0].entry == record.submission
