"""Which hours an agreement bills, and when they are complete."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from meterbridge.domain.agreements import Agreement
from meterbridge.domain.windows import HOUR, hour_ceiling, hour_of, hours_between, is_closed


def owned_hours(agreement: Agreement, start: datetime, end: datetime) -> list[datetime]:
    """Hours in [start, end) that overlap the agreement's term, ascending."""
    first = max(start, hour_of(agreement.starts_at))
    last = end if agreement.ends_at is None else min(end, hour_ceiling(agreement.ends_at))
    return list(hours_between(first, last))


def end_among(agreement: Agreement, owned: Sequence[datetime]) -> datetime | None:
    """The hour from which the agreement bills nothing more, if it ends in its last owned hour.

    Args:
        owned: some of its hours, ascending; at least one.
    """
    last = owned[-1] + HOUR
    return last if agreement.ends_at is not None and last >= agreement.ends_at else None


def closed_hours(
    agreement: Agreement, start: datetime, now: datetime, grace: timedelta
) -> list[datetime]:
    """Owned hours from start that are complete, ascending.

    The hour in which an agreement ended is complete `grace` after that end, not after the hour:
    the marketplace takes the last usage only for a short time (contracts.md §1.1.8).
    """
    hours = owned_hours(agreement, start, hour_of(now) + HOUR)
    ends_at = agreement.ends_at
    flushed = ends_at is not None and now >= ends_at + grace
    return [hour for hour in hours if flushed or is_closed(hour, now, grace)]


def wire_moment(agreement: Agreement, hour: datetime) -> datetime:
    """The moment that a record of an hour carries: never before the agreement starts.

    contracts.md §1.1.6: a timestamp must not precede the start of the subscription.
    """
    return max(hour, agreement.starts_at)


def wire_end(agreement: Agreement, hour: datetime) -> datetime | None:
    """End of what a record of an hour covers, if the agreement ended within the hour.

    contracts.md §3.1.5: after a cancellation only usage from before it is taken.
    """
    ends_at = agreement.ends_at
    return ends_at if ends_at is not None and ends_at < hour + HOUR else None
