"""An in-memory marketplace: first write wins, and answers can be scripted or lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import RLock

from meterbridge.application.ports import ReportResult, Submission
from meterbridge.domain.errors import InvariantError
from meterbridge.domain.metering_record import MeteringRecord, RecordKey, ReportOutcome
from meterbridge.domain.money import plain
from meterbridge.domain.offerings import Channel


@dataclass
class FakeMarketplace:
    """Books each key once.

    Attributes:
        booked: the entry that was booked for a key.
        calls: the keys of every call.
        script: per call, what happens instead of, or after, booking; see `Answering`.
        refused: outcome for keys that are never booked.
        identical_resend: what a second, identical submission is answered.
    """

    booked: dict[RecordKey, dict[str, str]] = field(default_factory=dict)
    calls: list[list[RecordKey]] = field(default_factory=list)
    script: list[Answering] = field(default_factory=list)
    refused: dict[RecordKey, ReportOutcome] = field(default_factory=dict)
    identical_resend: ReportOutcome = ReportOutcome.ACCEPTED
    before_call: Callable[[], None] = lambda: None

    channel = Channel.AWS

    def __post_init__(self) -> None:
        self._lock = RLock()

    def build(self, record: MeteringRecord) -> Submission:
        if not record.buyer:
            raise InvariantError(f"{record.key}: no buyer")
        entry = {"quantity": plain(record.quantity), "key": str(record.key)}
        return Submission(record.key, record.product_id, entry)

    def submit(self, submissions: Sequence[Submission]) -> list[ReportResult]:
        self.before_call()
        if len({submission.product_id for submission in submissions}) != 1:
            raise InvariantError("a call holds one product")
        with self._lock:
            self.calls.append([submission.key for submission in submissions])
            answering = self.script.pop(0) if self.script else booking
            return answering(self, submissions)

    def book(self, submission: Submission) -> ReportResult:
        key = submission.key
        if key in self.refused:
            return result(submission, self.refused[key], reached=False)
        entry = dict(submission.entry)
        if key not in self.booked:
            self.booked[key] = entry
            return result(submission, ReportOutcome.ACCEPTED, receipt=f"receipt {key}")
        if self.booked[key] != entry:
            return result(submission, ReportOutcome.CONFLICT)
        return result(submission, self.identical_resend)


Answering = Callable[[FakeMarketplace, Sequence[Submission]], list[ReportResult]]


def result(
    submission: Submission, outcome: ReportOutcome, *, receipt: str = "", reached: bool = True
) -> ReportResult:
    return ReportResult(
        submission.key, outcome, code=outcome.value, receipt=receipt, reached=reached
    )


def booking(fake: FakeMarketplace, submissions: Sequence[Submission]) -> list[ReportResult]:
    """Everything is booked and answered."""
    return [fake.book(submission) for submission in submissions]


def answer_lost(fake: FakeMarketplace, submissions: Sequence[Submission]) -> list[ReportResult]:
    """Everything is booked and the answer never arrives."""
    for submission in submissions:
        fake.book(submission)
    return [result(submission, ReportOutcome.RETRY) for submission in submissions]


def never_arrived(_: FakeMarketplace, submissions: Sequence[Submission]) -> list[ReportResult]:
    """Nothing is booked, and that is certain."""
    return [result(submission, ReportOutcome.RETRY, reached=False) for submission in submissions]


def half_unprocessed(
    fake: FakeMarketplace, submissions: Sequence[Submission]
) -> list[ReportResult]:
    """Every other record is left for later."""
    return [
        fake.book(submission)
        if number % 2
        else result(submission, ReportOutcome.RETRY, reached=False)
        for number, submission in enumerate(submissions)
    ]


def answering(outcome: ReportOutcome, *, reached: bool = False) -> Answering:
    """Nothing is booked and all are answered alike."""
    return lambda _, submissions: [
        result(submission, outcome, reached=reached) for submission in submissions
    ]


def raising(error: Exception) -> Answering:
    """The call fails."""

    def fail(_: FakeMarketplace, submissions: Sequence[Submission]) -> list[ReportResult]:
        raise error

    return fail
