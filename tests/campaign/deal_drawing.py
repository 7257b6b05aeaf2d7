"""Give customers of a schedule deals, and put steps in that change them."""

from __future__ import annotations

from datetime import timedelta
from random import Random

from msgspec.structs import replace

from builders import at
from campaign.dealing import Dealing
from campaign.schedule import SUBJECTS, Schedule, Step, Terms
from meterbridge.domain.pricing.cycles import CycleKind
from worlds.pipeline import HISTORY

SEALING = at("2026-12-06T20:33:00")
"""Hours later October can change no more, and the rating of what began in it goes on from there."""


def with_deals(schedule: Schedule, random: Random) -> Schedule:
    """The same with deals for most customers."""
    if random.random() < 0.2:
        schedule = replace(schedule, start=SEALING + timedelta(seconds=random.randint(0, 1800)))
    terms = dict(schedule.terms)
    dealt = [subject for subject in SUBJECTS if random.random() < 0.6]
    for subject in dealt:
        deal = Dealing(random, schedule.start, HISTORY).deal(SUBJECTS[subject])
        terms[subject] = replace(terms.get(subject, Terms()), deal=deal)
    steps = list(schedule.steps)
    for _ in range(random.randint(0, 5) if dealt else 0):
        steps.insert(random.randint(0, len(steps)), _step(random, random.choice(dealt)))
    if random.random() < 0.25:
        # What has been settled by then is sealed, and rating goes on from there.
        middle = random.randint(1, len(steps))
        steps[middle:middle] = [Step("live", hours=2), Step("leap", amount=random.choice([31, 40]))]
    monthly = [each for each in dealt if terms[each].deal.plan.cycle is not CycleKind.ANNUAL]
    if monthly and random.random() < 0.2:
        # What comes with a cycle's last hour, or the next one's first, is settled without usage.
        steps.append(Step("cycle_end", on=random.choice(monthly)))
    return replace(schedule, terms=terms, steps=tuple(steps))


def _step(random: Random, subject: str) -> Step:
    kind = random.choice(["grant", "grant", "seats", "change", "live"])
    if kind == "grant":
        text = random.choice(["", "", "calls", "volume base"])
        hours = random.choice([0, 0, 1, 30])
        return Step(kind, on=subject, amount=random.randint(1, 4000), hours=hours, text=text)
    if kind == "seats":
        return Step(kind, on=subject, amount=random.randint(0, 9))
    if kind == "live":
        return Step(kind, hours=random.choice([6, 12]))
    return Step("change", on=subject)
