"""What is measured of deadlines and freshness, and for which agreements by name.

A metric costs 0.30 USD a month for each set of dimensions, by the hour in which it was written.
Per channel there are three. Agreements are written by name only while they are behind, and at most
20 in a run: 6 USD a month if it never stops, nothing while all is well.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit

from meterbridge.application.usage_freshness import UsageFreshness
from meterbridge.application.waiting_agreements import WaitingAgreement
from meterbridge.domain.offerings import Channel
from meterbridge.lambda_runtime.observability import Metric, measure, measure_time_left

MAX_NAMED_AGREEMENTS = 20


def publish_deadlines(waiting: Sequence[WaitingAgreement], now: datetime, logger: Logger) -> None:
    """Write how long what is behind has, per channel and for the most urgent agreements.

    What is in its ordinary course is not written: the last usage of an agreement that has just ended
    has an hour from the start, and would raise an alarm with every cancellation.
    """
    behind = sorted(
        (each.behind_until, each.agreement.id, each) for each in waiting if each.behind_until
    )
    first: dict[Channel, datetime] = {}
    for deadline, _, each in behind:
        first.setdefault(each.agreement.channel, deadline)
    for channel, deadline in sorted(first.items()):
        measure_time_left(channel, deadline, now)
    for deadline, agreement_id, each in behind[:MAX_NAMED_AGREEMENTS]:
        measure_time_left(each.agreement.channel, deadline, now, agreement_id)
        logger.warning(
            "usage is behind",
            agreement_id=agreement_id,
            deadline=deadline.isoformat(),
            open_records=each.open_records,
            reason=each.reason,
        )


def publish_freshness(freshness: UsageFreshness) -> None:
    """Write how far behind usage is, also when it is not."""
    seconds = freshness.behind // timedelta(seconds=1)
    measure(Metric.USAGE_FRESHNESS, seconds, MetricUnit.Seconds)
