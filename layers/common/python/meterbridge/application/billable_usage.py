"""What an agreement's dimensions have to bill, hour by hour, from hourly usage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from meterbridge.application.ports import Registry, UsageStore
from meterbridge.domain.agreements import Agreement, owner_of_hour
from meterbridge.domain.attribution import quantities
from meterbridge.domain.events import MAX_AGE
from meterbridge.domain.meters import Aggregation, Meter
from meterbridge.domain.offerings import Dimension
from meterbridge.domain.rating import RatedUsage, rate
from meterbridge.domain.term import end_among, owned_hours
from meterbridge.domain.usage import HourlyUsage
from meterbridge.domain.windows import hour_of

GAUGE_MEMORY = MAX_AGE
"""A gauge that was not stated for this long is taken to be zero: so much history is read for it."""


@dataclass(frozen=True, slots=True)
class BillingTerms:
    """What of a span of time an agreement bills, and how.

    Attributes:
        hours: those it owns, ascending.
        rows_from, rows_to: whose hourly usage is needed, gauges' history included.
    """

    agreement: Agreement
    dimensions: tuple[Dimension, ...]
    meters: Mapping[str, Meter]
    hours: Sequence[datetime]
    rows_from: datetime
    rows_to: datetime

    def rated(self, rows: Sequence[HourlyUsage]) -> dict[str, RatedUsage]:
        """Rated usage by dimension code.

        Aggregates over more than an hour begin anew with the agreement; a gauge keeps what it held.
        """
        return {each.code: rate(self._metered(each, rows)) for each in self.dimensions}

    def _metered(
        self, dimension: Dimension, rows: Sequence[HourlyUsage]
    ) -> dict[datetime, Decimal]:
        hours = self.hours
        if not hours:
            return {}
        return quantities(
            self.meters[dimension.meter_id],
            rows,
            hours,
            dimension.group,
            since=hours[0],
            until=end_among(self.agreement, hours),
        )


@dataclass(frozen=True, slots=True)
class BillableUsage:
    """An agreement's usage by dimension code, for the hours that it owns.

    Attributes:
        fresh_through: newest `received_at` that is in it; None without usage.
    """

    terms: BillingTerms
    rated: Mapping[str, RatedUsage]
    fresh_through: datetime | None

    def billable(self) -> dict[str, Mapping[datetime, Decimal]]:
        """Billable metered quantity by dimension code and hour."""
        return {code: rated.billable for code, rated in self.rated.items()}


def read_billing_terms(
    agreement: Agreement, start: datetime, end: datetime, *, registry: Registry
) -> BillingTerms:
    """The terms of an agreement for the hours [start, end).

    Raises:
        NotFoundError: the agreement names an offering, plan or meter that does not exist.
        StoreUnavailableError: nothing could be read.
    """
    offering = registry.offering(agreement.offering_id, agreement.offering_version)
    dimensions = offering.plan(agreement.plan_code).dimensions
    meters = {meter_id: registry.meter(meter_id) for meter_id in {d.meter_id for d in dimensions}}
    gauged = any(meter.aggregation is Aggregation.TIME_WEIGHTED for meter in meters.values())
    siblings = registry.agreements_of(agreement.product_id, agreement.customer_id)
    hours = [
        hour
        for hour in owned_hours(agreement, start, end)
        if (owner := owner_of_hour(hour, siblings)) is not None and owner.id == agreement.id
    ]
    first = hours[0] if hours else end
    return BillingTerms(
        agreement=agreement,
        dimensions=dimensions,
        meters=meters,
        hours=hours,
        rows_from=hour_of(start - GAUGE_MEMORY) if gauged else first,
        rows_to=end,
    )


def read_billable_usage(
    agreement: Agreement,
    start: datetime,
    end: datetime,
    *,
    registry: Registry,
    usage: UsageStore,
) -> BillableUsage:
    """Read and rate the hours [start, end) of an agreement.

    Raises:
        NotFoundError: the agreement names an offering, plan or meter that does not exist.
        StoreUnavailableError: nothing could be read.
    """
    terms = read_billing_terms(agreement, start, end, registry=registry)
    rows = usage.hourly(agreement.product_id, agreement.customer_id, terms.rows_from, terms.rows_to)
    fresh_through = max((row.fresh_through for row in rows), default=None)
    return BillableUsage(terms, terms.rated(rows), fresh_through)
