"""What the adapters share: parts of a batch, each called for, halved where one record may be the cause."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from meterbridge.application.ports import ReportResult, Submission
from meterbridge.domain.errors import InvariantError, MarketplaceError
from meterbridge.domain.metering_record import ReportOutcome

Part = Sequence[Submission]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the failure of a whole call means.

    Attributes:
        outcome: for every record of the call, if it cannot be split.
        reached: False where surely nothing of the call was booked.
        splits: one record may be the cause: send halves until it is alone.
        throttled: the call came too soon.
        retry_after: seconds the marketplace asks to wait then, 0 where it does not say.
        may_be_early: it may mean that the usage lies in the marketplace's future.
        request_id: the marketplace's id of the call, for its support.
    """

    outcome: ReportOutcome
    code: str
    detail: str
    reached: bool = False
    splits: bool = False
    throttled: bool = False
    retry_after: int = 0
    may_be_early: bool = False
    request_id: str = ""


NO_RESULT = Verdict(ReportOutcome.RETRY, "NoResult", "left out of the answer", reached=True)
"""What an answer leaves out is unknown, never a success."""


def submit_in_parts(
    parts: Iterable[Part], call: Callable[[Part], Verdict | list[ReportResult]]
) -> list[ReportResult]:
    """Call for each part, and for the halves of a poisoned one until the cause is alone.

    Args:
        parts: what is to be submitted, each part in a call of its own.
        call: one call: the results, or what its failure means.

    Raises:
        MarketplaceError: the marketplace could not be asked and nothing was booked.
        InvariantError: not exactly one result per submission, a defect.
    """
    waiting = list(reversed(list(parts)))
    owed = sorted(submission.key for part in waiting for submission in part)
    results: list[ReportResult] = []
    while waiting:
        part = waiting.pop()
        try:
            answer = call(part)
        except MarketplaceError as exc:
            if not results:
                raise
            unasked = [submission for each in [part, *waiting] for submission in each]
            verdict = Verdict(ReportOutcome.RETRY, "NotAsked", str(exc))
            results += answered_alike(unasked, verdict)
            break
        if not isinstance(answer, Verdict):
            results += answer
        elif answer.splits and len(part) > 1:
            half = len(part) // 2
            waiting += [part[half:], part[:half]]
        else:
            results += answered_alike(part, answer)
    if sorted(result.key for result in results) != owed:
        raise InvariantError("not exactly one result per submission")
    return results


def without_repeats(
    submissions: Iterable[Submission], identity_of: Callable[[Submission], Hashable]
) -> list[list[Submission]]:
    """Calls in which nothing is named twice.

    Two agreements may name the same usage; the marketplace then says which quantity it holds.

    Args:
        identity_of: what the marketplace tells records apart by.
    """
    parts: list[dict[Hashable, Submission]] = []
    for submission in submissions:
        identity = identity_of(submission)
        part = next((part for part in parts if identity not in part), None)
        if part is None:
            part = {}
            parts.append(part)
        part[identity] = submission
    return [list(part.values()) for part in parts]


def answered_alike(part: Part, verdict: Verdict, request_id: str = "") -> list[ReportResult]:
    """One result per submission, all with the same meaning."""
    return [
        ReportResult(
            key=submission.key,
            outcome=verdict.outcome,
            code=verdict.code,
            detail=verdict.detail,
            request_id=request_id or verdict.request_id,
            reached=verdict.reached,
            may_be_early=verdict.may_be_early,
        )
        for submission in part
    ]


def whole_second(moment: datetime) -> str:
    """The first whole second at or after the moment, but never in another hour."""
    later = (moment + timedelta(microseconds=999_999)).replace(microsecond=0)
    second = later if later.hour == moment.hour else moment.replace(microsecond=0)
    return second.strftime("%Y-%m-%dT%H:%M:%SZ")
