"""The steps of the pipeline: real use cases over fakes, with one fuse around all calls outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from builders import GRACE
from fakes.clock import FakeClock
from fakes.ledger import FakeLedger
from fakes.registry import FakeRegistry
from fakes.settle_queue import FakeSettleQueue
from fakes.usage_log import FakeUsageLog
from fakes.usage_store import FakeUsageStore
from killing import Fuse, Fused, Killed
from meterbridge.adapters.marketplaces.pacing import CallPacer
from meterbridge.application.aggregate_usage import aggregate_usage
from meterbridge.application.close_windows import close_windows
from meterbridge.application.fold_partitions import KeptFolds
from meterbridge.application.report_usage import ReportLimits, report_usage
from meterbridge.application.settle_agreements import settle_agreement
from meterbridge.application.statement import LOG_KEPT, statement
from meterbridge.domain.errors import StoreUnavailableError
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.statement import Statement
from meterbridge.domain.usage import HourlyUsage
from meterbridge.domain.usage_log import pack_events
from meterbridge.domain.windows import BillingPeriod

FAILED = StoreUnavailableError("set to fail")
HISTORY = timedelta(days=3)
"""Agreements begin so long before the schedule does."""


def unpaced() -> CallPacer:
    """Calls as fast as the test can."""
    return CallPacer(10, monotonic=lambda: 0, sleep=lambda _seconds: None, jitter=lambda: 0)


class KillableUsageLog(FakeUsageLog):
    """Can be killed before every single write of an append."""

    def __init__(self, fuse: Fuse) -> None:
        super().__init__()
        self._fuse = fuse

    def _count_write(self) -> None:
        self._fuse.around(lambda: super(KillableUsageLog, self)._count_write(), FAILED)


class KillableUsageStore(FakeUsageStore):
    """Can be killed between the rows of a fold."""

    def __init__(self, fuse: Fuse) -> None:
        super().__init__()
        self._fuse = fuse

    def _put_row(self, row: HourlyUsage) -> None:
        self._fuse.around(lambda: super(KillableUsageStore, self)._put_row(row), FAILED)


class Pipeline:
    """Stores in memory, and each function of the deployment as a step."""

    marketplaces: Sequence[Any] = ()

    def __init__(self, now: datetime) -> None:
        self.clock = FakeClock(now)
        self.started_at = now
        self.fuse = fuse = Fuse()
        self.real_log = KillableUsageLog(fuse)
        self.real_ledger = FakeLedger()
        self.real_registry = FakeRegistry()
        self.log: Any = Fused(self.real_log, fuse, "append", "read", "arrivals", failure=FAILED)
        self.usage: Any = Fused(
            KillableUsageStore(fuse),
            fuse,
            *("advance", "set_cursor", "head", "hourly"),
            failure=FAILED,
        )
        self.ledger: Any = Fused(
            self.real_ledger,
            fuse,
            *("commit", "save", "head", "records", "pending", "waiting"),
            failure=FAILED,
        )
        self.registry: Any = Fused(
            self.real_registry, fuse, "agreement", "suspend", "resume", "catalog", failure=FAILED
        )
        self.queue: Any = Fused(FakeSettleQueue(), fuse, "enqueue", failure=FAILED)
        self.kept = KeptFolds()

    def store(self, events: Iterable[UsageEvent]) -> None:
        """Append events as an ingest request does."""
        drafts = pack_events(list(events), self.real_registry.shard_plan())
        self.log.append(drafts, self.clock.now())

    def aggregate(self) -> None:
        """The stream names everything that was ever written, so also twice and late."""
        failed = aggregate_usage(
            self.real_log.partitions(),
            log=self.log,
            usage=self.usage,
            registry=self.registry,
            clock=self.clock,
            kept=self.kept,
        )
        assert failed == {} or self.fuse.fired

    def sweep(self) -> None:
        close_windows(
            log=self.log,
            usage=self.usage,
            ledger=self.ledger,
            registry=self.registry,
            queue=self.queue,
            clock=self.clock,
            grace=GRACE,
        )

    def settle(self, agreement_id: str) -> None:
        settle_agreement(
            agreement_id,
            registry=self.registry,
            usage=self.usage,
            ledger=self.ledger,
            clock=self.clock,
            grace=GRACE,
        )

    def settle_all(self) -> None:
        """Settle every agreement."""
        for agreement in list(self.real_registry.agreements()):
            self.settle(agreement.id)

    def drain(self) -> None:
        """Settle what was queued. A message is gone only once its agreement is settled."""
        received = list(self.queue.agreement_ids)
        for agreement_id in dict.fromkeys(received):
            self.settle(agreement_id)
        self.queue.remove(received)

    def report(self) -> None:
        """Every reporter once."""
        for marketplace in self.marketplaces:
            self.report_to(marketplace)

    def report_to(self, marketplace: Any) -> None:
        report_usage(
            marketplace=marketplace,
            ledger=self.ledger,
            registry=self.registry,
            clock=self.clock,
            limits=ReportLimits(workers=1, rounds=1),
            backoff=lambda _round: None,
            may_continue=lambda: True,
        )

    def cycle(self) -> None:
        """One round of the schedules."""
        self.sweep()
        self.drain()
        self.report()

    def run_killed(self, step: Callable[[], None], at: int | None) -> bool:
        """Run a step and kill it at a half-step; whether it was killed."""
        self.fuse.arm(at)
        try:
            step()
        except Killed:
            self.forget()
            return True
        finally:
            self.fuse.arm(None)
        return False

    def forget(self) -> None:
        """A process is gone, and what it kept in memory."""
        self.kept = KeptFolds()

    def run_overlapped(self, step: Callable[[], None], at: int, other: Callable[[], None]) -> None:
        """Run a step, and in the middle of it another one."""
        self.fuse.arm(at, other)
        step()
        self.fuse.arm(None)

    def settle_down(self, hours: int = 4) -> None:
        """Let the schedules run undisturbed for some hours."""
        for _ in range(4 * hours):
            self.clock.advance(timedelta(minutes=15))
            self.cycle()
        self.report()

    def statements(self, subject: str) -> list[Statement]:
        """Of every month that the test may have touched, recounted from the log."""
        return self.books(subject, log=self.real_log)

    def first_of(self, _subject: str) -> datetime:
        """When a customer's agreement began."""
        return self.started_at - HISTORY

    def books(self, subject: str, log: Any = None) -> list[Statement]:
        period = BillingPeriod.of(self.first_of(subject))
        found = []
        while period <= BillingPeriod.of(self.clock.now()):
            found.append(
                statement(
                    f"agr_{subject}",
                    period,
                    registry=self.real_registry,
                    usage=self.usage,
                    ledger=self.real_ledger,
                    clock=self.clock,
                    log=log if period.start >= self.clock.now() - LOG_KEPT else None,
                )
            )
            period = period.next
        return found
