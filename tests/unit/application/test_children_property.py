"""A child billed with its parent is billed as under agreements of its own for just those hours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from meterbridge.domain.customer_links import (
    CustomerLink,
    ParentBilling,
    ended,
    linked,
    owner_for_child,
)
from meterbridge.domain.meter_states import (
    AverageState,
    MaxState,
    MeterState,
    SumState,
    UniqueState,
)
from meterbridge.domain.meters import Aggregation, ResetPeriod
from meterbridge.domain.offerings import Channel, Plan
from meterbridge.domain.partitions import Partition
from meterbridge.domain.usage import FoldHead, FoldPosition, HourlyUsage
from meterbridge.domain.windows import HOUR, hours_between
from usage_events import meter

FIRST = at("2026-10-30T12")
LAST = FIRST + 72 * HOUR
"""Over the end of a month."""
KINDS = (Aggregation.AVG, Aggregation.MAX, Aggregation.UNIQUE_COUNT, Aggregation.SUM)
PLANS = (
    Plan("both", (dimension(code="a", meter_id="mtr_a"), dimension(code="b", meter_id="mtr_b"))),
    Plan("one", (dimension(code="a", meter_id="mtr_a"),)),
)
Usage = dict[tuple[str, int], int]

spans = st.lists(st.tuples(st.integers(0, 90), st.integers(1, 300)), max_size=4)
uses = st.dictionaries(
    st.tuples(st.sampled_from(["acme", "eu", "eu"]), st.integers(0, 71)),
    st.integers(0, 40),
    min_size=4,
    max_size=40,
)


def state_of(kind: Aggregation, value: int) -> MeterState:
    number = Decimal(value) / 4
    if kind is Aggregation.SUM:
        return SumState(number)
    if kind is Aggregation.MAX:
        return MaxState(number)
    if kind is Aggregation.AVG:
        return AverageState(number, 3)
    return UniqueState.of({b"%016d" % value, b"%016d" % (value % 3)})


@st.composite
def agreements_of(draw: st.DrawFn, customer: str, *, from_start: bool = False) -> list[Agreement]:
    """In a row, some with gaps, some within one hour, the last one perhaps without an end."""
    found = []
    moment = FIRST - HOUR * draw(st.integers(0, 30)) if from_start else FIRST
    for number, (gap, length) in enumerate(draw(spans)):
        starts_at = moment + timedelta(minutes=10 * gap)
        moment = starts_at + timedelta(minutes=10 * length)
        found.append(
            agreement(
                id=f"{customer}_{number}",
                customer_id=customer,
                channel=Channel.MANUAL,
                aws=None,
                starts_at=starts_at,
                ends_at=moment,
                plan_code=draw(st.sampled_from(["both", "one"])),
            )
        )
    if found and draw(st.booleans()):
        found[-1] = replace(found[-1], ends_at=None)
    return found


@st.composite
def links(draw: st.DrawFn) -> tuple[CustomerLink, ...]:
    """One after the other, the last one perhaps without an end."""
    known: tuple[CustomerLink, ...] = ()
    since = FIRST
    steps = st.tuples(st.integers(0, 20), st.integers(1, 40))
    for gap, length in draw(st.lists(steps, min_size=1, max_size=3)):
        billing = draw(st.sampled_from([ParentBilling.AGGREGATED] * 3 + [ParentBilling.SEPARATE]))
        link = CustomerLink("eu", "acme", billing, since + gap * HOUR)
        known = linked(known, link, earliest=FIRST)
        since = link.since + length * HOUR
        if length < 36:
            known = ended(known, since, earliest=FIRST)
    return known


class World:
    """Two customers, their agreements, and what they used."""

    def __init__(
        self,
        kinds: Sequence[Aggregation],
        reset: ResetPeriod,
        agreements: Sequence[Agreement],
        used: Usage,
        known: tuple[CustomerLink, ...] = (),
    ) -> None:
        self.registry, self.usage, self.agreements = FakeRegistry(), FakeUsageStore(), agreements
        self.registry.add_product(product())
        for name, kind in zip(("mtr_a", "mtr_b"), kinds, strict=True):
            self.registry.add_meter(meter(kind, id=name, reset=reset))
        self.registry.add_offering(offering(plans=PLANS), {"mtr_a": 1, "mtr_b": 1})
        for customer in ("acme", "eu"):
            self.registry.add_customer(Customer(customer))
        for each in agreements:
            self.registry.add_agreement(each)
        self.registry.save_links("eu", known, expected_version=0, guarded={})
        for (customer, offset), value in used.items():
            hour, position = FIRST + offset * HOUR, FoldPosition(1, 1)
            states = {
                name: {(): state_of(kind, value)}
                for name, kind in zip(("mtr_a", "mtr_b"), kinds, strict=True)
            }
            shard = ("acme", "eu").index(customer)
            head = FoldHead(Partition(hour, shard), position, "", hour, hour, 1, 0, 0)
            row = HourlyUsage("prd_llm", customer, hour, states, position, hour, hour)
            self.usage.advance(head, [row])

    def billed(self) -> dict[str, Decimal]:
        """By dimension, of all agreements."""
        found = {"a": Decimal(0), "b": Decimal(0)}
        for each in self.agreements:
            read = read_rated_usage(
                each,
                at("2026-10-01T00"),
                LAST,
                registry=self.registry,
                usage=self.usage,
                ledger=FakeLedger(),
                now=LAST,
            )
            for code, rated in read.by_dimension.items():
                found[code] += sum(rated.billable.values(), Decimal(0))
        return found

    def unbilled(self) -> dict[str, Decimal]:
        """By meter, of both customers."""
        page = list_unbilled(
            product_id="prd_llm",
            start=FIRST,
            end=LAST,
            limit=1000,
            cursor="",
            usage=self.usage,
            registry=self.registry,
        )
        assert not page.next_cursor
        return {
            name: sum((each.quantity for each in page.items if each.meter_id == name), Decimal(0))
            for name in ("mtr_a", "mtr_b")
        }


def as_its_own(
    own: list[Agreement], parents: list[Agreement], known: tuple[CustomerLink, ...]
) -> Iterator[Agreement]:
    """For each stretch of hours in which a parent's agreement bills the child, one of the child's."""
    begun: tuple[datetime, Agreement] | None = None
    far = LAST + 200 * HOUR
    for hour in hours_between(FIRST - 40 * HOUR, far + HOUR):
        owner = owner_for_child(hour, own=own, links=known, parents=parents)
        payer = owner if owner is not None and owner.customer_id == "acme" else None
        if begun is not None and (payer is None or payer.id != begun[1].id or hour == far):
            ends_at = None if payer is not None and payer.id == begun[1].id else hour
            yield replace(
                begun[1],
                id=f"flat_{begun[0]:%m%d%H}",
                customer_id="eu",
                starts_at=begun[0],
                ends_at=ends_at,
            )
            begun = None
        if begun is None and payer is not None and hour < far:
            begun = (hour, payer)


@settings(max_examples=250, deadline=None)
@given(
    agreements_of("acme", from_start=True),
    agreements_of("eu"),
    links(),
    uses,
    st.tuples(st.sampled_from(KINDS), st.sampled_from(KINDS)),
    st.sampled_from([ResetPeriod.DAY, ResetPeriod.MONTH, ResetPeriod.HOUR]),
)
def test_with_the_parent_is_as_under_agreements_of_its_own_for_just_those_hours(
    parents: list[Agreement],
    own: list[Agreement],
    known: tuple[CustomerLink, ...],
    used: Usage,
    kinds: tuple[Aggregation, Aggregation],
    reset: ResetPeriod,
) -> None:
    family = World(kinds, reset, [*parents, *own], used, known)
    flat = [*as_its_own(own, parents, known)]
    # Where one of its own begins or ends within an hour, the whole hour is its own.
    clipped = [
        replace(
            each,
            starts_at=each.starts_at.replace(minute=0),
            ends_at=None if each.ends_at is None else _up(each.ends_at),
        )
        for each in own
    ]
    apart = World(kinds, reset, [*parents, *_in_a_row(clipped), *flat], used)
    assert family.billed() == apart.billed()
    assert family.unbilled() == apart.unbilled()


@settings(max_examples=150, deadline=None)
@given(agreements_of("acme", from_start=True), agreements_of("eu"), links(), uses)
def test_of_sums_billed_and_unbilled_are_what_was_used(
    parents: list[Agreement], own: list[Agreement], known: tuple[CustomerLink, ...], used: Usage
) -> None:
    sums = (Aggregation.SUM, Aggregation.SUM)
    family = World(sums, ResetPeriod.HOUR, [*parents, *own], used, known)
    billed, unbilled = family.billed(), family.unbilled()
    total = sum((Decimal(value) / 4 for value in used.values()), Decimal(0))
    assert billed["a"] + unbilled["mtr_a"] == billed["b"] + unbilled["mtr_b"] == total


def _up(moment: datetime) -> datetime:
    hour = moment.replace(minute=0)
    return hour if hour == moment else hour + HOUR


def _in_a_row(agreements: Sequence[Agreement]) -> Iterator[Agreement]:
    """An hour that two touch belongs to the first."""
    free = datetime.min.replace(tzinfo=FIRST.tzinfo)
    for each in agreements:
        starts_at = max(each.starts_at, free)
        if each.ends_at is None or starts_at < each.ends_at:
            yield replace(each, starts_at=starts_at)
            free = each.ends_at or datetime.max.replace(tzinfo=FIRST.tzinfo)


def test_a_childs_average_of_a_day_is_billed_when_the_link_ends() -> None:
    parent = agreement(
        id="acme_0",
        customer_id="acme",
        channel=Channel.MANUAL,
        aws=None,
        starts_at=FIRST,
        plan_code="both",
    )
    together = ParentBilling.AGGREGATED
    link = CustomerLink("eu", "acme", together, FIRST + 3 * HOUR, FIRST + 30 * HOUR)
    used = {("eu", 5): 12, ("eu", 20): 24, ("acme", 7): 40}
    kinds = (Aggregation.AVG, Aggregation.MAX)
    for reset, billed in (
        # 30 October: 3 ÷ 3 and 10 ÷ 3; 31 October until the link ended: 6 ÷ 3.
        (ResetPeriod.DAY, {"a": Decimal("6.333333333333"), "b": Decimal(3 + 10 + 6)}),
        # October until the link ended: (3 + 6) ÷ 6, and 10 ÷ 3; the greatest of each customer.
        (ResetPeriod.MONTH, {"a": Decimal("4.833333333333"), "b": Decimal(6 + 10)}),
    ):
        family = World(kinds, reset, [parent], used, (link,))
        assert family.billed() == billed
        assert family.unbilled() == {"mtr_a": 0, "mtr_b": 0}
