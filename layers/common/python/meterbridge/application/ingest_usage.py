"""Take usage events in: judge each alone, and store those that can be kept.

What is counted as accepted is durable. An event that is sent twice, in one batch or in two, is
accepted twice and stored twice; the fold counts it once.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from meterbridge.application.ports import Clock, UsageLog
from meterbridge.domain.cloud_events import judge
from meterbridge.domain.errors import InvalidInputError, StoreUnavailableError
from meterbridge.domain.event_rules import Rejection, judge_one_by_one
from meterbridge.domain.usage_log import ShardPlan, pack

FRESH_FOR = timedelta(minutes=1)
USABLE_FOR = timedelta(hours=1)
"""A change of the shard plan takes effect two hours ahead or later, and events may be 15 minutes
ahead: a plan read less than 1 h 45 min ago is still right for every event."""


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What became of a batch.

    Attributes:
        accepted: how many events are stored, repeats included.
        rejected: the others, in order.
    """

    accepted: int
    rejected: tuple[Rejection, ...] = ()


class ShardPlanSource(Protocol):
    """Where the shard plan is kept."""

    def shard_plan(self) -> ShardPlan:
        """Raises StoreUnavailableError."""


class ShardPlans:
    """The shard plan in a process that lives: read once a minute, used on when that fails."""

    def __init__(self, source: ShardPlanSource, clock: Clock) -> None:
        """Nothing is read yet."""
        self._source = source
        self._clock = clock
        self._known: tuple[datetime, ShardPlan] | None = None

    def current(self) -> ShardPlan:
        """The plan to pack with now.

        Raises:
            StoreUnavailableError: it cannot be read, and was not read for an hour.
        """
        now = self._clock.now()
        if self._known is not None and now < self._known[0] + FRESH_FOR:
            return self._known[1]
        try:
            plan = self._source.shard_plan()
        except StoreUnavailableError:
            if self._known is not None and now < self._known[0] + USABLE_FOR:
                return self._known[1]
            raise
        self._known = now, plan
        return plan


def ingest_usage(
    body: bytes,
    *,
    products: Collection[str] | None,
    log: UsageLog,
    plans: ShardPlans,
    clock: Clock,
) -> IngestResult:
    """Store the events of a JSON batch that can be kept.

    Args:
        body: JSON text of an array of CloudEvents, or of a single one.
        products: ids of the products the sender may report usage of; None for any.

    Raises:
        InvalidInputError: the body as a whole; see `judge`. Nothing was stored.
        StoreUnavailableError: not all accepted events are known to be stored. Sending the same
            batch again is safe.
    """
    now = clock.now()
    judged = judge(body, products, now)
    if not judged.events.ids:
        return IngestResult(0, judged.rejected)
    plan = plans.current()
    try:
        drafts = pack(judged.events, plan)
    except InvalidInputError:
        # Some data cannot be stored. Judging one by one names the events and leaves the others.
        judged = judge_one_by_one(body, products, now)
        drafts = pack(judged.events, plan)
    log.append(drafts, now)
    return IngestResult(len(judged.events.ids), judged.rejected)
