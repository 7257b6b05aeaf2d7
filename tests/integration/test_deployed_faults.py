"""The same schedules through the deployed handlers, DynamoDB and SQS; killed at any call of boto3."""

from __future__ import annotations

import os

import pytest
from msgspec.structs import replace

from campaign.deployed import deployment
from campaign.drawing import draw
from campaign.play import Play

SEED = 1
SCHEDULES = int(os.environ.get("DEPLOYED_FAULT_SCHEDULES", "5"))
LONGEST = 10
"""Steps: a call of moto's takes a thousand times as long as one of the fakes."""


@pytest.mark.parametrize("number", range(SCHEDULES))
def test_a_schedule_through_the_handlers_loses_nothing_and_bills_nothing_twice(number: int) -> None:
    drawn = draw(SEED, number)
    short = [replace(step, hours=1) if step.do == "live" else step for step in drawn.steps]
    schedule = replace(drawn, steps=tuple(short[:LONGEST]))
    with deployment(schedule) as world:
        Play(schedule, world).run()
