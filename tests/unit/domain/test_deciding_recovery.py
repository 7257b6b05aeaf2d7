"""Decisions about records of long ago, and what each recovery policy leaves to a person."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from builders import at
from decision_setup import NOVEMBER, Books
from meterbridge.domain.agreements import RecoveryPolicy
from meterbridge.domain.decisions import DecisionAction
from meterbridge.domain.metering_record import MeteringRecord, RecordState
from meterbridge.domain.statement import Bucket
from meterbridge.domain.windows import BillingPeriod, hour_text

AUGUST = BillingPeriod(2026, 8)
LONG_AGO = {"2026-08-10T10": "5"}


def long_ago(result: str) -> tuple[Books, MeteringRecord]:
    """A record of August that no settlement of November reads any more."""
    books = Books(LONG_AGO, now="2026-08-10T12:20", starts_at=at("2026-08-01T00"))
    record = books.with_result(result)
    books.settle("2026-11-24T12:20")
    assert books.head.live_from == BillingPeriod(2026, 10)
    return books, books.record(record.key)


@pytest.mark.parametrize("result", ["in_doubt", "expired"])
def test_a_record_that_no_settlement_reads_any_more_can_still_be_retried(result: str) -> None:
    books, record = long_ago(result)
    books.decide(record, DecisionAction.RETRY)
    assert books.buckets(AUGUST) == {Bucket.CARRIED: 5}
    (again,) = books.settle()
    assert (again.quantity, again.allocations) == (5, {AUGUST: Decimal(5)})
    assert books.buckets(AUGUST) == {Bucket.IN_FLIGHT: 5}
    assert books.settle() == []


def test_a_record_that_no_settlement_reads_any_more_can_still_be_confirmed() -> None:
    books, record = long_ago("in_doubt")
    books.decide(record, DecisionAction.CONFIRM, accepted_quantity=Decimal(3))
    assert books.buckets(AUGUST) == {Bucket.ACCEPTED: 3, Bucket.CARRIED: 2}
    assert [each.quantity for each in books.settle()] == [2]
    assert books.buckets(AUGUST) == {Bucket.ACCEPTED: 3, Bucket.IN_FLIGHT: 2}


def test_a_record_that_no_settlement_reads_any_more_can_still_be_re_dated() -> None:
    books, record = long_ago("expired")
    books.decide(record, DecisionAction.RE_DATE, new_hour=at("2026-11-24T11"))
    assert books.buckets(AUGUST) == {Bucket.IN_FLIGHT: 5}
    assert books.settle() == []
    assert (books.buckets(AUGUST), books.buckets(NOVEMBER)) == ({Bucket.IN_FLIGHT: 5}, {})


def test_a_record_that_no_settlement_reads_any_more_can_still_be_written_off() -> None:
    books, record = long_ago("expired")
    books.decide(record, DecisionAction.WRITE_OFF)
    assert books.settle() == []
    assert books.buckets(AUGUST) == {Bucket.WRITTEN_OFF: 5}


def test_a_held_record_of_long_ago_stays_held_when_the_policy_becomes_automatic() -> None:
    books, record = long_ago("expired")
    books.change(recovery=RecoveryPolicy.AUTOMATIC)
    assert books.settle() == []
    books.decide(record, DecisionAction.RETRY)
    assert [each.quantity for each in books.settle()] == [5]
    assert books.buckets(AUGUST) == {Bucket.IN_FLIGHT: 5}


@pytest.mark.parametrize(
    ("recovery", "again", "buckets"),
    [
        (RecoveryPolicy.AUTOMATIC, ["2026-11-24T11"], {Bucket.IN_FLIGHT: 5}),
        (RecoveryPolicy.MANUAL, [], {Bucket.EXPIRED: 5}),
        (RecoveryPolicy.NEVER, [], {Bucket.WRITTEN_OFF: 5}),
    ],
)
def test_recovery_bills_again_or_not_and_the_record_keeps_its_hour(
    recovery: RecoveryPolicy, again: list[str], buckets: dict[Bucket, int]
) -> None:
    books = Books({"2026-11-24T10": "5"}, recovery=recovery)
    record = books.with_result("expired")
    assert [hour_text(each.key.hour) for each in books.settle()] == again
    assert books.buckets() == buckets
    kept = books.record(record.key)
    assert (hour_text(kept.key.hour), kept.state) == ("2026-11-24T10", RecordState.EXPIRED)
    assert kept.absorbed is (recovery is RecoveryPolicy.AUTOMATIC)
    if recovery is not RecoveryPolicy.AUTOMATIC:
        books.decide(kept, DecisionAction.RETRY)
        books.clock.advance(timedelta(hours=1))
        (recovered,) = books.settle()
        assert hour_text(recovered.key.hour) > "2026-11-24T10"
        assert books.record(record.key).key == record.key
        assert books.buckets() == {Bucket.IN_FLIGHT: 5}
