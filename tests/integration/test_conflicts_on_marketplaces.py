"""An hour that somebody else has reported: adopt the marketplace's figure where it tells it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from builders import NOON, at
from deals import Deals, open_deals
from marketplace_setups import SETUPS, setup_record
from meterbridge.domain.metering_record import RecordState
from meterbridge.domain.statement import Bucket
from meterbridge.domain.windows import HOUR
from sandbox.marketplaces.http_server import RunningSandbox, running_sandbox

ELEVEN = at("2026-11-24T11")
OURS = Decimal(5)


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    with running_sandbox(seed=3) as sandbox:
        yield sandbox


@pytest.fixture(params=SETUPS)
def deals(request: pytest.FixtureRequest, running: RunningSandbox) -> Iterator[Deals]:
    with open_deals(SETUPS[request.param], running.control, running.url, NOON) as deals:
        yield deals


def reported_before_us(deals: Deals, quantity: str) -> None:
    """Eleven o'clock, by the same names, past our ledger; then our own five."""
    deals.sell()
    build, submit = deals.remote.build, deals.remote.submit
    (result,) = submit([build(setup_record(deals.setup, "d00", quantity, hour=ELEVEN))])
    assert result.code in ("Success", "Accepted", "OK")
    deals.use(ELEVEN + timedelta(minutes=10), str(OURS))
    deals.run_until(NOON + timedelta(minutes=15))


@pytest.mark.parametrize("theirs", ["7", "3", "0.000001", "12.5"])
def test_another_figure_is_adopted_where_it_is_told_and_the_difference_billed_later(
    deals: Deals, theirs: str
) -> None:
    reported_before_us(deals, theirs)
    (record,) = deals.records()
    assert record.state is RecordState.CONFLICTED
    told = Decimal(theirs) if deals.setup.tells_accepted_quantity else None
    assert record.accepted_quantity == told
    for number in range(4):
        deals.use(NOON + number * HOUR + timedelta(minutes=10), "4")
    deals.run_until(NOON + timedelta(hours=4, minutes=15))
    bill, used = deals.billed(), OURS + 16
    assert bill[ELEVEN] == Decimal(theirs)
    if told is not None:
        # Too little was made up in the next hour; too much by what was used later.
        assert sum(bill.values()) == used
        assert deals.buckets() == {Bucket.ACCEPTED: used}
        assert bill.get(NOON, Decimal(0)) == max(Decimal(0), 4 + OURS - told)
    else:
        # Nobody knows what it holds: ours stays committed, and a person decides.
        assert sum(bill.values()) == Decimal(theirs) + 16
        assert deals.buckets() == {Bucket.ACCEPTED: Decimal(16), Bucket.CONFLICTED: OURS}


def test_the_same_figure_is_our_own(deals: Deals) -> None:
    reported_before_us(deals, str(OURS))
    (record,) = deals.records()
    assert record.state is RecordState.ACCEPTED
    assert deals.billed() == {ELEVEN: OURS}
    assert deals.buckets() == {Bucket.ACCEPTED: OURS}


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_a_zero_holds_its_hour_like_any_figure(cloud: str, running: RunningSandbox) -> None:
    """Where zero is taken at all, no figure is told."""
    with open_deals(SETUPS[cloud], running.control, running.url, NOON) as deals:
        reported_before_us(deals, "0")
        (record,) = deals.records()
        assert (record.state, record.accepted_quantity) == (RecordState.CONFLICTED, None)
        assert deals.buckets() == {Bucket.CONFLICTED: OURS}
        assert deals.billed() == {ELEVEN: Decimal(0)}
