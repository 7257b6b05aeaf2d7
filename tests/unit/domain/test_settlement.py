"""Settlement: billable to date minus committed to date."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from builders import GRACE, agreement, at, dimension, metering_record
from meterbridge.domain.agreements import AgreementState, RecoveryPolicy
from meterbridge.domain.ledger_head import LedgerHead, Position
from meterbridge.domain.metering_record import MeteringRecord, RecordState
from meterbridge.domain.offerings import Channel, QuantityKind
from meterbridge.domain.policy import policy_at
from meterbridge.domain.settlement import Settlement, SettlementInput, settle
from meterbridge.domain.windows import BillingPeriod, hour_text

NOVEMBER = BillingPeriod(2026, 11)
OCTOBER = BillingPeriod(2026, 10)
POLICY = policy_at(Channel.AWS, at("2026-11-24T12"))


def settled(
    usage: dict[str, str],
    now: str = "2026-11-24T12:20",
    records: tuple[MeteringRecord, ...] = (),
    head: LedgerHead | None = None,
    dim: dict[str, object] | None = None,
    **terms: object,
) -> Settlement:
    one = dimension(**(dim or {}))
    return settle(
        SettlementInput(
            agreement=agreement(**terms),
            dimensions=(one,),
            billable={one.code: {at(hour): Decimal(value) for hour, value in usage.items()}},
            records=records,
            head=head,
            policy=POLICY,
            now=at(now),
            grace=GRACE,
        )
    )


def written(settlement: Settlement) -> dict[str, str]:
    return {hour_text(r.key.hour): str(r.quantity) for r in settlement.new_records}


def position(settlement: Settlement, period: BillingPeriod = NOVEMBER) -> Position:
    return settlement.head.position("requests", period)


def final(record: MeteringRecord, state: RecordState) -> MeteringRecord:
    return record.finished(state, at=record.deadline)


def test_each_closed_hour_with_usage_gets_its_own_record() -> None:
    result = settled({"2026-11-24T09": "7", "2026-11-24T10": "3"})
    assert written(result) == {"2026-11-24T09": "7", "2026-11-24T10": "3"}
    assert position(result) == Position(Decimal(10), Decimal(10), Decimal(0))


def test_an_hour_is_settled_only_after_its_grace() -> None:
    usage = {"2026-11-24T11": "4"}
    assert written(settled(usage, now="2026-11-24T12:14:59")) == {}
    assert written(settled(usage, now="2026-11-24T12:15:00")) == {"2026-11-24T11": "4"}


def test_settling_again_writes_nothing() -> None:
    first = settled({"2026-11-24T10": "3"})
    again = settled({"2026-11-24T10": "3"}, records=first.new_records, head=first.head)
    assert (again.new_records, again.changed) == ((), False)


def test_late_usage_of_a_reported_hour_is_billed_in_the_next_open_hour() -> None:
    record = metering_record(hour=at("2026-11-24T09"), quantity="5")
    result = settled({"2026-11-24T09": "8", "2026-11-24T10": "1"}, records=(record,))
    assert written(result) == {"2026-11-24T10": "4"}


def test_late_usage_of_an_unreported_open_hour_is_billed_in_that_hour() -> None:
    record = metering_record(hour=at("2026-11-24T10"), quantity="5")
    result = settled({"2026-11-24T09": "8", "2026-11-24T10": "5"}, records=(record,))
    assert written(result) == {"2026-11-24T09": "8"}


def test_a_fraction_is_carried_until_it_makes_a_whole() -> None:
    result = settled({"2026-11-24T09": "0.4", "2026-11-24T10": "0.7"})
    assert written(result) == {"2026-11-24T10": "1"}
    assert position(result).carried == Decimal("0.1")


def test_a_decimal_dimension_is_reported_to_six_places_and_the_rest_is_carried() -> None:
    result = settled({"2026-11-24T10": "0.1234567"}, dim={"quantity_kind": QuantityKind.DECIMAL})
    assert written(result) == {"2026-11-24T10": "0.123456"}
    assert position(result).carried == Decimal("0.0000007")


def test_a_unit_of_a_thousand_carries_what_does_not_fill_it() -> None:
    result = settled({"2026-11-24T10": "2999.5"}, dim={"units_per_quantity": Decimal(1000)})
    assert written(result) == {"2026-11-24T10": "2"}
    assert position(result) == Position(Decimal("2999.5"), Decimal(2000), Decimal("999.5"))


def test_a_third_of_a_unit_is_exact() -> None:
    result = settled({"2026-11-24T10": "10"}, dim={"units_per_quantity": Decimal(3)})
    assert written(result) == {"2026-11-24T10": "3"}
    assert position(result).carried == Decimal(1)


def test_more_than_one_record_may_hold_goes_into_the_next_hour() -> None:
    result = settled({"2026-11-24T10": "2147483650"})
    assert written(result) == {"2026-11-24T10": "2147483647", "2026-11-24T11": "3"}
    assert position(result).carried == Decimal(0)


def test_a_rejected_record_leaves_the_committed_sum_and_bills_itself_again() -> None:
    lost = final(metering_record(hour=at("2026-11-24T09")), RecordState.REJECTED)
    result = settled({"2026-11-24T09": "5"}, records=(lost,))
    assert written(result) == {"2026-11-24T10": "5"}
    assert result.absorbed == (lost.key,)


def test_an_expired_record_waits_for_a_person_where_recovery_is_manual() -> None:
    lost = final(metering_record(hour=at("2026-11-24T09")), RecordState.EXPIRED)
    for policy in (RecoveryPolicy.MANUAL, RecoveryPolicy.NEVER):
        result = settled({"2026-11-24T09": "5"}, records=(lost,), recovery=policy)
        assert (written(result), result.absorbed) == ({}, ())


def test_a_conflicted_record_is_never_billed_again_by_itself() -> None:
    doubt = final(metering_record(hour=at("2026-11-24T09")), RecordState.CONFLICTED)
    assert written(settled({"2026-11-24T09": "5"}, records=(doubt,))) == {}


def test_usage_older_than_the_window_is_billed_in_the_oldest_hour_still_open() -> None:
    result = settled({"2026-11-20T09": "5"})
    # 24 hours before 12:20 on the 24th: 12:00 on the 23rd is out, 13:00 is in.
    assert written(result) == {"2026-11-23T13": "5"}


def test_usage_that_a_later_record_has_made_up_for_lets_no_newer_usage_into_older_hours() -> None:
    usage = {"2026-11-20T10": "4", "2026-11-24T11": "9"}
    made_up = final(metering_record(hour=at("2026-11-24T10"), quantity="4"), RecordState.ACCEPTED)
    result = settled(usage, records=(made_up,))
    assert written(result) == {"2026-11-24T11": "9"}
    late = settled({**usage, "2026-11-24T08": "2"}, records=(made_up,))
    assert written(late) == {"2026-11-24T08": "2", "2026-11-24T11": "9"}


def test_late_usage_of_last_month_keeps_its_period_on_a_record_of_this_month() -> None:
    head = LedgerHead("agr_1", 3, OCTOBER, at("2026-11-24T11:20"), at("2026-11-24T10"))
    result = settled(
        {"2026-10-31T23": "2.5", "2026-11-24T10": "0.5"},
        head=head,
        starts_at=at("2026-10-01T00"),
        now="2026-11-24T11:20",
    )
    assert written(result) == {"2026-11-23T12": "2", "2026-11-24T10": "1"}
    allocations = [dict(record.allocations) for record in result.new_records]
    assert allocations == [
        {OCTOBER: Decimal(2)},
        {OCTOBER: Decimal("0.5"), NOVEMBER: Decimal("0.5")},
    ]


def test_last_months_hours_are_open_until_six_on_the_first() -> None:
    usage = {"2026-11-30T20": "5"}
    before = settled(usage, now="2026-12-01T05:59:59", starts_at=at("2026-11-01T00"))
    assert written(before) == {"2026-11-30T20": "5"}
    after = settled(usage, now="2026-12-01T06:00:00", starts_at=at("2026-11-01T00"))
    assert written(after) == {"2026-12-01T00": "5"}


def test_a_corrected_over_report_is_made_up_by_later_usage() -> None:
    record = metering_record(hour=at("2026-11-24T09"), quantity="10")
    fixed = settled({"2026-11-24T09": "7"}, records=(record,))
    assert (written(fixed), position(fixed).carried) == ({}, Decimal(-3))
    later = settled({"2026-11-24T09": "7", "2026-11-24T10": "5"}, records=(record,))
    assert written(later) == {"2026-11-24T10": "2"}


def test_hours_without_usage_are_reported_as_zero_where_that_is_wanted() -> None:
    result = settled(
        {"2026-11-24T10": "3"},
        starts_at=at("2026-11-24T09"),
        now="2026-11-24T12:20",
        zero_records=True,
    )
    assert written(result) == {
        "2026-11-24T09": "0",
        "2026-11-24T10": "3",
        "2026-11-24T11": "0",
    }


def test_nothing_is_reported_for_a_suspended_agreement_but_its_usage_is_kept() -> None:
    result = settled({"2026-11-24T10": "3"}, state=AgreementState.SUSPENDED)
    assert (written(result), position(result).carried) == ({}, Decimal(3))


def test_nothing_is_reported_on_a_channel_without_metering_records() -> None:
    given = SettlementInput(
        agreement=agreement(channel=Channel.MANUAL),
        dimensions=(dimension(),),
        billable={"requests": {at("2026-11-24T10"): Decimal(3)}},
        records=(),
        head=None,
        policy=None,
        now=at("2026-11-24T12:20"),
        grace=GRACE,
    )
    assert settle(given).new_records == ()


def test_the_first_record_carries_the_moment_the_agreement_started() -> None:
    result = settled({"2026-11-24T10": "3"}, starts_at=at("2026-11-24T10:30:07"))
    assert [r.reported_hour_start for r in result.new_records] == [at("2026-11-24T10:30:07")]


def test_a_cancellation_flushes_the_running_hour_after_the_grace() -> None:
    usage = {"2026-11-24T10": "3"}
    ended = {"ends_at": at("2026-11-24T10:20"), "state": AgreementState.ENDED}
    assert written(settled(usage, now="2026-11-24T10:34:59", **ended)) == {}
    flushed = settled(usage, now="2026-11-24T10:35", **ended)
    assert written(flushed) == {"2026-11-24T10": "3"}
    assert [record.deadline for record in flushed.new_records] == [at("2026-11-24T11:20")]
    assert [record.covered_until for record in flushed.new_records] == [at("2026-11-24T10:20")]


def test_late_usage_after_a_cancellation_takes_any_hour_still_open() -> None:
    record = metering_record(hour=at("2026-11-24T10"), quantity="3")
    result = settled(
        {"2026-11-24T10": "8"},
        now="2026-11-24T11:00",
        records=(record,),
        ends_at=at("2026-11-24T10:20"),
        state=AgreementState.ENDED,
    )
    assert [str(r.quantity) for r in result.new_records] == ["5"]
    assert result.new_records[0].key.hour < at("2026-11-24T10")


def test_nothing_is_written_after_the_flush_window() -> None:
    result = settled(
        {"2026-11-24T10": "3"},
        now="2026-11-24T11:20",
        ends_at=at("2026-11-24T10:20"),
        state=AgreementState.ENDED,
    )
    assert (written(result), position(result).carried) == ({}, Decimal(3))


def test_a_backlog_is_settled_in_steps_that_fit_one_transaction() -> None:
    dimensions = tuple(dimension(code=f"d{n}") for n in range(10))
    hours = [at("2026-11-24T00") + timedelta(hours=n) for n in range(12)]
    given = SettlementInput(
        agreement=agreement(),
        dimensions=dimensions,
        billable={d.code: dict.fromkeys(hours, Decimal(1)) for d in dimensions},
        records=(),
        head=None,
        policy=POLICY,
        now=at("2026-11-24T12:20"),
        grace=GRACE,
    )
    first = settle(given)
    assert (len(first.new_records), first.complete) == (90, False)
    second = settle(replace(given, records=first.new_records, head=first.head))
    assert (len(second.new_records), second.complete) == (30, True)


def test_history_is_summed_up_once_it_can_no_longer_change() -> None:
    start = at("2026-09-01T00")
    usage = {"2026-09-10T10": "2.25", "2026-10-10T10": "1.5"}
    accepted = final(metering_record(hour=at("2026-09-10T10"), quantity="2"), RecordState.ACCEPTED)
    head = LedgerHead("agr_1", 1, BillingPeriod(2026, 9), at("2026-11-24T11:00"), None)
    result = settled(usage, records=(accepted,), head=head, starts_at=start)
    assert result.head.live_from == OCTOBER
    assert result.head.opening == {"requests": {BillingPeriod(2026, 9): Decimal("0.25")}}
    assert result.head.sealed == {"requests": {BillingPeriod(2026, 9): Decimal("2.25")}}
    later = settled(
        {"2026-10-10T10": "1.5", "2026-11-24T11": "1.25"},
        records=result.new_records,
        head=result.head,
        starts_at=start,
        now="2026-11-24T12:20",
    )
    billed = sum(r.quantity for r in (accepted, *result.new_records, *later.new_records))
    assert billed == Decimal(5)
    assert later.head.position("requests", BillingPeriod(2026, 9)).metered == Decimal("2.25")


def test_history_stays_open_while_a_record_in_it_is_unresolved() -> None:
    waiting = metering_record(hour=at("2026-09-10T10"), quantity="2")
    head = LedgerHead("agr_1", 1, BillingPeriod(2026, 9), at("2026-11-24T11:00"), None)
    result = settled(
        {"2026-09-10T10": "2"}, records=(waiting,), head=head, starts_at=at("2026-09-01T00")
    )
    assert result.head.live_from == BillingPeriod(2026, 9)
