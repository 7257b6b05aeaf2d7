"""Usage events as they are sent: read strictly, and quantities as the double that Azure keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ..wire import parse_json
from .catalog import GUID
from .errors import EventError, Status, bad_argument
from .settings import AzureSettings


@dataclass(frozen=True)
class UsageEvent:
    """One usage event.

    Attributes:
        wire: The members as sent, to be echoed in the answer.
        resource: `resourceId` or `resourceUri`.
    """

    wire: Mapping[str, Any]
    resource: str
    quantity: Decimal
    dimension: str
    used_at: datetime
    plan_id: str

    @property
    def hour(self) -> datetime:
        """Start of the UTC hour that the event falls in."""
        return self.used_at.replace(minute=0, second=0, microsecond=0)


def read_json(body: bytes) -> Any:
    """Parses JSON with decimals instead of floats.

    Raises:
        AzureError: BadArgument.
    """
    try:
        return parse_json(body)
    except ValueError as exc:
        raise bad_argument("The body is not JSON.") from exc


def read_batch(body: bytes, settings: AzureSettings) -> list[Any]:
    """The events of a batch, each still to be read.

    Raises:
        AzureError: BadArgument: the envelope is wrong, or there are too many events.
    """
    envelope = read_json(body)
    rows = envelope.get("request") if isinstance(envelope, dict) else None
    if not isinstance(rows, list) or not rows:
        raise bad_argument("The request must be a list of usage events.", "request")
    if len(rows) > settings.max_events:
        raise bad_argument(f"At most {settings.max_events} usage events are allowed.", "request")
    return rows


def read_event(row: Any) -> UsageEvent:
    """Reads one event.

    Raises:
        EventError: BadArgument or InvalidQuantity.
    """
    if not isinstance(row, dict):
        raise EventError(Status.BAD_ARGUMENT, "A usage event must be a JSON object.")
    resource_id, resource_uri = _text(row, "resourceId"), _text(row, "resourceUri")
    if bool(resource_id) == bool(resource_uri):
        message = "Exactly one of resourceId and resourceUri is required."
        raise EventError(Status.BAD_ARGUMENT, message, "resourceId")
    if resource_id and not GUID.fullmatch(resource_id):
        raise EventError(Status.BAD_ARGUMENT, "resourceId is not a GUID.", "resourceId")
    for name in ("dimension", "planId"):
        if not _text(row, name):
            raise EventError(Status.BAD_ARGUMENT, f"The {name} is required.", name)
    return UsageEvent(
        wire=row,
        resource=resource_id or resource_uri,
        quantity=_quantity(row.get("quantity")),
        dimension=_text(row, "dimension"),
        used_at=_moment(_text(row, "effectiveStartTime")),
        plan_id=_text(row, "planId"),
    )


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise EventError(Status.BAD_ARGUMENT, f"The {name} must be a string.", name)
    return value


def _quantity(number: Any) -> Decimal:
    """The decimal that prints like the double which Azure reads."""
    if isinstance(number, bool) or not isinstance(number, int | Decimal):
        raise EventError(Status.BAD_ARGUMENT, "The quantity must be a number.", "quantity")
    try:
        kept = Decimal(repr(float(number)))
    except OverflowError:
        kept = Decimal("Infinity")
    if not kept.is_finite():
        raise EventError(Status.BAD_ARGUMENT, "The quantity is out of range.", "quantity")
    if kept <= 0:
        message = "The quantity must be greater than 0."
        raise EventError(Status.INVALID_QUANTITY, message, "quantity")
    return kept


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        message = "The effectiveStartTime is not a date-time."
        raise EventError(Status.BAD_ARGUMENT, message, "effectiveStartTime") from exc
    # A time without an offset is UTC there.
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
