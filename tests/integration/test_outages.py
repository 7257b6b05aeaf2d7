"""A marketplace that is down, throttles, or keeps another time: what is billed in the end, exactly."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from builders import NOON, at
from deals import Deals, open_deals
from marketplace_setups import SETUPS, MarketplaceSetup
from meterbridge.domain.agreements import RecoveryPolicy
from meterbridge.domain.metering_record import RecordState
from meterbridge.domain.policy import policy_at
from meterbridge.domain.statement import Bucket
from meterbridge.domain.windows import HOUR, hours_between
from sandbox.marketplaces.faults import FaultKind
from sandbox.marketplaces.http_server import RunningSandbox, running_sandbox

FIRST = at("2026-11-24T11")
PER_HOUR = Decimal("1.25")
HALF_HOUR = timedelta(minutes=30)


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    with running_sandbox(seed=3) as sandbox:
        yield sandbox


@pytest.fixture(params=SETUPS)
def deals(request: pytest.FixtureRequest, running: RunningSandbox) -> Iterator[Deals]:
    with open_deals(SETUPS[request.param], running.control, running.url, NOON) as deals:
        yield deals


def use_every_hour(deals: Deals, hours: int) -> dict[datetime, Decimal]:
    """The same in each hour from the first one on, known from the start."""
    used = dict.fromkeys(hours_between(FIRST, FIRST + hours * HOUR), PER_HOUR)
    for hour, quantity in used.items():
        deals.use(hour + timedelta(minutes=10), str(quantity))
    return used


def lateness_hours(deals: Deals) -> int:
    return int(policy_at(deals.setup.channel, NOON).lateness / HOUR)


def lost_hours(deals: Deals, end: datetime) -> list[datetime]:
    """Hours whose window was over when the outage was."""
    return [
        hour
        for hour in hours_between(FIRST, end)
        if hour + policy_at(deals.setup.channel, NOON).lateness <= end
    ]


@pytest.mark.parametrize(
    ("hours", "fault"),
    [(3, "error"), (3, "drop"), (3, "throttled"), (20, "error"), (20, "throttled")],
)
def test_after_an_outage_within_the_window_every_hour_is_billed_as_it_was_used(
    deals: Deals, hours: int, fault: str
) -> None:
    end = NOON + hours * HOUR
    deals.sell()
    used = use_every_hour(deals, hours + 2)
    take_down(deals, end, fault)
    deals.run_until(end - timedelta(minutes=1), HALF_HOUR)
    assert deals.billed() == {}
    deals.run_until(end + 4 * HOUR, HALF_HOUR)
    assert deals.billed() == used
    assert {record.state for record in deals.records()} == {RecordState.ACCEPTED}
    assert deals.buckets() == {Bucket.ACCEPTED: sum(used.values())}


@pytest.mark.parametrize("recovery", list(RecoveryPolicy))
def test_after_thirty_hours_of_throttling_what_expired_goes_where_its_agreement_says(
    deals: Deals, recovery: RecoveryPolicy
) -> None:
    """Throttled is certain not to be booked."""
    end = NOON + 30 * HOUR
    deals.sell(recovery=recovery)
    used = use_every_hour(deals, 32)
    take_down(deals, end, "throttled")
    deals.run_until(end + 4 * HOUR, HALF_HOUR)
    lost = lost_hours(deals, end)
    assert len(lost) == {"aws": 8, "azure": 8, "gcp": 0}[deals.setup.channel]
    expired = [record for record in deals.records() if record.state is RecordState.EXPIRED]
    # The original hour stays on record, whatever becomes of the usage.
    assert [(each.key.hour, each.quantity) for each in expired] == [(h, PER_HOUR) for h in lost]
    assert all(
        each.reason == "the marketplace's window closed before it was sent" for each in expired
    )
    in_time = {hour: quantity for hour, quantity in used.items() if hour not in lost}
    total = sum(used.values())
    amount = len(lost) * PER_HOUR
    if recovery is RecoveryPolicy.AUTOMATIC:
        # Each goes into the hour that closes next: a day later, less the one in which it expired.
        for hour in lost:
            in_time[hour + (lateness_hours(deals) - 1) * HOUR] += PER_HOUR
        assert deals.buckets() == {Bucket.ACCEPTED: total}
    else:
        manual = recovery is RecoveryPolicy.MANUAL
        kept = Bucket.EXPIRED if manual else Bucket.WRITTEN_OFF
        expected = {Bucket.ACCEPTED: total - amount, kept: amount}
        assert deals.buckets() == {bucket: each for bucket, each in expected.items() if each}
    assert deals.billed() == in_time


@pytest.mark.parametrize("fault", ["error", "drop"])
def test_after_thirty_hours_without_an_answer_only_what_was_being_sent_is_in_doubt(
    deals: Deals, fault: str
) -> None:
    """A call that broke may have been booked. Everything else was never sent, so nothing of it was."""
    end = NOON + 30 * HOUR
    deals.sell()
    used = use_every_hour(deals, 32)
    take_down(deals, end, fault)
    deals.run_until(end + 4 * HOUR, HALF_HOUR)
    lost = lost_hours(deals, end)
    states = {record.key.hour: record.state for record in deals.records()}
    assert [states[hour] for hour in lost] == (
        [RecordState.CONFLICTED, *[RecordState.EXPIRED] * 7] if lost else []
    )
    in_doubt = lost[:1]
    total = sum(used.values())
    doubt = {Bucket.CONFLICTED: PER_HOUR} if in_doubt else {}
    assert deals.buckets() == {Bucket.ACCEPTED: total - len(in_doubt) * PER_HOUR, **doubt}
    assert sum(deals.billed().values()) == total - len(in_doubt) * PER_HOUR
    if not lost:
        assert deals.billed() == used


def test_google_gives_up_after_two_days_and_bills_then_in_an_open_hour(
    running: RunningSandbox,
) -> None:
    with open_deals(SETUPS["gcp"], running.control, running.url, NOON) as deals:
        end = NOON + 50 * HOUR
        deals.sell()
        used = use_every_hour(deals, 55)
        take_down(deals, end, "throttled")
        deals.run_until(end + 8 * HOUR, HALF_HOUR)
        lost = lost_hours(deals, end)
        assert len(lost) == 4
        for hour in lost:
            used[hour + 47 * HOUR] += used.pop(hour)
        assert deals.billed() == used


def test_an_hour_of_throttling_delays_and_loses_nothing(deals: Deals) -> None:
    deals.sell()
    used = use_every_hour(deals, 3)
    take_down(deals, NOON + HOUR, "throttled")
    deals.run_until(NOON + HOUR - timedelta(minutes=1))
    assert deals.billed() == {}
    assert {record.state for record in deals.records()} == {RecordState.PENDING}
    assert {record.attempts for record in deals.records()} == {0}
    deals.run_until(NOON + HOUR)
    assert deals.billed() == {FIRST: PER_HOUR}
    deals.run_until(NOON + 3 * HOUR)
    assert deals.billed() == used


@pytest.mark.parametrize("minutes", [-10, -1, 1, 10])
def test_a_clock_that_is_off_by_minutes_burns_no_record(deals: Deals, minutes: int) -> None:
    deals.ahead = timedelta(minutes=minutes)
    deals.sell()
    used = use_every_hour(deals, 4)
    deals.run_until(NOON + 5 * HOUR, timedelta(minutes=5))
    assert deals.billed() == used
    assert {record.state for record in deals.records()} == {RecordState.ACCEPTED}


def test_usage_in_the_marketplaces_future_waits_until_it_is_past_there(deals: Deals) -> None:
    """Far off: by more than the grace that an hour is left open, so that it would be refused."""
    deals.ahead = timedelta(minutes=100)
    deals.sell()
    deals.use(FIRST + timedelta(minutes=10), "5")
    deals.run_until(NOON + timedelta(minutes=25), timedelta(minutes=5))
    (record,) = deals.records()
    assert (record.state, record.attempts) == (RecordState.PENDING, 0)
    assert record.reason != ""
    deals.ahead = timedelta(minutes=10)
    deals.run_until(NOON + timedelta(minutes=35), timedelta(minutes=5))
    assert deals.billed() == {FIRST: Decimal(5)}


@pytest.mark.parametrize("minutes", [-10, 10])
def test_off_by_minutes_at_the_end_of_the_window_nothing_is_lost_or_billed_twice(
    deals: Deals, minutes: int
) -> None:
    """Ahead, we give up early; behind, the marketplace tells us. Both go into an open hour."""
    deals.ahead = timedelta(minutes=minutes)
    deals.sell()
    deals.use(FIRST + timedelta(minutes=10), "5")
    late = FIRST + lateness_hours(deals) * HOUR - timedelta(minutes=5)
    take_down(deals, late - deals.ahead, "throttled")
    deals.run_until(late - timedelta(minutes=5), HALF_HOUR)
    deals.run_until(late + 3 * HOUR, timedelta(minutes=5))
    assert sum(deals.billed().values()) == 5
    assert deals.buckets() == {Bucket.ACCEPTED: Decimal(5)}


def take_down(deals: Deals, end: datetime, fault: str) -> None:
    """Until then, by the marketplace's clock: 503, broken connections, or 429 to everything."""
    if fault == "throttled":
        deals.control.inject(FaultKind.THROTTLED, count=None, until=end)
    else:
        deals.control.outage(end, loss=fault)


def test_the_sibling_suite_covers_every_marketplace_that_is_reported_to() -> None:
    setups: dict[str, MarketplaceSetup] = dict(SETUPS)
    assert {setup.channel for setup in setups.values()} == {"aws", "azure", "gcp"}
