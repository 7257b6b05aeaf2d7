"""Meters: how usage events become a quantity; attribution.py: which hour that is billed in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from meterbridge.domain.errors import InvalidInputError, InvariantError
from meterbridge.domain.event_filters import Filter as Filter
from meterbridge.domain.event_filters import FilterOperator as FilterOperator
from meterbridge.domain.event_filters import path_keys
from meterbridge.domain.meter_states import MeterState as MeterState
from meterbridge.domain.windows import HOUR, BillingPeriod

if TYPE_CHECKING:
    from meterbridge.domain.usage import GroupKey

MAX_FILTERS = 20
MAX_GROUP_BY = 5
MAX_GROUPS = 10_000
_GROUP_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


class Aggregation(StrEnum):
    """How the events of an hour become one state.

    SUM, COUNT, MAX, MIN and AVG are what they say. UNIQUE_COUNT counts distinct values, LATEST is
    the value of the newest event, TIME_WEIGHTED integrates a gauge over time, in unit-hours.
    """

    SUM = "sum"
    COUNT = "count"
    MAX = "max"
    MIN = "min"
    AVG = "average"
    UNIQUE_COUNT = "unique_count"
    LATEST = "latest"
    TIME_WEIGHTED = "time_weighted"


ADDITIVE = frozenset({Aggregation.SUM, Aggregation.COUNT})
MONOTONE = frozenset({Aggregation.MAX, Aggregation.UNIQUE_COUNT})


class ResetPeriod(StrEnum):
    """Over which calendar period (UTC) a meter aggregates before it starts again."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"

    def bounds(self, hour: datetime) -> tuple[datetime, datetime]:
        """The period [start, end) that holds an hour."""
        if self is ResetPeriod.HOUR:
            return hour, hour + HOUR
        if self is ResetPeriod.DAY:
            start = hour.replace(hour=0)
            return start, start + timedelta(days=1)
        period = BillingPeriod.of(hour)
        return period.start, period.end


@dataclass(frozen=True, slots=True)
class GroupBy:
    """A name under which quantities are kept apart by the value at a path."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Meter:
    """How events of one type become a quantity.

    Attributes:
        event_type: CloudEvents `type` it takes.
        value_path: where in `data` the metered value is; "" for COUNT only.
        filters: all must hold.
        group_by: at most MAX_GROUP_BY.
        reset: no matter for SUM and COUNT.
        archived_at: events that occurred from then on are not counted; earlier ones stay.

    Raises:
        InvalidInputError: it contradicts itself; `pointer` names the attribute as in the API.
    """

    id: str
    product_id: str
    name: str
    event_type: str
    aggregation: Aggregation
    value_path: str = ""
    filters: tuple[Filter, ...] = ()
    group_by: tuple[GroupBy, ...] = ()
    reset: ResetPeriod = ResetPeriod.HOUR
    created_at: datetime | None = None
    archived_at: datetime | None = None

    def __post_init__(self) -> None:
        if not self.event_type:
            raise InvalidInputError("missing_event_type", "event_type is empty", "/event_type")
        if self.aggregation is not Aggregation.COUNT:
            path_keys(self.value_path, "/value_path")
        elif self.value_path:
            raise InvalidInputError("unexpected_value_path", "count takes no value", "/value_path")
        if len(self.filters) > MAX_FILTERS:
            raise InvalidInputError("too_many_filters", f"more than {MAX_FILTERS}", "/filters")
        for index, condition in enumerate(self.filters):
            condition.check(f"/filters/{index}")
        if len(self.group_by) > MAX_GROUP_BY:
            raise InvalidInputError("too_many_groups", f"more than {MAX_GROUP_BY}", "/group_by")
        names = [group.name for group in self.group_by]
        for index, group in enumerate(self.group_by):
            path_keys(group.path, f"/group_by/{index}/path")
            if not _GROUP_NAME.fullmatch(group.name) or group.name in names[:index]:
                raise InvalidInputError(
                    "invalid_name",
                    f"{group.name[:80]!r} is there twice or is not of the form region_name",
                    f"/group_by/{index}/name",
                )

    def made(self, group: GroupKey, state: MeterState) -> bool:
        """Whether a state is of this definition, not of one that the meter had before."""
        return len(group) == len(self.group_by) and state.aggregation == self.aggregation

    def is_remade(self, changed: Meter) -> bool:
        """Whether states of this definition mean nothing to a changed one."""
        names, changed_names = ({each.name for each in m.group_by} for m in (self, changed))
        return names != changed_names or self.aggregation is not changed.aggregation

    def selects(self, group: GroupKey, wanted: Mapping[str, str]) -> bool:
        """Whether a group has all the wanted values; nothing wanted selects every group.

        Raises:
            InvalidInputError: a wanted name is not one of the meter's group-by names.
            InvariantError: the group was made under another definition of the meter.
        """
        if len(group) != len(self.group_by):
            raise InvariantError(f"{self.id} was folded with another group-by")
        values = dict(zip((by.name for by in self.group_by), group, strict=True))
        unknown = wanted.keys() - values.keys()
        if unknown:
            raise InvalidInputError("unknown_group", f"{self.id} has no group {min(unknown)!r}")
        return all(values[name] == value for name, value in wanted.items())
