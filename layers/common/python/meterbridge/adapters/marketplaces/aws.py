"""AWS Marketplace: metering records through BatchMeterUsage (contracts.md §1.1).

A record is named by licence, buyer account, dimension and UTC hour; the first quantity for it wins and
the same quantity again is answered as success, so an unknown outcome is only ever resent identical.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from meterbridge.adapters.marketplaces.aws_outcomes import STATUSES, verdict_of
from meterbridge.adapters.marketplaces.calls import (
    NO_RESULT,
    Part,
    Verdict,
    answered_alike,
    submit_in_parts,
    whole_second,
    without_repeats,
)
from meterbridge.adapters.marketplaces.pacing import CallPacer
from meterbridge.application.ports import ReportResult, Submission
from meterbridge.domain.errors import InvariantError
from meterbridge.domain.metering_record import MeteringRecord, ReportOutcome
from meterbridge.domain.money import plain
from meterbridge.domain.offerings import Channel

MAX_RECORDS = 25
MAX_BODY_BYTES = 1_000_000

_QUANTITY = re.compile(r"(0|[1-9][0-9]{0,9})(\.[0-9]{1,6})?")
_ENTRY_OVERHEAD = 200
_Identity = tuple[str, str, str, int]


class MeteringClient(Protocol):
    """The one call of boto3's `meteringmarketplace` client that is used."""

    def batch_meter_usage(self, **request: Any) -> Mapping[str, Any]:
        """One call; raises botocore's errors."""


class AwsMarketplace:
    """The Marketplace port for AWS.

    The client must not retry by itself: what a failed call means is decided here.
    """

    channel = Channel.AWS

    def __init__(self, client: MeteringClient, pacer: CallPacer) -> None:
        """Report through a client, at the pace of a pacer."""
        self._client = client
        self._pacer = pacer

    def build(self, record: MeteringRecord) -> Submission:
        """A UsageRecord in the style of 2026: licence and account, quantity as a decimal.

        `QuantityAsDecimal` is used for whole numbers too: AWS compares 17 and 17.0 by value in either
        field, has deprecated `Quantity`, and a request must not mix the two up.

        Raises:
            InvariantError: a quantity or a buyer that AWS cannot take.
        """
        quantity = plain(record.quantity)
        if not _QUANTITY.fullmatch(quantity):
            raise InvariantError(f"{record.key}: AWS takes no quantity of {quantity}")
        account = record.buyer.get("customer_aws_account_id", "")
        license_arn = record.buyer.get("license_arn", "")
        if not account or not license_arn:
            raise InvariantError(f"{record.key}: no AWS account or no licence of the buyer")
        return Submission(
            key=record.key,
            product_id=record.product_id,
            entry={
                "Timestamp": whole_second(record.reported_hour_start),
                "Dimension": record.key.dimension,
                "CustomerAWSAccountId": account,
                "LicenseArn": license_arn,
                "QuantityAsDecimal": quantity,
            },
        )

    def submit(self, submissions: Sequence[Submission]) -> list[ReportResult]:
        """Report up to 25 records of one product; a poisoned batch is halved until the cause is alone.

        Raises:
            MarketplaceError: AWS could not be asked and nothing was booked.
            InvariantError: a batch that AWS would not take.
        """
        if not submissions:
            return []
        _require_sendable(submissions)
        return submit_in_parts(without_repeats(submissions, _identity_of), self._call)

    def _call(self, part: Part) -> Verdict | list[ReportResult]:
        """One call: the results, or what its failure means."""
        self._pacer.wait()
        try:
            response = self._client.batch_meter_usage(
                UsageRecords=[_usage_record(submission) for submission in part]
            )
        except (ClientError, BotoCoreError, ResponseParserError) as exc:
            verdict = verdict_of(exc)
            if verdict.throttled:
                self._pacer.throttled()
            return verdict
        self._pacer.answered()
        return _results(part, response)


def _moment(entry: Mapping[str, str]) -> datetime:
    return datetime.fromisoformat(entry["Timestamp"]).astimezone(UTC)


def _usage_record(submission: Submission) -> dict[str, Any]:
    return {**submission.entry, "Timestamp": _moment(submission.entry)}


def _identity(entry: Mapping[str, Any], moment: datetime) -> _Identity:
    """What AWS tells usage records apart by, as far as one batch needs it."""
    return (
        entry.get("LicenseArn", ""),
        entry.get("CustomerAWSAccountId", ""),
        entry.get("Dimension", ""),
        int(moment.timestamp()),
    )


def _identity_of(submission: Submission) -> _Identity:
    return _identity(submission.entry, _moment(submission.entry))


def _require_sendable(submissions: Sequence[Submission]) -> None:
    if len(submissions) > MAX_RECORDS:
        raise InvariantError(f"{len(submissions)} records in one batch")
    if len({submission.product_id for submission in submissions}) > 1:
        raise InvariantError("a batch holds records of one product")
    size = sum(
        _ENTRY_OVERHEAD + sum(len(text.encode()) for text in submission.entry.values())
        for submission in submissions
    )
    if size > MAX_BODY_BYTES:
        raise InvariantError(f"a batch of {size} bytes")


def _results(part: Part, response: Mapping[str, Any]) -> list[ReportResult]:
    """One result per submission; what the response leaves out is unknown, never a success."""
    answers = {_identity_of_echo(result): result for result in response.get("Results", [])}
    unprocessed = {
        _identity_of_echo({"UsageRecord": echo}) for echo in response.get("UnprocessedRecords", [])
    }
    results = []
    for submission in part:
        identity = _identity_of(submission)
        if identity in answers:
            results.append(_result(submission, answers[identity]))
        elif identity in unprocessed:
            verdict = Verdict(ReportOutcome.RETRY, "UnprocessedRecords", "not processed by AWS")
            results += answered_alike([submission], verdict)
        else:
            results += answered_alike([submission], NO_RESULT)
    request_id = str(response.get("ResponseMetadata", {}).get("RequestId", ""))
    return [replace(result, request_id=request_id) for result in results]


def _identity_of_echo(result: Mapping[str, Any]) -> _Identity | None:
    echo = result.get("UsageRecord", {})
    moment = echo.get("Timestamp")
    return _identity(echo, moment) if isinstance(moment, datetime) else None


def _result(submission: Submission, answer: Mapping[str, Any]) -> ReportResult:
    status = str(answer.get("Status", ""))
    outcome = STATUSES.get(status, ReportOutcome.RETRY)
    return ReportResult(
        key=submission.key,
        outcome=outcome,
        code=status or "NoStatus",
        detail=_DETAILS.get(status, ""),
        receipt=str(answer.get("MeteringRecordId", "")),
        reached=outcome is not ReportOutcome.NOT_ENTITLED,
    )


_DETAILS = {
    "DuplicateRecord": "another quantity was metered before for this hour",
    "CustomerNotSubscribed": "the buyer has no active agreement, or their AWS account is suspended",
}
