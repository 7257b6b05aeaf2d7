"""make faults: play a campaign of random schedules, or one schedule again.

python -m campaign --schedules 2000 --seed 7
python -m campaign --replay '{"start": …}'      (or a file)
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from campaign.drawing import draw
from campaign.planted import PLANTED
from campaign.play import violation_of
from campaign.running import campaign, first_finding, shrunk_finding
from campaign.schedule import decoded
from campaign.world import Doubles

KEPT = Path(".local/faults")


def main() -> int:
    """1 when a violation was found."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--schedules", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--replay", default="", help="a schedule in JSON, or a file of one")
    parser.add_argument("--plant", choices=sorted(PLANTED), help="with a fault planted")
    options = parser.parse_args()
    doubles = PLANTED[options.plant].doubles if options.plant else Doubles()
    if options.replay:
        return _replay(options.replay, doubles)
    seed = options.seed if options.seed is not None else time.time_ns() % 1_000_000
    print(f"seed {seed}: {options.schedules} schedules over three clouds", flush=True)
    began = time.monotonic()
    finding = (
        first_finding(seed, options.schedules, doubles)
        if options.plant
        else campaign(seed, options.schedules, processes=options.processes, say=_say)
    )
    if finding is None:
        seconds = time.monotonic() - began
        print(f"seed {seed}: {options.schedules} schedules, no violation, {seconds:.0f} s")
        return 0
    print(f"\nseed {seed}, schedule {finding.number}: {finding.violation.what}")
    print(finding.violation.where)
    schedule = draw(seed, finding.number)
    small = shrunk_finding(schedule, finding.violation, doubles)
    again = violation_of(small, doubles)
    print(f"shrunk from {len(schedule.steps)} to {len(small.steps)} steps:\n{small.lines()}")
    print(again.what if again else "")
    KEPT.mkdir(parents=True, exist_ok=True)
    kept = KEPT / f"seed-{seed}-schedule-{finding.number}.json"
    kept.write_text(small.encoded())
    print(f"play it again: make faults REPLAY={kept}")
    return 1


def _say(text: str) -> None:
    print(text, flush=True)


def _replay(given: str, doubles: Doubles) -> int:
    text = given if given.lstrip().startswith("{") else Path(given).read_text()
    violation = violation_of(decoded(text), doubles)
    print(f"{violation.what}\n{violation.where}" if violation else "no violation")
    return int(violation is not None)


if __name__ == "__main__":
    sys.exit(main())
