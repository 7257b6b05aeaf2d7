"""A report that is killed anywhere, or run twice at once, bills everything exactly once."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import at, metering_record
from fakes.marketplace import (
    Answering,
    FakeMarketplace,
    answer_lost,
    answering,
    booking,
    half_unprocessed,
    never_arrived,
)
from killing import Fuse, Fused, Killed
from meterbridge.application.report_usage import Progress
from meterbridge.domain.agreements import AgreementState
from meterbridge.domain.metering_record import MeteringRecord, RecordState, ReportOutcome
from reporting_setup import Reporting


def records() -> list[MeteringRecord]:
    """Two products, two agreements, more than one batch."""
    return [
        metering_record(
            agreement_id=f"agr_{number % 2}",
            code=f"d{number:02d}",
            product_id=f"prd_{number // 26}",
            quantity=str(number),
        )
        for number in range(29)
    ]


def mortal(reporting: Reporting) -> Fuse:
    """Every write and every call of the next runs can be the last."""
    death = Fuse()
    reporting.ledger = Fused(reporting.ledger, death, "save")
    reporting.marketplace = Fused(reporting.marketplace, death, "submit")
    reporting.registry = Fused(reporting.registry, death, "suspend")
    return death


def run_killed(reporting: Reporting, death: Fuse, at_step: int) -> bool:
    death.arm(at_step)
    try:
        reporting.run()
    except Killed:
        return True
    finally:
        death.arm(None)
    return False


def everything_booked_once(reporting: Reporting, expected: list[MeteringRecord]) -> None:
    assert {key: entry["quantity"] for key, entry in reporting.marketplace.booked.items()} == {
        record.key: str(record.quantity) for record in expected
    }
    assert Counter(reporting.states(expected)) == {RecordState.ACCEPTED: len(expected)}


@pytest.mark.parametrize("resend", [ReportOutcome.ACCEPTED, ReportOutcome.CONFLICT])
def test_killed_before_or_after_any_write_or_call_everything_is_billed_once(
    resend: ReportOutcome,
) -> None:
    step, killed = 0, True
    while killed:
        reporting = Reporting(marketplace=FakeMarketplace(identical_resend=resend))
        reporting.add(*records())
        death = mortal(reporting)
        killed = run_killed(reporting, death, step)
        reporting.later()
        everything_booked_once(reporting, records())
        step += 1
    # 29 marks, 29 results and 3 calls, each with a before and an after, and one run unharmed.
    assert step == 2 * (29 + 29 + 3) + 1


def test_killed_in_every_run_it_still_ends() -> None:
    reporting = Reporting()
    reporting.add(*records())
    death = mortal(reporting)
    runs = 0
    while run_killed(reporting, death, 60):
        reporting.clock.advance(timedelta(seconds=1))
        runs += 1
    assert runs > 1
    everything_booked_once(reporting, records())


def test_killed_around_a_refusal_the_record_waits_and_only_an_open_send_is_in_doubt() -> None:
    for step in range(8):
        fake = FakeMarketplace()
        reporting = Reporting(marketplace=fake)
        refused = metering_record()
        reporting.add(refused)
        fake.refused = {refused.key: ReportOutcome.NOT_ENTITLED}
        death = mortal(reporting)
        run_killed(reporting, death, step)
        reporting.later()
        # A kill between mark and save leaves a doubt, which the return of the buyer settles.
        doubtful = step in (1, 2, 3, 4)
        state = RecordState.SUBMITTED if doubtful else RecordState.PENDING
        assert reporting.states([refused]) == [state], step
        assert reporting.registry.agreement("agr_1").stopped_by_marketplace
        fake.refused = {}
        assert reporting.later(timedelta(hours=1)).counts == Counter({RecordState.ACCEPTED: 1})
        assert reporting.registry.agreement("agr_1").state is AgreementState.ACTIVE


@pytest.mark.parametrize("resend", [ReportOutcome.ACCEPTED, ReportOutcome.CONFLICT])
def test_a_second_report_in_the_middle_of_the_first_changes_nothing(resend: ReportOutcome) -> None:
    reporting = Reporting(marketplace=FakeMarketplace(identical_resend=resend))
    reporting.add(*records())
    nested: list[Counter[Any]] = []

    def second_report() -> None:
        reporting.marketplace.before_call = lambda: None
        nested.append(reporting.run().counts)

    reporting.marketplace.before_call = second_report
    first = reporting.run()
    assert nested == [Counter({RecordState.ACCEPTED: 29})]
    assert first.counts == Counter({Progress.RACED: 29})
    everything_booked_once(reporting, records())


def test_two_reports_at_once_bill_everything_once() -> None:
    for _ in range(20):
        reporting = Reporting()
        reporting.add(*records())
        start = Barrier(2)

        def report(reporting: Reporting = reporting, start: Barrier = start) -> None:
            start.wait()
            reporting.run(workers=4)

        threads = [Thread(target=report) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        reporting.later()
        everything_booked_once(reporting, records())


ANSWERS: list[Answering] = [
    booking,
    answer_lost,
    never_arrived,
    half_unprocessed,
    answering(ReportOutcome.EXPIRED),
    answering(ReportOutcome.INVALID),
    answering(ReportOutcome.NOT_ENTITLED),
    answering(ReportOutcome.RETRY, reached=True),
]


@given(
    st.lists(st.sampled_from(ANSWERS), max_size=12),
    st.lists(st.integers(0, 130), max_size=4),
    st.sampled_from([ReportOutcome.ACCEPTED, ReportOutcome.CONFLICT]),
    st.lists(st.integers(1, 600), min_size=5, max_size=5),
)
@settings(max_examples=200, deadline=None)
def test_whatever_happens_what_was_booked_stays_committed_and_nothing_is_booked_otherwise(
    script: list[Answering], kills: list[int], resend: ReportOutcome, minutes: list[int]
) -> None:
    fake = FakeMarketplace(script=list(script), identical_resend=resend)
    reporting = Reporting(marketplace=fake)
    expected = [*records(), metering_record(agreement_id="agr_9", hour=at("2026-11-23T13"))]
    reporting.add(*expected)
    death = mortal(reporting)
    for kill_at in kills:
        run_killed(reporting, death, kill_at)
        reporting.clock.advance(timedelta(minutes=minutes[0]))
    for pause in minutes[1:]:
        reporting.later(timedelta(minutes=pause))
    for record in expected:
        stored = reporting.ledger.record(record.key)
        booked = fake.booked.get(record.key)
        if booked is not None:
            assert stored.committed
            assert booked["quantity"] == str(record.quantity)
        if stored.state is RecordState.ACCEPTED:
            assert booked is not None
        if stored.state is RecordState.PENDING:
            assert booked is None
