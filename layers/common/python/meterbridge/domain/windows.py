"""Hour windows and billing periods: UTC, half-open, aware datetimes only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from meterbridge.domain.errors import InvariantError

HOUR = timedelta(hours=1)


def require_utc(moment: datetime) -> datetime:
    """The moment itself.

    Raises:
        InvariantError: it is naive or in another zone.
    """
    if moment.tzinfo is not UTC and moment.utcoffset() != timedelta(0):
        raise InvariantError(f"{moment!r} is not aware UTC")
    return moment


def hour_of(moment: datetime) -> datetime:
    """Start of the hour window that holds the moment."""
    return require_utc(moment).replace(minute=0, second=0, microsecond=0)


def hour_ceiling(moment: datetime) -> datetime:
    """The first full hour that is not before the moment."""
    hour = hour_of(moment)
    return hour if hour == moment else hour + HOUR


def hour_text(hour: datetime) -> str:
    """Sortable key of an hour, as "2026-11-24T10"."""
    return hour.strftime("%Y-%m-%dT%H")


def parse_hour(text: str) -> datetime:
    """The reverse of hour_text.

    Raises:
        ValueError: not such a text.
    """
    return datetime.strptime(text, "%Y-%m-%dT%H").replace(tzinfo=UTC)


def hours_between(start: datetime, end: datetime) -> Iterator[datetime]:
    """Hours [start, end), both at the full hour, ascending."""
    hour = start
    while hour < end:
        yield hour
        hour += HOUR


def is_closed(hour: datetime, now: datetime, grace: timedelta) -> bool:
    """Whether the hour has ended and its grace for late events is over."""
    return now >= hour + HOUR + grace


def last_closed_hour(now: datetime, grace: timedelta) -> datetime:
    """The newest hour for which is_closed holds."""
    return hour_of(now - grace) - HOUR


@dataclass(frozen=True, slots=True, order=True)
class BillingPeriod:
    """A calendar month, UTC: [start, end). Written "2026-11"."""

    year: int
    month: int

    @classmethod
    def of(cls, moment: datetime) -> BillingPeriod:
        """The period that holds a moment."""
        require_utc(moment)
        return cls(moment.year, moment.month)

    @classmethod
    def parse(cls, text: str) -> BillingPeriod:
        """From "2026-11".

        Raises:
            ValueError: not a month.
        """
        moment = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
        return cls(moment.year, moment.month)

    @property
    def start(self) -> datetime:
        """First moment."""
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """First moment of the next period."""
        return self.next.start

    @property
    def next(self) -> BillingPeriod:
        """The period after this one."""
        return (
            BillingPeriod(self.year + 1, 1)
            if self.month == 12
            else BillingPeriod(self.year, self.month + 1)
        )

    @property
    def before(self) -> BillingPeriod:
        """The period before this one."""
        return (
            BillingPeriod(self.year - 1, 12)
            if self.month == 1
            else BillingPeriod(self.year, self.month - 1)
        )

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"
