"""Any terms, any usage in any order, settled at any times over three months: nothing lost or doubled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import at
from campaign.by_hand.spans import HOUR, hour_of
from campaign.deal_checks import check_charges, due_by_hand
from campaign.dealing import Dealing
from campaign.deals import Deal
from campaign.dealt import Dealt
from fakes.ledger import FakeLedger
from killing import Killed
from meterbridge.domain.metering_record import RecordState
from meterbridge.domain.money import multiply
from meterbridge.domain.offerings import Channel, QuantityKind
from meterbridge.domain.statement import Bucket
from meterbridge.domain.windows import BillingPeriod
from rated_world import RatedWorld

NOW = at("2026-11-24T12:20:00")
MONTHS = timedelta(days=92)
LATEST = timedelta(days=30)
FATES = ("", "", "killed before", "killed after", "overtaken")


@dataclass(frozen=True)
class Usage:
    """What was used in an hour after the agreement's start, and how much later that is known."""

    hour: int
    calls: int
    tokens: Decimal
    late: int


class InterruptedLedger(FakeLedger):
    """Its next commit meets a fate: its caller dies before or after it, or another comes first."""

    fate = ""
    other: Callable[[], None]

    def commit(self, head: Any, **named: Any) -> None:
        fate, self.fate = self.fate, ""
        if fate == "killed before":
            raise Killed
        if fate == "overtaken":
            self.other()
        super().commit(head, **named)
        if fate == "killed after":
            raise Killed


@st.composite
def deals(draw: st.DrawFn) -> Deal:
    """As the fault campaign draws them, of what is not grouped."""
    random = Random(draw(st.integers(0, 10**9)))
    while True:
        deal = Dealing(random, NOW, timedelta(days=3)).deal(Channel.AWS)
        meters = {each.meter_id for each in deal.plan.dimensions}
        events = {each.event_meter_id for each in deal.plan.dimensions}
        if "mtr_models" not in meters and events <= {"", *meters}:
            return Deal(deal.starts_at, deal.plan)


used_hours = st.lists(
    st.builds(
        Usage,
        st.integers(0, int(MONTHS / HOUR) - 1),
        st.integers(0, 9),
        st.decimals(0, 4000, places=3, allow_nan=False),
        st.integers(0, int(LATEST / HOUR)),
    ),
    max_size=12,
)
settled_after = st.lists(
    st.tuples(st.integers(1, int(MONTHS / HOUR)), st.sampled_from(FATES)), min_size=1, max_size=8
)


@given(deals(), used_hours, settled_after)
@settings(max_examples=40)
def test_whatever_is_due_is_reported_once_or_carried(
    deal: Deal, usage: list[Usage], settlements: list[tuple[int, str]]
) -> None:
    first = hour_of(deal.starts_at)
    end = first + MONTHS + LATEST + timedelta(hours=1, minutes=20)
    world = RatedWorld(deal.plan, starts_at=deal.starts_at)
    world.ledger = ledger = InterruptedLedger()
    world.clock.set(first)
    ledger.other = lambda: world.settle()
    known = Known(world, first, usage)
    times = [(first + timedelta(hours=hours, minutes=20), fate) for hours, fate in settlements]
    for moment, fate in [*sorted(times), (end, "overtaken")]:
        world.clock.set(moment)
        known.through(moment)
        ledger.fate = fate
        try:
            world.settle()
        except Killed:
            world.settle()
        ledger.fate = ""
    check(world, deal, known.used(), end)


class Known:
    """What of the usage has arrived; an hour is stated anew with each arrival."""

    def __init__(self, world: RatedWorld, first: datetime, usage: list[Usage]) -> None:
        self._world = world
        self._coming = sorted(
            ((first + each.hour * HOUR, each) for each in usage),
            key=lambda pair: pair[0] + (pair[1].late + 1) * HOUR,
        )
        self._sums: dict[datetime, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])

    def through(self, moment: datetime) -> None:
        while self._coming and self._arrival(*self._coming[0]) <= moment:
            hour, each = self._coming.pop(0)
            sums = self._sums[hour]
            sums[0], sums[1] = sums[0] + each.calls, sums[1] + each.tokens
            self._world.use(hour.isoformat()[:16], requests=sums[0], tokens=sums[1])

    def used(self) -> dict[datetime, dict[tuple[str, str], Fraction]]:
        assert not self._coming
        return {
            hour: {("mtr_requests", ""): Fraction(calls), ("mtr_tokens", ""): Fraction(tokens)}
            for hour, (calls, tokens) in self._sums.items()
        }

    @staticmethod
    def _arrival(hour: datetime, each: Usage) -> datetime:
        return hour + (each.late + 1) * HOUR


def check(world: RatedWorld, deal: Deal, used: Any, end: datetime) -> None:
    """Against the same rated from the start, by hand."""
    bill = Dealt(deal).bill(used, hour_of(end), None)
    records = world.ledger.records("agr_1")
    assert {record.state for record in records} <= {RecordState.ACCEPTED}
    periods, period = [], BillingPeriod.of(deal.starts_at)
    while period <= BillingPeriod.of(end):
        periods.append(period)
        period = period.next
    statements = [world.statement(str(each)) for each in periods]
    for statement in statements:
        check_charges("acme", statement, bill)
    for position, line in enumerate(statements[-1].lines):
        dimension = line.dimension
        lines = [each.lines[position] for each in statements]
        reported = sum(
            multiply(record.quantity, record.units_per_quantity)
            for record in records
            if record.key.dimension == dimension.code
        )
        carried, unsettled = (
            sum(each.buckets[bucket] for each in lines)
            for bucket in (Bucket.CARRIED, Bucket.UNSETTLED)
        )
        assert reported + carried + unsettled == due_by_hand(bill, dimension.code)
        step = 1 if dimension.quantity_kind is QuantityKind.INTEGER else Decimal("0.000001")
        assert carried < step * dimension.units_per_quantity
