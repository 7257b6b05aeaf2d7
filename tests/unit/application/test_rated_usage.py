"""What an agreement bills begins and ends with it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from builders import agreement, at, dimension, offering, product
from fakes.ledger import FakeLedger
from fakes.registry import FakeRegistry
from fakes.usage_store import FakeUsageStore
from meterbridge.application.rated_usage import read_rated_usage
from meterbridge.domain.agreements import Customer
from meterbridge.domain.events import EPOCH, MICROSECOND
from meterbridge.domain.meter_states import GaugeState, MaxState, MeterState
from meterbridge.domain.meters import Aggregation, ResetPeriod
from meterbridge.domain.offerings import Channel
from meterbridge.domain.partitions import Partition
from meterbridge.domain.usage import FoldHead, FoldPosition, HourlyUsage
from usage_events import meter

START, END = at("2026-11-01T00"), at("2026-12-01T00")
MIDDLE = at("2026-11-15T00")
POSITION = FoldPosition(1, 1)


def held(value: int, since: datetime) -> GaugeState:
    moment = (since - EPOCH) // MICROSECOND
    return GaugeState(moment, moment, Decimal(value), Decimal(0))


def billed_by(
    aggregation: Aggregation, states: dict[datetime, MeterState]
) -> dict[str, dict[datetime, Decimal]]:
    """What two agreements bill that share November, by id and hour; zeros left out."""
    registry, usage = FakeRegistry(), FakeUsageStore()
    registry.add_product(product())
    registry.add_meter(meter(aggregation, reset=ResetPeriod.MONTH))
    registry.add_offering(offering(dimension(meter_id="mtr")), {"mtr": 1})
    registry.add_customer(Customer("acme"))
    terms = {"first": (START, MIDDLE), "second": (MIDDLE, None)}
    for name, (starts_at, ends_at) in terms.items():
        registry.add_agreement(
            agreement(
                id=name, channel=Channel.MANUAL, aws=None, starts_at=starts_at, ends_at=ends_at
            )
        )
    for hour, state in states.items():
        row = HourlyUsage("prd_llm", "acme", hour, {"mtr": {(): state}}, POSITION, hour, hour)
        usage.advance(FoldHead(Partition(hour, 0), POSITION, "", hour, hour, 1, 0, 0), [row])
    return {
        name: {
            hour: quantity
            for hour, quantity in read_rated_usage(
                registry.agreement(name),
                START,
                END,
                registry=registry,
                usage=usage,
                ledger=FakeLedger(),
                now=END,
            )
            .by_dimension["requests"]
            .billable.items()
            if quantity
        }
        for name in terms
    }


@pytest.mark.parametrize("stated", ["2026-11-01T00", "2026-10-20T00"])
def test_a_gauge_that_two_agreements_share_a_month_of_is_billed_once(stated: str) -> None:
    found = billed_by(Aggregation.TIME_WEIGHTED, {at(stated): held(1, at(stated))})
    # 14 days of 1 are the first one's; of the rest, 16 days or up to the 35th of the statement.
    rest = 16 * 24 if stated == "2026-11-01T00" else 9 * 24
    assert found == {
        "first": {at("2026-11-14T23"): Decimal(14 * 24)},
        "second": {at("2026-11-30T23"): Decimal(rest)},
    }


def test_a_maximum_over_a_month_begins_anew_with_the_second_agreement() -> None:
    peaks: dict[datetime, MeterState] = {
        at("2026-11-03T10"): MaxState(Decimal(9)),
        at("2026-11-20T10"): MaxState(Decimal(7)),
    }
    assert billed_by(Aggregation.MAX, peaks) == {
        "first": {at("2026-11-03T10"): Decimal(9)},
        "second": {at("2026-11-20T10"): Decimal(7)},
    }
