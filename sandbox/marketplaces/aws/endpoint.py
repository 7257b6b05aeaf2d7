"""`BatchMeterUsage` on the wire: JSON 1.1 in and out, signatures, the quota, and error answers."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

from ..billed import BilledRecord, exact
from ..clock import format_instant, real_time
from ..exchange import (
    Answer,
    Call,
    Controlled,
    Json,
    Refusal,
    RefusalKind,
    Request,
)
from ..journal import Fact
from ..throttle import TokenBucket
from .administration import Administration
from .errors import AwsError, serialization, throttled
from .metering import AwsMetering, RecordKey, Result, Status
from .records import read_batch, read_json
from .settings import AwsSettings
from .signature import region_of

_TARGET = "AWSMPMeteringService.BatchMeterUsage"
_CONTENT_TYPE = "application/x-amz-json-1.1"
_LABELS = {
    "license_arn": "LicenseArn",
    "account_id": "CustomerAWSAccountId",
    "customer_identifier": "CustomerIdentifier",
    "dimension": "Dimension",
}
_REFUSALS = {
    RefusalKind.INTERNAL_ERROR: ("InternalServiceErrorException", 500, "internal failure"),
    RefusalKind.THROTTLED: ("ThrottlingException", 400, "Rate exceeded"),
    RefusalKind.UNAVAILABLE: ("ServiceUnavailableException", 503, "the service is unavailable"),
    RefusalKind.NAMED: ("", 400, "refused on order"),
}


class AwsMarketplace:
    """AWS Marketplace's metering API.

    Args:
        settings: Policy to begin with, and to return to on a reset.
        wall: Real time, for the quota when it is set to follow that.
    """

    name = "aws"

    def __init__(
        self, settings: AwsSettings | None = None, *, wall: Callable[[], datetime] = real_time
    ) -> None:
        self._initial = settings or AwsSettings()
        self._wall = wall
        self._begin()

    def _begin(self) -> None:
        self._metering = AwsMetering(self._initial)
        self._administration = Administration(self._metering)
        self._buckets: dict[tuple[str, int], TokenBucket] = {}

    def claims(self, request: Request) -> bool:
        """Every call of the AWS JSON protocol goes to the root path."""
        return request.path == "/"

    def describe(self, request: Request) -> Call:
        """Labels each record with its licence, account, customer identifier and dimension."""
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
        try:
            body = read_json(request.body)
        except AwsError:
            return Call(self.name, operation)
        rows = body.get("UsageRecords") if isinstance(body, dict) else None
        records = rows if isinstance(rows, list) else []
        return Call(self.name, operation, tuple(_labels(row) for row in records))

    def answer(self, request: Request, *, now: datetime, unprocessed: frozenset[int]) -> Answer:
        """Serves one call."""
        try:
            return self._meter(request, now, unprocessed)
        except AwsError as error:
            return _error(error)

    def _meter(self, request: Request, now: datetime, unprocessed: frozenset[int]) -> Answer:
        _check_protocol(request)
        region = region_of(request.headers)
        self._check_quota(region, now)
        batch = read_batch(request.body, self._metering.settings)
        results = self._metering.meter(batch, region=region, now=now, unprocessed=unprocessed)
        done = [result for result in results if result.status is not Status.UNPROCESSED]
        undone = [result for result in results if result.status is Status.UNPROCESSED]
        body = {
            "Results": [_wire(result) for result in done],
            "UnprocessedRecords": [dict(result.record.wire) for result in undone],
        }
        return _answer(
            HTTPStatus.OK,
            body,
            "Success",
            records=tuple(_log(result) for result in results),
            facts=tuple(
                {"kind": "billed", "record": result.billed.to_json()}
                for result in done
                if result.billed is not None
            ),
        )

    def _check_quota(self, region: str, now: datetime) -> None:
        settings = self._metering.settings
        rate = settings.calls_per_second
        if rate == 0:
            return
        at = self._wall() if settings.throttle_clock == "wall" else now
        bucket = self._buckets.setdefault((region, rate), TokenBucket(rate, at))
        if not bucket.take(at):
            raise throttled()

    def refuse(self, refusal: Refusal) -> Answer:
        """An injected refusal, by default under AWS's own names."""
        code, status, message = _REFUSALS[refusal.kind]
        return _error(
            AwsError(refusal.code or code, refusal.message or message, refusal.status or status)
        )

    def control(self, method: str, path: Sequence[str], body: Json, now: datetime) -> Controlled:
        """Registrations, cancellations and settings."""
        return self._administration.serve(method, path, body, now)

    def billed(self) -> list[BilledRecord]:
        """Everything on the bill, in the order of acceptance."""
        return list(self._metering.bill.values())

    def warnings(self) -> list[str]:
        """Hours that are billed twice."""
        return self._metering.warnings()

    def replay(self, fact: Fact) -> None:
        """Takes back a row of the bill, a registration or a setting."""
        if fact["kind"] == "billed":
            billed = BilledRecord.from_json(fact["record"])
            key = RecordKey(
                billed.region, billed.agreement, billed.buyer, billed.dimension, billed.hour
            )
            self._metering.bill[key] = billed
        else:
            self._administration.replay(fact)

    def reset(self, *, keep_setup: bool) -> list[Fact]:
        """Empties the bill, and unless the set-up is kept, registrations and settings."""
        self._metering.bill.clear()
        self._buckets.clear()
        if keep_setup:
            return self._administration.facts()
        self._begin()
        return []


def _check_protocol(request: Request) -> None:
    if request.method != "POST":
        raise AwsError("UnknownOperationException", "only POST is served", 404)
    if request.headers.get("x-amz-target", "") != _TARGET:
        raise AwsError("UnknownOperationException", f"the sandbox serves {_TARGET} only", 400)
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != _CONTENT_TYPE:
        raise serialization(f"content type must be {_CONTENT_TYPE}")


def _labels(row: Any) -> dict[str, str]:
    if not isinstance(row, dict):
        return {}
    return {
        label: row[member] for label, member in _LABELS.items() if isinstance(row.get(member), str)
    }


def _wire(result: Result) -> Json:
    wire: Json = {"UsageRecord": dict(result.record.wire), "Status": result.status.value}
    if result.record_id:
        wire["MeteringRecordId"] = result.record_id
    return wire


def _log(result: Result) -> dict[str, str]:
    return {
        **_labels(result.record.wire),
        "used_at": format_instant(result.record.used_at),
        "quantity": exact(result.record.quantity.value),
        "status": result.status.value,
    }


def _error(error: AwsError) -> Answer:
    body = {"__type": error.code, "message": error.message}
    return _answer(error.status, body, error.code)


def _answer(
    status: int,
    body: Json,
    outcome: str,
    records: tuple[Mapping[str, str], ...] = (),
    facts: tuple[Fact, ...] = (),
) -> Answer:
    return Answer(
        status=status,
        body=json.dumps(body, default=str).encode(),
        headers={"Content-Type": _CONTENT_TYPE, "x-amzn-RequestId": str(uuid.uuid4())},
        outcome=outcome,
        records=records,
        facts=facts,
    )
