"""Children billed with their parent, through the whole pipeline: killed, late, and recounted."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from builders import GRACE, agreement, at
from decision_setup import OPERATOR
from meterbridge.application.customer_parents import LinkOrder, ParentDesk
from meterbridge.application.unbilled_usage import list_unbilled
from meterbridge.application.waiting_agreements import waiting_agreements
from meterbridge.domain.agreements import Customer
from meterbridge.domain.customer_links import ParentBilling
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.offerings import Channel
from meterbridge.domain.statement import Bucket
from meterbridge.domain.unbilled import UnbilledUsage
from world import World

START = at("2026-11-24T10:03:00")
TOGETHER, APART = ParentBilling.AGGREGATED, ParentBilling.SEPARATE


class Family:
    """acme has an agreement on AWS; eu and us have none, and may be acme's children."""

    def __init__(self) -> None:
        self.world = world = World(START)
        for name in ("eu", "us"):
            world.real_registry.add_customer(Customer(name))
        self.desk = ParentDesk(world.real_registry, world.usage, world.queue, world.clock)
        self._events = 0

    def link(self, child: str, billing: ParentBilling = TOGETHER, since: str = "") -> None:
        order = LinkOrder("acme", billing, at(since) if since else None)
        self.desk.link(child, order, caller=OPERATOR, expected_version=None)

    def unlink(self, child: str) -> None:
        self.desk.unlink(child, None, caller=OPERATOR, expected_version=None)

    def use(self, subject: str, count: int, moment: str) -> None:
        """So many requests of 100 tokens each."""
        events = [
            UsageEvent(
                product_id="prd_llm",
                source="app",
                id=f"{self._events + number}",
                type="llm.request",
                subject=subject,
                occurred_at=at(moment),
                values={"tokens": "100"},
            )
            for number in range(count)
        ]
        self._events += count
        self.world.store(events)

    def run(self, hours: int = 1) -> None:
        for _ in range(hours * 4):
            self.world.clock.advance(timedelta(minutes=15))
            self.world.cycle()

    def billed(self, dimension: str = "requests") -> dict[datetime, Decimal]:
        """What AWS has of acme's, by hour."""
        return {
            hour: amount
            for (code, hour), amount in self.world.bill("acme").items()
            if code == dimension
        }

    def metered(self) -> Decimal:
        """Requests by the statements, which balance and agree with the raw events."""
        statements = self.world.statements("acme")
        for statement in statements:
            assert statement.balanced, statement
        lines = [statement.lines[0] for statement in statements]
        assert sum(line.buckets[Bucket.ACCEPTED] for line in lines) == sum(self.billed().values())
        return sum((line.metered for line in lines), Decimal(0))

    def unbilled(self, subject: str) -> list[UnbilledUsage]:
        world = self.world
        page = list_unbilled(
            product_id="prd_llm",
            start=at("2026-11-20T00"),
            end=at("2026-12-01T00"),
            limit=100,
            cursor="",
            usage=world.usage,
            registry=world.real_registry,
            customer_id=subject,
        )
        return [each for each in page.items if each.meter_id == "mtr_requests"]


def test_what_children_use_is_billed_with_what_the_parent_uses() -> None:
    family = Family()
    family.link("eu")
    family.link("us")
    family.use("acme", 2, "2026-11-24T10:30")
    family.use("eu", 3, "2026-11-24T10:40")
    family.use("us", 4, "2026-11-24T11:10")
    family.run(3)
    assert family.billed() == {at("2026-11-24T10"): 5, at("2026-11-24T11"): 4}
    assert family.billed("tokens") == {at("2026-11-24T10"): 500, at("2026-11-24T11"): 400}
    assert family.metered() == 9
    assert family.unbilled("eu") == family.unbilled("us") == family.unbilled("acme") == []


def test_a_child_that_is_billed_apart_is_not_billed_with_the_parent() -> None:
    family = Family()
    family.link("eu", APART)
    family.use("acme", 2, "2026-11-24T10:30")
    family.use("eu", 3, "2026-11-24T10:40")
    family.run(2)
    assert family.metered() == 2
    (left,) = family.unbilled("eu")
    assert (left.quantity, left.reason, left.agreement_id) == (3, "no_agreement", None)


def test_only_hours_of_the_link_are_billed_with_the_parent() -> None:
    family = Family()
    family.link("eu", since="2026-11-24T11")
    family.use("eu", 1, "2026-11-24T10:30")
    family.use("eu", 2, "2026-11-24T11:30")
    family.run(2)
    family.unlink("eu")
    family.use("eu", 4, "2026-11-24T12:30")
    family.run(2)
    assert family.billed() == {at("2026-11-24T11"): 2}
    assert family.metered() == 2
    assert [(each.quantity, each.first_hour) for each in family.unbilled("eu")] == [
        (1, at("2026-11-24T10")),
        (4, at("2026-11-24T12")),
    ]


def test_an_agreement_of_the_childs_own_comes_first() -> None:
    family = Family()
    family.link("eu")
    own = agreement(
        id="agr_eu",
        customer_id="eu",
        channel=Channel.MANUAL,
        aws=None,
        starts_at=at("2026-11-24T11"),
        ends_at=at("2026-11-24T12"),
    )
    family.world.real_registry.add_agreement(own)
    for hour, count in (("10", 1), ("11", 2), ("12", 4)):
        family.use("eu", count, f"2026-11-24T{hour}:30")
    family.run(4)
    assert family.billed() == {at("2026-11-24T10"): 1, at("2026-11-24T12"): 4}
    assert family.metered() == 5
    assert family.unbilled("eu") == []
    (line,) = [
        line
        for statement in family.world.books("eu")
        for line in statement.charge_lines
        if line.code == "requests"
    ]
    assert line.metered == 2


def test_late_usage_of_a_child_settles_the_parents_agreement() -> None:
    family = Family()
    family.link("eu")
    family.run(4)
    assert family.billed() == {}
    family.use("eu", 3, "2026-11-24T10:30")
    family.run(1)
    assert family.billed() == {at("2026-11-24T10"): 3}
    assert family.metered() == 3


def test_a_childs_usage_that_nobody_settles_is_behind_on_the_parents_clock() -> None:
    family = Family()
    world = family.world
    family.link("eu")
    family.run(3)
    family.use("eu", 3, "2026-11-24T12:30")
    world.aggregate()
    world.clock.set(at("2026-11-24T14:40"))

    def waiting() -> list[str]:
        found = waiting_agreements(
            world.real_registry.agreements(),
            links=world.real_registry.customer_links(),
            ledger=world.real_ledger,
            usage=world.usage,
            now=world.clock.now(),
            grace=GRACE,
        )
        return [each.agreement.id for each in found]

    assert waiting() == ["agr_acme"]
    own = agreement(id="agr_eu", customer_id="eu", channel=Channel.MANUAL, aws=None)
    world.real_registry.add_agreement(own)
    assert waiting() == [], "it is billed under an agreement of its own now"


def test_what_an_agreement_lacks_for_a_child_is_told_with_the_parents_agreement() -> None:
    family = Family()
    family.link("eu")
    registry = family.world.real_registry
    standard = registry.offering("off_std", 1)
    (plan,) = standard.plans
    kept = tuple(each for each in plan.dimensions if each.meter_id != "mtr_requests")
    lean = replace(standard, version=2, plans=(replace(plan, dimensions=kept),))
    registry.add_offering(lean, {"mtr_tokens": registry.meter_entry("mtr_tokens").version})
    known = registry.agreement("agr_acme")
    registry.save_agreement(replace(known, offering_version=2, version=known.version + 1))
    family.use("eu", 3, "2026-11-24T10:30")
    family.run(2)
    (left,) = family.unbilled("eu")
    assert (left.quantity, left.reason, left.agreement_id) == (3, "no_dimension", "agr_acme")


def test_the_last_usage_of_a_child_is_flushed_with_the_parents_agreement() -> None:
    family = Family()
    world = family.world
    family.link("eu")
    known = world.real_registry.agreement("agr_acme")
    world.real_registry.save_agreement(
        replace(known, ends_at=at("2026-11-24T10:40:00"), version=known.version + 1)
    )
    world.clock.set(at("2026-11-24T10:52"))
    family.use("eu", 3, "2026-11-24T10:30")
    world.aggregate()
    world.clock.set(at("2026-11-24T10:54"))
    family.use("eu", 1, "2026-11-24T10:35")
    world.clock.set(at("2026-11-24T10:56"))
    world.cycle()
    assert family.billed() == {at("2026-11-24T10"): 4}, "what the stream has not folded yet, too"
    assert family.unbilled("eu") == []


@pytest.mark.parametrize("half_step", range(0, 60, 2))
def test_a_round_killed_anywhere_bills_each_childs_unit_once(half_step: int) -> None:
    family = Family()
    world = family.world
    family.link("eu")
    family.use("acme", 2, "2026-11-24T10:30")
    family.use("eu", 3, "2026-11-24T10:40")
    world.clock.set(at("2026-11-24T11:20"))
    world.run_killed(world.cycle, half_step)
    family.run(3)
    assert family.billed() == {at("2026-11-24T10"): 5}
    assert family.metered() == 5


@pytest.mark.parametrize("half_step", range(0, 40, 2))
def test_a_link_in_the_middle_of_a_round_loses_and_doubles_nothing(half_step: int) -> None:
    family = Family()
    world = family.world
    family.use("acme", 2, "2026-11-24T11:05")
    family.use("eu", 3, "2026-11-24T11:10")
    world.clock.set(at("2026-11-24T11:20"))
    world.run_overlapped(world.cycle, half_step, lambda: family.link("eu"))
    assert family.world.real_registry.children_of("acme")
    family.run(3)
    assert family.billed() == {at("2026-11-24T11"): 5}
    assert family.metered() == 5
