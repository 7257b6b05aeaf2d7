"""What an agreement's dimensions have to bill, hour by hour, read from hourly usage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from meterbridge.application.ports import Registry, UsageStore
from meterbridge.domain.agreements import Agreement, owner_of_hour
from meterbridge.domain.events import MAX_AGE
from meterbridge.domain.meters import Aggregation, Meter, quantities
from meterbridge.domain.offerings import Dimension
from meterbridge.domain.rating import RatedUsage, rate
from meterbridge.domain.term import owned_hours
from meterbridge.domain.usage import HourlyUsage
from meterbridge.domain.windows import HOUR, hour_of

GAUGE_MEMORY = MAX_AGE
"""A gauge that was not stated for this long is taken to be zero: so much history is read for it."""


@dataclass(frozen=True, slots=True)
class BillableUsage:
    """An agreement's usage by dimension code, for the hours that it owns."""

    dimensions: tuple[Dimension, ...]
    rated: Mapping[str, RatedUsage]
    rows: Sequence[HourlyUsage]

    def billable(self) -> dict[str, Mapping[datetime, Decimal]]:
        """Billable metered quantity by dimension code and hour."""
        return {code: rated.billable for code, rated in self.rated.items()}


def read_billable_usage(
    agreement: Agreement,
    start: datetime,
    end: datetime,
    *,
    registry: Registry,
    usage: UsageStore,
) -> BillableUsage:
    """Read and rate the hours [start, end) of an agreement.

    Aggregates over more than an hour begin anew with the agreement; a gauge keeps what it held.

    Raises:
        NotFoundError: the agreement names an offering, plan or meter that does not exist.
        StoreUnavailableError: nothing could be read.
    """
    offering = registry.offering(agreement.offering_id, agreement.offering_version)
    dimensions = offering.plan(agreement.plan_code).dimensions
    meters = {dimension.meter_id: registry.meter(dimension.meter_id) for dimension in dimensions}
    gauged = any(meter.aggregation is Aggregation.TIME_WEIGHTED for meter in meters.values())
    reading_from = start - GAUGE_MEMORY if gauged else start
    rows = usage.hourly(agreement.product_id, agreement.customer_id, hour_of(reading_from), end)
    siblings = registry.agreements_of(agreement.product_id, agreement.customer_id)
    hours = [
        hour
        for hour in owned_hours(agreement, start, end)
        if (owner := owner_of_hour(hour, siblings)) is not None and owner.id == agreement.id
    ]
    rated = {
        dimension.code: rate(
            _metered(meters[dimension.meter_id], dimension, rows, hours, agreement)
        )
        for dimension in dimensions
    }
    return BillableUsage(dimensions, rated, rows)


def _metered(
    meter: Meter,
    dimension: Dimension,
    rows: Sequence[HourlyUsage],
    hours: Sequence[datetime],
    agreement: Agreement,
) -> dict[datetime, Decimal]:
    if not hours:
        return {}
    if meter.aggregation is Aggregation.TIME_WEIGHTED:
        known = rows
    else:
        known = [row for row in rows if hours[0] <= row.hour <= hours[-1]]
    ended = agreement.ends_at is not None and hours[-1] + HOUR >= agreement.ends_at
    until = hours[-1] + HOUR if ended else None
    return quantities(meter, known, hours, dimension.group, until=until)
