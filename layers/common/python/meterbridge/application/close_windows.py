"""The guarantee: find every partition that received something, fold it, close finished hours.

Nothing here relies on the stream. An ingest request notes a partition in the arrivals of the
current five minutes before it stores a segment. A bucket of arrivals is final once no request that
noted something in it can still be storing; only then does the position move past it.

Each step is repeated by the next run if this one is killed: partitions are folded, then agreements
are queued, and only then a position moves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby

from meterbridge.application.fold_partitions import fold_partition
from meterbridge.application.ports import Clock, Ledger, Registry, SettleQueue, UsageLog, UsageStore
from meterbridge.domain.agreements import Agreement, AgreementState
from meterbridge.domain.customer_links import BilledTogether
from meterbridge.domain.errors import CorruptSegmentError, StaleVersionError
from meterbridge.domain.events import MAX_AGE
from meterbridge.domain.partitions import ARRIVAL_BUCKET, SETTLE_TIME, Partition, bucket_of
from meterbridge.domain.windows import HOUR, hour_of, hours_between, last_closed_hour

ARRIVALS = "arrivals"
CLOSED = "closed"
CATALOG = "catalog"
UNREADABLE = "unreadable"
FULL_PASS = "full-pass"  # noqa: S105 - the name of a position

FULL_PASS_EVERY = timedelta(hours=6)
LIVE_LAG = timedelta(minutes=5)
"""A partition that the stream has folded this recently is left to it while its hour is open."""

HISTORY = MAX_AGE + timedelta(days=1)


@dataclass(slots=True)
class CloseSummary:
    """What one run did."""

    closed_through: datetime | None = None
    hours_closed: int = 0
    partitions_folded: int = 0
    conflicts: int = 0
    agreements_queued: int = 0
    unreadable: dict[Partition, str] = field(default_factory=dict)
    finished: bool = True


@dataclass(slots=True)
class _Run:
    log: UsageLog
    usage: UsageStore
    ledger: Ledger
    registry: Registry
    queue: SettleQueue
    clock: Clock
    grace: timedelta
    now: datetime
    agreements: dict[tuple[str, str], list[Agreement]]
    together: BilledTogether
    summary: CloseSummary
    folded: dict[Partition, frozenset[tuple[str, str]]] = field(default_factory=dict)
    arrived: dict[datetime, set[Partition]] = field(default_factory=lambda: defaultdict(set))

    def fold(self, partition: Partition) -> frozenset[tuple[str, str]]:
        """Fold once in this run; whose usage it holds."""
        if partition not in self.folded:
            try:
                result = fold_partition(
                    partition,
                    log=self.log,
                    usage=self.usage,
                    registry=self.registry,
                    clock=self.clock,
                )
            except CorruptSegmentError as exc:
                # One unreadable segment must not keep every other partition from being billed. This
                # one is tried again by every run, and the alarm stays, until it can be read. It is
                # noted at once: a position may move past it next.
                self.summary.unreadable[partition] = str(exc)
                self.note_unreadable(add={partition}, remove=set())
                self.folded[partition] = frozenset()
                return self.folded[partition]
            self.folded[partition] = result.customers if result else frozenset()
            if result is not None:
                self.summary.partitions_folded += 1
                self.summary.conflicts += result.head.conflicts
        return self.folded[partition]

    def note_unreadable(self, *, add: set[Partition], remove: set[Partition]) -> None:
        """Change the list of partitions that every run tries again."""
        known = self.usage.cursor(UNREADABLE)
        listed = {Partition.parse(text) for text in known.split()}
        changed = " ".join(map(str, sorted((listed | add) - remove)))
        if changed != known:
            self.usage.set_cursor(UNREADABLE, changed, expected=known)

    def queue_customers(self, customers: Iterable[tuple[str, str]]) -> None:
        """Queue the agreements under which customers' usage is billed."""
        self.queue_agreements(
            agreement.id
            for product_id, customer_id in customers
            for payer in (customer_id, *self.together.parents_of(customer_id))
            for agreement in self.agreements.get((product_id, payer), ())
        )

    def queue_agreements(self, agreement_ids: Iterable[str]) -> None:
        wanted = sorted(set(agreement_ids))
        if wanted:
            self.queue.enqueue(wanted)
            self.summary.agreements_queued += len(wanted)


def close_windows(
    *,
    log: UsageLog,
    usage: UsageStore,
    ledger: Ledger,
    registry: Registry,
    queue: SettleQueue,
    clock: Clock,
    grace: timedelta,
) -> CloseSummary:
    """One sweep. Safe to repeat, to kill, and to run twice at once.

    Raises:
        StoreUnavailableError: a store or the queue failed; the next run goes on from here.
    """
    now = clock.now()
    agreements: dict[tuple[str, str], list[Agreement]] = defaultdict(list)
    for agreement in registry.agreements():
        agreements[(agreement.product_id, agreement.customer_id)].append(agreement)
    together = BilledTogether(registry.customer_links(), since=hour_of(now - HISTORY))
    run = _Run(
        *(log, usage, ledger, registry, queue, clock, grace, now),
        *(dict(agreements), together, CloseSummary()),
    )
    try:
        _retry_unreadable(run)
        _sweep_arrivals(run)
        _flush_ended(run)
        _close_hours(run)
        _settle_all_now_and_then(run)
        # Last, as it may take several runs: what it has folded stays folded.
        _apply_catalog(run)
    except StaleVersionError:
        # Another run moved the same position: it has done this work, and goes on with the rest.
        run.summary.finished = False
    return run.summary


def _retry_unreadable(run: _Run) -> None:
    for text in run.usage.cursor(UNREADABLE).split():
        partition = Partition.parse(text)
        run.queue_customers(run.fold(partition))
        if partition not in run.summary.unreadable:
            run.note_unreadable(add=set(), remove={partition})


def _apply_catalog(run: _Run) -> None:
    """After a meter changed, fold again whatever was folded with an older set of meters.

    Everything is settled at the end, not customer by customer: a run that was killed between a
    fold and its customers would not know them again.
    """
    known = run.usage.cursor(CATALOG)
    version = run.registry.catalog().version
    if known == str(version):
        return
    for head in run.usage.heads(hour_of(run.now - HISTORY), hour_of(run.now) + HOUR):
        if head.position.catalog_version < version:
            run.fold(head.partition)
    _queue_all(run)
    run.usage.set_cursor(CATALOG, str(version), expected=known)


def _sweep_arrivals(run: _Run) -> None:
    """Fold what arrived, bucket by bucket; what came late for a closed hour is settled again."""
    known = run.usage.cursor(ARRIVALS)
    since = datetime.fromisoformat(known) if known else bucket_of(run.now - HISTORY)
    closed_through = last_closed_hour(run.now, run.grace)
    arrivals = run.log.arrivals(since, run.now + ARRIVAL_BUCKET)
    for bucket, noted in groupby(arrivals, key=lambda arrival: arrival[0]):
        final_at = bucket + ARRIVAL_BUCKET + SETTLE_TIME
        customers: set[tuple[str, str]] = set()
        for _, partition in noted:
            run.arrived[partition.hour].add(partition)
            if partition.hour <= closed_through:
                customers |= run.fold(partition)
            elif _is_behind(run, partition, final_at):
                run.fold(partition)
        run.queue_customers(customers)
        if final_at <= run.now:
            following = (bucket + ARRIVAL_BUCKET).isoformat()
            run.usage.set_cursor(ARRIVALS, following, expected=known)
            known = following
    final_through = bucket_of(run.now - SETTLE_TIME)
    if not known or final_through > datetime.fromisoformat(known):
        run.usage.set_cursor(ARRIVALS, final_through.isoformat(), expected=known)


def _is_behind(run: _Run, partition: Partition, final_at: datetime) -> bool:
    """Whether a partition of an open hour needs a fold; the stream has usually done it."""
    head = run.usage.head(partition)
    needed = final_at if final_at <= run.now else run.now - LIVE_LAG
    return head is None or head.started_at < needed


def _close_hours(run: _Run) -> None:
    """Close every hour whose grace is over: fold it once more, then queue who used something."""
    target = last_closed_hour(run.now, run.grace)
    run.summary.closed_through = target
    known = run.usage.cursor(CLOSED)
    if known:
        hours = list(hours_between(datetime.fromisoformat(known) + HOUR, target + HOUR))
    else:
        # The first run of all: everything there is has just been noted as arrived.
        hours = sorted({hour for hour in run.arrived if hour < target} | {target})
    for hour in hours:
        partitions = run.arrived[hour] | {
            head.partition for head in run.usage.heads(hour, hour + HOUR)
        }
        customers: set[tuple[str, str]] = set()
        for partition in sorted(partitions):
            customers |= run.fold(partition)
        run.queue_customers(customers)
        if hour == target:
            _queue_for_a_new_hour(run, hour + HOUR)
        run.usage.set_cursor(CLOSED, hour.isoformat(), expected=known)
        known = hour.isoformat()
        run.summary.hours_closed += 1


def _queue_for_a_new_hour(run: _Run, closed_before: datetime) -> None:
    """Who has something to report or to charge in a closed hour even without usage in it."""
    run.queue_agreements(run.ledger.waiting())
    run.queue_agreements(run.ledger.due(closed_before))
    run.queue_agreements(
        agreement.id
        for group in run.agreements.values()
        for agreement in group
        if agreement.zero_records
        and (agreement.state is AgreementState.ACTIVE or agreement.stopped_by_marketplace)
    )


def _flush_ended(run: _Run) -> None:
    """Settle agreements that have just ended while the marketplace still takes their last usage."""
    recent = [
        agreement
        for group in run.agreements.values()
        for agreement in group
        if agreement.ends_at is not None
        and agreement.ends_at + run.grace <= run.now < agreement.ends_at + timedelta(hours=2)
    ]
    plan = run.registry.shard_plan()
    for agreement in recent:
        last = agreement.ends_at - timedelta(microseconds=1) if agreement.ends_at else run.now
        customer_id = agreement.customer_id
        for each in (customer_id, *run.together.children_of(customer_id)):
            run.fold(plan.partition_of(agreement.product_id, each, last))
    run.queue_agreements(agreement.id for agreement in recent)


def _settle_all_now_and_then(run: _Run) -> None:
    """The backstop for a lost message: settle every agreement that can still change."""
    known = run.usage.cursor(FULL_PASS)
    if known and run.now - datetime.fromisoformat(known) < FULL_PASS_EVERY:
        return
    _queue_all(run)
    run.usage.set_cursor(FULL_PASS, run.now.isoformat(), expected=known)


def _queue_all(run: _Run) -> None:
    run.queue_agreements(
        agreement.id
        for group in run.agreements.values()
        for agreement in group
        if agreement.ends_at is None or agreement.ends_at > run.now - HISTORY
    )
