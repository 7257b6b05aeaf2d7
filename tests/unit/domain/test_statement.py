"""The conservation statement: every unit in one bucket, or a difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from builders import agreement, all_billable, at, dimension, metering_record
from meterbridge.domain.agreements import AgreementState, RecoveryPolicy
from meterbridge.domain.ledger_head import LedgerHead, Position
from meterbridge.domain.metering_record import MeteringRecord, RecordState
from meterbridge.domain.money import Money
from meterbridge.domain.offerings import Channel
from meterbridge.domain.policy import policy_at
from meterbridge.domain.statement import Bucket, Logged, Statement, statement_of
from meterbridge.domain.windows import BillingPeriod

NOVEMBER = BillingPeriod(2026, 11)
NOW = at("2026-11-24T12:20")
POLICY = policy_at(Channel.AWS, NOW)


def head(metered: str, committed: str, carried: str) -> LedgerHead:
    position = Position(Decimal(metered), Decimal(committed), Decimal(carried))
    return LedgerHead(
        "agr_1", 1, NOVEMBER, NOW, at("2026-11-24T10"), positions={"requests": {NOVEMBER: position}}
    )


def stated(
    usage: dict[str, str],
    *records: MeteringRecord,
    head: LedgerHead | None = None,
    logged: str | None = None,
    **terms: object,
) -> Statement:
    return statement_of(
        agreement(**terms),
        NOVEMBER,
        dimensions=(dimension(),),
        rated={"requests": all_billable({at(hour): Decimal(q) for hour, q in usage.items()})},
        records=records,
        head=head,
        policy=POLICY,
        now=NOW,
        logged=None if logged is None else Logged({"requests": Decimal(logged)}, {}),
    )


def filled(statement: Statement) -> dict[str, str]:
    (line,) = statement.lines
    return {bucket.value: str(amount) for bucket, amount in line.buckets.items() if amount}


def in_state(state: RecordState, **changes: object) -> MeteringRecord:
    return replace(metering_record(), state=state, **changes)


@pytest.mark.parametrize(
    ("state", "bucket"),
    [
        (RecordState.PENDING, "in_flight"),
        (RecordState.SUBMITTED, "in_flight"),
        (RecordState.ACCEPTED, "accepted"),
        (RecordState.CONFLICTED, "conflicted"),
        (RecordState.REJECTED, "released"),
        (RecordState.EXPIRED, "released"),
    ],
)
def test_a_records_quantity_is_where_its_state_says(state: RecordState, bucket: str) -> None:
    found = stated({"2026-11-24T10": "5.5"}, in_state(state), head=head("5.5", "5", "0.5"))
    assert filled(found) == {bucket: "5", "carried": "0.5"}
    assert found.balanced


def test_a_released_quantity_is_carried_once_a_settlement_took_it_back() -> None:
    taken_back = in_state(RecordState.REJECTED, absorbed=True)
    found = stated({"2026-11-24T10": "5"}, taken_back, head=head("5", "0", "5"))
    assert filled(found) == {"carried": "5"}
    assert found.balanced


@pytest.mark.parametrize(
    ("recovery", "bucket"),
    [(RecoveryPolicy.MANUAL, "expired"), (RecoveryPolicy.NEVER, "written_off")],
)
def test_expired_usage_is_kept_apart_where_it_is_not_billed_again(
    recovery: RecoveryPolicy, bucket: str
) -> None:
    expired = in_state(RecordState.EXPIRED)
    found = stated({"2026-11-24T10": "5"}, expired, head=head("5", "5", "0"), recovery=recovery)
    assert filled(found) == {bucket: "5"}
    assert found.balanced


def test_usage_since_the_last_settlement_is_unsettled() -> None:
    usage = {"2026-11-24T10": "5", "2026-11-24T12": "2"}
    found = stated(usage, in_state(RecordState.ACCEPTED), head=head("5", "5", "0"))
    assert filled(found) == {"accepted": "5", "unsettled": "2"}
    assert found.balanced


def test_everything_is_unsettled_before_the_first_settlement() -> None:
    assert filled(stated({"2026-11-24T10": "5"})) == {"unsettled": "5"}


def test_what_an_agreement_that_is_over_cannot_bill_is_unbillable_with_the_reason() -> None:
    found = stated(
        {"2026-11-24T09": "5"}, head=head("5", "0", "5"), ends_at=at("2026-11-24T10:00:00")
    )
    assert filled(found) == {"unbillable": "5"}
    assert "ended" in found.unbillable_reason
    suspended = stated(
        {"2026-11-24T09": "5"},
        head=head("5", "0", "5"),
        state=AgreementState.SUSPENDED,
        state_reason="CustomerNotSubscribed",
    )
    assert filled(suspended) == {"unbillable": "5"}
    assert "CustomerNotSubscribed" in suspended.unbillable_reason
    pending = stated({"2026-11-24T10": "5"}, head=head("5", "0", "5"), state=AgreementState.PENDING)
    assert filled(pending) == {"unbillable": "5"}
    assert pending.unbillable_reason == "agreement is pending"


@pytest.mark.parametrize("records", [(), (in_state(RecordState.ACCEPTED),) * 2])
def test_a_unit_lost_or_made_up_is_a_difference(records: Sequence[MeteringRecord]) -> None:
    found = stated({"2026-11-24T10": "5"}, *records, head=head("5", "5", "0"))
    (line,) = found.lines
    assert line.difference == Decimal(5) - 5 * len(records)
    assert not found.balanced


def test_a_quantity_that_the_raw_log_does_not_confirm_is_not_balanced() -> None:
    accepted = in_state(RecordState.ACCEPTED)
    right = stated({"2026-11-24T10": "5"}, accepted, head=head("5", "5", "0"), logged="5")
    wrong = stated({"2026-11-24T10": "5"}, accepted, head=head("5", "5", "0"), logged="6")
    assert (right.balanced, wrong.balanced) == (True, False)


def test_every_bucket_has_its_price() -> None:
    found = stated(
        {"2026-11-24T10": "5.5"}, in_state(RecordState.ACCEPTED), head=head("5.5", "5", "0.5")
    )
    (line,) = found.lines
    assert line.charge == Money(Decimal("0.055"), "USD")
    assert line.charges[Bucket.ACCEPTED] == Money(Decimal("0.05"), "USD")
    assert line.charges[Bucket.CARRIED] == Money(Decimal("0.005"), "USD")


def test_only_the_part_of_a_record_that_is_the_periods_own_counts() -> None:
    october = BillingPeriod(2026, 10)
    mixed = replace(
        metering_record(quantity="5"),
        allocations={october: Decimal(2), NOVEMBER: Decimal(3)},
        state=RecordState.ACCEPTED,
    )
    found = stated({"2026-11-24T10": "3"}, mixed, head=head("3", "3", "0"))
    assert filled(found) == {"accepted": "3"}
    assert found.balanced
