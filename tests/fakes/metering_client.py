"""A metering client whose answers are scripted, and the adapter around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from builders import metering_record
from meterbridge.adapters.marketplaces.aws import AwsMarketplace
from meterbridge.adapters.marketplaces.pacing import CallPacer
from meterbridge.application.ports import ReportResult, Submission

Calls = list[list[dict[str, Any]]]


def client_error(code: str, status: int = 400) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": f"about {code}"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "BatchMeterUsage")


class ScriptedClient:
    """Answers each call by a function of its records; remembers the calls."""

    def __init__(self, respond: Callable[[list[dict[str, Any]]], Mapping[str, Any]]) -> None:
        self._respond = respond
        self.calls: Calls = []

    def batch_meter_usage(self, **request: Any) -> Mapping[str, Any]:
        self.calls.append(request["UsageRecords"])
        return self._respond(request["UsageRecords"])


def pacer() -> CallPacer:
    return CallPacer(10, monotonic=lambda: 0.0, sleep=lambda _: None, jitter=lambda: 0.0)


def marketplace(client: Any) -> AwsMarketplace:
    return AwsMarketplace(client, pacer())


def submissions(*codes: str) -> list[Submission]:
    build = marketplace(None).build
    return [build(metering_record(code=code)) for code in codes]


def submit(
    respond: Callable[[list[dict[str, Any]]], Mapping[str, Any]], *codes: str
) -> tuple[dict[str, ReportResult], Calls]:
    client = ScriptedClient(respond)
    results = marketplace(client).submit(submissions(*codes))
    assert len(results) == len(codes)
    return {result.key.dimension: result for result in results}, client.calls


def success(records: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    return {
        "Results": [
            {
                "UsageRecord": record,
                "MeteringRecordId": f"id-{record['Dimension']}",
                "Status": "Success",
            }
            for record in records
        ],
        "UnprocessedRecords": [],
    }


def raises(error: Exception) -> Callable[[list[dict[str, Any]]], Mapping[str, Any]]:
    def respond(_: list[dict[str, Any]]) -> Mapping[str, Any]:
        raise error

    return respond


def refuses(code: str, *poison: str) -> Callable[[list[dict[str, Any]]], Mapping[str, Any]]:
    """The whole call, while it holds a poisoned dimension."""

    def respond(records: list[dict[str, Any]]) -> Mapping[str, Any]:
        if {record["Dimension"] for record in records} & set(poison):
            raise client_error(code)
        return success(records)

    return respond
