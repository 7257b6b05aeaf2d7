"""Usage events: raw facts from the seller's product, as CloudEvents 1.0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

MAX_AGE = timedelta(days=35)
MAX_AHEAD = timedelta(minutes=15)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class UsageEvent:
    """One fact. Unique by (source, id) among the events of a product's customer.

    Attributes:
        product_id: whose meters apply; from the key it was sent with.
        subject: the seller's customer id.
        occurred_at: CloudEvents `time`: when it was used, aware UTC.
        values: CloudEvents `data`; numbers are int or Decimal, never float.
    """

    product_id: str
    source: str
    id: str
    type: str
    subject: str
    occurred_at: datetime
    values: Mapping[str, Any]


class Standing(StrEnum):
    """What the fold makes of an event: FIRST counts, a DUPLICATE or CONFLICT is never added."""

    FIRST = "first"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class EventColumns:
    """A batch of events, column by column: row i of every list is event i.

    Attributes:
        times: microseconds since the epoch.
    """

    product_ids: Sequence[str]
    sources: Sequence[str]
    ids: Sequence[str]
    types: Sequence[str]
    subjects: Sequence[str]
    times: Sequence[int]
    values: Sequence[Mapping[str, Any]]

    @classmethod
    def of(cls, events: Sequence[UsageEvent]) -> EventColumns:
        """The columns of events."""
        return cls(
            product_ids=[event.product_id for event in events],
            sources=[event.source for event in events],
            ids=[event.id for event in events],
            types=[event.type for event in events],
            subjects=[event.subject for event in events],
            times=[(event.occurred_at - EPOCH) // MICROSECOND for event in events],
            values=[event.values for event in events],
        )
