"""Texts and moments as they are printed."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta

_NO_TEXT = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_JOINERS = "\u200c\u200d"
"""Invisible, but part of how some scripts are written."""


def readable(text: str) -> str:
    """A text without characters that are no text: control characters, and those that turn the
    direction of what follows, by which a name could change how its neighbours read."""
    spaced = "".join(" " if character in "\t\n\r" else character for character in text)
    return "".join(
        character
        for character in spaced
        if character in _JOINERS or unicodedata.category(character) not in _NO_TEXT
    )


def span_of(start: datetime, end: datetime) -> str:
    """Days from the first to the last, with hours where they are not whole."""
    last = max(start, end - timedelta(seconds=1))
    whole = start.hour == end.hour == 0
    if whole:
        return (
            day_of(start) if day_of(start) == day_of(last) else f"{day_of(start)} to {day_of(last)}"
        )
    return f"{moment_of(start)} to {moment_of(end)}"


def day_of(moment: datetime) -> str:
    """A day as "4 December 2026"."""
    return f"{moment.day} {moment.astimezone(UTC):%B %Y}"


def moment_of(moment: datetime) -> str:
    """A moment as "4 December 2026, 10:00 UTC"."""
    return f"{day_of(moment)}, {moment:%H:%M} UTC"
