"""The Catalog API on the wire: REST-JSON in and out, signatures, quotas, and error answers."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from ..exchange import Answer, Json, Request
from ..journal import Fact
from ..throttle import Quota
from ..wire import json_answer, parse_json
from .change_sets import ChangeSet, ChangeSets
from .errors import AwsError, throttled, validation
from .settings import AwsSettings
from .signature import region_of

_REGION = "us-east-1"
_OPERATIONS = {
    ("POST", "/StartChangeSet"): ("StartChangeSet", 5),
    ("GET", "/DescribeChangeSet"): ("DescribeChangeSet", 10),
    ("POST", "/ListChangeSets"): ("ListChangeSets", 5),
}
"""By method and path: the operation and its calls a second (contracts.md §1.3.1)."""

_ARN = "arn:aws:aws-marketplace:us-east-1:444455556666:AWSMarketplace"
_STATUSES = {"ValidationException": 422, "ThrottlingException": 429}


class CatalogApi:
    """AWS Marketplace's catalog, as far as SaaS products and their offers go.

    Args:
        quota: of calls, by operation.
        metered: whether a product has a metering record of a dimension.
    """

    def __init__(self, quota: Quota, metered: Callable[[str, str], bool]) -> None:
        self.change_sets = ChangeSets(metered)
        self._quota = quota

    @staticmethod
    def claims(request: Request) -> bool:
        """Its operations have paths of their own."""
        return request.path in {path for _, path in _OPERATIONS}

    @staticmethod
    def operation(request: Request) -> str:
        """The operation a request asks for."""
        return request.path.removeprefix("/")

    @staticmethod
    def labels(request: Request) -> tuple[Mapping[str, str], ...]:
        """Each change with its type and the entity it changes."""
        try:
            rows = parse_json(request.body).get("ChangeSet", [])
            return tuple(
                {
                    "change_type": str(row["ChangeType"]),
                    "entity": str(row["Entity"].get("Identifier", row["Entity"]["Type"])),
                }
                for row in rows
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return ()

    def answer(self, request: Request, settings: AwsSettings, now: datetime) -> Answer:
        """Serves one call."""
        try:
            return self._serve(request, settings, now)
        except AwsError as error:
            return refused(error)

    def _serve(self, request: Request, settings: AwsSettings, now: datetime) -> Answer:
        known = _OPERATIONS.get((request.method, request.path))
        if known is None:
            raise AwsError("UnknownOperationException", "the method is not served there", 404)
        operation, rate = known
        if region_of(request.headers) != _REGION:
            raise AwsError("AccessDeniedException", f"the catalog is in {_REGION}", 403)
        limited = replace(settings, calls_per_second=rate if settings.calls_per_second else 0)
        if not self._quota.admits(limited, now, operation):
            raise throttled()
        if operation == "DescribeChangeSet":
            return self._describe(dict(parse_qsl(request.query)), now)
        body = _read(request.body)
        if operation == "ListChangeSets":
            return self._list(body, now)
        change_set_id, fact = self.change_sets.start(body, now, settings.seconds("change_set"))
        found: Json = {"ChangeSetId": change_set_id, "ChangeSetArn": _arn(change_set_id)}
        return _told(found, (fact,) if fact is not None else ())

    def _describe(self, query: Mapping[str, str], now: datetime) -> Answer:
        if query.get("catalog") != "AWSMarketplace":
            raise validation("catalog must be AWSMarketplace")
        found = self.change_sets.find(query.get("changeSetId", ""), now)
        changes = [_described(found, place) for place in range(len(found.changes))]
        return _told({**_summary(found, now), "Intent": "APPLY", "ChangeSet": changes})

    def _list(self, body: Json, now: datetime) -> Answer:
        if body.get("Catalog") != "AWSMarketplace":
            raise validation("Catalog must be AWSMarketplace")
        if set(body) - {"Catalog", "MaxResults"}:
            raise validation("the sandbox serves Catalog and MaxResults only")
        most = body.get("MaxResults", 20)
        if type(most) is not int or not 1 <= most <= 20:
            raise validation("MaxResults must be 1 to 20")
        shown = self.change_sets.all(now)[:most]
        return _told({"ChangeSetSummaryList": [_summary(each, now) for each in shown]})


def refused(error: AwsError) -> Answer:
    """An error as REST-JSON has it; some codes have another status here than for metering."""
    status = _STATUSES.get(error.code, error.status)
    headers = {**_headers(), "x-amzn-ErrorType": error.code}
    return json_answer(status, {"Message": error.message}, error.code, headers)


def _summary(found: ChangeSet, now: datetime) -> Json:
    status = found.status(now)
    summary: Json = {
        "ChangeSetId": found.change_set_id,
        "ChangeSetArn": _arn(found.change_set_id),
        "ChangeSetName": found.name,
        "StartTime": _second(found.started_at),
        "Status": status,
    }
    if status in ("SUCCEEDED", "FAILED"):
        summary["EndTime"] = _second(found.ends_at)
    if status == "FAILED":
        summary |= {"FailureCode": "CLIENT_ERROR", "FailureDescription": "change set failed"}
    return {name: value for name, value in summary.items() if value}


def _described(found: ChangeSet, place: int) -> Json:
    row = found.rows[place]
    described: Json = {
        "ChangeType": row["ChangeType"],
        "Entity": dict(row["Entity"]),
        "DetailsDocument": found.changes[place].details,
    }
    if row.get("ChangeName"):
        described["ChangeName"] = row["ChangeName"]
    if place in found.made:
        described["Entity"]["Identifier"] = f"{found.made[place]}@1"
    error = found.errors.get(place)
    if error is not None:
        described["ErrorDetailList"] = [{"ErrorCode": error.code, "ErrorMessage": error.message}]
    return described


def _read(body: bytes) -> Json:
    try:
        found: Any = parse_json(body)
    except ValueError as exc:
        raise validation("the body is not JSON") from exc
    if not isinstance(found, dict):
        raise validation("the body must be an object")
    return found


def _told(body: Json, facts: tuple[Fact, ...] = ()) -> Answer:
    return json_answer(HTTPStatus.OK, body, "Success", _headers(), facts=facts)


def _headers() -> dict[str, str]:
    return {"Content-Type": "application/json", "x-amzn-RequestId": str(uuid.uuid4())}


def _arn(change_set_id: str) -> str:
    return f"{_ARN}/ChangeSet/{change_set_id}"


def _second(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
