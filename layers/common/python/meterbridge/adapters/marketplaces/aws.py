"""AWS Marketplace: metering records through BatchMeterUsage (contracts.md §1.1).

A record is named by licence, buyer account, dimension and UTC hour; the first quantity for it wins and
the same quantity again is answered as success, so an unknown outcome is only ever resent identical.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from meterbridge.adapters.marketplaces.aws_outcomes import STATUSES, Verdict, verdict_of
from meterbridge.adapters.marketplaces.pacing import CallPacer
from meterbridge.application.ports import ReportResult, Submission
from meterbridge.domain.errors import InvariantError, MarketplaceError
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
                "Timestamp": _whole_second(record.reported_hour_start),
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
        results: list[ReportResult] = []
        waiting = _without_repeats(submissions)
        while waiting:
            part = waiting.pop()
            try:
                verdict, answered = self._call(part)
            except MarketplaceError as exc:
                if not results:
                    raise
                unasked = [submission for part in [part, *waiting] for submission in part]
                results += _same_for_all(
                    unasked, Verdict(ReportOutcome.RETRY, "NotAsked", str(exc))
                )
                break
            if verdict is None:
                results += answered
            elif verdict.splits and len(part) > 1:
                half = len(part) // 2
                waiting += [part[half:], part[:half]]
            else:
                results += _same_for_all(part, verdict)
        if sorted(r.key for r in results) != sorted(s.key for s in submissions):
            raise InvariantError("not exactly one result per submission")
        return results

    def _call(self, part: Sequence[Submission]) -> tuple[Verdict | None, list[ReportResult]]:
        """One call: what its failure means, or the results."""
        self._pacer.wait()
        try:
            response = self._client.batch_meter_usage(
                UsageRecords=[_usage_record(submission) for submission in part]
            )
        except (ClientError, BotoCoreError, ResponseParserError) as exc:
            verdict = verdict_of(exc)
            if verdict.throttled:
                self._pacer.throttled()
            return verdict, []
        self._pacer.answered()
        return None, _results(part, response)


def _whole_second(moment: datetime) -> str:
    """The first whole second at or after the moment, but never in another hour."""
    later = (moment + timedelta(microseconds=999_999)).replace(microsecond=0)
    second = later if later.hour == moment.hour else moment.replace(microsecond=0)
    return second.strftime("%Y-%m-%dT%H:%M:%SZ")


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


def _without_repeats(submissions: Sequence[Submission]) -> list[list[Submission]]:
    """Calls in which no usage record is named twice, the last of them to be made first.

    Two agreements under one licence may name the same one; AWS then says which quantity it holds.
    """
    parts: list[dict[_Identity, Submission]] = []
    for submission in submissions:
        identity = _identity(submission.entry, _moment(submission.entry))
        part = next((part for part in parts if identity not in part), None)
        if part is None:
            part = {}
            parts.append(part)
        part[identity] = submission
    return [list(part.values()) for part in reversed(parts)]


def _results(part: Sequence[Submission], response: Mapping[str, Any]) -> list[ReportResult]:
    """One result per submission; what the response leaves out is unknown, never a success."""
    answers = {_identity_of_echo(result): result for result in response.get("Results", [])}
    unprocessed = {
        _identity_of_echo({"UsageRecord": echo}) for echo in response.get("UnprocessedRecords", [])
    }
    results = []
    for submission in part:
        identity = _identity(submission.entry, _moment(submission.entry))
        if identity in answers:
            results.append(_result(submission, answers[identity]))
        elif identity in unprocessed:
            verdict = Verdict(ReportOutcome.RETRY, "UnprocessedRecords", "not processed by AWS")
            results += _same_for_all([submission], verdict)
        else:
            verdict = Verdict(
                ReportOutcome.RETRY, "NoResult", "left out of the answer", reached=True
            )
            results += _same_for_all([submission], verdict)
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


def _same_for_all(part: Sequence[Submission], verdict: Verdict) -> list[ReportResult]:
    return [
        ReportResult(
            key=submission.key,
            outcome=verdict.outcome,
            code=verdict.code,
            detail=verdict.detail,
            reached=verdict.reached,
        )
        for submission in part
    ]
