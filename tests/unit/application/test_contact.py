"""While a marketplace does not answer, little comes into doubt; and what it refuses is remembered."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from builders import at, metering_record
from fakes.marketplace import answer_lost, answering, never_arrived, raising
from meterbridge.application.report_usage import Progress
from meterbridge.domain.errors import MarketplaceError, ProductRefusedError
from meterbridge.domain.metering_record import MeteringRecord, RecordState, ReportOutcome
from reporting_setup import Reporting, some_records

PENDING, SUBMITTED = RecordState.PENDING, RecordState.SUBMITTED
ACCEPTED, WAITING = RecordState.ACCEPTED, Progress.WAITING
UNANSWERED = answering(ReportOutcome.RETRY, reached=True)


@pytest.fixture
def reporting() -> Reporting:
    return Reporting()


def states(reporting: Reporting, records: list[MeteringRecord]) -> Counter[RecordState]:
    return Counter(reporting.states(records))


def test_after_three_calls_without_an_answer_nothing_more_is_sent(reporting: Reporting) -> None:
    records = [*some_records(90), metering_record(agreement_id="agr_2", code="z")]
    reporting.add(*records)
    reporting.marketplace.script = [UNANSWERED] * 9
    assert reporting.run(rounds=1).counts == Counter({WAITING: 91})
    assert states(reporting, records) == Counter({SUBMITTED: 75, PENDING: 16})


def test_one_call_without_an_answer_holds_up_nothing(reporting: Reporting) -> None:
    records = some_records(90)
    reporting.add(*records)
    reporting.marketplace.script = [UNANSWERED]
    reporting.run(rounds=1)
    assert states(reporting, records) == Counter({SUBMITTED: 25, ACCEPTED: 65})


def test_what_is_in_doubt_goes_first_and_the_rest_only_when_it_was_answered(
    reporting: Reporting,
) -> None:
    doubtful, fresh = some_records(1), [metering_record(code="z", agreement_id="agr_2")]
    reporting.add(*doubtful)
    reporting.marketplace.script = [answer_lost]
    reporting.run(rounds=1)
    reporting.add(*fresh)
    reporting.marketplace.script = [UNANSWERED]
    reporting.later(rounds=1)
    assert reporting.marketplace.calls[1:] == [[doubtful[0].key]]
    assert reporting.states([*doubtful, *fresh]) == [SUBMITTED, PENDING]
    reporting.later(rounds=1)
    assert reporting.marketplace.calls[2:] == [[doubtful[0].key], [fresh[0].key]]
    assert reporting.states([*doubtful, *fresh]) == [ACCEPTED, ACCEPTED]


def test_that_nothing_arrived_is_an_answer(reporting: Reporting) -> None:
    """A refused connection or a 429 leaves no doubt, so there is none to contain."""
    records = some_records(90)
    reporting.add(*records)
    reporting.marketplace.script = [never_arrived] * 9
    reporting.run(rounds=1)
    assert len(reporting.marketplace.calls) == 4
    assert states(reporting, records) == Counter({PENDING: 90})


def test_where_the_last_doubt_was_given_up_one_record_that_can_wait_is_sent_alone(
    reporting: Reporting,
) -> None:
    old = metering_record(code="old")
    reporting.add(old)
    reporting.marketplace.script = [UNANSWERED] * 2
    reporting.run(rounds=1)
    reporting.clock.advance(timedelta(hours=22))
    later_ones = [
        metering_record(agreement_id="agr_2", hour=at(f"2026-11-25T{hour:02d}"))
        for hour in (7, 9, 8)
    ]
    reporting.add(*later_ones)
    summary = reporting.run(rounds=1)
    assert reporting.ledger.record(old.key).state is RecordState.CONFLICTED
    assert reporting.marketplace.calls[1:] == [[later_ones[1].key]]
    assert summary.counts == Counter({RecordState.CONFLICTED: 1, WAITING: 3})
    assert reporting.later().counts == Counter({ACCEPTED: 3})


def test_a_silent_product_silences_no_other(reporting: Reporting) -> None:
    silent = [metering_record(code=f"d{n:02d}", hour=at("2026-11-24T08")) for n in range(75)]
    other = [metering_record(agreement_id="agr_2", product_id="prd_b")]
    reporting.add(*silent, *other)
    reporting.marketplace.script = [UNANSWERED] * 3
    reporting.run(rounds=1)
    assert states(reporting, other) == Counter({ACCEPTED: 1})


def test_a_doubt_that_is_held_with_its_agreement_silences_nobody(reporting: Reporting) -> None:
    held, other = metering_record(), metering_record(agreement_id="agr_2")
    reporting.add(held)
    reporting.marketplace.script = [answer_lost]
    reporting.run(rounds=1)
    reporting.registry.suspend("agr_1", "not entitled")
    marked = reporting.ledger.record(held.key)
    assert marked.state is SUBMITTED
    reporting.marketplace.refused = {held.key: ReportOutcome.NOT_ENTITLED}
    reporting.later()
    reporting.add(other)
    assert reporting.later().counts == Counter({ACCEPTED: 1, Progress.HELD: 1})


class TestProducts:
    def records(self) -> list[MeteringRecord]:
        refused = [metering_record(code=f"d{n:02d}", hour=at("2026-11-24T08")) for n in range(60)]
        return [*refused, metering_record(agreement_id="agr_2", product_id="prd_b")]

    def test_one_that_is_refused_is_asked_for_once_and_stops_no_other(
        self, reporting: Reporting
    ) -> None:
        records = self.records()
        reporting.add(*records)
        reporting.marketplace.script = [raising(ProductRefusedError("403"))]
        summary = reporting.run()
        assert summary.counts == Counter({WAITING: 60, ACCEPTED: 1})
        assert (dict(summary.refusals), str(summary.error)) == ({"prd_llm": "403"}, "prd_llm: 403")
        assert [len(call) for call in reporting.marketplace.calls] == [25, 1]
        assert reporting.backoffs == []
        assert {reporting.ledger.record(each.key).attempts for each in records[:60]} == {0}

    def test_what_concerns_all_stops_all(self, reporting: Reporting) -> None:
        reporting.add(*self.records())
        reporting.marketplace.script = [raising(MarketplaceError("no token"))]
        summary = reporting.run()
        assert (summary.counts, summary.refusals) == (Counter({WAITING: 61}), {})
        assert str(summary.error) == "no token"

    def test_a_doubt_outlives_a_refusal_of_its_product(self, reporting: Reporting) -> None:
        (record,) = some_records(1)
        reporting.add(record)
        reporting.marketplace.script = [answer_lost, raising(ProductRefusedError("403"))]
        reporting.run(rounds=1)
        reporting.later()
        assert reporting.states([record]) == [SUBMITTED]
        assert reporting.later().counts == Counter({ACCEPTED: 1})
