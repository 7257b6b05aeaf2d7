"""Results of usage events as Azure writes them, and as the call log keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..billed import BilledRecord, exact
from ..clock import format_instant
from ..wire import labels_of
from .errors import Status
from .metering import Result

_NEVER = "0001-01-01T00:00:00"
_MEMBERS = (
    "resourceId",
    "resourceUri",
    "quantity",
    "dimension",
    "effectiveStartTime",
    "planId",
)
_LABELS = {"plan_id": "planId", "dimension": "dimension"}


def to_wire(result: Result, now: datetime) -> dict[str, Any]:
    """One result of a batch; of a single event its success, or its `error`."""
    row = result.row if isinstance(result.row, Mapping) else {}
    echo = {name: row[name] for name in _MEMBERS if row.get(name) is not None}
    if result.status is Status.ACCEPTED and result.billed is not None:
        return {
            "usageEventId": result.billed.record_id,
            "status": result.status.value,
            "messageTime": format_instant(now),
            **echo,
        }
    error: dict[str, Any] = {"message": result.message, "code": result.status.value}
    if result.target:
        error["target"] = result.target
    if result.billed is not None:
        error["code"] = "Conflict"
        error["additionalInfo"] = {"acceptedMessage": _accepted(result.billed, echo)}
    return {"status": result.status.value, "messageTime": _NEVER, **echo, "error": error}


def _accepted(billed: BilledRecord, echo: Mapping[str, Any]) -> dict[str, Any]:
    """The event that holds the hour."""
    return {
        **echo,
        "usageEventId": billed.record_id,
        "status": Status.DUPLICATE.value,
        "messageTime": format_instant(billed.received_at),
        "quantity": billed.quantity,
        "effectiveStartTime": format_instant(billed.used_at),
    }


def labels(row: Any) -> dict[str, str]:
    """What faults and the call log tell an event by."""
    if not isinstance(row, Mapping):
        return {}
    found = labels_of(row, _LABELS)
    resource = row.get("resourceId") or row.get("resourceUri")
    return {**found, "resource": resource} if isinstance(resource, str) else found


def logged(result: Result) -> dict[str, str]:
    """A result in the call log."""
    entry = {**labels(result.row), "status": result.status.value}
    if result.event is not None:
        entry["used_at"] = format_instant(result.event.used_at)
        entry["quantity"] = exact(result.event.quantity)
    return entry
