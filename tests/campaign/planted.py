"""Faults of other billing layers, as test doubles: the campaign has to find each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any
from unittest.mock import patch
from uuid import UUID

from campaign.doubles import Double, Planted
from campaign.planted_in_rating import PLANTED_IN_RATING
from campaign.world import Doubles
from meterbridge.application import rated_usage, report_usage
from meterbridge.application.ports import ReportResult, Submission
from meterbridge.domain import rating
from meterbridge.domain.metering_record import (
    OPEN_STATES,
    MeteringRecord,
    RecordState,
    ReportOutcome,
)
from meterbridge.domain.offerings import Channel
from meterbridge.domain.partitions import ShardPlan
from meterbridge.domain.rating import RatedUsage
from meterbridge.domain.reporting import closed_at_deadline
from meterbridge.domain.usage_log import SegmentDraft, decode, pack_events


class TimeOfSending(Double):
    """The record carries the hour in which it is sent, so a resend after the hour is another one."""

    TIMES: Mapping[Channel, tuple[str, ...]] = {
        Channel.AWS: ("Timestamp",),
        Channel.AZURE: ("effectiveStartTime",),
    }

    def submit(self, submissions: Sequence[Submission]) -> list[ReportResult]:
        now = self.clock.now().replace(minute=0, second=0, microsecond=0)
        named = dict.fromkeys(self.TIMES.get(self.channel, ()), now.strftime("%Y-%m-%dT%H:%M:%SZ"))
        sent = [replace(each, entry={**each.entry, **named}) for each in submissions]
        results: list[ReportResult] = []
        for each in sent:
            results += self.real.submit([each])
        return results


class SuccessFromSilence(Double):
    """What the answer does not name as failed cannot have failed."""

    def submit(self, submissions: Sequence[Submission]) -> list[ReportResult]:
        silence = ("UnprocessedRecords", "NoResult", "Unreadable")
        return _as_success(self.real.submit(submissions), silence)


class DuplicateIsSuccess(Double):
    """A duplicate must be our own, whatever its quantity."""

    def submit(self, submissions: Sequence[Submission]) -> list[ReportResult]:
        return [
            replace(each, outcome=ReportOutcome.ALREADY_ACCEPTED, accepted_quantity=None)
            if each.outcome is ReportOutcome.CONFLICT
            else each
            for each in self.real.submit(submissions)
        ]


class DroppedWhenThrottled(Double):
    """Only faults of the server are worth a retry."""

    def submit(self, submissions: Sequence[Submission]) -> list[ReportResult]:
        codes = ("ThrottlingException", "Http429", "RESOURCE_EXHAUSTED")
        return _as_success(self.real.submit(submissions), codes)


def _as_success(results: Sequence[ReportResult], codes: Sequence[str]) -> list[ReportResult]:
    return [
        replace(each, outcome=ReportOutcome.ACCEPTED) if each.code in codes else each
        for each in results
    ]


class RandomOperationId(Double):
    """Google's operationId is drawn anew for each attempt."""

    random = Random(1)

    def submit(self, submissions: Sequence[Submission]) -> list[ReportResult]:
        return self.real.submit([self._renamed(each) for each in submissions])  # type: ignore[no-any-return]

    def _renamed(self, submission: Submission) -> Submission:
        if "operationId" not in submission.entry:
            return submission
        drawn = str(UUID(int=self.random.getrandbits(128)))
        return replace(submission, entry={**submission.entry, "operationId": drawn})


class NoVersionCheck(Double):
    """Two settlements at once both commit."""

    def commit(self, head: Any, *, expected_version: int, **named: Any) -> None:
        current = self.real.head(head.agreement_id)
        version = current.version if current else 0
        fresh = [each for each in named["new_records"] if self.real.record(each.key) is None]
        named["new_records"] = fresh
        self.real.commit(replace(head, version=version + 1), expected_version=version, **named)


class NoMark(Double):
    """Nothing is written before a record is sent; only what came of it is."""

    def save(self, record: MeteringRecord, **expected: Any) -> None:
        known = self.real.record(record.key)
        if record.state in OPEN_STATES:
            return
        self.real.save(record, expected_state=known.state, expected_attempts=known.attempts)


class IdentityOfTheAttempt(Double):
    """Each delivery of an event is a new event."""

    deliveries = 0

    def append(self, drafts: Sequence[SegmentDraft], received_at: datetime) -> None:
        self.deliveries += 1
        renamed = [
            replace(group.event(row), id=f"{group.event(row).id}#{self.deliveries}")
            for draft in drafts
            for group in decode(draft.body).groups
            for row in range(len(group))
        ]
        self.real.append(pack_events(renamed, ShardPlan()), received_at)


def _truncated(*given: Any) -> dict[str, RatedUsage]:
    """Fractions are cut off every hour, and not carried."""
    return {
        code: replace(
            rated, billable={hour: Decimal(int(each)) for hour, each in rated.billable.items()}
        )
        for code, rated in rating.rated_usage(*given).items()
    }


def _closed_without_doubt(record: MeteringRecord, *, at: datetime) -> MeteringRecord:
    """Whatever was not confirmed in time was not booked."""
    closed = closed_at_deadline(record, at=at)
    return replace(closed, state=RecordState.EXPIRED)


def _marketplace(double: type[Double]) -> Doubles:
    return Doubles(marketplace=double)


PLANTED = {
    "time-of-sending": Planted("the hour of sending on the wire", _marketplace(TimeOfSending)),
    "success-from-silence": Planted(
        "success inferred from an empty answer", _marketplace(SuccessFromSilence)
    ),
    "duplicate-is-success": Planted(
        "a duplicate taken for success without comparing", _marketplace(DuplicateIsSuccess)
    ),
    "dropped-on-429": Planted("dropped when throttled", _marketplace(DroppedWhenThrottled)),
    "random-operation-id": Planted(
        "another operationId for each attempt", _marketplace(RandomOperationId)
    ),
    "truncated": Planted(
        "fractions truncated, not carried",
        Doubles(patches=lambda: patch.object(rated_usage, "rated_usage", _truncated)),
    ),
    "no-version-check": Planted(
        "settlements commit whatever version they read", Doubles(ledger=NoVersionCheck), within=300
    ),
    "no-mark": Planted("sent before the mark is written", Doubles(ledger=NoMark)),
    "identity-of-the-attempt": Planted(
        "events counted again on redelivery", Doubles(log=IdentityOfTheAttempt)
    ),
    "no-doubt-at-the-deadline": Planted(
        "what was not confirmed in time is billed again",
        Doubles(
            patches=lambda: patch.object(report_usage, "closed_at_deadline", _closed_without_doubt)
        ),
    ),
    **PLANTED_IN_RATING,
}
"""By name, as `make faults PLANT=…` takes it."""
