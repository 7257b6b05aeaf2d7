"""A pipeline that runs raises no alarm: not with late usage, not at a month's end, not at an agreement's."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from azure_world import AzureWorld
from builders import GRACE, at
from meterbridge.application.usage_freshness import usage_freshness
from meterbridge.application.waiting_agreements import WaitingAgreement, waiting_agreements
from meterbridge.domain.agreements import AgreementState
from meterbridge.domain.events import UsageEvent
from world import SUBJECTS, World

START = at("2026-11-30T20:00:00")
STEP = timedelta(minutes=5)


def behind(world: World) -> list[WaitingAgreement]:
    found = waiting_agreements(
        world.real_registry.agreements(),
        links=world.real_registry.customer_links(),
        ledger=world.real_ledger,
        usage=world.usage,
        now=world.clock.now(),
        grace=GRACE,
    )
    return [each for each in found if each.behind_until is not None]


def send(world: World, number: int, random: Random) -> None:
    """Mostly fresh usage, some of it hours or weeks late."""
    late = timedelta(minutes=random.choice([0, 0, 1, 4, 70, 60 * 20, 60 * 60]))
    event = UsageEvent(
        product_id="prd_llm",
        source="app",
        id=f"event-{number}",
        type="llm.request",
        subject=random.choice(SUBJECTS),
        occurred_at=max(world.clock.now() - late, world.started_at - timedelta(days=3)),
        values={"tokens": random.choice([1, 400, 999])},
    )
    world.send([event])


def ended(world: World) -> None:
    """An agreement ends now."""
    before = world.real_registry.agreement("agr_globex")
    world.real_registry.save_agreement(
        replace(
            before,
            state=AgreementState.ENDED,
            ends_at=world.clock.now(),
            version=before.version + 1,
        )
    )


@pytest.mark.parametrize("kind", [World, AzureWorld])
@pytest.mark.parametrize("seed", range(3))
def test_with_every_schedule_running_nothing_is_behind_and_usage_is_fresh(
    kind: type[World], seed: int
) -> None:
    world, random = kind(START), Random(seed)
    world.cycle()
    for number in range(12 * 12):
        world.clock.advance(STEP)
        if random.random() < 0.6:
            send(world, number, random)
        if number == 100 + 7 * seed:
            ended(world)
        assert behind(world) == []
        fresh = usage_freshness(log=world.log, usage=world.usage, now=world.clock.now())
        assert fresh.behind <= 2 * STEP
        world.cycle()


@pytest.mark.parametrize("kind", [World, AzureWorld])
def test_when_settling_stops_it_is_behind_within_the_next_hour_and_in_time(
    kind: type[World],
) -> None:
    world, random = kind(START), Random(0)
    world.cycle()
    first_seen = None
    for number in range(12 * 4):
        world.clock.advance(STEP)
        send(world, number, random)
        world.sweep()
        world.report()
        if first_seen is None and behind(world):
            first_seen = world.clock.now()
    # Usage of 20:00 should have been settled at 21:15, and is late at 21:30.
    assert first_seen == at("2026-11-30T21:30:00")
    times_left = [
        each.behind_until - world.clock.now() for each in behind(world) if each.behind_until
    ]
    assert len(times_left) == 2
    assert all(timedelta(hours=6) <= left for left in times_left)
