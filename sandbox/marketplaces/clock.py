"""The time as the sandbox sees it: real, shifted, or standing still."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

_NO_SHIFT = timedelta(0)


def parse_instant(text: str) -> datetime:
    """Reads an RFC 3339 instant; a text without an offset is refused, because it is ambiguous.

    Raises:
        ValueError: The text is not an instant with an offset.
    """
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no UTC offset")
    return instant.astimezone(UTC)


def format_instant(instant: datetime) -> str:
    """Writes an instant as RFC 3339 in UTC, ending in `Z`."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def real_time() -> datetime:
    """The machine's own time."""
    return datetime.now(UTC)


def _check_range(instant: datetime) -> None:
    if not 2000 <= instant.year <= 2999:
        raise ValueError(f"{instant.isoformat()} is not between the years 2000 and 2999")


class SandboxClock:
    """A settable clock. It starts as the real time; a frozen one moves only when told to.

    Args:
        real: Where the real time comes from.
    """

    def __init__(self, real: Callable[[], datetime] = real_time) -> None:
        self._real = real
        self._shift = _NO_SHIFT
        self._frozen_at: datetime | None = None
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The sandbox's present, aware and in UTC."""
        with self._lock:
            return self._now()

    def _now(self) -> datetime:
        return self._frozen_at if self._frozen_at is not None else self._real() + self._shift

    @property
    def frozen(self) -> bool:
        """Whether the clock stands still."""
        return self._frozen_at is not None

    def set(self, instant: datetime, *, frozen: bool = True) -> None:
        """Sets the time; `frozen=False` lets it run on from there at the real pace.

        Raises:
            ValueError: The time is not between the years 2000 and 2999.
        """
        _check_range(instant)
        with self._lock:
            self._shift = instant - self._real()
            self._frozen_at = instant if frozen else None

    def advance(self, step: timedelta) -> None:
        """Moves the clock by `step` (backwards when negative), frozen or running.

        Raises:
            ValueError: The new time is not between the years 2000 and 2999.
        """
        with self._lock:
            _check_range(self._now() + step)
            self._shift += step
            if self._frozen_at is not None:
                self._frozen_at += step

    def reset(self) -> None:
        """Returns to the real time."""
        with self._lock:
            self._shift, self._frozen_at = _NO_SHIFT, None

    def to_fact(self) -> dict[str, object]:
        """The setting of the clock, to be kept over a restart."""
        with self._lock:
            return {
                "frozen_at": format_instant(self._frozen_at) if self._frozen_at else "",
                "shift_microseconds": self._shift // timedelta(microseconds=1),
            }

    def restore(self, fact: Mapping[str, object]) -> None:
        """Takes back a setting written by `to_fact`."""
        frozen_at = str(fact["frozen_at"])
        with self._lock:
            self._frozen_at = parse_instant(frozen_at) if frozen_at else None
            self._shift = timedelta(microseconds=int(str(fact["shift_microseconds"])))
