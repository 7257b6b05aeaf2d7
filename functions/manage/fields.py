"""Types of fields and parameters that several resources share.

Money and quantities are decimal texts: a JSON number passes through a float in most programs.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Header, Path, Query
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from meterbridge.domain.money import plain
from meterbridge.domain.windows import hour_of

ID_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"
MAX_KEY_BYTES = 1024
_DECIMAL = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class Input(BaseModel):
    """Base of what is sent: unknown members are refused."""

    model_config = ConfigDict(extra="forbid")


def unchanged(**constraints: Any) -> Any:
    """A member of a merge patch that may be left out, but not be null unless its type says so."""
    return Field(default=None, json_schema_extra=_without_default, **constraints)


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


def _printable(text: str) -> str:
    if any(character < " " or character == "\x7f" for character in text):
        raise PydanticCustomError("control_character", "must not hold control characters")
    return text


def _decimal(value: object) -> Decimal:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**18 else ""
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise PydanticCustomError(
            "decimal_text",
            'must be a decimal in a text, such as "0.002": at most 18 digits on either side',
        )
    return Decimal(value)


def _positive(value: Decimal) -> Decimal:
    if value == 0:
        raise PydanticCustomError("greater_than", "must be greater than 0")
    return value


def _moment(value: object) -> datetime:
    fault = PydanticCustomError(
        "date_time", "must be an RFC 3339 date-time with an offset, such as 2026-11-24T10:00:00Z"
    )
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise fault
    try:
        moment = datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise fault from None
    if not _EARLIEST <= moment < _LATEST:
        raise PydanticCustomError("date_time", "must be between 2000 and 2200")
    return moment


def _full_hour(moment: datetime) -> datetime:
    if moment != hour_of(moment):
        raise PydanticCustomError("full_hour", "must be the start of an hour, UTC")
    return moment


def _from_cursor(value: str) -> str:
    try:
        text = base64.b64decode(value + "=" * (-len(value) % 4), b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    if not 1 <= len(text.encode()) <= MAX_KEY_BYTES:
        raise PydanticCustomError("invalid_cursor", "must be a next_cursor of this list")
    return text


def to_cursor(after: str) -> str | None:
    """Opaque text for where a list continues; None at its end."""
    return base64.urlsafe_b64encode(after.encode()).decode().rstrip("=") if after else None


_NUMBER_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": f"^{_DECIMAL.pattern}$"},
        {"type": "integer", "minimum": 0, "exclusiveMaximum": 10**18},
    ],
    "examples": ["0.002"],
}
_HOUR_SCHEMA = {
    "type": "string",
    "format": "date-time",
    "description": "Start of an hour, UTC",
    "examples": ["2026-11-24T10:00:00Z"],
}
_MOMENT_SCHEMA = {"type": "string", "format": "date-time", "examples": ["2026-11-24T10:00:00Z"]}

Identifier = Annotated[str, Field(pattern=ID_PATTERN)]
"""An id that the caller may choose."""

Printable = AfterValidator(_printable)
"""Without control characters."""

Name = Annotated[str, Field(min_length=1, max_length=200), Printable]
OptionalName = Annotated[str, Field(max_length=200), AfterValidator(_printable)]
CustomerId = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_printable)]
"""The seller's own id of a customer: `subject` of its usage events."""

Code = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
"""Name on a marketplace; case-sensitive."""

_AS_TEXT = PlainSerializer(plain, return_type=str)

GroupValues = Annotated[
    list[Annotated[str, Field(max_length=256)]],
    Field(
        max_length=5, description="One value for each name of the meter's group_by, in its order"
    ),
]

Group = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=64)],
        Annotated[str, Field(min_length=1, max_length=256)],
    ],
    Field(max_length=5, description="Values of the meter's group_by that it bills; all if empty"),
]

Amount = Annotated[Decimal, BeforeValidator(_decimal), _AS_TEXT, WithJsonSchema(_NUMBER_SCHEMA)]
PositiveAmount = Annotated[
    Decimal,
    BeforeValidator(_decimal),
    AfterValidator(_positive),
    _AS_TEXT,
    WithJsonSchema(_NUMBER_SCHEMA),
]
Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema(_MOMENT_SCHEMA)]
FullHour = Annotated[
    datetime,
    BeforeValidator(_moment),
    AfterValidator(_full_hour),
    WithJsonSchema(_HOUR_SCHEMA),
]

MomentQuery = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema(_MOMENT_SCHEMA),
    Query(description="Encode a plus sign as %2B"),
]
FullHourQuery = Annotated[
    datetime,
    BeforeValidator(_moment),
    AfterValidator(_full_hour),
    WithJsonSchema(_HOUR_SCHEMA),
    Query(),
]
HourPath = Annotated[
    datetime,
    BeforeValidator(_moment),
    AfterValidator(_full_hour),
    WithJsonSchema(_HOUR_SCHEMA),
    Path(description="Start of the record's hour, as the record tells it"),
]
CycleStartPath = Annotated[
    datetime,
    BeforeValidator(_moment),
    AfterValidator(_full_hour),
    WithJsonSchema(_HOUR_SCHEMA),
    Path(description="When the plan change starts, as it was sent"),
]
IdPath = Annotated[str, Path(max_length=64)]
CustomerPath = Annotated[str, Path(min_length=1, max_length=768)]
Limit = Annotated[int, Query(ge=1, le=100, description="Most entries on a page")]
Cursor = Annotated[
    str,
    AfterValidator(_from_cursor),
    Query(max_length=2000, description="next_cursor of the page before"),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="The same key with the same request gets the same answer for 48 hours",
    ),
]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        pattern=r'^"[0-9]{1,15}"$',
        description="ETag of the version that is to be changed",
    ),
]


def expected_version(if_match: str | None) -> int | None:
    """The version that an If-Match header asks for."""
    return None if if_match is None else int(if_match.strip('"'))
