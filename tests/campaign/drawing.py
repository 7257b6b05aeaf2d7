"""Draw schedules: the same seed and number give the same schedule, in any process.

A schedule has some kinds of steps and not the others, so that each kind also gets to happen often.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

from msgspec.structs import replace

from builders import at
from campaign.deal_drawing import with_deals
from campaign.schedule import CLOUDS, SUBJECTS, Schedule, Sent, Step, Terms
from meterbridge.domain.agreements import RecoveryPolicy
from meterbridge.domain.offerings import Channel
from worlds.trouble import KINDS, OUTAGES

STARTS = (
    at("2026-11-24T10:03:00"),
    at("2026-11-30T19:33:00"),  # the month ends in UTC
    at("2026-12-01T05:41:00"),  # AWS's last minutes for November
    at("2026-12-01T06:52:00"),  # the month ends in Los Angeles
    at("2027-02-28T22:10:00"),
)
RUNS = ("aggregate", "sweep", "drain", "settle_all", "report", "cycle")
TOKENS = ("0", "1", "0.5", "0.1234567", "999.9", "1000", "2500.25", "4999.000001")
BILLED = ("requests", "tokens_k", "tokens")


def draw(seed: int, number: int) -> Schedule:
    """The schedule of a number in the campaign of a seed; every second one has deals."""
    schedule = _Drawing(Random(f"{seed}/{number}")).schedule()
    return with_deals(schedule, Random(f"{seed}/{number}/deals")) if number % 2 else schedule


class _Drawing:
    def __init__(self, random: Random) -> None:
        self.random = random
        features = [self.conflict, self.live, self.advance, self.skew, self.trouble, self.outage]
        features += [self.suspension, self.return_, self.cancellation, self.elsewhere, self.resend]
        features += [self.race]
        wanted = [each for each in features if random.random() < 0.5]
        self.kinds: list[Callable[[], Step]] = [self.send, self.run, self.run, self.run, *wanted]
        self.kinds += [self.live, self.advance]

    def schedule(self) -> Schedule:
        draw = self.random
        terms = {
            subject: Terms(self.recovery(), zero_records=draw.random() < 0.15)
            for subject in SUBJECTS
        }
        steps = [self.send(), *(self.step() for _ in range(draw.randint(4, 24)))]
        return Schedule(
            start=self.start(),
            steps=tuple(steps),
            terms={subject: own for subject, own in terms.items() if own != Terms()},
            identical_resend=draw.choice(["Success", "DuplicateRecord"]),
            returns=draw.random() < 0.8,
        )

    def start(self) -> datetime:
        start = self.random.choice(STARTS)
        return start + timedelta(seconds=self.random.randint(0, 1800))

    def recovery(self) -> RecoveryPolicy:
        return self.random.choice([RecoveryPolicy.AUTOMATIC] * 3 + list(RecoveryPolicy))

    def subject(self) -> str:
        return self.random.choice(list(SUBJECTS))

    def step(self) -> Step:
        return self.random.choice(self.kinds)()

    def send(self) -> Step:
        draw = self.random
        far = draw.choice([60, 600, 60 * 24 * 5])
        events = {
            (subject, number): Sent(subject, number, draw.randint(-10, far), draw.choice(TOKENS))
            for _ in range(draw.randint(1, 8))
            for subject, number in [(self.subject(), draw.randint(0, 30))]
        }
        return self.interrupted(Step("send", events=tuple(events.values())), sends=False)

    def conflict(self) -> Step:
        draw = self.random
        sent = Sent(self.subject(), draw.randint(0, 30), 30, draw.choice(TOKENS), conflicts=True)
        return Step("send", events=(sent,))

    def resend(self) -> Step:
        return Step("resend", amount=self.random.randint(0, 60))

    def run(self) -> Step:
        return self.interrupted(Step("run", text=self.random.choice(RUNS)))

    def race(self) -> Step:
        """Two settlements at once, of which the second knows more."""
        draw = self.random
        news = replace(self.send(), at=-1, by="", meanwhile=())
        later = Step("advance", amount=60 * draw.choice([1, 30, 60]))
        between = (*([later] if draw.random() < 0.6 else []), news, Step("run", text="cycle"))
        at = draw.randint(0, 30)
        return Step("run", text="settle_all", at=at, by="meanwhile", meanwhile=between)

    def interrupted(self, step: Step, *, sends: bool = True) -> Step:
        draw = self.random
        at, fate = draw.choice([draw.randint(0, 12), draw.randint(0, 120)]), draw.random()
        if fate < 0.5:
            return step
        if fate < 0.7:
            return replace(step, at=at, by="kill")
        if fate < 0.8:
            return replace(step, at=at, by="fail")
        between = [self.uninterrupted_run() for _ in range(draw.randint(1, 2))]
        if sends and draw.random() < 0.4:
            between.insert(0, replace(self.send(), at=-1, by="", meanwhile=()))
        if draw.random() < 0.4:
            between.insert(0, self.advance())
        return replace(step, at=at, by="meanwhile", meanwhile=tuple(between))

    def uninterrupted_run(self) -> Step:
        return Step("run", text=self.random.choice(RUNS))

    def live(self) -> Step:
        return Step("live", hours=self.random.choice([1, 1, 2, 3, 6]))

    def advance(self) -> Step:
        minutes = self.random.choice([1, 5, 15, 15, 30, 60, 90, 60 * 7, 60 * 20, 60 * 26, 60 * 50])
        return Step("advance", amount=60 * minutes)

    def skew(self) -> Step:
        return Step("advance", amount=-self.random.randint(1, 60))

    def cloud(self) -> Channel:
        return self.random.choice(CLOUDS)

    def trouble(self) -> Step:
        kinds = [self.random.choice(KINDS) for _ in range(self.random.randint(1, 3))]
        return Step("trouble", on=self.cloud(), text=" ".join(kinds))

    def outage(self) -> Step:
        on = "all" if self.random.random() < 0.3 else self.cloud().value
        hours = self.random.choice([1, 3, 20, 30])
        return Step("outage", on=on, hours=hours, text=self.random.choice(OUTAGES))

    def suspension(self) -> Step:
        where = self.random.choice(["suspend", "suspend", "suspend_here"])
        return Step(where, on=self.subject())

    def return_(self) -> Step:
        return Step("return", on=self.subject())

    def cancellation(self) -> Step:
        flushed = self.random.random() < 0.5
        return Step("cancel", on=self.subject(), text="flush" if flushed else "")

    def elsewhere(self) -> Step:
        draw = self.random
        subject = draw.choice([each for each in SUBJECTS if SUBJECTS[each] is not Channel.GCP])
        return Step(
            "elsewhere",
            on=subject,
            hours=draw.choice([0, 1, 1, 2, 5]),
            text=draw.choice(BILLED),
            amount=draw.randint(1, 6),
        )
