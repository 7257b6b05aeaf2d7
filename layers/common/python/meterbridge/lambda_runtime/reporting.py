"""What every reporting function says about a run, and when it stops one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from aws_lambda_powertools import Logger, Metrics

from meterbridge.application.report_usage import Progress, ReportSummary
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
