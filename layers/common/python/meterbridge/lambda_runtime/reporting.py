"""What every reporting function does: run, say what became of it, and stop before it is stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from aws_lambda_powertools import Logger, Metrics

from meterbridge.adapters.marketplaces.pacing import real_backoff
from meterbridge.application.ports import Clock, Ledger, Marketplace, Registry
from meterbridge.application.report_usage import (
    Progress,
    ReportLimits,
    ReportSummary,
    report_usage,
)
from meterbridge.domain.metering_record import RecordState
from meterbridge.lambda_runtime.observability import Metric, count, measure_time_left

_LAST_MILLIS = 45_000
_LOGGED_SUBMISSIONS = 50
_RESULTS = {
    Metric.RECORDS_ACCEPTED: RecordState.ACCEPTED,
    Metric.RECORDS_CONFLICTED: RecordState.CONFLICTED,
    Metric.RECORDS_REJECTED: RecordState.REJECTED,
    Metric.RECORDS_EXPIRED: RecordState.EXPIRED,
}


class RemainingTime(Protocol):
    """The part of a Lambda context that tells how long it may still run."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the invocation is killed."""


def until_timeout(context: RemainingTime) -> Callable[[], bool]:
    """Whether another batch can be sent and saved before the timeout.

    The last 45 s, or the last third of a short invocation, are left for what is under way.
    """
    reserve = min(_LAST_MILLIS, context.get_remaining_time_in_millis() // 3)
    return lambda: context.get_remaining_time_in_millis() > reserve


@dataclass
class ReportingFunction:
    """One marketplace's reporting function, as it is kept while the process is warm.

    Attributes:
        dry_run: build everything, send and write nothing.
    """

    marketplace: Marketplace
    ledger: Ledger
    registry: Registry
    clock: Clock
    dry_run: bool
    limits: ReportLimits = field(default_factory=ReportLimits)
    backoff: Callable[[int], None] = field(default_factory=real_backoff)

    def run(self, context: RemainingTime, logger: Logger, metrics: Metrics) -> dict[str, int]:
        """One invocation.

        Returns:
            The number of records by what became of them.

        Raises:
            MeterbridgeError: the run could not do all; what it did is stored and counted.
        """
        summary = report_usage(
            marketplace=self.marketplace,
            ledger=self.ledger,
            registry=self.registry,
            clock=self.clock,
            limits=self.limits,
            backoff=self.backoff,
            may_continue=until_timeout(context),
            dry_run=self.dry_run,
        )
        counts = publish(summary, self.clock.now(), logger, metrics)
        if summary.error is not None:
            raise summary.error
        return counts


def publish(
    summary: ReportSummary, now: datetime, logger: Logger, metrics: Metrics
) -> dict[str, int]:
    """Log a run and add its metrics.

    Returns:
        The counts by state and progress.
    """
    counts = {each.value: number for each, number in sorted(summary.counts.items())}
    logger.info("reported usage", counts=counts, planned=len(summary.planned))
    for submission in summary.planned[:_LOGGED_SUBMISSIONS]:
        logger.info("would submit", record=str(submission.key), entry=dict(submission.entry))
    for product_id, reason in sorted(summary.refusals.items()):
        logger.error("the marketplace refuses us", product_id=product_id, reason=reason)
    if summary.error is not None:
        logger.error("the run could not do all", reason=str(summary.error))
    if summary.suspended or summary.resumed:
        logger.warning("entitlements", suspended=summary.suspended, resumed=summary.resumed)
    if not summary.dry_run:
        count(metrics, {metric: summary.counts[state] for metric, state in _RESULTS.items()})
    open_records = summary.counts[Progress.WAITING] + summary.counts[Progress.HELD]
    failures = max(len(summary.refusals), int(summary.error is not None))
    count(
        metrics,
        {
            Metric.RECORDS_WAITING: open_records,
            Metric.REPORTING_FAILURES: failures,
            Metric.AGREEMENTS_SUSPENDED: len(summary.suspended),
        },
    )
    if summary.next_deadline is not None:
        measure_time_left(summary.channel, summary.next_deadline, now)
    return counts
