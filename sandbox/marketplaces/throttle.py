"""A published request quota as a token bucket, in whole numbers, so that it is repeatable."""

from __future__ import annotations

from datetime import datetime, timedelta

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
