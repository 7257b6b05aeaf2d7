"""Patience: a marketplace's published call rate, and the pause before sending again."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import SystemRandom
from threading import Lock

_SHARE = 0.98
"""Part of the published rate that is used: calls that start evenly may still arrive bunched."""

_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 8.0
_LONGEST_ASKED_PAUSE = 30.0


class CallPacer:
    """Gives every call a start time of its own, evenly spaced; a throttled call moves all later ones.

    Pauses after throttling double with each throttled answer in a row, with jitter, up to 8 s.
    """

    def __init__(
        self,
        calls_per_second: float,
        *,
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
        jitter: Callable[[], float],
    ) -> None:
        """Pace calls.

        Args:
            calls_per_second: the published limit.
            monotonic: seconds on a clock that never goes back.
            sleep: waits that many seconds.
            jitter: a random number in [0, 1).
        """
        self._interval = 1 / (calls_per_second * _SHARE)
        self._monotonic = monotonic
        self._sleep = sleep
        self._jitter = jitter
        self._lock = Lock()
        self._next_start = 0.0
        self._throttled_in_a_row = 0

    def wait(self) -> None:
        """Return when the next call may start."""
        with self._lock:
            now = self._monotonic()
            start = max(now, self._next_start)
            self._next_start = start + self._interval
        if start > now:
            self._sleep(start - now)

    def throttled(self, at_least: float = 0) -> None:
        """A call was refused for coming too soon.

        Args:
            at_least: seconds that the marketplace asks to wait; more than 30 are not waited here.
        """
        with self._lock:
            pause = min(_FIRST_PAUSE * 2**self._throttled_in_a_row, _LONGEST_PAUSE)
            self._throttled_in_a_row += 1
            asked = min(at_least, _LONGEST_ASKED_PAUSE)
            resume = self._monotonic() + max(pause * (0.5 + self._jitter() / 2), asked)
            self._next_start = max(self._next_start, resume)

    def answered(self) -> None:
        """A call was taken."""
        with self._lock:
            self._throttled_in_a_row = 0


class Backoff:
    """Pauses that double with each round of resends, with jitter, up to 8 s."""

    def __init__(self, *, sleep: Callable[[float], None], jitter: Callable[[], float]) -> None:
        """Pause with `sleep`; `jitter` is a random number in [0, 1)."""
        self._sleep = sleep
        self._jitter = jitter

    def __call__(self, round_number: int) -> None:
        """Return when a round of resends, counted from 1, may begin."""
        pause = min(_FIRST_PAUSE * 2**round_number, _LONGEST_PAUSE)
        self._sleep(pause * (0.5 + self._jitter() / 2))


def real_pacer(calls_per_second: float) -> CallPacer:
    """A pacer by this machine's clock."""
    return CallPacer(
        calls_per_second,
        monotonic=time.monotonic,
        sleep=time.sleep,
        jitter=SystemRandom().random,
    )


def real_backoff() -> Backoff:
    """A backoff by this machine's clock."""
    return Backoff(sleep=time.sleep, jitter=SystemRandom().random)
