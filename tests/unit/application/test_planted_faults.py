"""Faults of other reporters, planted one at a time: the campaign has to find each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from builders import all_billable, at
from meterbridge.adapters.marketplaces.aws import AwsMarketplace
from meterbridge.application import rated_usage
from meterbridge.application.ports import ReportResult, Submission
from meterbridge.domain import rating
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.metering_record import ReportOutcome
from meterbridge.domain.rating import RatedUsage
from world import World

START = at("2026-11-24T10:03:00")


def usage(world: World, *tokens: str, first: int = 0) -> None:
    world.send(
        [
            UsageEvent(
                "prd_llm",
                "app",
                f"event-{first + number}",
                "llm.request",
                "acme",
                START - timedelta(minutes=90 + 60 * number),
                {"tokens": Decimal(text)},
            )
            for number, text in enumerate(tokens)
        ]
    )


class TimeOfSending(AwsMarketplace):
    """The record carries the hour in which it is sent, so a resend after the hour is another one."""

    moment = START

    def submit(self, submissions: Sequence[Submission]) -> list[ReportResult]:
        now = self.moment.replace(minute=0, second=0).strftime("%Y-%m-%dT%H:%M:%SZ")
        results = []
        for submission in submissions:
            redated = replace(submission, entry={**submission.entry, "Timestamp": now})
            results += super().submit([redated])
        return results


class SuccessFromSilence(AwsMarketplace):
    """What is not in the results cannot have failed."""

    def submit(self, submissions: Sequence[Submission]) -> list[ReportResult]:
        return [
            replace(result, outcome=ReportOutcome.ACCEPTED)
            if result.code == "UnprocessedRecords"
            else result
            for result in super().submit(submissions)
        ]


class DuplicateIsSuccess(AwsMarketplace):
    """A duplicate must be our own, whatever its quantity."""

    def submit(self, submissions: Sequence[Submission]) -> list[ReportResult]:
        return [
            replace(result, outcome=ReportOutcome.ALREADY_ACCEPTED)
            if result.outcome is ReportOutcome.CONFLICT
            else result
            for result in super().submit(submissions)
        ]


class DroppedWhenThrottled(AwsMarketplace):
    """Only faults of the server are worth a retry."""

    def submit(self, submissions: Sequence[Submission]) -> list[ReportResult]:
        return [
            replace(result, outcome=ReportOutcome.ACCEPTED)
            if result.code == "ThrottlingException"
            else result
            for result in super().submit(submissions)
        ]


class AnotherStyleOnRetry(AwsMarketplace):
    """A new identity for every attempt: here, the hour before for a second one."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.sent: set[object] = set()

    def submit(self, submissions: Sequence[Submission]) -> list[ReportResult]:
        again = [each for each in submissions if each.key in self.sent]
        self.sent |= {each.key for each in submissions}
        changed = [_an_hour_earlier(each) if each in again else each for each in submissions]
        return super().submit(changed)


def _an_hour_earlier(submission: Submission) -> Submission:
    moment = datetime.fromisoformat(submission.entry["Timestamp"]).astimezone(UTC)
    earlier = (moment - timedelta(hours=12)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return replace(submission, entry={**submission.entry, "Timestamp": earlier})


def resent_after_the_hour(world: World) -> None:
    usage(world, "5", "7")
    world.sweep()
    world.drain()
    world.aws.lose_answers = 9
    world.report()
    world.aws.lose_answers = 0
    world.clock.advance(timedelta(hours=1))
    TimeOfSending.moment = world.clock.now()
    world.report()


def left_undone(world: World) -> None:
    usage(world, "5", "7")
    world.aws.leave_undone = 1
    world.cycle()


def somebody_else_was_first(world: World) -> None:
    usage(world, "5")
    world.clock.set(at("2026-11-24T09:20:00"))
    world.report_elsewhere("acme", 3)
    world.clock.set(START)
    world.cycle()


def throttled(world: World) -> None:
    usage(world, "5", "7")
    world.aws.throttle = 1
    world.cycle()


@pytest.mark.parametrize(
    ("fault", "history"),
    [
        (TimeOfSending, resent_after_the_hour),
        (SuccessFromSilence, left_undone),
        (DroppedWhenThrottled, throttled),
        (AnotherStyleOnRetry, resent_after_the_hour),
    ],
)
def test_a_planted_fault_of_a_reporter_is_found_and_ours_has_none(
    fault: type[AwsMarketplace], history: Callable[[World], None]
) -> None:
    ours = World(START)
    history(ours)
    ours.settle_down()
    ours.check_books()
    TimeOfSending.moment = START
    planted = World(START, marketplace=fault)
    history(planted)
    planted.settle_down()
    with pytest.raises(AssertionError):
        planted.check_books()


def test_a_duplicate_counted_as_success_without_comparing_is_found() -> None:
    states = {}
    for marketplace in (AwsMarketplace, DuplicateIsSuccess):
        world = World(START, marketplace=marketplace)
        somebody_else_was_first(world)
        states[marketplace] = [
            str(record.state)
            for record in world.real_ledger.records("agr_acme")
            if record.key.dimension == "requests"
        ]
    assert states[AwsMarketplace] == ["conflicted"]
    assert states[DuplicateIsSuccess] == ["accepted"]


def test_fractions_cut_off_every_hour_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def truncated(*given: Any) -> dict[str, RatedUsage]:
        return {
            code: all_billable({hour: Decimal(int(each)) for hour, each in found.billable.items()})
            for code, found in rating.rated_usage(*given).items()
        }

    monkeypatch.setattr(rated_usage, "rated_usage", truncated)
    world = World(START)
    usage(world, "0.6", "0.7")
    world.settle_down()
    with pytest.raises(AssertionError):
        world.check_books()
