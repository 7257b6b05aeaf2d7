"""The end of a month by three clocks, and the end of an agreement: what is still taken, and where it goes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from builders import NOON, at
from deals import Deals, open_deals
from marketplace_setups import SETUPS
from meterbridge.domain.agreements import AgreementState
from meterbridge.domain.metering_record import RecordState
from meterbridge.domain.statement import Bucket
from meterbridge.domain.windows import HOUR
from sandbox.marketplaces.faults import FaultKind
from sandbox.marketplaces.http_server import RunningSandbox, running_sandbox

MINUTES = timedelta(minutes=10)
LAST_HOUR = at("2026-11-30T23")
LATE_EVENING = at("2026-11-30T22")
PACIFIC_MIDNIGHT = at("2026-12-01T08")


def open_at(cloud: str, running: RunningSandbox, now: datetime) -> Iterator[Deals]:
    with open_deals(SETUPS[cloud], running.control, running.url, now) as deals:
        yield deals


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    with running_sandbox(seed=3) as sandbox:
        yield sandbox


@pytest.fixture(params=SETUPS)
def deals(request: pytest.FixtureRequest, running: RunningSandbox) -> Iterator[Deals]:
    yield from open_at(request.param, running, LATE_EVENING)


@pytest.fixture(params=SETUPS)
def at_noon(request: pytest.FixtureRequest, running: RunningSandbox) -> Iterator[Deals]:
    yield from open_at(request.param, running, NOON)


class TestTheEndOfAMonth:
    def test_the_last_hour_is_reported_a_quarter_of_an_hour_later_everywhere(
        self, deals: Deals
    ) -> None:
        deals.sell()
        deals.use(LAST_HOUR + timedelta(minutes=59), "5")
        deals.run_until(LAST_HOUR + HOUR + timedelta(minutes=15))
        (record,) = deals.records()
        assert record.state is RecordState.ACCEPTED
        assert deals.billed() == {LAST_HOUR: Decimal(5)}
        deadlines = {"aws": "2026-12-01T06", "azure": "2026-12-01T23", "gcp": "2026-12-02T23"}
        assert record.deadline == at(deadlines[deals.setup.channel])
        assert deals.control.billed().warnings == ()

    def test_late_usage_of_the_last_hours_goes_into_its_own_hour_or_the_first_open_one(
        self, deals: Deals
    ) -> None:
        """Told at 07:00, an hour after AWS has closed November."""
        deals.sell()
        deals.run_until(at("2026-12-01T07"), HOUR)
        deals.use(LAST_HOUR + MINUTES, "5")
        deals.run_until(at("2026-12-01T08"))
        own = deals.setup.channel != "aws"
        assert deals.billed() == {LAST_HOUR if own else at("2026-12-01T00"): Decimal(5)}
        november, december = deals.statements()
        # It stays November's usage, whatever hour it was billed in.
        assert november.lines[0].buckets[Bucket.ACCEPTED] == 5
        assert december.lines[0].buckets[Bucket.ACCEPTED] == 0

    def test_what_could_not_be_sent_before_the_cut_is_billed_in_the_new_month(
        self, deals: Deals
    ) -> None:
        deals.sell()
        deals.use(LAST_HOUR + MINUTES, "5")
        end = at("2026-12-01T06:30:00")
        deals.control.inject(FaultKind.THROTTLED, count=None, until=end)
        deals.run_until(end + 2 * HOUR, timedelta(minutes=30))
        first = deals.records()[0]
        if deals.setup.channel == "aws":
            assert (first.key.hour, first.state) == (LAST_HOUR, RecordState.EXPIRED)
            assert list(deals.billed().values()) == [Decimal(5)]
            assert min(deals.billed()) >= at("2026-12-01T00")
        else:
            assert deals.billed() == {LAST_HOUR: Decimal(5)}
        assert deals.statements()[0].lines[0].buckets[Bucket.ACCEPTED] == 5

    def test_google_hears_every_hour_of_its_pacific_month_within_the_hour_and_without_a_gap(
        self, running: RunningSandbox
    ) -> None:
        for deals in open_at("gcp", running, LATE_EVENING):
            deals.sell(zero_records=True, starts_at=LATE_EVENING)
            deals.use(PACIFIC_MIDNIGHT - MINUTES, "5")
            deals.run_until(PACIFIC_MIDNIGHT + HOUR)
            hours = sorted(deals.billed())
            assert hours == [LATE_EVENING + number * HOUR for number in range(len(hours))]
            assert hours[-1] == PACIFIC_MIDNIGHT - HOUR
            records = deals.records()
            ends = [record.covered_until for record in records]
            assert ends[:-1] == [record.reported_hour_start for record in records[1:]]
            # Neither the duty of one hour nor the Pacific invoice was missed.
            assert deals.control.billed().warnings == ()

    def test_google_takes_what_missed_its_pacific_month_and_only_warns(
        self, running: RunningSandbox
    ) -> None:
        for deals in open_at("gcp", running, PACIFIC_MIDNIGHT - HOUR):
            deals.sell()
            deals.run_until(PACIFIC_MIDNIGHT + 3 * HOUR, HOUR)
            deals.use(PACIFIC_MIDNIGHT - MINUTES, "5")
            deals.run_until(PACIFIC_MIDNIGHT + 4 * HOUR)
            assert deals.billed() == {PACIFIC_MIDNIGHT - HOUR: Decimal(5)}
            assert deals.buckets() == {Bucket.ACCEPTED: Decimal(5)}
            assert len(deals.control.billed().warnings) >= 1


ENDED_AT = NOON + timedelta(minutes=20)
ELEVEN = NOON - HOUR
OVER = "agreement has ended and the marketplace takes nothing more for it"


def cancel(deals: Deals, *, told_at: datetime = ENDED_AT) -> None:
    """The buyer cancels at twenty past twelve; we hear of it then or later."""
    deals.run_until(ENDED_AT, timedelta(minutes=5))
    deals.setup.end(deals.control, "agr_1", ENDED_AT)
    deals.run_until(told_at, timedelta(minutes=5))
    deals.change(state=AgreementState.ENDED, ends_at=ENDED_AT)


class TestACancellation:
    def test_in_the_middle_of_an_hour_is_flushed_when_its_grace_is_over(
        self, at_noon: Deals
    ) -> None:
        deals = at_noon
        deals.sell()
        deals.use(ELEVEN + MINUTES, "5")
        deals.use(NOON + MINUTES, "7")
        cancel(deals)
        deals.run_until(ENDED_AT + timedelta(minutes=15), timedelta(minutes=5))
        assert deals.billed() == {ELEVEN: Decimal(5), NOON: Decimal(7)}
        assert deals.buckets() == {Bucket.ACCEPTED: Decimal(12)}
        last = deals.records()[-1]
        flush = {"aws": HOUR, "azure": 24 * HOUR, "gcp": HOUR}[deals.setup.channel]
        assert last.deadline == min(ENDED_AT + flush, NOON + 24 * HOUR)
        assert last.covered_until == ENDED_AT

    def test_usage_told_within_the_flush_is_billed_in_an_hour_that_is_still_free(
        self, at_noon: Deals
    ) -> None:
        deals = at_noon
        deals.sell()
        deals.use(NOON + MINUTES, "7")
        cancel(deals)
        deals.run_until(ENDED_AT + timedelta(minutes=30), timedelta(minutes=5))
        deals.use(NOON + MINUTES, "2")
        deals.run_until(ENDED_AT + timedelta(minutes=40), timedelta(minutes=5))
        assert deals.billed() == {NOON: Decimal(7), ELEVEN: Decimal(2)}
        assert deals.buckets() == {Bucket.ACCEPTED: Decimal(9)}

    def test_usage_told_after_the_flush_is_unbillable_with_the_reason(self, at_noon: Deals) -> None:
        deals = at_noon
        deals.sell()
        deals.use(NOON + MINUTES, "7")
        cancel(deals)
        flush = {"aws": HOUR, "azure": 24 * HOUR, "gcp": HOUR}[deals.setup.channel]
        deals.run_until(ENDED_AT + flush, timedelta(minutes=20))
        deals.use(NOON + MINUTES, "2")
        deals.run_until(ENDED_AT + flush + HOUR, timedelta(minutes=20))
        assert deals.billed() == {NOON: Decimal(7)}
        assert deals.buckets() == {Bucket.ACCEPTED: Decimal(7), Bucket.UNBILLABLE: Decimal(2)}
        assert {each.unbillable_reason for each in deals.statements()} == {OVER}

    def test_that_is_told_hours_later_is_flushed_where_the_marketplace_still_takes_it(
        self, at_noon: Deals
    ) -> None:
        """Nothing could be sent since eleven; when it could, only Azure's window was still open."""
        deals = at_noon
        deals.sell()
        deals.use(ELEVEN + MINUTES, "5")
        deals.use(NOON + MINUTES, "7")
        told_at = ENDED_AT + 2 * HOUR + timedelta(minutes=40)
        deals.control.inject(FaultKind.THROTTLED, count=None, until=told_at)
        cancel(deals, told_at=told_at)
        deals.run_until(told_at + 30 * HOUR, timedelta(minutes=30))
        if deals.setup.channel == "azure":
            assert deals.billed() == {ELEVEN: Decimal(5), NOON: Decimal(7)}
            assert deals.buckets() == {Bucket.ACCEPTED: Decimal(12)}
        else:
            assert deals.billed() == {}
            assert deals.buckets() == {Bucket.UNBILLABLE: Decimal(12)}
        assert {each.unbillable_reason for each in deals.statements()} == {OVER}

    def test_that_is_told_late_takes_back_nothing_that_was_billed(self, at_noon: Deals) -> None:
        """Google refuses a window that ends after the agreement; the others took the hour whole."""
        deals = at_noon
        deals.sell()
        deals.use(ELEVEN + MINUTES, "5")
        deals.use(NOON + MINUTES, "7")
        cancel(deals, told_at=ENDED_AT + 3 * HOUR)
        deals.run_until(ENDED_AT + 30 * HOUR, timedelta(minutes=30))
        if deals.setup.channel == "gcp":
            assert deals.billed() == {ELEVEN: Decimal(5)}
            expected = {Bucket.ACCEPTED: Decimal(5), Bucket.UNBILLABLE: Decimal(7)}
        else:
            assert deals.billed() == {ELEVEN: Decimal(5), NOON: Decimal(7)}
            expected = {Bucket.ACCEPTED: Decimal(12)}
        assert deals.buckets() == expected
        assert deals.state() is AgreementState.ENDED
