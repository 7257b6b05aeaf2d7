"""Make a schedule that shows a fault as small as it can be made, one change at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from msgspec.structs import replace

from campaign.schedule import Schedule, Step


def shrunk(
    schedule: Schedule, shows_fault: Callable[[Schedule], bool], *, seconds: float = 60
) -> Schedule:
    """The smallest schedule found that still shows a fault.

    Args:
        shows_fault: plays a schedule.
        seconds: give up looking after so long.
    """
    give_up_at = time.monotonic() + seconds
    improved = True
    while improved:
        improved = False
        for smaller in _smaller(schedule):
            if time.monotonic() > give_up_at:
                return schedule
            if shows_fault(smaller):
                schedule, improved = smaller, True
                break
    return schedule


def _smaller(schedule: Schedule) -> Iterator[Schedule]:
    """Large cuts first."""
    steps = schedule.steps
    size = len(steps) // 2
    while size:
        for start in range(0, len(steps), size):
            yield replace(schedule, steps=(*steps[:start], *steps[start + size :]))
        size //= 2
    if schedule.terms:
        yield replace(schedule, terms={})
        for subject in schedule.terms:
            others = {name: own for name, own in schedule.terms.items() if name != subject}
            yield replace(schedule, terms=others)
        for subject, own in schedule.terms.items():
            for deal in (None, *own.deal.simpler()) if own.deal is not None else ():
                simpler = {**schedule.terms, subject: replace(own, deal=deal)}
                yield replace(schedule, terms=simpler)
    for position, step in enumerate(steps):
        for simpler in _simpler(step):
            changed = (*steps[:position], simpler, *steps[position + 1 :])
            yield replace(schedule, steps=changed)
    if schedule.identical_resend != "Success":
        yield replace(schedule, identical_resend="Success")
    if not schedule.returns:
        yield replace(schedule, returns=True)


def _simpler(step: Step) -> Iterator[Step]:
    if step.by:
        yield replace(step, by="", at=-1, meanwhile=())
    for position in range(len(step.meanwhile)):
        yield replace(step, meanwhile=(*step.meanwhile[:position], *step.meanwhile[position + 1 :]))
    if len(step.events) > 1:
        for position in range(len(step.events)):
            yield replace(step, events=(*step.events[:position], *step.events[position + 1 :]))
    kinds = step.text.split() if step.do == "trouble" else []
    if len(kinds) > 1:
        for position in range(len(kinds)):
            yield replace(step, text=" ".join(kinds[:position] + kinds[position + 1 :]))
    if step.hours > 1:
        yield replace(step, hours=step.hours // 2)
        yield replace(step, hours=step.hours - 1)
    if step.do == "run" and step.text == "cycle":
        for text in ("settle_all", "report"):
            yield replace(step, text=text)
