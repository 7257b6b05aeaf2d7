"""How the usage arrives: in batches, some of it out of order, some twice, some late."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.demo.trace import Request

BATCH = 250
LATE_SHARE = 15
REPEAT_SHARE = 20
NEIGHBOURHOOD = 400


@dataclass(frozen=True, slots=True)
class Traffic:
    """Batches to send at once, and batches to send after the first have been billed."""

    first: tuple[tuple[Request, ...], ...]
    late: tuple[tuple[Request, ...], ...]

    @property
    def sent(self) -> int:
        """Events sent in all, repeats counted."""
        return sum(len(batch) for batch in (*self.first, *self.late))


def make_traffic(requests: Sequence[Request], seed: int = 2023) -> Traffic:
    """Deal the requests out.

    One in LATE_SHARE comes late, one in REPEAT_SHARE comes twice in different batches, a whole
    batch comes twice, and everything is shuffled within its neighbourhood.
    """
    dice = random.Random(seed)
    late = [request for request in requests if dice.randrange(LATE_SHARE) == 0]
    late_rows = {request.row for request in late}
    punctual = [request for request in requests if request.row not in late_rows]
    repeats = [request for request in punctual if dice.randrange(REPEAT_SHARE) == 0]
    shuffled = _shuffled_nearby(punctual, dice)
    first = [*_batches(shuffled), *_batches(repeats)]
    first.append(first[0])
    late_repeats = [request for request in punctual if dice.randrange(REPEAT_SHARE * 5) == 0]
    dice.shuffle(late)
    return Traffic(tuple(first), tuple(_batches([*late, *late_repeats])))


def _shuffled_nearby(requests: Sequence[Request], dice: random.Random) -> list[Request]:
    keyed = [
        (position + dice.randrange(NEIGHBOURHOOD), request)
        for position, request in enumerate(requests)
    ]
    return [request for _, request in sorted(keyed, key=lambda pair: (pair[0], pair[1].row))]


def _batches(requests: Sequence[Request]) -> list[tuple[Request, ...]]:
    return [tuple(requests[at : at + BATCH]) for at in range(0, len(requests), BATCH)]
