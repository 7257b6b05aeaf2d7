"""Usage replayed under the terms that it was rated by comes to the same, whatever the terms."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import at, offering
from meterbridge.application.rated_usage import RatedSpan, read_rated_usage
from meterbridge.application.replay_usage import OtherTerms, replay_agreement
from meterbridge.domain.agreements import Agreement, PlanChange
from meterbridge.domain.money import exact_sum
from meterbridge.domain.offerings import Plan
from meterbridge.domain.pricing.cycles import CycleKind, cycle_of
from meterbridge.domain.pricing.overrides import Overrides
from meterbridge.domain.pricing.plan_terms import PlanTerms
from meterbridge.domain.windows import HOUR
from pricing_setup import plan
from pricing_strategies import CODES, plans
from rated_world import RatedWorld
from usage_events import meter

FIRST, LAST = at("2026-10-01T00"), at("2026-12-31T23")
HOURS = (LAST - FIRST) // HOUR
used = st.lists(
    st.tuples(
        st.integers(0, HOURS),
        st.dictionaries(
            st.sampled_from(CODES), st.decimals(0, 150, places=2, allow_nan=False), min_size=1
        ),
    ),
    max_size=8,
    unique_by=lambda each: each[0],
)
spans = st.tuples(st.integers(-300, HOURS), st.integers(1, 24 * 92))
kinds = st.sampled_from([CycleKind.CALENDAR_MONTH, CycleKind.ANNIVERSARY])


def world_of(
    first: PlanTerms,
    second: PlanTerms,
    start: datetime,
    hours: list[tuple[int, dict[str, Decimal]]],
) -> RatedWorld:
    """An agreement on the first of two plans, and what was used under it."""
    world = RatedWorld(plan(), now="2027-01-02T12:20", starts_at=start)
    for code in CODES:
        if code != "api":
            world.registry.add_meter(replace(meter(), id=f"mtr_{code}"))
    sold = offering(plans=(Plan("p0", terms=first), Plan("p1", terms=second)))
    world.registry.add_offering(replace(sold, version=2), {f"mtr_{code}": 1 for code in CODES})
    world.change(offering_version=2)
    for offset, quantities in sorted(hours):
        hour = FIRST + offset * HOUR
        if hour >= start:
            world.use(f"{hour:%Y-%m-%dT%H}", **quantities)
    return world


def reader(world: RatedWorld) -> Any:
    def read(found: Agreement, start: datetime, end: datetime) -> RatedSpan:
        return read_rated_usage(
            found,
            start,
            end,
            registry=world.registry,
            usage=world.usage,
            ledger=world.ledger,
            now=world.clock.now(),
        )

    return read


@settings(max_examples=60, deadline=None)
@given(st.data(), kinds, used, spans)
def test_a_replay_under_the_same_version_differs_nowhere(
    data: st.DataObject,
    kind: CycleKind,
    hours: list[tuple[int, dict[str, Decimal]]],
    span: tuple[int, int],
) -> None:
    started = FIRST + data.draw(st.integers(0, 40)) * timedelta(hours=19)
    world = world_of(data.draw(plans(kind)), data.draw(plans(kind)), started, hours)
    moved_at = data.draw(st.none() | st.integers(0, HOURS))
    if moved_at is not None:
        cycle = cycle_of(kind, started, max(FIRST + moved_at * HOUR, started))
        world.change(plan_changes=(PlanChange(max(cycle.end, started), 2, "p1"),))
    start = FIRST + span[0] * HOUR
    for other in (OtherTerms(), OtherTerms(2, None, Overrides())):
        end = start + span[1] * HOUR
        if other.offering_version is not None and moved_at is not None:
            # Another plan holds from there on; what was agreed on for later is left aside.
            end = min(end, world.agreement.plan_changes[0].starts_at)
        if end <= start:
            continue
        found = replay_agreement(
            world.agreement, other, start, end, registry=world.registry, read=reader(world)
        )
        if found is None:
            continue
        assert not found.refused
        assert (found.difference, found.before) == (0, found.after)
        for line in found.lines:
            assert line.before == line.after
            assert line.difference == 0


@settings(max_examples=60, deadline=None)
@given(st.data(), kinds, used)
def test_lines_add_up_and_the_way_back_is_the_opposite(
    data: st.DataObject, kind: CycleKind, hours: list[tuple[int, dict[str, Decimal]]]
) -> None:
    world = world_of(data.draw(plans(kind)), data.draw(plans(kind)), FIRST, hours)
    end = at("2026-11-20T05")

    def replayed(plan_code: str) -> Any:
        found = replay_agreement(
            world.agreement,
            OtherTerms(plan_code=plan_code),
            FIRST,
            end,
            registry=world.registry,
            read=reader(world),
        )
        assert found is not None
        assert found.difference == exact_sum(line.difference for line in found.lines)
        return found

    there = replayed("p1")
    world.change(plan_code="p1")
    back = replayed("p0")
    assert (there.before, there.after) == (back.after, back.before)
    assert {(e.code, e.group): e.before for e in there.lines} == {
        (e.code, e.group): e.after for e in back.lines
    }
