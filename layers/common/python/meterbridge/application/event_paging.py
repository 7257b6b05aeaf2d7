"""Pages of lists of events: the time range, the limit, and cursors that name a position."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import TypeVar

import msgspec

from meterbridge.domain.errors import InvalidInputError
from meterbridge.domain.windows import hour_of, hours_between

MAX_EVENTS = 1_000
MAX_HOURS = 36 * 24

_PositionT = TypeVar("_PositionT", bound=msgspec.Struct)


def hours_to_list(start: datetime, end: datetime, limit: int) -> list[datetime]:
    """The hours that hold [start, end), ascending; never none.

    Raises:
        InvalidInputError: `invalid_limit` or `invalid_range`.
    """
    if not 1 <= limit <= MAX_EVENTS:
        raise InvalidInputError("invalid_limit", f"limit is 1 to {MAX_EVENTS}", "limit")
    hours = list(hours_between(hour_of(start), end)) if start < end else []
    if not 1 <= len(hours) <= MAX_HOURS:
        raise InvalidInputError(
            "invalid_range", f"start is before end, by at most {MAX_HOURS} hours", "start"
        )
    return hours


def to_cursor(position: msgspec.Struct) -> str:
    """A position as an opaque text."""
    return urlsafe_b64encode(msgspec.json.encode(position)).decode("ascii").rstrip("=")


def from_cursor(cursor: str, kind: type[_PositionT]) -> _PositionT:
    """The reverse of to_cursor.

    Raises:
        InvalidInputError: `invalid_cursor`.
    """
    try:
        packed = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return msgspec.json.decode(packed, type=kind)
    except (ValueError, msgspec.MsgspecError) as exc:
        raise invalid_cursor() from exc


def invalid_cursor() -> InvalidInputError:
    """The refusal of a text that is no cursor of the list."""
    return InvalidInputError("invalid_cursor", "not a cursor of this list", "cursor")
