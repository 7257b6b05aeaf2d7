"""Usage by window: the figures a customer will be billed, and how fresh they are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from builders import GRACE, at, product
from fakes.clock import FakeClock
from fakes.registry import FakeRegistry
from fakes.usage_log import FakeUsageLog
from fakes.usage_store import FakeUsageStore
from meterbridge.application.fold_partitions import fold_partition
from meterbridge.application.usage_report import UsageReport, usage_report
from meterbridge.domain.errors import InvalidInputError, NotFoundError
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.meters import Aggregation, GroupBy, Meter, ResetPeriod
from meterbridge.domain.usage_log import pack_events
from usage_events import meter, usage_event

NOW = at("2026-11-24T13:00")
HOUR, DAY, MONTH = ResetPeriod.HOUR, ResetPeriod.DAY, ResetPeriod.MONTH


class World:
    """A product with meters, and events that were ingested and folded."""

    def __init__(self, *meters: Meter) -> None:
        self.registry = FakeRegistry()
        self.registry.add_product(product())
        self.registry.add_product(product(id="prd_other", name="Other"))
        for each in meters:
            self.registry.add_meter(each)
        self.log = FakeUsageLog()
        self.usage = FakeUsageStore()
        self.clock = FakeClock(NOW)

    def ingest(self, events: Sequence[UsageEvent], received_at: datetime = NOW) -> None:
        self.log.append(pack_events(events, self.registry.shard_plan()), received_at)
        for partition in self.log.partitions():
            fold_partition(
                partition,
                log=self.log,
                usage=self.usage,
                registry=self.registry,
                clock=self.clock,
            )

    def report(
        self, start: str, end: str, window: ResetPeriod = HOUR, **changes: Any
    ) -> UsageReport:
        arguments: dict[str, Any] = {
            "product_id": "prd_llm",
            "customer_id": "acme",
            "meter_id": None,
            "window": window,
            "start": at(start),
            "end": at(end),
        }
        return usage_report(
            **{**arguments, **changes},
            usage=self.usage,
            registry=self.registry,
            clock=self.clock,
            grace=GRACE,
        )


def used(when: str, value: Any = 1, **changes: Any) -> UsageEvent:
    moment = at(when)
    return usage_event(**{"id": when, "occurred_at": moment, "v": value, **changes})


def shown(report: UsageReport) -> list[tuple[str, str, Decimal]]:
    """(start, end, quantity) as "24T10", "24T11", …."""
    return [
        (each.start.strftime("%dT%H"), each.end.strftime("%dT%H"), each.quantity)
        for each in report.quantities
    ]


def test_hours_show_what_was_used_in_each_of_them() -> None:
    world = World(meter())
    world.ingest(
        [
            used("2026-11-24T09:59:59.999999", 1),
            used("2026-11-24T10:00", Decimal("0.1")),
            used("2026-11-24T10:30", Decimal("0.2")),
            used("2026-11-24T12:00", 5),
        ]
    )
    report = world.report("2026-11-24T10", "2026-11-24T13")
    assert shown(report) == [("24T10", "24T11", Decimal("0.3")), ("24T12", "24T13", Decimal(5))]


def test_days_and_months_are_the_sums_of_their_hours() -> None:
    world = World(meter())
    world.ingest(
        [used("2026-10-31T23:59", 1), used("2026-11-01T00:00", 2), used("2026-11-24T12:00", 4)]
    )
    days = world.report("2026-10-31T00", "2026-11-25T00", DAY)
    assert shown(days) == [
        ("31T00", "01T00", Decimal(1)),
        ("01T00", "02T00", Decimal(2)),
        ("24T00", "25T00", Decimal(4)),
    ]
    months = world.report("2026-10-01T00", "2026-12-01T00", MONTH)
    assert shown(months) == [("01T00", "01T00", Decimal(1)), ("01T00", "01T00", Decimal(6))]


def test_a_window_is_cut_to_the_range_that_was_asked_for() -> None:
    world = World(meter())
    world.ingest([used("2026-11-24T08:00", 1), used("2026-11-24T11:00", 2)])
    report = world.report("2026-11-24T10", "2026-11-24T12", DAY)
    assert shown(report) == [("24T10", "24T12", Decimal(2))]


def test_a_monthly_maximum_shows_its_rise_though_only_some_hours_are_asked_for() -> None:
    world = World(meter(Aggregation.MAX, reset=MONTH))
    world.ingest([used("2026-11-02T00:00", 7), used("2026-11-24T11:00", 9)])
    assert shown(world.report("2026-11-24T10", "2026-11-24T12")) == [("24T11", "24T12", Decimal(2))]


def test_a_gauge_shows_what_it_held_from_before_the_range() -> None:
    world = World(meter(Aggregation.TIME_WEIGHTED))
    world.ingest([used("2026-10-30T10:00", 3)])
    report = world.report("2026-11-24T10", "2026-11-24T12", DAY)
    assert shown(report) == [("24T10", "24T12", Decimal(6))]
    assert report.fresh_through is None


def test_meters_and_groups_are_told_apart() -> None:
    world = World(
        meter(group_by=(GroupBy("region", "r"),)), meter(Aggregation.COUNT, id="mtr_count")
    )
    world.ingest(
        [
            used("2026-11-24T10:00", 1, r="us", id="1"),
            used("2026-11-24T10:00", 2, r="eu", id="2"),
            used("2026-11-24T10:00", 9, subject="umbrella", id="3"),
        ]
    )
    report = world.report("2026-11-24T10", "2026-11-24T11")
    assert [(each.meter_id, each.group, each.quantity) for each in report.quantities] == [
        ("mtr", {"region": "eu"}, Decimal(2)),
        ("mtr", {"region": "us"}, Decimal(1)),
        ("mtr_count", {}, Decimal(2)),
    ]
    only = world.report("2026-11-24T10", "2026-11-24T11", meter_id="mtr_count")
    assert [each.meter_id for each in only.quantities] == ["mtr_count"]


def test_hours_are_live_until_their_grace_is_over() -> None:
    world = World(meter())
    world.ingest([used("2026-11-24T10:00"), used("2026-11-24T11:00"), used("2026-11-24T12:00")])
    hours = world.report("2026-11-24T10", "2026-11-24T13")
    # At 13:00 the hour of 12 has ended, but its 15 minutes of grace have not.
    assert [each.live for each in hours.quantities] == [False, False, True]
    (day,) = world.report("2026-11-24T00", "2026-11-25T00", DAY).quantities
    assert day.live
    world.clock.advance(GRACE)
    hours = world.report("2026-11-24T10", "2026-11-24T13")
    assert [each.live for each in hours.quantities] == [False, False, False]


def test_the_report_says_how_fresh_it_is() -> None:
    world = World(meter())
    assert world.report("2026-11-24T10", "2026-11-24T11").fresh_through is None
    world.ingest([used("2026-11-24T10:00")], received_at=NOW - timedelta(minutes=9))
    world.clock.advance(timedelta(seconds=30))
    world.ingest([used("2026-11-24T10:10")], received_at=NOW)
    report = world.report("2026-11-24T10", "2026-11-24T11")
    assert report.fresh_through == NOW
    assert report.folded_at == NOW + timedelta(seconds=30)


def test_a_late_event_appears_in_the_hour_it_occurred_in() -> None:
    world = World(meter())
    world.ingest([used("2026-11-24T10:00", 1)])
    world.clock.advance(timedelta(days=3))
    world.ingest([used("2026-11-24T10:59", 2)], received_at=world.clock.now())
    report = world.report("2026-11-24T10", "2026-11-24T11")
    assert shown(report) == [("24T10", "24T11", Decimal(3))]
    assert not report.quantities[0].live


@pytest.mark.parametrize(
    ("start", "end", "window"),
    [
        ("2026-11-24T10:30", "2026-11-24T12:00", HOUR),
        ("2026-11-24T10:00", "2026-11-24T12:00:01", HOUR),
        ("2026-11-24T10", "2026-11-24T10", HOUR),
        ("2026-11-24T11", "2026-11-24T10", DAY),
        ("2026-10-01T00", "2026-11-02T01", HOUR),
        ("2025-01-01T00", "2026-11-01T00", MONTH),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(start: str, end: str, window: ResetPeriod) -> None:
    with pytest.raises(InvalidInputError, match="invalid_range"):
        World(meter()).report(start, end, window)


def test_what_does_not_exist_is_not_found() -> None:
    world = World(meter())
    with pytest.raises(NotFoundError):
        world.report("2026-11-24T10", "2026-11-24T11", product_id="prd_none")
    with pytest.raises(NotFoundError):
        world.report("2026-11-24T10", "2026-11-24T11", meter_id="mtr_none")
    with pytest.raises(NotFoundError):
        world.report("2026-11-24T10", "2026-11-24T11", product_id="prd_other", meter_id="mtr")
