"""Send what is pending to a marketplace, earliest deadline first, and write down what it said.

Write-ahead: a record is marked SUBMITTED, with its frozen submission, before the call; whatever
happens after that, the next run resends the same. So a run may be killed at any point, and two may run
at once: what the store holds decides which of them goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from meterbridge.application.ports import (
    Clock,
    Ledger,
    Marketplace,
    Registry,
    ReportResult,
    Submission,
)
from meterbridge.domain.errors import (
    InvariantError,
    MarketplaceError,
    MeterbridgeError,
    NotFoundError,
    StaleVersionError,
    StoreUnavailableError,
)
from meterbridge.domain.metering_record import (
    OPEN_STATES,
    MeteringRecord,
    RecordKey,
    RecordState,
    ReportOutcome,
)
from meterbridge.domain.policy import policy_at
from meterbridge.domain.reporting import (
    REPORTED_STATES,
    batches,
    closed_at_deadline,
    in_doubt,
    next_record,
    reason_of,
    refused_unsent,
)


@dataclass(frozen=True, slots=True)
class ReportLimits:
    """How much one run does.

    Attributes:
        max_records: read at most this many, earliest deadline first.
        workers: batches under way at once; the marketplace's own rate is kept by its adapter.
        rounds: how often a record is sent in one run while the marketplace asks for patience.
    """

    max_records: int = 20_000
    workers: int = 8
    rounds: int = 3


class Progress(StrEnum):
    """Where a run left a record that has no final state."""

    WAITING = "waiting"
    HELD = "held"
    RACED = "raced"


@dataclass(frozen=True, slots=True)
class ReportSummary:
    """What one run did.

    Attributes:
        counts: records by the final state they reached, or waiting for another try, held with their
            agreement, or raced: another run has gone on with them.
        next_deadline: earliest deadline among the records that are still open.
        dry_run: nothing was sent or written; counts tell what would have been decided unsent.
        planned: in a dry run, what would have been sent.
        error: why the run could not go on: the marketplace could not be asked (no record was judged
            by that) or the store could not be written (what was sent is resent identical).
    """

    counts: Counter[RecordState | Progress]
    next_deadline: datetime | None
    dry_run: bool = False
    planned: tuple[Submission, ...] = ()
    error: MeterbridgeError | None = None


def report_usage(
    *,
    marketplace: Marketplace,
    ledger: Ledger,
    registry: Registry,
    clock: Clock,
    limits: ReportLimits,
    backoff: Callable[[int], None],
    may_continue: Callable[[], bool],
    dry_run: bool = False,
) -> ReportSummary:
    """Report what is pending on the marketplace's channel.

    Args:
        marketplace: where to; keeps its own call rate.
        ledger: where the records are.
        registry: tells which agreements are reported; one that the marketplace refuses is suspended.
        clock: the present.
        limits: how much one run does.
        backoff: waits before the given round of resends (1, 2, …).
        may_continue: asked before each batch; False leaves the rest to the next run.
        dry_run: build everything, send and write nothing.

    Raises:
        StoreUnavailableError: what is pending could not be read.
    """
    run = _Run(marketplace, ledger, registry, clock, may_continue)
    pending = ledger.pending(marketplace.channel, limits.max_records)
    if dry_run:
        return run.plan(pending)
    with ThreadPoolExecutor(limits.workers) as pool:
        waiting = run.close_overdue(pool, pending)
        for number in range(limits.rounds):
            if number and waiting and run.goes_on():
                backoff(number)
            waiting = run.send(pool, waiting)
        run.note((record, Progress.WAITING) for record in waiting)
    return run.summary()


_Step = tuple[MeteringRecord, RecordState | Progress]
"""A record as this run knows it, and what became of it."""


@dataclass(slots=True)
class _Run:
    marketplace: Marketplace
    ledger: Ledger
    registry: Registry
    clock: Clock
    may_continue: Callable[[], bool]
    counts: Counter[RecordState | Progress] = field(default_factory=Counter)
    open_deadlines: list[datetime] = field(default_factory=list)
    reported: dict[str, bool] = field(default_factory=dict)
    error: MeterbridgeError | None = None

    def goes_on(self) -> bool:
        return self.error is None and self.may_continue()

    def note(self, steps: Iterable[_Step]) -> None:
        for record, became in steps:
            self.counts[became] += 1
            if became in (Progress.WAITING, Progress.HELD):
                self.open_deadlines.append(record.deadline)

    def summary(self) -> ReportSummary:
        deadline = min(self.open_deadlines, default=None)
        return ReportSummary(self.counts, deadline, error=self.error)

    def plan(self, pending: Iterable[MeteringRecord]) -> ReportSummary:
        now = self.clock.now()
        planned = []
        for record in pending:
            if now >= record.open_until:
                self.note([(record, closed_at_deadline(record, at=now).state)])
            elif not self._is_reported(record.key.agreement_id):
                self.note([(record, Progress.HELD)])
            else:
                try:
                    planned.append(self._submission(record))
                    self.note([(record, Progress.WAITING)])
                except InvariantError:
                    self.note([(record, RecordState.REJECTED)])
        return replace(self.summary(), dry_run=True, planned=tuple(planned))

    def _is_reported(self, agreement_id: str) -> bool:
        """Whether an agreement's records are sent; read once in a run."""
        if agreement_id not in self.reported:
            try:
                state = self.registry.agreement(agreement_id).state
            except NotFoundError:
                self.reported[agreement_id] = False
            else:
                # Not over a suspension that another thread has just noted.
                self.reported.setdefault(agreement_id, state in REPORTED_STATES)
        return self.reported[agreement_id]

    def close_overdue(
        self, pool: Executor, records: Sequence[MeteringRecord]
    ) -> list[MeteringRecord]:
        """Close what is past its deadline, sent or not; return the rest."""
        now = self.clock.now()
        overdue = [record for record in records if now >= record.open_until]
        self.note(pool.map(self._close, overdue))
        return [record for record in records if now < record.open_until]

    def _close(self, record: MeteringRecord) -> _Step:
        return self._save(record, closed_at_deadline(record, at=self.clock.now()))

    def send(self, pool: Executor, records: Sequence[MeteringRecord]) -> list[MeteringRecord]:
        """Send in batches; return what is to be sent again."""
        size = policy_at(self.marketplace.channel, self.clock.now()).max_batch
        steps = [step for done in pool.map(self._report, batches(records, size)) for step in done]
        self.note(step for step in steps if step[1] is not Progress.WAITING)
        return [record for record, became in steps if became is Progress.WAITING]

    def _report(self, batch: Sequence[MeteringRecord]) -> list[_Step]:
        """Mark, send, and save the answers of one batch."""
        if not self.goes_on():
            return [(record, Progress.WAITING) for record in batch]
        steps: list[_Step] = []
        before: dict[RecordKey, MeteringRecord] = {}
        marked: dict[RecordKey, MeteringRecord] = {}
        submissions = []
        for record in batch:
            step, submission = self._mark(record)
            if submission is None:
                steps.append(step)
            else:
                before[record.key], marked[record.key] = record, step[0]
                submissions.append(submission)
        if not submissions:
            return steps
        try:
            results = self.marketplace.submit(submissions)
        except MarketplaceError as exc:
            self.error = exc
            return steps + [self._save(each, each.unsent()) for each in marked.values()]
        if sorted(result.key for result in results) != sorted(marked):
            raise InvariantError("the marketplace adapter owes one result per submission")
        for result in results:
            steps.append(self._conclude(before[result.key], marked[result.key], result))
        return steps

    def _mark(self, record: MeteringRecord) -> tuple[_Step, Submission | None]:
        """Write ahead that a record is about to be sent; without a submission it is not sent now."""
        now = self.clock.now()
        try:
            if not self._is_reported(record.key.agreement_id):
                return (record, Progress.HELD), None
        except StoreUnavailableError as exc:
            self.error = exc
            return (record, Progress.WAITING), None
        if now >= record.open_until:
            return self._close(record), None
        try:
            submission = self._submission(record)
        except InvariantError as exc:
            return self._save(record, refused_unsent(record, str(exc), at=now)), None
        except StoreUnavailableError as exc:
            self.error = exc
            return (record, Progress.WAITING), None
        window = policy_at(self.marketplace.channel, now).resend_window
        marked = record.submitted(submission.entry, at=now, resend_window=window)
        step = self._save(record, marked)
        # Anything but the mark itself: it could not be written, or another run wrote first.
        return step, submission if step[0] is marked else None

    def _submission(self, record: MeteringRecord) -> Submission:
        if record.submission:
            return Submission(record.key, record.product_id, record.submission)
        return self.marketplace.build(record)

    def _conclude(
        self, before: MeteringRecord, marked: MeteringRecord, result: ReportResult
    ) -> _Step:
        """Save what an answer makes of a record, and stop what the marketplace does not bill."""
        after = next_record(marked, result, had_doubt=in_doubt(before), at=self.clock.now())
        step = self._save(marked, after)
        if result.outcome is ReportOutcome.NOT_ENTITLED:
            # After the save: were it before and the run killed between, the record would be held
            # as if in doubt, and never bill itself again.
            self._suspend(marked.key.agreement_id, reason_of(result))
        return step

    def _suspend(self, agreement_id: str, reason: str) -> None:
        self.reported[agreement_id] = False
        try:
            self.registry.suspend(agreement_id, reason)
        except (NotFoundError, StaleVersionError, StoreUnavailableError) as exc:
            self.error = exc

    def _save(self, before: MeteringRecord, after: MeteringRecord) -> _Step:
        try:
            self.ledger.save(after, expected_state=before.state, expected_attempts=before.attempts)
        except StaleVersionError:
            return before, Progress.RACED
        except StoreUnavailableError as exc:
            self.error = exc
            return before, Progress.WAITING
        return after, Progress.WAITING if after.state in OPEN_STATES else after.state
