"""Until when, and from when, a usage record is taken (contracts.md §1.1.6)."""

from __future__ import annotations

from datetime import datetime, timedelta

from .errors import timestamp_out_of_bounds
from .settings import AwsSettings


def deadline(used_at: datetime, settings: AwsSettings) -> datetime:
    """The first instant at which usage of that time is refused.

    24 hours after it, or 06:00 UTC on the first day of the next month if that is earlier.
    """
    month = used_at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    next_month = (month + timedelta(days=32)).replace(day=1)
    late_limit, grace = settings.seconds("late_limit"), settings.seconds("month_end_grace")
    return min(used_at + late_limit, next_month + grace)


def check_window(used_at: datetime, now: datetime, settings: AwsSettings) -> None:
    """Refuses a time that is too late or in the future.

    Raises:
        AwsError: TimestampOutOfBoundsException; the whole call fails.
    """
    if used_at > now + settings.seconds("future_skew"):
        raise timestamp_out_of_bounds(f"usage of {used_at.isoformat()} is in the future")
    if now >= deadline(used_at, settings):
        raise timestamp_out_of_bounds(f"usage of {used_at.isoformat()} is past its window")
