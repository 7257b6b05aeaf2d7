"""Buyers who lose their entitlement and get it back, in any history, killed anywhere: every unit is billed."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from azure_world import AzureWorld, resource_of
from builders import at
from meterbridge.domain.agreements import AgreementState
from meterbridge.domain.events import UsageEvent
from sandbox.marketplaces.azure.catalog import State
from world import SUBJECTS, World, license_of

START = at("2026-11-24T10:03:00")
SCHEDULES = int(os.environ.get("FAULT_SCHEDULES", "300")) // 3

STEPS = st.one_of(
    st.tuples(st.just("use"), st.integers(-600, 0)),
    st.tuples(st.sampled_from(["entitle", "dismiss"]), st.integers(0, 1)),
    st.tuples(st.just("run"), st.sampled_from(["sweep", "drain", "settle_all", "report"])),
    st.just(("run", "cycle")),
    st.just(("run", "cycle")),
    st.tuples(st.just("lose_answers"), st.integers(1, 2)),
    st.tuples(st.just("advance"), st.sampled_from([5, 15, 60, 60 * 7, 60 * 25])),
)
INTERRUPTIONS = st.one_of(
    st.none(),
    st.tuples(st.just("kill"), st.integers(0, 40)),
    st.tuples(st.sampled_from(["settle_all", "report"]), st.integers(0, 40)),
)


def entitle(world: World, subject: str, *, entitled: bool) -> None:
    """The marketplace bills the buyer, or does not."""
    if isinstance(world, AzureWorld):
        subscriptions = world.remote.metering.subscriptions
        key = resource_of(subject)
        state = State.SUBSCRIBED if entitled else State.SUSPENDED
        subscriptions[key] = replace(subscriptions[key], state=state)
    else:
        agreements = world.aws.metering.agreements
        name = license_of(subject)
        agreements[name] = replace(agreements[name], suspended=not entitled)


def use(world: World, number: int, minutes: int) -> None:
    world.send(
        [
            UsageEvent(
                product_id="prd_llm",
                source="app",
                id=f"event-{number}",
                type="llm.request",
                subject=subject,
                occurred_at=world.clock.now() + timedelta(minutes=minutes),
                values={"tokens": Decimal(number)},
            )
            for subject in SUBJECTS
        ]
    )


GONE_FOR_DAYS = [
    (step, None)
    for step in (
        ("use", -120),
        ("dismiss", 0),
        ("run", "cycle"),
        ("advance", 60 * 25),
        ("run", "cycle"),
        ("advance", 60 * 25),
        ("run", "cycle"),
    )
]


@pytest.mark.parametrize("world_of", [World, AzureWorld])
@given(st.lists(st.tuples(STEPS, INTERRUPTIONS), min_size=6, max_size=30))
@example(GONE_FOR_DAYS)
@settings(
    max_examples=SCHEDULES,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    deadline=None,
)
def test_whoever_is_entitled_again_is_billed_for_everything_exactly_once(
    world_of: type[World], history: list[tuple[tuple[str, object], tuple[str, int] | None]]
) -> None:
    world = world_of(START)
    for number, ((name, argument), interruption) in enumerate(history):
        if name == "use":
            use(world, number, int(str(argument)))
        elif name in ("entitle", "dismiss"):
            entitle(world, SUBJECTS[int(str(argument))], entitled=name == "entitle")
        elif name == "advance":
            world.clock.advance(timedelta(minutes=int(str(argument))))
        elif name == "lose_answers":
            world.remote.lose_answers = argument
        else:
            step = getattr(world, str(argument))
            if interruption is None:
                step()
            elif interruption[0] == "kill":
                world.run_killed(step, interruption[1])
            else:
                world.run_overlapped(step, interruption[1], getattr(world, interruption[0]))
    world.remote.lose_answers = 0
    for subject in SUBJECTS:
        entitle(world, subject, entitled=True)
        # The first usage after the return is what a stopped agreement without any is asked with.
    use(world, len(history), 0)
    world.settle_down(hours=10)
    for subject in SUBJECTS:
        state = world.real_registry.agreement(f"agr_{subject}").state
        assert state is AgreementState.ACTIVE
    world.check_books(doubts=True)
