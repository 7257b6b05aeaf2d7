"""Random schedules over three clouds: no unit is lost or billed twice, and planted faults are found."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from builders import at
from campaign.drawing import draw
from campaign.oracle import Fact, Oracle
from campaign.planted import PLANTED
from campaign.play import violation_of
from campaign.running import campaign, first_finding, shrunk_finding
from campaign.schedule import decoded

SEED = 3
SCHEDULES = int(os.environ.get("FAULT_SCHEDULES", "100"))
CAUGHT_BY = {
    "time-of-sending": 0,
    "success-from-silence": 10,
    "duplicate-is-success": 3,
    "dropped-on-429": 4,
    "random-operation-id": 142,
    "truncated": 0,
    "no-version-check": 27,
    "no-mark": 16,
    "identity-of-the-attempt": 1,
    "no-doubt-at-the-deadline": 16,
    "sealed-state-left-behind": 37,
    "credits-spent-twice": 1,
    "trial-begins-anew": 19,
    "fee-charged-again": 1,
    "rounded-each-hour": 11,
    "negative-hour-dropped": 29,
    "newest-plan-for-all": 3,
    "expired-credits-spent": 5,
    "trial-counts-for-tiers": 3,
    "fees-wait-for-usage": 15,
}
"""The schedule of the seed that catches each fault first; `python -m campaign --plant` searches anew."""


def test_no_schedule_loses_a_unit_or_bills_one_twice() -> None:
    finding = campaign(SEED, SCHEDULES, processes=1)
    assert finding is None, f"seed {SEED}, schedule {finding.number}: {finding.violation.what}"


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_caught_by_a_random_schedule_that_ours_survives(name: str) -> None:
    schedule = draw(SEED, CAUGHT_BY[name])
    assert violation_of(schedule, PLANTED[name].doubles) is not None
    assert violation_of(schedule) is None


def test_the_first_schedules_of_a_campaign_find_a_planted_fault() -> None:
    finding = first_finding(SEED, 10, PLANTED["duplicate-is-success"].doubles)
    assert finding is not None
    assert finding.number == CAUGHT_BY["duplicate-is-success"]


@pytest.mark.parametrize("name", ["no-doubt-at-the-deadline", "credits-spent-twice"])
def test_a_violation_is_shrunk_to_a_few_steps_that_can_be_played_again(name: str) -> None:
    doubles = PLANTED[name].doubles
    schedule = draw(SEED, CAUGHT_BY[name])
    violation = violation_of(schedule, doubles)
    assert violation is not None
    small = shrunk_finding(schedule, violation, doubles, seconds=20)
    assert len(small.steps) <= 6 < len(schedule.steps)
    again = decoded(small.encoded())
    assert again == small
    assert violation_of(again, doubles) is not None
    assert violation_of(again) is None


def test_the_same_seed_and_number_draw_the_same_schedule() -> None:
    assert draw(1, 2) == draw(1, 2)
    assert len({draw(1, number).encoded() for number in range(20)}) == 20
    assert decoded(draw(1, 2).encoded()) == draw(1, 2)


def fact(stored: str, tokens: str, used: str = "2026-11-24T10:30:00") -> Fact:
    return Fact(at(stored), at(used), Decimal(tokens))


def test_the_oracle_counts_what_was_stored_first_and_only_covered_hours() -> None:
    start: datetime = at("2026-11-24T10:10:00")
    oracle = Oracle(start)
    oracle.note("acme", 1, fact("2026-11-24T11:00:00", "5"))
    oracle.note("acme", 1, fact("2026-11-24T11:00:01", "7"))
    oracle.note("acme", 2, fact("2026-11-24T11:00:02", "0.5", used="2026-11-24T10:00:00"))
    oracle.note("acme", 3, fact("2026-11-24T11:00:03", "100", used="2026-11-24T09:59:59"))
    oracle.note("globex", 1, fact("2026-11-24T11:00:04", "9"))
    assert oracle.used("acme") == {
        "requests": Decimal(2),
        "tokens_k": Decimal("5.5"),
        "tokens": Decimal("5.5"),
    }
    oracle.note("acme", 1, fact("2026-11-24T10:59:59", "2"))
    assert oracle.used("acme")["tokens"] == Decimal("2.5")
    assert oracle.overtaken == {"acme": Decimal(3)}
    oracle.ends["globex"] = start - timedelta(minutes=10)
    assert oracle.used("globex")["requests"] == 0
