"""From the bytes of a request to operations, refusing what Service Control's JSON mapping refuses.

Names that the API does not have are refused, as Google's JSON parser does. What concerns one
operation only is refused in `reportErrors`, what makes the request unreadable as a whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from ..clock import parse_instant
from ..wire import parse_json
from .errors import invalid_argument, invalid_operation

_OPERATION_FIELDS = frozenset(
    [
        "operationId",
        "operationName",
        "consumerId",
        "startTime",
        "endTime",
        "labels",
        "userLabels",
        "metricValueSets",
        "importance",
    ]
)
_VALUE_FIELDS = frozenset(["int64Value", "doubleValue", "startTime", "endTime", "labels"])
_MIN_INT64, _MAX_INT64 = -(2**63), 2**63 - 1
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})", re.ASCII)
_UTC = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z")
_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
_RESERVED_LABELS = frozenset(
    [
        "cloudmarketplace.googleapis.com/resource_name",
        "cloudmarketplace.googleapis.com/container_name",
    ]
)


@dataclass(frozen=True)
class Value:
    """A quantity with the type it came in: `int64` or `double`."""

    metric_name: str
    kind: str
    quantity: Decimal


@dataclass(frozen=True)
class Operation:
    """One operation, read.

    Attributes:
        content: Everything about it as canonical JSON; two equal ones are the same operation.
    """

    id: str
    consumer_id: str
    start: datetime
    end: datetime
    values: tuple[Value, ...]
    content: str


def read_json(body: bytes, max_bytes: int) -> dict[str, Any]:
    """Parses a request with decimals instead of floats.

    Raises:
        GoogleError: INVALID_ARGUMENT.
    """
    if len(body) >= max_bytes:
        raise invalid_argument(f"the request is {len(body)} bytes; it must be less than 1 MB")
    try:
        request = parse_json(body)
    except ValueError as exc:
        raise invalid_argument("Invalid JSON payload received") from exc
    if not isinstance(request, dict):
        raise invalid_argument("Invalid JSON payload received: not an object")
    return request


def check_row(request: Mapping[str, Any]) -> dict[str, Any]:
    """The operation of a check request.

    Raises:
        GoogleError: It is not there, malformed, or carries userLabels.
    """
    _known_fields(request, frozenset(["operation", "serviceConfigId"]))
    row = _row(request.get("operation"))
    if row.get("userLabels"):
        raise invalid_argument("user labels are not allowed in a check")
    return row


def report_rows(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The operations of a report request.

    Raises:
        GoogleError: The request as a whole is refused (contracts.md §3.1.2).
    """
    _known_fields(request, frozenset(["operations", "serviceConfigId"]))
    rows = request.get("operations")
    if not isinstance(rows, list) or not rows:
        raise invalid_argument("operations must not be empty")
    return [_row(row) for row in rows]


def _row(row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise invalid_argument("an operation must be an object")
    _known_fields(row, _OPERATION_FIELDS)
    if not isinstance(row.get("operationId"), str) or not row["operationId"]:
        raise invalid_argument("operationId is required")
    seen: set[str] = set()
    for metric_set in _list(row, "metricValueSets"):
        _known_fields(metric_set, frozenset(["metricName", "metricValues"]))
        for value in _list(metric_set, "metricValues"):
            _known_fields(value, _VALUE_FIELDS)
            place = json.dumps([metric_set.get("metricName"), value.get("labels", {})])
            if place in seen:
                raise invalid_argument(f"duplicate metric value {place}")
            seen.add(place)
    return row


def _list(row: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    rows = row.get(name, [])
    if not isinstance(rows, list) or not all(isinstance(each, dict) for each in rows):
        raise invalid_argument(f"{name} must be a list of objects")
    return rows


def _known_fields(row: Mapping[str, Any], known: frozenset[str]) -> None:
    for name in row:
        if name not in known:
            raise invalid_argument(f'Unknown name "{name}": Cannot find field')


def read_operation(row: Mapping[str, Any]) -> Operation:
    """Reads an operation of a report.

    Raises:
        OperationError: It cannot be taken; the others of its request can.
    """
    if not _text(row, "operationName"):
        raise invalid_operation("operationName is required")
    consumer_id = _text(row, "consumerId")
    if not consumer_id:
        raise invalid_operation("consumerId is required")
    start, end = instant(row, "startTime"), instant(row, "endTime")
    if end <= start:
        raise invalid_operation("endTime must be after startTime")
    _check_labels(row.get("userLabels", {}))
    values = tuple(
        _value(str(metric_set.get("metricName", "")), value)
        for metric_set in row.get("metricValueSets", [])
        for value in metric_set.get("metricValues", [])
    )
    if not values:
        raise invalid_operation("an operation without a metric value reports nothing")
    content = json.dumps(row, sort_keys=True, default=str)
    return Operation(row["operationId"], consumer_id, start, end, values, content)


def instant(row: Mapping[str, Any], name: str) -> datetime:
    """Reads a time in RFC 3339, UTC.

    Raises:
        OperationError: It is missing or not such a time.
    """
    text = row.get(name)
    if not isinstance(text, str) or not _UTC.fullmatch(text):
        raise invalid_operation(f"{name} must be an RFC 3339 time in UTC")
    try:
        return parse_instant(text)
    except ValueError as exc:
        raise invalid_operation(f"{name} is not a time: {text!r}") from exc


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name, "")
    if not isinstance(value, str):
        raise invalid_operation(f"{name} must be a string")
    return value


def _value(metric_name: str, row: Mapping[str, Any]) -> Value:
    given = [kind for kind in ("int64", "double") if f"{kind}Value" in row]
    if len(given) != 1:
        raise invalid_operation(f"{metric_name}: one of int64Value and doubleValue is needed")
    (kind,) = given
    raw = row[f"{kind}Value"]
    number = _int64(raw) if kind == "int64" else _double(raw)
    if number is None:
        raise invalid_operation(f"{metric_name}: {raw!r} is no {kind}")
    if number < 0:
        raise invalid_operation(f"{metric_name}: a quantity must not be negative")
    return Value(metric_name, kind, number)


def _int64(raw: Any) -> Decimal | None:
    """A string is the rule; the JSON mapping reads a whole number too."""
    text = str(raw) if type(raw) is int else raw
    if not isinstance(text, str) or not _INTEGER.fullmatch(text):
        return None
    return Decimal(text) if _MIN_INT64 <= int(text) <= _MAX_INT64 else None


def _double(raw: Any) -> Decimal | None:
    """What a double makes of the number, written with as few digits as tell it apart."""
    if isinstance(raw, bool) or not isinstance(raw, int | Decimal):
        return None
    as_double = float(raw)
    return Decimal(repr(as_double)) if abs(as_double) != float("inf") else None


def _check_labels(labels: Any) -> None:
    if not isinstance(labels, dict):
        raise invalid_operation("userLabels must be an object")
    for key, value in labels.items():
        if key not in _RESERVED_LABELS and not _LABEL_KEY.fullmatch(key):
            raise invalid_operation(f"userLabels: {key!r} is no label key")
        if not isinstance(value, str) or not _LABEL_VALUE.fullmatch(value):
            raise invalid_operation(f"userLabels: {value!r} is no label value")
