"""Play many schedules, in several processes, until one shows a fault."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

from campaign.drawing import draw
from campaign.play import Violation, violation_of
from campaign.schedule import Schedule
from campaign.shrinking import shrunk
from campaign.world import Doubles

CHUNK = 10
REPORT_EVERY_SECONDS = 15


@dataclass(frozen=True)
class Finding:
    """A schedule of the campaign that shows a fault."""

    number: int
    violation: Violation


def first_finding(seed: int, count: int, doubles: Doubles | None = None) -> Finding | None:
    """Play the first schedules of a campaign in this process."""
    return next(_findings(seed, range(count), doubles), None)


def _findings(seed: int, numbers: range, doubles: Doubles | None = None) -> Iterator[Finding]:
    for number in numbers:
        violation = violation_of(draw(seed, number), doubles)
        if violation is not None:
            yield Finding(number, violation)


def _found_in(seed: int, start: int, stop: int) -> Finding | None:
    return next(_findings(seed, range(start, stop)), None)


def campaign(
    seed: int, count: int, *, processes: int, say: Callable[[str], None] = print
) -> Finding | None:
    """Play a whole campaign; the finding with the lowest number, if there is one."""
    began = said = time.monotonic()
    starts = range(0, count, CHUNK)
    stops = [min(start + CHUNK, count) for start in starts]
    with ProcessPoolExecutor(processes) as pool:
        chunks = pool.map(partial(_found_in, seed), starts, stops)
        for done, finding in zip(stops, chunks, strict=True):
            if finding is not None:
                pool.shutdown(cancel_futures=True)
                return finding
            now = time.monotonic()
            if now - said >= REPORT_EVERY_SECONDS:
                said = now
                say(f"{done} of {count} schedules, {now - began:.0f} s, no violation")
    return None


def shrunk_finding(
    schedule: Schedule, violation: Violation, doubles: Doubles | None = None, seconds: float = 60
) -> Schedule:
    """The smallest schedule found that shows a violation of the same kind."""
    kind = _kind(violation)

    def shows_fault(smaller: Schedule) -> bool:
        again = violation_of(smaller, doubles)
        return again is not None and _kind(again) == kind

    return shrunk(schedule, shows_fault, seconds=seconds)


def _kind(violation: Violation) -> str:
    """Of the same error; its figures may become smaller."""
    return "".join(itertools.takewhile(lambda letter: letter != ":", violation.what))
