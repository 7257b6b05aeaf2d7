"""A conflict whose figure was told: the marketplace's figure is committed, and the rest is billed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import GRACE, agreement, all_billable, at, dimension, metering_record
from meterbridge.domain.agreements import RecoveryPolicy
from meterbridge.domain.ledger_head import LedgerHead
from meterbridge.domain.metering_record import MeteringRecord, RecordState
from meterbridge.domain.money import exact_sum
from meterbridge.domain.offerings import Channel
from meterbridge.domain.policy import policy_at
from meterbridge.domain.settlement import Settlement, SettlementInput, settle
from meterbridge.domain.statement import Bucket, Statement, statement_of
from meterbridge.domain.windows import BillingPeriod, hour_text

OCTOBER, NOVEMBER = BillingPeriod(2026, 10), BillingPeriod(2026, 11)
POLICY = policy_at(Channel.AZURE, at("2026-11-24T12"))
USED = {"2026-11-24T10": "5"}


def conflicted(accepted: str | None, quantity: str = "5", **changes: object) -> MeteringRecord:
    record = metering_record(quantity=quantity, **changes)
    return record.finished(
        RecordState.CONFLICTED,
        at=record.deadline,
        accepted_quantity=None if accepted is None else Decimal(accepted),
    )


class Books:
    """One agreement, settled and stated from the same usage and records."""

    def __init__(self, usage: dict[str, str], *records: MeteringRecord, **dim: object) -> None:
        self.agreement = agreement()
        self.dimension = dimension(**dim)
        self.usage = {at(hour): Decimal(value) for hour, value in usage.items()}
        self.records = {record.key: record for record in records}
        self.head: LedgerHead | None = None

    def settle(self, now: str = "2026-11-24T12:20") -> Settlement:
        """Settle and take over what was decided."""
        settlement = settle(
            SettlementInput(
                agreement=self.agreement,
                dimensions=(self.dimension,),
                billable={self.dimension.code: self.usage},
                records=tuple(self.records.values()),
                head=self.head,
                policy=POLICY,
                now=at(now),
                grace=GRACE,
            )
        )
        self.head = settlement.head
        self.records |= {record.key: record for record in settlement.new_records}
        for key in settlement.absorbed:
            self.records[key] = replace(self.records[key], absorbed=True)
        return settlement

    def statement(self, period: BillingPeriod = NOVEMBER) -> Statement:
        return statement_of(
            self.agreement,
            period,
            dimensions=(self.dimension,),
            rated={self.dimension.code: all_billable(self.usage)},
            records=self.records.values(),
            head=self.head,
            policy=POLICY,
            now=at("2026-11-24T12:20"),
        )

    def buckets(self, period: BillingPeriod = NOVEMBER) -> dict[Bucket, Decimal]:
        """What is not empty, of a statement that balances."""
        statement = self.statement(period)
        assert statement.balanced
        return {bucket: part for bucket, part in statement.lines[0].buckets.items() if part}


def written(settlement: Settlement) -> dict[str, str]:
    return {hour_text(record.key.hour): str(record.quantity) for record in settlement.new_records}


def test_what_the_marketplace_accepted_too_little_is_billed_in_the_next_open_hour() -> None:
    books = Books(USED, conflicted("3"))
    settlement = books.settle()
    assert written(settlement) == {"2026-11-24T11": "2"}
    assert [str(key) for key in settlement.absorbed] == ["agr_1/requests/2026-11-24T10"]
    assert books.buckets() == {Bucket.ACCEPTED: 3, Bucket.IN_FLIGHT: 2}
    assert not books.settle().changed


def test_what_the_marketplace_accepted_too_much_is_made_up_by_later_usage() -> None:
    books = Books(USED, conflicted("8"))
    assert written(books.settle()) == {}
    assert books.buckets() == {Bucket.ACCEPTED: 8, Bucket.CARRIED: -3}
    books.usage[at("2026-11-24T11")] = Decimal(4)
    assert written(books.settle()) == {"2026-11-24T11": "1"}
    assert books.buckets() == {Bucket.ACCEPTED: 8, Bucket.IN_FLIGHT: 1}


def test_until_a_settlement_knows_the_figure_the_record_counts_as_written() -> None:
    record = metering_record(quantity="5")
    books = Books(USED, record)
    books.settle()
    books.records[record.key] = conflicted("3")
    assert books.buckets() == {Bucket.CONFLICTED: 5}


@pytest.mark.parametrize("accepted", [None, "5", "5.000"])
def test_a_conflict_that_tells_no_other_figure_stays_as_written(accepted: str | None) -> None:
    books = Books(USED, conflicted(accepted))
    settlement = books.settle()
    assert (written(settlement), settlement.absorbed) == ({}, ())
    assert books.buckets() == {Bucket.CONFLICTED: 5}


def test_units_that_stand_for_several_are_taken_back_in_metered_quantity() -> None:
    record = conflicted("3", units_per_quantity="1000")
    books = Books({"2026-11-24T10": "5400"}, record, units_per_quantity=Decimal(1000))
    assert written(books.settle()) == {"2026-11-24T11": "2"}
    assert books.buckets() == {
        Bucket.ACCEPTED: 3000,
        Bucket.IN_FLIGHT: 2000,
        Bucket.CARRIED: 400,
    }


def test_what_was_not_accepted_is_taken_back_from_the_newest_period() -> None:
    record = conflicted(
        "4",
        quantity="7",
        allocations={OCTOBER: Decimal(6), NOVEMBER: Decimal(1)},
    )
    assert record.counted(absorbed=True) == {OCTOBER: Decimal(4), NOVEMBER: Decimal(0)}


def test_an_over_report_that_the_record_made_up_for_stays_made_up() -> None:
    record = conflicted("2", quantity="5", allocations={OCTOBER: Decimal(-1), NOVEMBER: Decimal(6)})
    assert record.counted(absorbed=True) == {OCTOBER: Decimal(-1), NOVEMBER: Decimal(3)}


def test_an_expired_record_that_was_absorbed_is_not_held_by_a_later_policy() -> None:
    expired = metering_record(quantity="5").finished(RecordState.EXPIRED, at=at("2026-11-25T10"))
    books = Books(USED, expired)
    assert written(books.settle()) == {"2026-11-24T11": "5"}
    books.agreement = agreement(recovery=RecoveryPolicy.NEVER)
    assert not books.settle().new_records
    assert books.buckets() == {Bucket.IN_FLIGHT: 5}


QUANTITIES = st.integers(0, 9).map(lambda number: Decimal(number) / 2)


@given(
    st.dictionaries(st.sampled_from([OCTOBER, NOVEMBER]), QUANTITIES.map(lambda q: q * 2)),
    QUANTITIES,
)
def test_what_counts_is_always_what_was_accepted(
    allocations: dict[BillingPeriod, Decimal], accepted: Decimal
) -> None:
    quantity = exact_sum(allocations.values())
    record = conflicted(str(accepted), quantity=str(quantity), allocations=allocations)
    counted = record.counted(absorbed=True)
    assert exact_sum(counted.values()) == accepted
    if accepted <= quantity:
        assert all(0 <= counted[period] <= amount for period, amount in allocations.items())


@given(
    st.lists(st.tuples(st.integers(1, 8), st.none() | st.integers(1, 12)), min_size=1, max_size=8)
)
def test_whatever_is_accepted_the_books_balance_and_the_total_is_billed(
    hours: list[tuple[int, int | None]],
) -> None:
    books = Books({})
    for number, (used, accepted) in enumerate(hours):
        books.usage[at(f"2026-11-24T{number:02d}")] = Decimal(used)
        now = f"2026-11-24T{number + 1:02d}:20"
        for record in books.settle(now).new_records:
            told = record.quantity if accepted is None else Decimal(accepted)
            state = RecordState.CONFLICTED if told != record.quantity else RecordState.ACCEPTED
            books.records[record.key] = record.finished(
                state, at=at(now), accepted_quantity=None if accepted is None else told
            )
        assert books.statement().balanced
    books.settle("2026-11-24T12:20")
    books.settle("2026-11-24T12:20")
    found = books.buckets()
    assert exact_sum(found.values()) == sum(used for used, _ in hours)
    assert Bucket.CONFLICTED not in found
    assert found.get(Bucket.CARRIED, Decimal(0)) <= 0
