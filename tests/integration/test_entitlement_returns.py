"""A buyer who is not entitled: stopped, kept, asked about, and billed when the entitlement returns."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from builders import NOON, at
from deals import Deals, open_deals
from marketplace_setups import SETUPS
from meterbridge.domain.agreements import AgreementState, SuspendedBy
from meterbridge.domain.metering_record import RecordState
from meterbridge.domain.statement import Bucket
from meterbridge.domain.windows import HOUR
from sandbox.marketplaces.http_server import RunningSandbox, running_sandbox

FIRST = at("2026-11-24T11")
MINUTES = timedelta(minutes=10)
CLOSED = NOON + timedelta(minutes=15)


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    with running_sandbox(seed=3) as sandbox:
        yield sandbox


@pytest.fixture(params=SETUPS)
def deals(request: pytest.FixtureRequest, running: RunningSandbox) -> Iterator[Deals]:
    with open_deals(SETUPS[request.param], running.control, running.url, NOON) as deals:
        yield deals


def stop(deals: Deals) -> None:
    """The buyer of the first agreement is not entitled any more, and we have heard so."""
    deals.sell()
    deals.use(FIRST + MINUTES, "5")
    deals.setup.suspend(deals.control, "agr_1")
    deals.run_until(CLOSED)


def metering_calls(deals: Deals) -> int:
    return sum(
        call["operation"] in ("BatchMeterUsage", "batchUsageEvent", "check", "report")
        for call in deals.control.calls()
    )


def test_the_usage_of_a_stopped_buyer_is_kept_and_shown_unbillable_with_the_reason(
    deals: Deals,
) -> None:
    stop(deals)
    sold = deals.registry.agreement("agr_1")
    assert (sold.state, sold.suspended_by) == (AgreementState.SUSPENDED, SuspendedBy.MARKETPLACE)
    assert deals.buckets() == {Bucket.UNBILLABLE: Decimal(5)}
    reasons = {each.unbillable_reason for each in deals.statements()}
    assert reasons == {f"agreement is suspended: {sold.state_reason}"}
    word = {"aws": "CustomerNotSubscribed", "azure": "ResourceNotActive", "gcp": "BILLING_DISABLED"}
    assert sold.state_reason.startswith(word[deals.setup.channel])
    (record,) = deals.records()
    assert (record.state, record.attempts) == (RecordState.PENDING, 0)
    deals.use(NOON + MINUTES, "7")
    deals.run_until(NOON + 3 * HOUR)
    assert deals.buckets() == {Bucket.UNBILLABLE: Decimal(12)}
    assert deals.billed() == {}


def test_a_stopped_buyer_is_asked_about_once_an_hour_and_stops_nobody_else(deals: Deals) -> None:
    stop(deals)
    deals.sell("agr_2")
    before = metering_calls(deals)
    deals.run_until(CLOSED + 3 * HOUR, timedelta(minutes=5))
    assert metering_calls(deals) - before == 3
    deals.use(NOON + 3 * HOUR + MINUTES, "2", "agr_2")
    deals.run_until(CLOSED + 4 * HOUR)
    assert deals.billed("agr_2") == {NOON + 3 * HOUR: Decimal(2)}
    assert deals.state("agr_2") is AgreementState.ACTIVE


def test_back_within_the_window_every_hour_is_billed_as_it_was_used(deals: Deals) -> None:
    stop(deals)
    deals.use(NOON + MINUTES, "7")
    deals.run_until(CLOSED + 4 * HOUR)
    deals.setup.resume(deals.control, "agr_1")
    deals.run_until(CLOSED + 6 * HOUR)
    assert deals.state() is AgreementState.ACTIVE
    assert deals.registry.agreement("agr_1").state_reason == ""
    assert deals.billed() == {FIRST: Decimal(5), NOON: Decimal(7)}
    assert deals.buckets() == {Bucket.ACCEPTED: Decimal(12)}


def test_back_after_days_everything_is_billed_and_usage_goes_on(deals: Deals) -> None:
    stop(deals)
    for hours in range(0, 60, 7):
        deals.use(NOON + hours * HOUR + MINUTES, "1.5")
    deals.run_until(CLOSED + 60 * HOUR)
    assert deals.buckets() == {Bucket.UNBILLABLE: Decimal("18.5")}
    assert deals.billed() == {}
    # Few are written while nobody can pay: one every six hours at most.
    assert len(deals.records()) <= 1 + 60 // 6
    deals.setup.resume(deals.control, "agr_1")
    deals.use(deals.clock.now(), "3")
    deals.run_until(CLOSED + 63 * HOUR)
    assert deals.state() is AgreementState.ACTIVE
    assert sum(deals.billed().values()) == Decimal("21.5")
    assert deals.buckets() == {Bucket.ACCEPTED: Decimal("21.5")}


def test_a_buyer_who_used_nothing_meanwhile_is_billed_again_with_the_first_usage(
    deals: Deals,
) -> None:
    stop(deals)
    deals.run_until(CLOSED + 75 * HOUR, HOUR)
    deals.setup.resume(deals.control, "agr_1")
    deals.use(deals.clock.now(), "3")
    deals.run_until(deals.clock.now() + 8 * HOUR)
    assert deals.state() is AgreementState.ACTIVE
    assert sum(deals.billed().values()) == 8
    assert deals.buckets() == {Bucket.ACCEPTED: Decimal(8)}


def test_stopped_twice_is_resumed_twice(deals: Deals) -> None:
    stop(deals)
    for number in range(1, 3):
        deals.setup.resume(deals.control, "agr_1")
        deals.run_until(deals.clock.now() + 2 * HOUR)
        assert deals.state() is AgreementState.ACTIVE
        deals.setup.suspend(deals.control, "agr_1")
        deals.use(deals.clock.now(), str(number))
        deals.run_until(deals.clock.now() + 2 * HOUR)
        assert deals.state() is AgreementState.SUSPENDED
    deals.setup.resume(deals.control, "agr_1")
    deals.run_until(deals.clock.now() + 2 * HOUR)
    assert deals.buckets() == {Bucket.ACCEPTED: Decimal(8)}
    assert sum(deals.billed().values()) == 8


def test_what_a_person_suspended_is_never_resumed_by_us(deals: Deals) -> None:
    stop(deals)
    deals.change(state=AgreementState.SUSPENDED, state_reason="unpaid invoice")
    deals.setup.resume(deals.control, "agr_1")
    before = metering_calls(deals)
    deals.run_until(CLOSED + 50 * HOUR, HOUR)
    assert metering_calls(deals) == before
    assert deals.state() is AgreementState.SUSPENDED
    assert deals.buckets() == {Bucket.UNBILLABLE: Decimal(5)}
    deals.change(state=AgreementState.ACTIVE, state_reason="")
    deals.run_until(CLOSED + 52 * HOUR)
    assert sum(deals.billed().values()) == 5


def test_a_person_may_set_a_stopped_agreement_going_before_we_ask(deals: Deals) -> None:
    stop(deals)
    deals.setup.resume(deals.control, "agr_1")
    deals.change(state=AgreementState.ACTIVE)
    deals.advance(timedelta(minutes=5))
    deals.cycle()
    assert deals.billed() == {FIRST: Decimal(5)}


def test_deadlines_go_on_counting_while_a_buyer_is_stopped(deals: Deals) -> None:
    stop(deals)
    (record,) = deals.records()
    deals.run_until(record.deadline, HOUR)
    first = deals.ledger.record(record.key)
    assert first.state is RecordState.EXPIRED
    deals.run_until(record.deadline + 2 * HOUR)
    assert deals.buckets() == {Bucket.UNBILLABLE: Decimal(5)}
    newest = deals.records()[-1]
    assert (newest.state, newest.quantity) == (RecordState.PENDING, Decimal(5))
