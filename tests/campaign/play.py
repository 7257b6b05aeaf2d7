"""Play a schedule, and check it against the oracle at every step and at the end."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from campaign.checks import Checks
from campaign.deal_steps import deal_step
from campaign.deals import model_of
from campaign.dealt import Dealt
from campaign.oracle import Fact, Oracle
from campaign.schedule import CLOUDS, SUBJECTS, Schedule, Sent, Step
from campaign.world import Doubles, ThreeClouds
from killing import Killed, fail, kill
from meterbridge.domain.errors import StoreUnavailableError
from meterbridge.domain.events import MAX_AGE as TAKEN_FOR
from meterbridge.domain.events import UsageEvent
from worlds.pipeline import HISTORY

MAX_AGE = timedelta(days=30)


@dataclass(frozen=True)
class Violation:
    """What a schedule has shown to be wrong."""

    what: str
    where: str


def violation_of(schedule: Schedule, doubles: Doubles | None = None) -> Violation | None:
    """Play a schedule from start to end."""
    doubles = doubles or Doubles()
    try:
        with doubles.patches():
            Play(schedule, ThreeClouds(schedule, doubles)).run()
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is a finding
        return Violation(f"{type(exc).__name__}: {exc}", traceback.format_exc(limit=-6))
    return None


class Play:
    """One schedule in one world."""

    def __init__(self, schedule: Schedule, world: ThreeClouds) -> None:
        self.schedule = schedule
        self.world = world
        self.oracle = Oracle(world.started_at - HISTORY)
        self.oracle.dealt = {subject: Dealt(deal) for subject, deal in world.deals.items()}
        self.checks = Checks(world, self.oracle)
        self._known: dict[tuple[str, int], UsageEvent] = {}
        self._store_times: set[datetime] = set()

    def run(self) -> None:
        """Raises AssertionError, or whatever else a defect raises."""
        for step in self.schedule.steps:
            self._interrupted(step)
            self.checks.after_step()
        self._end()

    def _end(self) -> None:
        """Outages end, entitlements return if they do, and the schedules run undisturbed."""
        world = self.world
        for side in world.sides.values():
            side.trouble.end()
        if self.schedule.returns:
            for subject in SUBJECTS:
                world.come_back(subject)
        self._live(4)
        world.report()
        self.checks.after_step()
        self.checks.at_the_end()

    def _interrupted(self, step: Step) -> None:
        fuse, run = self.world.fuse, lambda: self._do(step)
        interrupts: dict[str, Callable[[], None]] = {
            "kill": kill,
            "fail": fail,
            "meanwhile": lambda: self._meanwhile(step),
        }
        if not step.by:
            run()
            return
        fuse.arm(step.at, interrupts[step.by])
        try:
            run()
        except Killed:
            self.world.forget()
        except StoreUnavailableError:
            assert step.by == "fail"
            assert fuse.fired
        self.checks.disturbed |= fuse.fired
        fuse.arm(None)
        if step.do == "send":
            # Whoever saw no 202 sends again: that is all they can do, and all they have to do.
            run()

    def _meanwhile(self, step: Step) -> None:
        for each in step.meanwhile:
            self._do(each)

    def _do(self, step: Step) -> None:
        world = self.world
        match step.do:
            case "send":
                self._send(step.events)
            case "resend":
                known = sorted(self._known)
                subject, number = known[step.amount % len(known)]
                self._send((Sent(subject, number, 0, "0"),))
            case "run":
                getattr(world, step.text)()
            case "live":
                self._live(step.hours)
            case "advance":
                world.clock.advance(timedelta(seconds=step.amount))
            case "trouble":
                world.sides[step.on].trouble.script.extend(step.text.split())
            case "outage":
                for channel in CLOUDS if step.on == "all" else [step.on]:
                    trouble = world.sides[channel].trouble
                    trouble.down_as = step.text
                    trouble.down_until = world.clock.now() + timedelta(hours=step.hours)
            case "cancel":
                self._cancel(step.on, flushed=step.text == "flush")
            case "return":
                world.come_back(step.on)
            case "suspend" | "suspend_here":
                getattr(world, step.do)(step.on)
            case "grant" | "seats" | "change" | "cycle_end":
                deal_step(step, world, self.oracle)
            case "leap":
                # A deployment's first sweep is never so late: it would not look back so far.
                world.sweep()
                world.clock.advance(timedelta(days=step.amount))
            case "elsewhere":
                world.report_elsewhere(step.on, step.text, step.hours, step.amount)
            case _:
                raise ValueError(step.do)

    def _live(self, hours: int) -> None:
        """Let the schedules run."""
        for _ in range(4 * hours):
            self.world.clock.advance(timedelta(minutes=15))
            self.world.cycle()
            self.checks.after_calls()

    def _cancel(self, subject: str, *, flushed: bool) -> None:
        if subject in self.oracle.ends:
            return
        self.world.cancel(subject)
        ends_at = self.world.agreement(subject).ends_at
        assert ends_at is not None
        self.oracle.ends[subject] = ends_at
        if flushed and self.checks.is_well(subject):
            self._live(1)
            self.checks.flushed(subject)

    def _send(self, events: tuple[Sent, ...]) -> None:
        """Store a request; what of it becomes facts is told by its time, which no other has."""
        clock = self.world.clock
        while clock.now() in self._store_times:
            clock.advance(timedelta(milliseconds=1))
        stored_at = clock.now()
        oldest = stored_at - TAKEN_FOR
        taken = [
            (sent, event)
            for sent in events
            if (event := self._event(sent)).occurred_at >= oldest  # ingest refuses what is older
        ]
        if not taken:
            return
        self.world.store([event for _, event in taken])
        self._store_times.add(stored_at)
        for sent, event in taken:
            fact = Fact(stored_at, event.occurred_at, Decimal(event.values["tokens"]))
            self.oracle.note(sent.subject, sent.number, fact)

    def _event(self, sent: Sent) -> UsageEvent:
        """The content of a fact never changes, unless the producer breaks its promise."""
        known = self._known.get((sent.subject, sent.number))
        tokens = Decimal(sent.tokens) if known is None or sent.conflicts else None
        event = UsageEvent(
            product_id="prd_llm",
            source="app",
            id=f"event-{sent.number}",
            type="llm.request",
            subject=sent.subject,
            occurred_at=self._used_at(sent) if known is None else known.occurred_at,
            values=known.values
            if tokens is None and known
            else {"tokens": tokens, "model": model_of(sent.number)},
        )
        self._known.setdefault((sent.subject, sent.number), event)
        return event

    def _used_at(self, sent: Sent) -> datetime:
        return self.world.clock.now() - timedelta(minutes=sent.minutes_ago, seconds=sent.number)
