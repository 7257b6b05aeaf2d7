"""Cycles and shares of them, and how an amount is shared out over charges."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from campaign.by_hand.prices import ZERO, down
from meterbridge.domain.pricing.cycles import CycleKind

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Span:
    """An agreement's life; its hours count whole."""

    start: datetime
    end: datetime | None = None

    @property
    def first(self) -> datetime:
        """Its first hour."""
        return hour_of(self.start)

    @property
    def stop(self) -> datetime | None:
        """The hour from which it bills nothing."""
        return None if self.end is None else ceiling(self.end)


def hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def ceiling(moment: datetime) -> datetime:
    return hour_of(moment + HOUR - timedelta(microseconds=1))


def hours(start: datetime, end: datetime) -> int:
    return max(int((end - start) / HOUR), 0)


def cycles(kind: CycleKind, span: Span, through: datetime) -> Iterator[tuple[datetime, datetime]]:
    """All that have begun by an hour."""
    first = span.first.replace(day=1, hour=0) if kind is CycleKind.CALENDAR_MONTH else span.first
    months = 12 if kind is CycleKind.ANNUAL else 1
    number = 0
    while (start := _month_on(first, number)) <= through:
        if span.stop is not None and start >= span.stop:
            return
        yield start, _month_on(first, number + months)
        number += months


def _month_on(first: datetime, months: int) -> datetime:
    year, month = first.year, first.month + months
    while month > 12:
        year, month = year + 1, month - 12
    return first.replace(year=year, month=month, day=min(first.day, monthrange(year, month)[1]))


def prorated(amount: Fraction, part: int, whole: int) -> Fraction:
    """A share by hours, down to 12 places."""
    return amount if part == whole else down(amount * part / whole)


def shared(entries: Sequence[Any], amount: Fraction) -> list[tuple[Any, Fraction]]:
    """An amount over what is left of entries, in their order; each keeps its sign and its size.

    All of what is left is taken as it is.
    """
    if not amount:
        return []
    if amount == sum((each.net for each in entries), ZERO):
        return [(each, each.net) for each in entries]
    found = []
    for entry in entries:
        room = max(entry.net, ZERO) if amount > 0 else max(-entry.net, ZERO)
        share = min(room, abs(amount)) * (1 if amount > 0 else -1)
        found.append((entry, share))
        amount -= share
    assert amount == 0
    return found
