"""A published request quota as a token bucket, in whole numbers, so that it is repeatable."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from .settings import Settings

_TOKEN = 1_000_000
_MICROSECOND = timedelta(microseconds=1)


class TokenBucket:
    """Lets `rate` calls through at once and refills at `rate` calls a second.

    Under a frozen clock it never refills: exactly `rate` calls pass until the clock moves.
    """

    def __init__(self, rate: int, now: datetime) -> None:
        self._rate = rate
        self._level = rate * _TOKEN
        self._filled_at = now

    def take(self, now: datetime) -> bool:
        """Takes one call; False means throttled. A clock that went back only adds nothing."""
        elapsed = max(0, (now - self._filled_at) // _MICROSECOND)
        self._level = min(self._rate * _TOKEN, self._level + elapsed * self._rate)
        self._filled_at = now
        if self._level < _TOKEN:
            return False
        self._level -= _TOKEN
        return True


class Quota:
    """A marketplace's quota, with a bucket for each of what it counts apart, such as regions.

    Args:
        wall: Real time, for a quota that is set to follow it.
    """

    def __init__(self, wall: Callable[[], datetime]) -> None:
        self._wall = wall
        self._buckets: dict[tuple[str, int], TokenBucket] = {}

    def admits(self, settings: Settings, now: datetime, counted: str = "") -> bool:
        """Takes one call; False means throttled. A changed rate begins with a full bucket.

        Args:
            settings: The rate and its clock.
            now: The sandbox's present.
            counted: What the quota is of; empty when it is of everything.
        """
        rate = settings.calls_per_second
        if rate == 0:
            return True
        at = self._wall() if settings.throttle_clock == "wall" else now
        return self._buckets.setdefault((counted, rate), TokenBucket(rate, at)).take(at)

    def reset(self) -> None:
        """Fills every bucket."""
        self._buckets.clear()
