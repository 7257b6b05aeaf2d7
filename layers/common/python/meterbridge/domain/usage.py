"""Hourly usage: what the fold of a partition produced, per customer and meter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from meterbridge.domain.meters import MeterState
from meterbridge.domain.usage_log import Partition

GroupKey = tuple[str, ...]
"""Values of a meter's group-by keys, in the meter's order; () without group-by."""


@dataclass(frozen=True, slots=True)
class FoldPosition:
    """How much a fold knew. It may replace another only if it knew at least as much of both."""

    segments: int
    catalog_version: int

    def covers(self, other: FoldPosition) -> bool:
        """Whether this fold knew everything that the other knew."""
        return self.segments >= other.segments and self.catalog_version >= other.catalog_version


@dataclass(frozen=True, slots=True)
class HourlyUsage:
    """One customer's usage of one product in one hour: mergeable meter states.

    Attributes:
        meters: by meter id, then group.
        fresh_through: newest `received_at` among the segments that were folded.
    """

    product_id: str
    subject: str
    hour: datetime
    meters: Mapping[str, Mapping[GroupKey, MeterState]]
    position: FoldPosition
    fresh_through: datetime
    folded_at: datetime


@dataclass(frozen=True, slots=True)
class FoldHead:
    """How far one partition has been folded, and what the fold could not use.

    Attributes:
        last_segment: sort key of the newest segment read.
        started_at: when the reading began: what was durable then is in the fold.
        events: distinct events; duplicates: repeats that were identical; conflicts: repeats of an
            identity with other content, not added.
        unmatched: events that no meter counted, by reason code.
    """

    partition: Partition
    position: FoldPosition
    last_segment: str
    started_at: datetime
    fresh_through: datetime
    events: int
    duplicates: int
    conflicts: int
    unmatched: Mapping[str, int] = field(default_factory=dict)
