"""Structured logs and metrics: one service, one namespace, and the names that alarms look for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit

from meterbridge.domain.offerings import Channel

SERVICE = "meterbridge"
NAMESPACE = "Meterbridge"


class Metric(StrEnum):
    """Every metric of the deployment. Those that mean lost money have an alarm."""

    EVENTS_ACCEPTED = "EventsAccepted"
    EVENTS_REJECTED = "EventsRejected"
    EVENT_CONFLICTS = "EventConflicts"
    FOLD_FAILURES = "FoldFailures"
    UNBALANCED_STATEMENTS = "UnbalancedStatements"
    RECORDS_ACCEPTED = "RecordsAccepted"
    RECORDS_CONFLICTED = "RecordsConflicted"
    RECORDS_REJECTED = "RecordsRejected"
    RECORDS_EXPIRED = "RecordsExpired"
    AGREEMENTS_SUSPENDED = "AgreementsSuspended"
    RECORDS_WAITING = "RecordsWaiting"
    REPORTING_FAILURES = "ReportingFailures"
    MINUTES_TO_DEADLINE = "MinutesToDeadline"
    USAGE_FRESHNESS = "UsageFreshness"
    ARCHIVE_LAG_HOURS = "ArchiveLagHours"
    INVOICES_ISSUED = "InvoicesIssued"
    CREDIT_NOTES_ISSUED = "CreditNotesIssued"
    INVOICES_FAILED = "InvoicesFailed"


CHANNEL = "channel"
AGREEMENT = "agreement_id"
"""Dimensions that a metric may have besides `service`."""


def make_logger() -> Logger:
    """The logger of a function: JSON lines with UTC times; the level is LOG_LEVEL's."""
    return Logger(service=SERVICE, utc=True, use_rfc3339=True)


def make_metrics() -> Metrics:
    """The metrics of a function; `log_metrics` on the handler writes them out (EMF)."""
    return Metrics(service=SERVICE, namespace=NAMESPACE)


def count(metrics: Metrics, counts: Mapping[Metric, int]) -> None:
    """Add several counts; zeros too, so that a graph shows that nothing happened."""
    for metric, value in counts.items():
        metrics.add_metric(name=metric.value, unit=MetricUnit.Count, value=value)


def measure(metric: Metric, value: int, unit: MetricUnit, **dimensions: str) -> None:
    """Write one metric out at once, whatever becomes of the invocation.

    Args:
        dimensions: besides `service`.
    """
    with single_metric(
        name=metric.value,
        unit=unit,
        value=value,
        namespace=NAMESPACE,
        default_dimensions={"service": SERVICE, **dimensions},
    ):
        pass


def measure_time_left(
    channel: Channel, deadline: datetime, now: datetime, agreement_id: str = ""
) -> None:
    """Write the whole minutes until a deadline: of a channel, or of one agreement there."""
    dimensions = {CHANNEL: channel.value}
    if agreement_id:
        dimensions[AGREEMENT] = agreement_id
    minutes = (deadline - now) // timedelta(minutes=1)
    # CloudWatch knows no minutes as a unit.
    measure(Metric.MINUTES_TO_DEADLINE, minutes, MetricUnit.Count, **dimensions)
