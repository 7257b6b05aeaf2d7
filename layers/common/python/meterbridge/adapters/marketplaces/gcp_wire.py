"""A frozen entry as Google's operation, and operations as a request body."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from meterbridge.adapters.marketplaces.calls import Part
from meterbridge.application.ports import Submission

MAX_BODY_BYTES = 1_000_000
"""A request must be smaller (contracts.md §3.1.1), and JSON is longer than the wire format meant."""

RESOURCE_LABEL = "cloudmarketplace.googleapis.com/resource_name"

_OPERATION_NAME = "hourly usage"
_FRAME = b'{"operations":[]}'


def operation_of(entry: Mapping[str, str]) -> dict[str, Any]:
    """The operation as check takes it: without user labels (contracts.md §3.1.2)."""
    if "int64Value" in entry:
        value: dict[str, Any] = {"int64Value": entry["int64Value"]}
    else:
        # A JSON number, digit by digit as it was frozen.
        value = {"doubleValue": msgspec.Raw(entry["doubleValue"].encode())}
    return {
        "operationId": entry["operationId"],
        "operationName": _OPERATION_NAME,
        "consumerId": entry["consumerId"],
        "startTime": entry["startTime"],
        "endTime": entry["endTime"],
        "metricValueSets": [{"metricName": entry["metricName"], "metricValues": [value]}],
    }


def check_body(entry: Mapping[str, str]) -> bytes:
    """The body of services.check."""
    return msgspec.json.encode({"operation": operation_of(entry)})


def report_body(part: Part) -> bytes:
    """The body of services.report."""
    return msgspec.json.encode({"operations": [_reported(each.entry) for each in part]})


def calls_of(submissions: Iterable[Submission]) -> Iterator[list[Submission]]:
    """Submissions in the calls they fit: one service each, and less than 1 MB."""
    filling: dict[str, tuple[list[Submission], int]] = {}
    for submission in submissions:
        service = submission.entry["serviceName"]
        part, size = filling.get(service, ([], len(_FRAME)))
        own = len(msgspec.json.encode(_reported(submission.entry))) + 1
        if part and size + own >= MAX_BODY_BYTES:
            yield part
            part, size = [], len(_FRAME)
        filling[service] = ([*part, submission], size + own)
    for part, _ in filling.values():
        yield part


def _reported(entry: Mapping[str, str]) -> dict[str, Any]:
    operation = operation_of(entry)
    if "resourceName" in entry:
        operation["userLabels"] = {RESOURCE_LABEL: entry["resourceName"]}
    return operation
