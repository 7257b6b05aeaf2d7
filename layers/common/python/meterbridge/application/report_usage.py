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
from functools import partial

from meterbridge.application.contact import Contact
from meterbridge.application.entitlements import ENTITLED, Entitlements, Sending
from meterbridge.application.planned_report import planned_report, submission_of
from meterbridge.application.ports import (
    Clock,
    Ledger,
    Marketplace,
    Registry,
    ReportResult,
    Submission,
)
from meterbridge.application.report_summary import Progress as Progress
from meterbridge.application.report_summary import ReportLimits as ReportLimits
from meterbridge.application.report_summary import ReportSummary as ReportSummary
from meterbridge.domain.deadlines import ORDINARY_DELAY
from meterbridge.domain.errors import (
    InvariantError,
    MarketplaceError,
    MeterbridgeError,
    NotFoundError,
    ProductRefusedError,
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
    batches,
    closed_at_deadline,
    in_doubt,
    next_record,
    reason_of,
    refused_unsent,
)


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
        registry: tells which agreements are reported; one whose buyer is not entitled is suspended,
            and goes on when they are again.
        clock: the present.
        limits: how much one run does.
        backoff: waits before the given round of resends (1, 2, …).
        may_continue: asked before each batch; False leaves the rest to the next run.
        dry_run: build everything, send and write nothing.

    Raises:
        StoreUnavailableError: what is pending could not be read.
    """
    wanted = limits.max_records
    if dry_run:
        pending = ledger.pending(marketplace.channel, wanted)
        return planned_report(pending, marketplace=marketplace, registry=registry, clock=clock)
    run = _Run(marketplace, ledger, registry, clock, may_continue, backoff)
    with ThreadPoolExecutor(limits.workers) as pool:
        while True:
            pending = ledger.pending(marketplace.channel, wanted)
            unseen = [record for record in pending if record.key not in run.seen]
            held = run.report(pool, unseen, limits)
            if len(pending) < wanted or not held or not run.goes_on():
                return run.summary()
            # What waits with its agreement must not hide what comes after it.
            wanted += held


_REGISTRY_FAILURES = (NotFoundError, StaleVersionError, StoreUnavailableError)

_Step = tuple[MeteringRecord, RecordState | Progress]
"""A record as this run knows it, and what became of it."""


@dataclass
class _Run:
    marketplace: Marketplace
    ledger: Ledger
    registry: Registry
    clock: Clock
    may_continue: Callable[[], bool]
    backoff: Callable[[int], None]
    counts: Counter[RecordState | Progress] = field(default_factory=Counter)
    open_deadlines: list[datetime] = field(default_factory=list)
    seen: set[RecordKey] = field(default_factory=set)
    error: MeterbridgeError | None = None

    def __post_init__(self) -> None:
        self.entitlements = Entitlements(self.registry, self.clock)
        self.contact = Contact()

    def goes_on(self) -> bool:
        return self.error is None and self.may_continue()

    def report(
        self, pool: Executor, pending: Sequence[MeteringRecord], limits: ReportLimits
    ) -> int:
        """Work on what was read; how many of them wait with their agreement."""
        self.seen.update(record.key for record in pending)
        held_before = self.counts[Progress.HELD]
        waiting = self.close_overdue(pool, pending)
        self.entitlements.expect(waiting)
        for number in range(limits.rounds):
            if number and self.goes_on() and any(map(self.contact.is_open, waiting)):
                self.backoff(number)
            waiting = self.send(pool, waiting)
        self.note((record, Progress.WAITING) for record in waiting)
        return self.counts[Progress.HELD] - held_before

    def note(self, steps: Iterable[_Step]) -> None:
        for record, became in steps:
            self.counts[became] += 1
            behind = self.clock.now() >= record.created_at + ORDINARY_DELAY
            if behind and became in (Progress.WAITING, Progress.HELD):
                self.open_deadlines.append(record.open_until)

    def summary(self) -> ReportSummary:
        error = self.error
        refusals = self.contact.refusals
        if error is None and refusals:
            told = sorted(refusals.items())
            error = ProductRefusedError("; ".join(f"{product}: {why}" for product, why in told))
        return ReportSummary(
            self.marketplace.channel,
            self.counts,
            min(self.open_deadlines, default=None),
            error=error,
            refusals=refusals,
            suspended=tuple(sorted(self.entitlements.suspended)),
            resumed=tuple(sorted(self.entitlements.resumed)),
        )

    def close_overdue(
        self, pool: Executor, records: Sequence[MeteringRecord]
    ) -> list[MeteringRecord]:
        """Close what is past its deadline, sent or not; return the rest."""
        now = self.clock.now()
        overdue = [record for record in records if now >= record.open_until]
        self.contact.given_up(overdue)
        self.note(pool.map(self._close, overdue))
        return [record for record in records if now < record.open_until]

    def _close(self, record: MeteringRecord) -> _Step:
        return self._save(record, closed_at_deadline(record, at=self.clock.now()))

    def send(self, pool: Executor, records: Sequence[MeteringRecord]) -> list[MeteringRecord]:
        """Send in batches; return what is to be sent again."""
        size = policy_at(self.marketplace.channel, self.clock.now()).max_batch
        first = self.contact.first(records)
        early = {record.key for record in first}
        rest = [record for record in records if record.key not in early]
        steps = [
            step
            for part, send in ((first, partial(self._report, first=True)), (rest, self._report))
            for done in pool.map(send, batches(part, size))
            for step in done
        ]
        again = [self._is_sent_again(*step) for step in steps]
        self.note(step for step, sent in zip(steps, again, strict=True) if not sent)
        return [record for (record, _), sent in zip(steps, again, strict=True) if sent]

    def _is_sent_again(self, record: MeteringRecord, became: RecordState | Progress) -> bool:
        """Whether a record is still to be sent: what a probe has set free meanwhile is, too."""
        if became is Progress.HELD:
            return self.entitlements.sending(record) is Sending.NOW
        return became is Progress.WAITING

    def _report(self, batch: Sequence[MeteringRecord], *, first: bool = False) -> list[_Step]:
        """Mark, send, and save the answers of one batch."""
        product_id = batch[0].product_id
        silent = not first and self.contact.is_silent(product_id)
        if silent or not self.goes_on():
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
            if isinstance(exc, ProductRefusedError):
                self.contact.refused(product_id, exc)
            else:
                self.error = exc
            return steps + [self._save(each, each.unsent()) for each in marked.values()]
        if sorted(result.key for result in results) != sorted(marked):
            raise InvariantError("the marketplace adapter owes one result per submission")
        self.contact.heard(product_id, results, first=first)
        for result in sorted(results, key=lambda each: each.outcome not in ENTITLED):
            steps.append(self._conclude(before[result.key], marked[result.key], result))
        return steps

    def _mark(self, record: MeteringRecord) -> tuple[_Step, Submission | None]:
        """Write ahead that a record is about to be sent; without a submission it is not sent now."""
        now = self.clock.now()
        if not self.contact.is_open(record):
            return (record, Progress.WAITING), None
        try:
            if self.entitlements.sending(record) is not Sending.NOW:
                return (record, Progress.HELD), None
        except StoreUnavailableError as exc:
            self.error = exc
            return (record, Progress.WAITING), None
        if now >= record.open_until:
            return self._close(record), None
        try:
            submission = submission_of(record, self.marketplace)
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

    def _conclude(
        self, before: MeteringRecord, marked: MeteringRecord, result: ReportResult
    ) -> _Step:
        """Save what an answer makes of a record, and of its agreement."""
        refused = result.outcome is ReportOutcome.NOT_ENTITLED
        if refused and self.entitlements.is_final(marked):
            result, refused = replace(result, outcome=ReportOutcome.INVALID), False
        try:
            self.entitlements.heard(marked, result)
        except _REGISTRY_FAILURES as exc:
            self.error = exc
            return marked, Progress.WAITING
        if result.outcome is ReportOutcome.NOT_AUTHORIZED:
            self.contact.unauthorized(marked, reason_of(result))
        after = next_record(marked, result, had_doubt=in_doubt(before), at=self.clock.now())
        step = self._save(marked, after)
        if not refused:
            return step
        # After the save: were it before and the run killed between, the record would be held as if
        # it were in doubt.
        try:
            self.entitlements.refused(marked, result)
        except _REGISTRY_FAILURES as exc:
            self.error = exc
        return (step[0], Progress.HELD) if step[1] is Progress.WAITING else step

    def _save(self, before: MeteringRecord, after: MeteringRecord) -> _Step:
        try:
            self.ledger.save(after, expected_state=before.state, expected_attempts=before.attempts)
        except StaleVersionError:
            return before, Progress.RACED
        except StoreUnavailableError as exc:
            self.error = exc
            return before, Progress.WAITING
        return after, Progress.WAITING if after.state in OPEN_STATES else after.state
