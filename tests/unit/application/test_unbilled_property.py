"""billed + unbilled = metered, whatever the agreements, plans, groups, hours and meters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import agreement, at, dimension, offering, product
from fakes.ledger import FakeLedger
from fakes.registry import FakeRegistry
from fakes.usage_store import FakeUsageStore
from meterbridge.application.rated_usage import read_rated_usage
from meterbridge.application.unbilled_usage import list_unbilled
from meterbridge.domain.agreements import Agreement, Customer
from meterbridge.domain.events import EPOCH, MICROSECOND
from meterbridge.domain.meter_states import (
    AverageState,
    CountState,
    GaugeState,
    LatestState,
    MaxState,
    MeterState,
    MinState,
    SumState,
    UniqueState,
)
from meterbridge.domain.meters import ADDITIVE, Aggregation, GroupBy, Meter, ResetPeriod
from meterbridge.domain.offerings import Channel, Plan
from meterbridge.domain.partitions import Partition
from meterbridge.domain.unbilled import UnbilledReason, UnbilledUsage
from meterbridge.domain.usage import FoldHead, FoldPosition, GroupKey, HourlyUsage
from meterbridge.domain.windows import HOUR, BillingPeriod, hours_between
from usage_events import meter

FIRST = at("2026-10-30T12")
HOURS = 96
"""Around the end of a month."""
REGIONS = ("eu", "us", "")
METERS = ("mtr_a", "mtr_b")
POSITION = FoldPosition(1, 1)
Book = dict[datetime, dict[str, dict[GroupKey, MeterState]]]


def plans(meters: Iterable[Meter]) -> tuple[Plan, ...]:
    """Every way in which each group of each meter is billed once or not at all."""
    found = []
    regions = [(), *((region,) for region in REGIONS), ("eu", "us"), ("all",)]
    for first in regions:
        for second in regions:
            dimensions = [
                dimension(
                    code=f"{each.id}_{region}",
                    meter_id=each.id,
                    group={} if region == "all" else {"region": region},
                )
                for each, wanted in zip(meters, (first, second), strict=True)
                for region in wanted
            ]
            found.append(Plan(f"p{len(found)}", tuple(dimensions)))
    return tuple(found)


EVERYTHING = "p35"


def state_at(kind: Aggregation, hour: datetime, value: int) -> MeterState:
    number = Decimal(value) / 4
    moment = (hour + timedelta(minutes=abs(value)) - EPOCH) // MICROSECOND
    states: dict[Aggregation, MeterState] = {
        Aggregation.SUM: SumState(number),
        Aggregation.COUNT: CountState(abs(value)),
        Aggregation.MAX: MaxState(number),
        Aggregation.MIN: MinState(number),
        Aggregation.AVG: AverageState(number, 3),
        Aggregation.UNIQUE_COUNT: UniqueState.of({b"%016d" % value, b"%016d" % (value % 3)}),
        Aggregation.LATEST: LatestState(moment, number),
        Aggregation.TIME_WEIGHTED: GaugeState(moment, moment, number, Decimal(0)),
    }
    return states[kind]


@st.composite
def terms(draw: st.DrawFn) -> list[Agreement]:
    """Agreements that never overlap, some back to back, some within one hour, some without an end."""
    minutes = draw(
        st.lists(st.integers(0, HOURS * 6), unique=True, min_size=1, max_size=8).map(sorted)
    )
    moments = [FIRST + timedelta(minutes=10 * each) for each in minutes]
    ends = [*moments[1:], draw(st.sampled_from([None, FIRST + HOURS * HOUR]))]
    return [
        agreement(
            id=f"agr_{number}",
            channel=Channel.MANUAL,
            aws=None,
            starts_at=starts_at,
            ends_at=ends_at,
            plan_code=f"p{draw(st.integers(0, 35))}",
        )
        for number, (starts_at, ends_at) in enumerate(zip(moments, ends, strict=True))
        if (ends_at is None or starts_at < ends_at) and draw(st.booleans())
    ]


@st.composite
def books(draw: st.DrawFn, meters: tuple[Meter, ...]) -> Book:
    """Hourly states, by hour, meter and group."""
    kinds = {each.id: each.aggregation for each in meters}
    groups = st.tuples(st.sampled_from(REGIONS), st.sampled_from(("s", "l")))
    places = st.tuples(st.integers(0, HOURS - 1), st.sampled_from(METERS), groups)
    book: Book = {}
    values = draw(st.dictionaries(places, st.integers(-40, 40), max_size=25))
    for (offset, name, group), value in values.items():
        hour = FIRST + offset * HOUR
        states = book.setdefault(hour, {}).setdefault(name, {})
        states[group] = state_at(kinds[name], hour, value)
    return book


def metering(kinds: Iterable[Aggregation], reset: ResetPeriod) -> tuple[Meter, ...]:
    groups = (GroupBy("region", "r"), GroupBy("model", "m"))
    return tuple(
        meter(kind, id=name, group_by=groups, reset=reset)
        for name, kind in zip(METERS, kinds, strict=True)
    )


class World:
    """One customer with some agreements, and its usage."""

    def __init__(self, meters: tuple[Meter, ...], agreements: list[Agreement], book: Book) -> None:
        self.registry, self.usage = FakeRegistry(), FakeUsageStore()
        self.agreements = agreements
        self.registry.add_product(product())
        for each in meters:
            self.registry.add_meter(each)
        self.registry.add_offering(offering(plans=plans(meters)), {each.id: 1 for each in meters})
        self.registry.add_customer(Customer("acme"))
        for one in agreements:
            self.registry.add_agreement(one)
        for hour, of_meters in book.items():
            head = FoldHead(Partition(hour, 0), POSITION, "", hour, hour, 1, 0, 0)
            row = HourlyUsage("prd_llm", "acme", hour, of_meters, POSITION, hour, hour)
            self.usage.advance(head, [row])

    def billed(self, start: datetime, end: datetime) -> dict[str, Decimal]:
        """By meter, as settlements and statements read it: by whole billing periods."""
        found: defaultdict[str, Decimal] = defaultdict(Decimal)
        for one in self.agreements:
            since = BillingPeriod.of(start).start
            read = read_rated_usage(
                one,
                since,
                end,
                registry=self.registry,
                usage=self.usage,
                ledger=FakeLedger(),
                now=end,
            )
            for each in read.billing.reported:
                by_hour = read.by_dimension[each.code].billable
                found[each.meter_id] += sum(
                    (quantity for hour, quantity in by_hour.items() if hour >= start), Decimal(0)
                )
        return dict(found)

    def unbilled(self, start: datetime, end: datetime, limit: int = 3) -> list[UnbilledUsage]:
        """All pages."""
        found: list[UnbilledUsage] = []
        cursor = ""
        while True:
            page = list_unbilled(
                product_id="prd_llm",
                start=start,
                end=end,
                limit=limit,
                cursor=cursor,
                usage=self.usage,
                registry=self.registry,
            )
            found += page.items
            cursor = page.next_cursor
            if not cursor:
                return found


@st.composite
def ranges(draw: st.DrawFn) -> tuple[datetime, datetime]:
    first = draw(st.integers(0, HOURS - 1))
    last = draw(st.integers(first + 1, HOURS))
    return FIRST + first * HOUR, FIRST + last * HOUR


def owner_at(hour: datetime, agreements: list[Agreement]) -> Agreement | None:
    """Whoever covers some of the hour and started first, minute by minute."""
    for minute in range(60):
        moment = hour + timedelta(minutes=minute)
        for one in agreements:
            if one.starts_at <= moment and (one.ends_at is None or moment < one.ends_at):
                return one
    return None


def with_everything_billed(agreements: list[Agreement]) -> list[Agreement]:
    """The same terms with every group of every meter in the plan, and agreements in between."""
    filled = [replace(one, plan_code=EVERYTHING) for one in agreements]
    starts_at: datetime | None = at("2026-10-01T00")
    for hour in hours_between(FIRST, FIRST + (HOURS + 1) * HOUR):
        owned = owner_at(hour, agreements) is not None
        if owned and starts_at is not None and starts_at < hour:
            filled.append(_between(starts_at, hour))
        if owned:
            starts_at = None
        elif starts_at is None:
            starts_at = hour
    return filled if starts_at is None else [*filled, _between(starts_at, None)]


def _between(starts_at: datetime, ends_at: datetime | None) -> Agreement:
    return agreement(
        id=f"between_{starts_at:%m%d%H}",
        channel=Channel.MANUAL,
        aws=None,
        starts_at=starts_at,
        ends_at=ends_at,
        plan_code=EVERYTHING,
    )


def by_meter(found: list[UnbilledUsage]) -> dict[str, Decimal]:
    return {
        name: sum((each.quantity for each in found if each.meter_id == name), Decimal(0))
        for name in METERS
    }


@settings(max_examples=200, deadline=None)
@given(st.data(), terms(), ranges())
def test_of_sums_and_counts_what_is_not_billed_is_listed_group_by_group(
    data: st.DataObject, agreements: list[Agreement], asked: tuple[datetime, datetime]
) -> None:
    start, end = asked
    meters = metering((Aggregation.SUM, Aggregation.COUNT), ResetPeriod.HOUR)
    book = data.draw(books(meters))
    world = World(meters, agreements, book)
    found = world.unbilled(start, end)

    billed, unbilled = world.billed(start, end), by_meter(found)
    expected: defaultdict[tuple[str, GroupKey, str | None], Decimal] = defaultdict(Decimal)
    for name in METERS:
        metered = Decimal(0)
        for hour, of_meters in book.items():
            for group, state in of_meters.get(name, {}).items():
                if not start <= hour < end:
                    continue
                metered += state.quantity
                owner = owner_at(hour, agreements)
                codes = {
                    each.code
                    for plan in plans(meters)
                    if owner is not None and plan.code == owner.plan_code
                    for each in plan.dimensions
                }
                if not codes & {f"{name}_all", f"{name}_{group[0]}"}:
                    expected[name, group, owner.id if owner else None] += state.quantity
        assert billed.get(name, Decimal(0)) + unbilled[name] == metered

    listed: defaultdict[tuple[str, GroupKey, str | None], Decimal] = defaultdict(Decimal)
    for each in found:
        assert (each.agreement_id is None) is (each.reason is UnbilledReason.NO_AGREEMENT)
        assert start <= each.first_hour <= each.last_hour < end
        listed[each.meter_id, tuple(each.group.values()), each.agreement_id] += each.quantity
    assert {key: value for key, value in listed.items() if value} == {
        key: value for key, value in expected.items() if value
    }


@settings(max_examples=300, deadline=None)
@given(
    st.data(),
    terms(),
    ranges(),
    st.tuples(st.sampled_from(Aggregation), st.sampled_from(sorted(set(Aggregation) - ADDITIVE))),
    st.sampled_from(ResetPeriod),
)
def test_of_every_aggregate_what_is_not_billed_is_what_agreements_would_have_billed(
    data: st.DataObject,
    agreements: list[Agreement],
    asked: tuple[datetime, datetime],
    kinds: tuple[Aggregation, Aggregation],
    reset: ResetPeriod,
) -> None:
    start, end = asked
    meters = metering(kinds, reset)
    book = data.draw(books(meters))
    world = World(meters, agreements, book)
    all_of_it = World(meters, with_everything_billed(agreements), book)

    billed, unbilled = world.billed(start, end), by_meter(world.unbilled(start, end))
    metered = all_of_it.billed(start, end)
    for name in METERS:
        assert billed.get(name, Decimal(0)) + unbilled[name] == metered.get(name, Decimal(0))
    assert all_of_it.unbilled(start, end) == []
