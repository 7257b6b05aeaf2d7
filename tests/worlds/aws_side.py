"""A strict AWS without HTTP: boto3's `batch_meter_usage` over the sandbox's rules."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from builders import LICENSE_ARN
from fakes.clock import FakeClock
from meterbridge.domain.offerings import Dimension
from sandbox.marketplaces.aws.catalog import Agreement, Product
from sandbox.marketplaces.aws.catalog import Dimension as SandboxDimension
from sandbox.marketplaces.aws.errors import AwsError
from sandbox.marketplaces.aws.metering import AwsMetering, Result, Status
from sandbox.marketplaces.aws.records import read_batch
from sandbox.marketplaces.aws.settings import AwsSettings
from sandbox.marketplaces.billed import BilledRecord
from worlds.trouble import (
    BOOKED,
    FAULT,
    FORBIDDEN,
    LOST,
    PARTIAL,
    REFUSED,
    SILENT,
    THROTTLED,
    TIMEOUT,
    Trouble,
)

PRODUCT_CODE = "prodcode123"
CLOSED = ConnectionClosedError(endpoint_url="sandbox")


@dataclass
class StrictAws:
    """The one call of BatchMeterUsage.

    Attributes:
        lose_answers: so many answers of calls that went through are lost.
        throttle: so many calls are refused for coming too soon.
        leave_undone: so many calls come back with their first record unprocessed.
        refuse: every call fails with this error while it is set.
    """

    clock: FakeClock
    metering: AwsMetering
    lose_answers: int = 0
    throttle: int = 0
    leave_undone: int = 0
    refuse: str = ""

    def batch_meter_usage(self, **request: Any) -> dict[str, Any]:
        if self.throttle:
            self.throttle -= 1
            raise client_error("ThrottlingException")
        if self.refuse:
            raise client_error(self.refuse)
        undone = frozenset({0}) if self.leave_undone else frozenset[int]()
        results = self.meter(request, undone)
        self.leave_undone = max(0, self.leave_undone - 1)
        if self.lose_answers:
            self.lose_answers -= 1
            raise CLOSED
        return answer_to(request, results)

    def meter(self, request: Mapping[str, Any], undone: frozenset[int]) -> Sequence[Result]:
        """What the sandbox makes of a call."""
        body = json.dumps(request, default=lambda moment: moment.timestamp()).encode()
        try:
            batch = read_batch(body, self.metering.settings)
            return self.metering.meter(
                batch, region="us-east-1", now=self.clock.now(), unprocessed=undone
            )
        except AwsError as exc:
            raise client_error(exc.code) from exc

    def meter_elsewhere(self, entry: Mapping[str, Any]) -> None:
        """Another program of the seller reports."""
        self.meter({"UsageRecords": [entry]}, frozenset())


def answer_to(request: Mapping[str, Any], results: Sequence[Result]) -> dict[str, Any]:
    """Results as boto3 hands them out."""
    sent = list(zip(request["UsageRecords"], results, strict=True))
    return {
        "Results": [
            {
                "UsageRecord": echo,
                "Status": str(result.status),
                "MeteringRecordId": result.record_id,
            }
            for echo, result in sent
            if result.status is not Status.UNPROCESSED
        ],
        "UnprocessedRecords": [
            echo for echo, result in sent if result.status is Status.UNPROCESSED
        ],
    }


def client_error(code: str, status: int = 400) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": ""},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "BatchMeterUsage")


def usage_record(
    account: str, license_arn: str, code: str, hour: datetime, quantity: int
) -> dict[str, Any]:
    """An entry as somebody else of the seller's writes it."""
    return {
        "Timestamp": hour,
        "Dimension": code,
        "CustomerAWSAccountId": account,
        "LicenseArn": license_arn,
        "QuantityAsDecimal": str(quantity),
    }


def listed_product(dimensions: Sequence[Dimension]) -> Product:
    return Product(PRODUCT_CODE, {each.code: SandboxDimension(each.code) for each in dimensions})


class AwsSide(StrictAws):
    """AWS with its buyers, and with trouble."""

    def __init__(self, clock: FakeClock, identical_resend: str) -> None:
        super().__init__(clock, AwsMetering(AwsSettings(identical_resend=identical_resend)))
        self.trouble = Trouble(clock)
        self._licenses: dict[str, str] = {}

    def list_product(self, dimensions: Sequence[Dimension]) -> None:
        self.metering.products[PRODUCT_CODE] = listed_product(dimensions)

    def sell(self, subject: str, start: datetime) -> dict[str, str]:
        """A buyer's accepted agreement; the ids to report with."""
        number = len(self._licenses)
        license_arn, account = f"{LICENSE_ARN}{number}", f"11112222333{number}"
        self._licenses[subject] = license_arn
        self.metering.agreements[license_arn] = Agreement(
            PRODUCT_CODE, account, start=start, license_arn=license_arn
        )
        return {"customer_aws_account_id": account, "license_arn": license_arn}

    def suspend(self, subject: str, *, suspended: bool) -> None:
        self._change(subject, suspended=suspended)

    def cancel(self, subject: str, at: datetime) -> None:
        self._change(subject, end=at)

    def _change(self, subject: str, **changes: Any) -> None:
        license_arn = self._licenses[subject]
        agreement = self.metering.agreements[license_arn]
        self.metering.agreements[license_arn] = replace(agreement, **changes)

    def rows(self, subject: str) -> list[BilledRecord]:
        """What the buyer is charged for."""
        bill = self.metering.bill.values()
        return [row for row in bill if row.agreement == self._licenses[subject]]

    def report_elsewhere(self, subject: str, code: str, hour: datetime, quantity: int) -> None:
        """Another program of the seller reports for an hour, if AWS takes it."""
        agreement = self.metering.agreements[self._licenses[subject]]
        entry = usage_record(agreement.account_id, agreement.license_arn, code, hour, quantity)
        with suppress(ClientError):
            self.meter_elsewhere(entry)

    def batch_meter_usage(self, **request: Any) -> dict[str, Any]:
        kind = self.trouble.of_next_call()
        if kind == THROTTLED:
            raise client_error("ThrottlingException")
        if kind == FORBIDDEN:
            raise client_error("AccessDeniedException")
        if kind == REFUSED:
            raise EndpointConnectionError(endpoint_url="sandbox")
        if kind == TIMEOUT:
            raise ReadTimeoutError(endpoint_url="sandbox")
        if kind == FAULT:
            raise client_error("InternalServiceErrorException", 500)
        if kind == SILENT:
            return {"Results": [], "UnprocessedRecords": []}
        records = range(0, len(request["UsageRecords"]), 2)
        undone = frozenset(records) if kind == PARTIAL else frozenset[int]()
        results = self.meter(request, undone)
        if kind in BOOKED:
            raise CLOSED if kind == LOST else client_error("InternalServiceErrorException", 500)
        return answer_to(request, results)
