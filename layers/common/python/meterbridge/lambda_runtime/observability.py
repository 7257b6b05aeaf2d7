"""Structured logs and metrics: one service, one namespace, and the names that alarms look for."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

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
    RECORDS_WAITING = "RecordsWaiting"
    REPORTING_FAILURES = "ReportingFailures"
    MINUTES_TO_DEADLINE = "MinutesToDeadline"
    ARCHIVE_LAG_HOURS = "ArchiveLagHours"


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
