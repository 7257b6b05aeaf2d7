"""AWS Marketplace: `BatchMeterUsage` on the wire (JSON 1.1 in and out), and the catalog beside it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus

from ..billed import BilledRecord, exact
from ..clock import format_instant, real_time
from ..endpoint import Endpoint
from ..exchange import Answer, Call, Json, Refusal, RefusalKind, Request
from ..journal import Fact
from ..wire import json_answer, labels_of
from .administration import AwsAdministration
from .catalog_api import CatalogApi
from .change_sets import KIND
from .errors import AwsError, serialization, throttled
from .metering import AwsMetering, Result, Status
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


class AwsMarketplace(Endpoint[AwsSettings]):
    """AWS Marketplace's metering API, and its catalog.

    Args:
        settings: Policy to begin with, and to return to on a reset.
        wall: Real time, for the quota when it is set to follow that.
    """

    name = "aws"

    def __init__(
        self, settings: AwsSettings | None = None, *, wall: Callable[[], datetime] = real_time
    ) -> None:
        super().__init__(settings or AwsSettings(), wall)

    def _begin(self) -> AwsAdministration:
        self._metering = AwsMetering(self._initial)
        self._catalog = CatalogApi(self._quota, self._is_metered)
        return AwsAdministration(self._metering)

    def claims(self, request: Request) -> bool:
        """Every call of the AWS JSON protocol goes to the root path, the catalog's to their own."""
        return request.path == "/" or CatalogApi.claims(request)

    def describe(self, request: Request) -> Call:
        """Labels each record with its licence, account, customer identifier and dimension."""
        if CatalogApi.claims(request):
            labels = CatalogApi.labels(request)
            return Call(self.name, CatalogApi.operation(request), labels)
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
        try:
            body = read_json(request.body)
        except AwsError:
            return Call(self.name, operation)
        rows = body.get("UsageRecords") if isinstance(body, dict) else None
        records = rows if isinstance(rows, list) else []
        return Call(self.name, operation, tuple(labels_of(row, _LABELS) for row in records))

    def answer(self, request: Request, *, now: datetime, unprocessed: frozenset[int]) -> Answer:
        """Serves one call."""
        if CatalogApi.claims(request):
            return self._catalog.answer(request, self._metering.settings, now)
        try:
            return self._meter(request, now, unprocessed)
        except AwsError as error:
            return _error(error)

    def _meter(self, request: Request, now: datetime, unprocessed: frozenset[int]) -> Answer:
        _check_protocol(request)
        region = region_of(request.headers)
        if not self._quota.admits(self._metering.settings, now, region):
            raise throttled()
        batch = read_batch(request.body, self._metering.settings)
        results = self._metering.meter(batch, region=region, now=now, unprocessed=unprocessed)
        done = [result for result in results if result.status is not Status.UNPROCESSED]
        undone = [result for result in results if result.status is Status.UNPROCESSED]
        body = {
            "Results": [_wire(result) for result in done],
            "UnprocessedRecords": [dict(result.record.wire) for result in undone],
        }
        return json_answer(
            HTTPStatus.OK,
            body,
            "Success",
            _headers(),
            records=tuple(_log(result) for result in results),
            facts=tuple(each.billed.to_fact() for each in done if each.billed is not None),
        )

    def refuse(self, refusal: Refusal) -> Answer:
        """An injected refusal, by default under AWS's own names."""
        code, status, message = _REFUSALS[refusal.kind]
        return _error(
            AwsError(refusal.code or code, refusal.message or message, refusal.status or status)
        )

    def billed(self) -> list[BilledRecord]:
        """Everything on the bill, in the order of acceptance."""
        return list(self._metering.bill.values())

    def warnings(self) -> list[str]:
        """Hours that are billed twice."""
        return self._metering.warnings()

    def _is_metered(self, product_id: str, dimension: str) -> bool:
        """Whether the product was metered, with its id for a code."""
        return any(
            (row.product, row.dimension) == (product_id, dimension)
            for row in self._metering.bill.values()
        )

    def _put_back(self, fact: Fact) -> None:
        if fact["kind"] == KIND:
            self._catalog.change_sets.put_back(fact)
            return
        self._metering.put_back(BilledRecord.from_fact(fact))

    def _empty_bill(self) -> None:
        self._metering.bill.clear()
        self._catalog.change_sets.clear()


def _check_protocol(request: Request) -> None:
    if request.method != "POST":
        raise AwsError("UnknownOperationException", "only POST is served", 404)
    if request.headers.get("x-amz-target", "") != _TARGET:
        raise AwsError("UnknownOperationException", f"the sandbox serves {_TARGET} only", 400)
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != _CONTENT_TYPE:
        raise serialization(f"content type must be {_CONTENT_TYPE}")


def _wire(result: Result) -> Json:
    wire: Json = {"UsageRecord": dict(result.record.wire), "Status": result.status.value}
    if result.record_id:
        wire["MeteringRecordId"] = result.record_id
    return wire


def _log(result: Result) -> dict[str, str]:
    return {
        **labels_of(result.record.wire, _LABELS),
        "used_at": format_instant(result.record.used_at),
        "quantity": exact(result.record.quantity.value),
        "status": result.status.value,
    }


def _error(error: AwsError) -> Answer:
    body = {"__type": error.code, "message": error.message}
    return json_answer(error.status, body, error.code, _headers())


def _headers() -> dict[str, str]:
    return {"Content-Type": _CONTENT_TYPE, "x-amzn-RequestId": str(uuid.uuid4())}
