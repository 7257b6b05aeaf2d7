"""A clock that stands still until it is moved."""

from __future__ import annotations

from datetime import datetime, timedelta


class FakeClock:
    """The present, as set."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def set(self, now: datetime) -> None:
        self._now = now

    def advance(self, by: timedelta) -> None:
        self._now += by
