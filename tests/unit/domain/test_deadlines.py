"""The deadline clock: until when what was used can be reported for its hour, to the minute."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from builders import GRACE, agreement, at, dimension, metering_record
from meterbridge.domain.agreements import (
    AgreementState,
    AzureBuyerReference,
    GcpBuyerReference,
    RecoveryPolicy,
)
from meterbridge.domain.deadline_clock import deadline_clock
from meterbridge.domain.deadlines import ClockState, DeadlineClock, WaitsFor
from meterbridge.domain.ledger_head import LedgerHead
from meterbridge.domain.metering_record import MeteringRecord, RecordState
from meterbridge.domain.offerings import Channel, QuantityKind
from meterbridge.domain.policy import policy_at, reporting_policy
from meterbridge.domain.settlement import SettlementInput
from meterbridge.domain.windows import BillingPeriod, hour_text

BUYERS: dict[Channel, dict[str, Any]] = {
    Channel.AWS: {},
    Channel.AZURE: {"aws": None, "azure": AzureBuyerReference("std", resource_id="res")},
    Channel.GCP: {"aws": None, "gcp": GcpBuyerReference("project_number:1")},
    Channel.STRIPE: {"aws": None},
}
MINUTE = timedelta(minutes=1)


def clock(
    usage: dict[str, str],
    now: str = "2026-11-24T12:20",
    records: Sequence[MeteringRecord] = (),
    *,
    channel: Channel = Channel.AWS,
    head: LedgerHead | None = None,
    dim: dict[str, Any] | None = None,
    grace: timedelta = GRACE,
    **terms: Any,
) -> DeadlineClock:
    one = dimension(**(dim or {}))
    return deadline_clock(
        SettlementInput(
            agreement=agreement(channel=channel, **{**BUYERS[channel], **terms}),
            dimensions=(one,),
            billable={one.code: {at(hour): Decimal(value) for hour, value in usage.items()}},
            records=tuple(records),
            head=head,
            policy=reporting_policy(channel, at(now)),
            now=at(now),
            grace=grace,
        )
    )


def shown(found: DeadlineClock) -> list[tuple[str, str, str]]:
    """Hour, quantity and what it waits for."""
    return [(hour_text(w.hour), str(w.quantity), w.waits_for.value) for w in found.waiting]


def minutes_left(found: DeadlineClock) -> int | None:
    return None if found.time_left is None else found.time_left // MINUTE


def refused(record: MeteringRecord, state: RecordState) -> MeteringRecord:
    return record.finished(state, at=record.deadline)


def accepted(**changes: Any) -> MeteringRecord:
    record = metering_record(**changes)
    sent = record.submitted({"id": "1"}, at=record.created_at)
    return sent.finished(RecordState.ACCEPTED, at=record.created_at)


# What a marketplace takes, and until when: channel, hour of the usage, now, deadline, minutes left.
IN_TIME = {
    "aws": (Channel.AWS, "2026-11-24T10", "2026-11-24T12:20", "2026-11-25T10:00", 1300),
    "azure": (Channel.AZURE, "2026-11-24T10", "2026-11-24T12:20", "2026-11-25T10:00", 1300),
    "google": (Channel.GCP, "2026-11-24T10", "2026-11-24T12:20", "2026-11-26T10:00", 2740),
    "aws, last day, an hour that the day ends before": (
        Channel.AWS, "2026-11-30T05", "2026-11-30T12:20", "2026-12-01T05:00", 1000,
    ),
    "aws, last hour of the month": (
        Channel.AWS, "2026-11-30T23", "2026-12-01T00:30", "2026-12-01T06:00", 330,
    ),
    "aws, last hour of the year": (
        Channel.AWS, "2026-12-31T23", "2027-01-01T05:59:01", "2027-01-01T06:00", 0,
    ),
    "aws, first hour of a month": (
        Channel.AWS, "2026-12-01T00", "2026-12-01T01:20", "2026-12-02T00:00", 1360,
    ),
    "azure, last hour of the month": (
        Channel.AZURE, "2026-11-30T23", "2026-12-01T00:30", "2026-12-01T23:00", 1350,
    ),
    "google, last hour of the month": (
        Channel.GCP, "2026-11-30T23", "2026-12-01T00:30", "2026-12-02T23:00", 2790,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", IN_TIME)
def test_usage_in_no_record_has_until_its_hour_is_not_taken_any_more(case: str) -> None:
    channel, hour, now, deadline, left = IN_TIME[case]
    found = clock({hour: "7"}, now, channel=channel)
    assert shown(found) == [(hour, "7", "settlement")]
    assert (found.waiting[0].deadline, minutes_left(found)) == (at(deadline), left)
    assert found.missed == {}


# After its end an agreement's usage is taken for the flush window: 1 h, 24 h, 1 h.
FLUSH = {
    "aws": (Channel.AWS, "2026-11-24T13:10", 50),
    "azure": (Channel.AZURE, "2026-11-25T10:00", 1300),
    "google": (Channel.GCP, "2026-11-24T13:10", 50),
}


@pytest.mark.parametrize("case", FLUSH)
def test_after_its_end_an_agreement_has_the_flush_window(case: str) -> None:
    channel, deadline, left = FLUSH[case]
    found = clock(
        {"2026-11-24T10": "2", "2026-11-24T12": "3"},
        channel=channel,
        state=AgreementState.ENDED,
        ends_at=at("2026-11-24T12:10"),
    )
    assert found.waiting[0].deadline == at(deadline)
    assert minutes_left(found) == left
    assert shown(found) == [
        ("2026-11-24T10", "2", "settlement"),
        ("2026-11-24T12", "3", "hour"),
    ]


def test_an_end_that_is_known_before_it_comes_counts() -> None:
    found = clock({"2026-11-24T12": "3"}, ends_at=at("2026-11-24T14:30"))
    assert (minutes_left(found), found.state) == (190, ClockState.ON_SCHEDULE)


def test_an_end_shortens_the_time_of_a_record_that_was_written_before_it() -> None:
    record = metering_record(hour=at("2026-11-24T10"))
    assert record.deadline == at("2026-11-25T10")
    found = clock({"2026-11-24T10": "5"}, records=[record], ends_at=at("2026-11-24T12:00"))
    assert (found.waiting[0].deadline, minutes_left(found)) == (at("2026-11-24T13"), 40)


def test_a_report_to_google_of_unknown_outcome_has_one_hour() -> None:
    policy = policy_at(Channel.GCP, at("2026-11-24T11:20"))
    record = metering_record(channel=Channel.GCP, deadline=policy.deadline(at("2026-11-24T10")))
    sent = record.submitted(
        {"id": "1"}, at=at("2026-11-24T11:20"), resend_window=policy.resend_window
    )
    found = clock({"2026-11-24T10": "5"}, "2026-11-24T11:40", [sent], channel=Channel.GCP)
    assert (found.waiting[0].deadline, found.state) == (at("2026-11-24T12:20"), ClockState.CRITICAL)


def test_after_the_flush_window_what_is_left_is_lost() -> None:
    found = clock(
        {"2026-11-24T10": "2"}, state=AgreementState.ENDED, ends_at=at("2026-11-24T11:20")
    )
    assert shown(found) == [("2026-11-24T11", "2", "nothing")]
    assert (found.state, found.time_left, found.next) == (ClockState.MISSED, None, None)
    assert found.missed == {"requests": Decimal(2)}


def test_nothing_used_and_everything_accepted_are_no_risk() -> None:
    for found in (
        clock({}),
        clock({"2026-11-24T10": "5"}, records=[accepted(hour=at("2026-11-24T10"))]),
    ):
        assert (found.state, found.waiting, found.time_left) == (
            ClockState.NOTHING_WAITING,
            (),
            None,
        )


def test_a_channel_without_records_has_no_clock() -> None:
    found = clock({"2026-11-24T10": "5"}, channel=Channel.STRIPE)
    assert found.state is ClockState.NOTHING_WAITING
    assert found.reason == "channel stripe takes no metering records"


def test_a_fraction_waits_for_nothing_and_a_unit_it_completes_has_the_deadline_of_its_hour() -> (
    None
):
    assert clock({"2026-11-24T09": "0.4"}).state is ClockState.NOTHING_WAITING
    found = clock({"2026-11-24T09": "0.4", "2026-11-24T10": "0.7"})
    assert shown(found) == [("2026-11-24T10", "1", "settlement")]
    assert found.waiting[0].deadline == at("2026-11-25T10")
    small = clock({"2026-11-24T09": "0.4"}, dim={"quantity_kind": QuantityKind.DECIMAL})
    assert shown(small) == [("2026-11-24T09", "0.4", "settlement")]


def test_units_of_a_thousand_are_told_in_units_and_in_metered_quantity() -> None:
    (one,) = clock({"2026-11-24T10": "2999.5"}, dim={"units_per_quantity": Decimal(1000)}).waiting
    assert (one.quantity, one.metered) == (Decimal(2), Decimal(2000))


def test_late_usage_of_a_reported_hour_waits_for_the_hour_that_will_take_it() -> None:
    records = [accepted(hour=at(f"2026-11-24T{hour}"), quantity="5") for hour in ("10", "11")]
    found = clock({"2026-11-24T10": "8", "2026-11-24T11": "5"}, records=records)
    assert shown(found) == [("2026-11-24T12", "3", "hour")]
    assert (found.waiting[0].deadline, found.state) == (
        at("2026-11-25T12"),
        ClockState.ON_SCHEDULE,
    )
    assert found.missed == {}


def test_more_than_a_record_can_take_waits_for_the_next_hour() -> None:
    found = clock({"2026-11-24T12": "2147483650"})
    assert shown(found) == [("2026-11-24T12", "2147483647", "hour"), ("2026-11-24T13", "3", "hour")]


def test_usage_whose_hour_is_over_is_missed_and_waits_for_the_next_open_hour() -> None:
    found = clock({"2026-11-20T10": "4"})
    assert shown(found) == [("2026-11-23T13", "4", "settlement")]
    assert (found.state, found.missed) == (ClockState.MISSED, {"requests": Decimal(4)})
    assert minutes_left(found) == 40


def test_what_a_later_hour_has_made_up_for_is_not_missed_any_more() -> None:
    made_up = accepted(hour=at("2026-11-24T10"), quantity="4")
    found = clock({"2026-11-20T10": "4"}, records=[made_up])
    assert (found.missed, found.state) == ({}, ClockState.NOTHING_WAITING)
    with_more = clock({"2026-11-20T10": "4", "2026-11-24T11": "9"}, records=[made_up])
    assert (with_more.missed, sum(w.quantity for w in with_more.waiting)) == ({}, 9)
    assert shown(with_more) == [("2026-11-24T11", "9", "settlement")]
    between = clock({"2026-11-20T10": "4", "2026-11-24T08": "2"}, records=[made_up])
    assert (between.missed, shown(between)) == ({}, [("2026-11-24T08", "2", "settlement")])
    with_late = clock({"2026-11-20T10": "6", "2026-11-24T11": "9"}, records=[made_up])
    assert with_late.missed == {"requests": Decimal(2)}


def test_an_expired_record_is_missed_until_a_settlement_has_billed_it_again() -> None:
    expired = refused(metering_record(hour=at("2026-11-23T10")), RecordState.EXPIRED)
    found = clock({"2026-11-23T10": "5"}, records=[expired])
    assert shown(found) == [("2026-11-23T13", "5", "settlement")]
    assert (found.state, found.missed) == (ClockState.MISSED, {"requests": Decimal(5)})


@pytest.mark.parametrize(
    ("recovery", "waiting", "state"),
    [
        (RecoveryPolicy.MANUAL, [("2026-11-23T10", "5", "decision")], ClockState.MISSED),
        (RecoveryPolicy.NEVER, [], ClockState.NOTHING_WAITING),
    ],
)
def test_an_expired_record_that_is_kept_aside_waits_for_a_decision_or_is_written_off(
    recovery: RecoveryPolicy, waiting: list[tuple[str, str, str]], state: ClockState
) -> None:
    expired = refused(metering_record(hour=at("2026-11-23T10")), RecordState.EXPIRED)
    found = clock({"2026-11-23T10": "5"}, records=[expired], recovery=recovery)
    assert (shown(found), found.state, found.time_left) == (waiting, state, None)


def test_a_rejected_record_in_time_waits_for_the_next_hour_and_is_not_missed() -> None:
    rejected = refused(metering_record(hour=at("2026-11-24T10")), RecordState.REJECTED)
    found = clock({"2026-11-24T10": "5"}, records=[rejected])
    assert shown(found) == [("2026-11-24T11", "5", "settlement")]
    assert found.missed == {}


def test_records_of_a_suspended_agreement_count_and_say_why_they_wait() -> None:
    found = clock(
        {"2026-11-24T10": "5", "2026-11-24T12": "2"},
        records=[metering_record(hour=at("2026-11-24T10"))],
        state=AgreementState.SUSPENDED,
        state_reason="CustomerNotSubscribed",
    )
    assert shown(found) == [
        ("2026-11-24T10", "5", "agreement"),
        ("2026-11-24T12", "2", "agreement"),
    ]
    assert {w.reason for w in found.waiting} == {"agreement is suspended: CustomerNotSubscribed"}
    assert minutes_left(found) == 1300


# An open record of 10:00, created at 11:15: state by the moment.
BY_MOMENT = {
    "just written": ("2026-11-24T11:29:59", ClockState.ON_SCHEDULE, 1350),
    "15 minutes later": ("2026-11-24T11:30:00", ClockState.BEHIND, 1350),
    "before the safety margin": ("2026-11-25T08:59:59", ClockState.BEHIND, 60),
    "within the safety margin": ("2026-11-25T09:00:00", ClockState.CRITICAL, 60),
    "last second": ("2026-11-25T09:59:59", ClockState.CRITICAL, 0),
    "too late": ("2026-11-25T10:00:00", ClockState.MISSED, None),
}


@pytest.mark.parametrize("case", BY_MOMENT)
def test_an_open_record_is_on_schedule_then_behind_then_critical_then_missed(case: str) -> None:
    now, state, left = BY_MOMENT[case]
    found = clock({"2026-11-24T10": "5"}, now, [metering_record(hour=at("2026-11-24T10"))])
    assert [w.waits_for for w in found.waiting] == [WaitsFor.MARKETPLACE]
    assert (found.state, minutes_left(found)) == (state, left)


# Usage of 10:00 that nobody settles: state by the moment. The hour closes at 11:15.
UNSETTLED = {
    "while it runs": ("2026-11-24T10:40", "hour", ClockState.ON_SCHEDULE),
    "before it is closed": ("2026-11-24T11:14:59", "hour", ClockState.ON_SCHEDULE),
    "closed": ("2026-11-24T11:15", "settlement", ClockState.ON_SCHEDULE),
    "not settled in time": ("2026-11-24T11:30", "settlement", ClockState.BEHIND),
    "within the safety margin": ("2026-11-25T09:00", "settlement", ClockState.CRITICAL),
}


@pytest.mark.parametrize("case", UNSETTLED)
def test_usage_that_is_not_settled_falls_behind(case: str) -> None:
    now, waits_for, state = UNSETTLED[case]
    found = clock({"2026-11-24T10": "5"}, now)
    assert (shown(found), found.state) == ([("2026-11-24T10", "5", waits_for)], state)


def test_google_usage_is_behind_before_the_contracts_hour_is_over() -> None:
    usage = {"2026-11-24T10": "5"}
    contract = at("2026-11-24T11") + timedelta(hours=1)
    behind = next(
        moment
        for moment in (at("2026-11-24T11") + timedelta(minutes=5 * n) for n in range(99))
        if clock(usage, moment.isoformat()[:19], channel=Channel.GCP).state is ClockState.BEHIND
    )
    assert (behind, behind < contract) == (at("2026-11-24T11:30"), True)


def test_a_grace_that_outlasts_the_flush_window_is_behind_from_the_start() -> None:
    ended: dict[str, Any] = {"state": AgreementState.ENDED, "ends_at": at("2026-11-24T12:10")}
    soon = clock({"2026-11-24T12": "3"}, "2026-11-24T12:11", **ended)
    late = clock({"2026-11-24T12": "3"}, "2026-11-24T12:11", grace=timedelta(minutes=45), **ended)
    assert (soon.state, late.state) == (ClockState.ON_SCHEDULE, ClockState.CRITICAL)


def test_the_most_urgent_is_next_whatever_was_missed_before() -> None:
    overdue = metering_record(hour=at("2026-11-23T09"))
    found = clock({"2026-11-23T09": "5", "2026-11-24T09": "1"}, records=[overdue])
    assert [w.hour for w in found.waiting] == [at("2026-11-23T09"), at("2026-11-24T09")]
    assert found.next is not None
    assert (found.next.hour, found.state) == (at("2026-11-24T09"), ClockState.MISSED)


def test_an_hour_without_usage_that_is_reported_as_zero_is_no_risk() -> None:
    zero = metering_record(hour=at("2026-11-24T10"), quantity="0")
    assert clock({}, records=[zero], zero_records=True).waiting == ()


def test_what_is_summed_up_in_the_head_is_counted_once() -> None:
    usage = {"2026-09-10T10": "7", "2026-11-24T10": "2"}
    head = LedgerHead(
        agreement_id="agr_1",
        version=3,
        live_from=BillingPeriod(2026, 10),
        settled_at=at("2026-11-24T10:20"),
        settled_through=at("2026-11-24T09"),
        opening={"requests": {BillingPeriod(2026, 9): Decimal("0.5")}},
    )
    found = clock(usage, head=head, starts_at=at("2026-08-01T00"))
    assert shown(found) == [("2026-11-24T10", "2", "settlement")]


def test_hundreds_of_hours_that_wait_are_all_told() -> None:
    hours = [at("2026-11-23T13") + timedelta(hours=n) for n in range(24)]
    dims = [dimension(code=f"d{n}") for n in range(6)]
    found = deadline_clock(
        SettlementInput(
            agreement=agreement(),
            dimensions=dims,
            billable={d.code: dict.fromkeys(hours, Decimal(1)) for d in dims},
            records=(),
            head=None,
            policy=reporting_policy(Channel.AWS, hours[0]),
            now=at("2026-11-24T12:20"),
            grace=GRACE,
        )
    )
    assert len(found.waiting) == 6 * 24
    assert sum(w.quantity for w in found.waiting) == 144
    assert found.waiting[0].hour == datetime.fromisoformat("2026-11-23T13:00:00+00:00")
