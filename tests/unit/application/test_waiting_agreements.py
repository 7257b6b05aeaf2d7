"""Which agreements are behind, as every sweep sees it: exact, and cheap while all is well."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from builders import LICENSE_ARN, at
from deadline_setup import Watched
from fakes.marketplace import answer_lost
from meterbridge.domain.agreements import AgreementState, AwsBuyerReference
from meterbridge.domain.deadlines import ClockState, WaitsFor
from meterbridge.domain.metering_record import RecordState
from meterbridge.domain.offerings import Channel

HOUR = timedelta(hours=1)


class CountingUsage:
    """A usage store that counts who asks for rows."""

    def __init__(self, usage: Any) -> None:
        self._usage = usage
        self.asked = 0

    def hourly(self, *args: Any) -> Any:
        self.asked += 1
        return self._usage.hourly(*args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._usage, name)


def settled(moment: str, channel: Channel = Channel.AWS, **changes: Any) -> Watched:
    """An agreement that was settled at a moment."""
    stored = Watched(at(moment), channel, **changes)
    stored.settle()
    return stored


# Usage of 11:00 that nobody settles: channel, hour, now, deadline.
UNSETTLED = {
    "aws": (Channel.AWS, "2026-11-24T11", "2026-11-24T12:30", "2026-11-25T11"),
    "azure": (Channel.AZURE, "2026-11-24T11", "2026-11-24T12:30", "2026-11-25T11"),
    "google": (Channel.GCP, "2026-11-24T11", "2026-11-24T12:30", "2026-11-26T11"),
    "aws, month end": (Channel.AWS, "2026-11-30T23", "2026-12-01T00:30", "2026-12-01T06"),
}


@pytest.mark.parametrize("case", UNSETTLED)
def test_usage_of_a_closed_hour_that_is_not_settled_is_found(case: str) -> None:
    channel, hour, now, deadline = UNSETTLED[case]
    stored = settled((at(hour) + timedelta(minutes=20)).isoformat()[:19], channel)
    stored.use(at(hour), 7)
    stored.clock.set(at(now) - timedelta(seconds=1))
    assert stored.waiting() == []
    stored.clock.set(at(now))
    (one,) = stored.waiting()
    assert (one.deadline, one.behind_until, one.hour) == (at(deadline), at(deadline), at(hour))
    assert (one.waits_for, one.state, one.open_records) == (
        WaitsFor.SETTLEMENT,
        ClockState.BEHIND,
        0,
    )
    stored.settle()
    (record,) = stored.waiting()
    assert (record.waits_for, record.behind_until) == (WaitsFor.MARKETPLACE, None)
    stored.report()
    assert stored.waiting() == []


def test_while_settling_keeps_up_no_usage_is_read() -> None:
    stored = settled("2026-11-24T11:20")
    stored.usage = CountingUsage(stored.usage)
    for minutes in range(0, 69, 5):
        stored.clock.set(at("2026-11-24T11:20") + timedelta(minutes=minutes))
        assert stored.waiting() == []
    assert stored.usage.asked == 0
    stored.clock.set(at("2026-11-24T12:30"))
    assert (stored.waiting(), stored.usage.asked) == ([], 1)


def test_units_that_wait_for_the_next_hour_are_behind_when_that_is_not_settled() -> None:
    stored = Watched(at("2026-11-24T12:20"))
    stored.use(at("2026-11-24T11"), 5)
    stored.settle()
    stored.report()
    stored.use(at("2026-11-24T11"), 8)
    stored.settle()
    assert stored.ledger.head("agr_1").waiting
    stored.clock.set(at("2026-11-24T13:30"))
    (one,) = stored.waiting()
    assert (one.hour, one.behind_until) == (at("2026-11-24T12"), at("2026-11-25T12"))


def test_usage_whose_own_hour_was_missed_is_behind_for_the_oldest_open_hour() -> None:
    stored = settled("2026-11-20T10:20")
    stored.use(at("2026-11-20T10"), 5)
    stored.clock.set(at("2026-11-24T12:40"))
    (one,) = stored.waiting()
    assert (one.hour, one.behind_until) == (at("2026-11-23T13"), at("2026-11-24T13"))
    assert one.state is ClockState.CRITICAL


def test_an_agreement_that_settling_has_not_seen_for_seven_hours_is_behind_anyhow() -> None:
    stored = settled("2026-11-24T11:20")
    for moment, deadline in (
        ("2026-11-24T19:14:59", None),
        ("2026-11-24T19:15", at("2026-11-25T11")),
    ):
        stored.clock.set(at(moment))
        assert [each.behind_until for each in stored.waiting()] == ([deadline] if deadline else [])


def test_a_new_agreement_has_its_time_to_be_settled() -> None:
    stored = Watched(at("2026-11-24T12:20"))
    stored.change(created_at=at("2026-11-24T12:10"))
    assert stored.waiting() == []
    stored.clock.set(at("2026-11-24T12:25"))
    assert [each.behind_until for each in stored.waiting()] == [at("2026-11-24T13")]


def test_the_flush_window_of_an_agreement_that_has_ended_counts_once_it_is_behind() -> None:
    stored = settled("2026-11-24T12:20")
    stored.use(at("2026-11-24T12"), 3)
    stored.end(at("2026-11-24T12:40"))
    for moment, deadline in (
        ("2026-11-24T13:09:59", None),
        ("2026-11-24T13:10", at("2026-11-24T13:40")),
        ("2026-11-24T13:40", None),
    ):
        stored.clock.set(at(moment))
        assert [each.behind_until for each in stored.waiting()] == ([deadline] if deadline else [])


def test_an_end_that_comes_after_a_record_was_written_shortens_its_time() -> None:
    stored = settled("2026-11-24T12:20")
    stored.use(at("2026-11-24T11"), 3)
    stored.settle()
    stored.end(at("2026-11-24T12:25"))
    assert [each.deadline for each in stored.waiting()] == [at("2026-11-24T13:25")]


def test_a_suspended_agreement_counts_with_its_records_and_not_with_usage_since() -> None:
    stored = Watched(at("2026-11-24T11:20"))
    stored.use(at("2026-11-24T10"), 5)
    stored.settle()
    stored.change(state=AgreementState.SUSPENDED, state_reason="CustomerNotSubscribed")
    stored.use(at("2026-11-24T11"), 4)
    stored.clock.set(at("2026-11-24T14:00"))
    (one,) = stored.waiting()
    assert (one.waits_for, one.open_records) == (WaitsFor.AGREEMENT, 1)
    assert one.reason == "agreement is suspended: CustomerNotSubscribed"
    assert one.behind_until == at("2026-11-25T10")
    stored.clock.set(at("2026-11-25T10:00"))
    stored.report()
    assert stored.waiting() == []


def test_a_record_past_its_deadline_that_nobody_closes_is_missed() -> None:
    stored = Watched(at("2026-11-24T11:20"))
    stored.use(at("2026-11-24T10"), 5)
    stored.settle()
    stored.clock.set(at("2026-11-25T10:00"))
    stored.settle()
    (one,) = stored.waiting()
    assert (one.state, one.behind_until) == (ClockState.MISSED, at("2026-11-25T10"))


def test_a_record_of_unknown_outcome_at_google_is_told_until_it_is_in_doubt_for_good() -> None:
    stored = Watched(at("2026-11-24T11:20"), Channel.GCP)
    stored.use(at("2026-11-24T10"), 5)
    stored.settle()
    stored.marketplace.script = [answer_lost] * 99
    assert stored.report().next_deadline is None
    stored.clock.set(at("2026-11-24T11:40"))
    assert stored.report().next_deadline == at("2026-11-24T12:20")
    assert [each.behind_until for each in stored.waiting()] == [at("2026-11-24T12:20")]
    (record,) = stored.ledger.records("agr_1")
    for moment, state in (
        ("2026-11-24T12:19:59", RecordState.SUBMITTED),
        ("2026-11-24T12:20", RecordState.CONFLICTED),
    ):
        stored.clock.set(at(moment))
        stored.report()
        assert stored.ledger.record(record.key).state is state
    assert stored.waiting() == []


def test_channels_without_records_do_not_wait() -> None:
    stored = Watched(at("2026-11-24T12:20"), Channel.STRIPE)
    stored.use(at("2026-11-24T10"), 5)
    assert stored.waiting() == []


def test_the_most_urgent_comes_first() -> None:
    stored = Watched(at("2026-11-24T12:20"))
    for number, hour in ((2, 9), (3, 11), (4, 10)):
        reference = AwsBuyerReference("111122223333", f"{LICENSE_ARN}{number}")
        stored.add_agreement(f"agr_{number}", f"customer {number}", aws=reference)
        stored.use(_hour(hour), 5, f"customer {number}")
        stored.settle(f"agr_{number}")
    stored.settle()
    assert [each.agreement.id for each in stored.waiting()] == ["agr_2", "agr_4", "agr_3"]


def _hour(number: int) -> datetime:
    return at(f"2026-11-24T{number:02d}")
