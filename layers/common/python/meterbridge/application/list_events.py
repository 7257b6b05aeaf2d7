"""Raw events of a customer, as they were sent, with what the fold makes of repeats.

The order is that of the fold: by hour of `occurred_at`, then as they were stored. Work is bounded:
a call looks at MAX_LOOKS further hours and segments at most and then answers with what it has, even with
nothing, and a cursor. To know a repeat, it also reads again what the partition held before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from meterbridge.application.event_paging import (
    from_cursor,
    hours_to_list,
    invalid_cursor,
    to_cursor,
)
from meterbridge.application.ports import UsageLog
from meterbridge.domain.event_values import same
from meterbridge.domain.events import Standing, UsageEvent
from meterbridge.domain.usage_log import Segment, ShardPlan, decode

MAX_LOOKS = 1_000
_LAST_ROW = 2**53


@dataclass(frozen=True, slots=True)
class ListedEvent:
    """An event as it was sent.

    Attributes:
        received_at: when the request that brought it was received.
        standing: relative to the first event of the same source and id.
    """

    event: UsageEvent
    received_at: datetime
    standing: Standing


@dataclass(frozen=True, slots=True)
class EventPage:
    """A part of the list. `next_cursor` continues it; "" at its end."""

    events: tuple[ListedEvent, ...]
    next_cursor: str = ""


class _Position(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Everything up to this row of this segment of this hour was listed. `sk` "" is before all."""

    hour: datetime
    sk: str = ""
    row: int = -1


def list_events(
    *,
    product_id: str,
    customer_id: str,
    start: datetime,
    end: datetime,
    limit: int,
    cursor: str,
    log: UsageLog,
    plan: ShardPlan,
) -> EventPage:
    """Events of a customer that occurred in [start, end).

    Args:
        limit: 1 to MAX_EVENTS.
        cursor: "" or the `next_cursor` of the page before, with the other arguments unchanged.

    Raises:
        InvalidInputError: `invalid_range`, `invalid_limit` or `invalid_cursor`.
        CorruptSegmentError: a segment cannot be read.
    """
    hours = hours_to_list(start, end, limit)
    done = _position(cursor, hours) if cursor else _Position(hours[0])
    found: list[ListedEvent] = []
    looked = 0
    for hour in hours[hours.index(done.hour) :]:
        if looked >= MAX_LOOKS:
            return EventPage(tuple(found), to_cursor(_Position(hour)))
        looked += 1
        listed_to = done if hour == done.hour else _Position(hour)
        firsts: dict[tuple[str, str], UsageEvent] = {}
        for stored in log.read(plan.partition_of(product_id, customer_id, hour)):
            for row, event in _events_of(product_id, customer_id, decode(stored.body)):
                first = firsts.setdefault((event.source, event.id), event)
                if (stored.sk, row) <= (listed_to.sk, listed_to.row):
                    continue
                if not start <= event.occurred_at < end:
                    continue
                if len(found) == limit:
                    return EventPage(tuple(found), to_cursor(done))
                found.append(ListedEvent(event, stored.received_at, _standing(event, first)))
                done = _Position(hour, stored.sk, row)
            if stored.sk > listed_to.sk:
                looked += 1
                if looked >= MAX_LOOKS:
                    done = _Position(hour, stored.sk, _LAST_ROW)
                    return EventPage(tuple(found), to_cursor(done))
    return EventPage(tuple(found))


def _events_of(
    product_id: str, customer_id: str, segment: Segment
) -> Iterator[tuple[int, UsageEvent]]:
    """A customer's events in a segment, each with its row."""
    if customer_id not in segment.subject_names:
        return
    code = segment.subject_names.index(customer_id)
    for group in segment.groups:
        if group.product_id == product_id:
            for place, subject in enumerate(group.subject_codes):
                if subject == code:
                    yield group.rows.start + place, group.event(place)


def _standing(event: UsageEvent, first: UsageEvent) -> Standing:
    if event is first:
        return Standing.FIRST
    alike = (
        event.type == first.type
        and event.occurred_at == first.occurred_at
        and same(event.values, first.values)
    )
    return Standing.DUPLICATE if alike else Standing.CONFLICT


def _position(cursor: str, hours: Sequence[datetime]) -> _Position:
    position = from_cursor(cursor, _Position)
    if position.hour not in hours:
        raise invalid_cursor()
    return position
