"""Usage of one customer by window, meter and group, as it will be billed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby

from meterbridge.application.ports import Clock, Registry, UsageStore
from meterbridge.domain.attribution import context_start, hourly_quantities, states_of
from meterbridge.domain.errors import InvalidInputError, NotFoundError
from meterbridge.domain.meters import Meter, ResetPeriod
from meterbridge.domain.money import exact_sum
from meterbridge.domain.usage import HourlyUsage
from meterbridge.domain.windows import HOUR, hour_of, hours_between, last_closed_hour

MAX_SPAN = {
    ResetPeriod.HOUR: timedelta(days=32),
    ResetPeriod.DAY: timedelta(days=366),
    ResetPeriod.MONTH: timedelta(days=366),
}
"""Longest range that is answered, by window."""


@dataclass(frozen=True, slots=True)
class WindowQuantity:
    """A quantity of one meter and group in one window, cut to the range that was asked for.

    Attributes:
        group: value by group-by name.
        live: some hour of it is not closed yet, so that the quantity is likely to change.
    """

    start: datetime
    end: datetime
    meter_id: str
    group: Mapping[str, str]
    quantity: Decimal
    live: bool


@dataclass(frozen=True, slots=True)
class UsageReport:
    """Quantities that are not zero, by window, meter and group.

    Attributes:
        fresh_through: newest `received_at` that is included; None without usage.
        folded_at: when the newest usage shown was folded; None without usage.
    """

    quantities: tuple[WindowQuantity, ...]
    fresh_through: datetime | None
    folded_at: datetime | None


def usage_report(
    *,
    product_id: str,
    customer_id: str,
    meter_id: str | None,
    window: ResetPeriod,
    start: datetime,
    end: datetime,
    usage: UsageStore,
    registry: Registry,
    clock: Clock,
    grace: timedelta,
) -> UsageReport:
    """Report the hours [start, end) of a customer.

    A window shows the sum of what is attributed to its hours (see `hourly_quantities`), so that the
    windows of a billing period add up to what is billed for it.

    Args:
        meter_id: one meter; None for all meters of the product.
        grace: how long after its end an hour stays open for late events.

    Raises:
        InvalidInputError: code "invalid_range".
        NotFoundError: no such product, or no such meter of it.
    """
    hours = _hours(start, end, window)
    meters = _meters(product_id, meter_id, registry)
    read_from = min((context_start(meter, start) for meter in meters), default=start)
    rows = usage.hourly(product_id, customer_id, read_from, end)
    closed_to = last_closed_hour(clock.now(), grace) + HOUR
    found = [
        quantity
        for meter in meters
        for quantity in _quantities(meter, rows, hours, window, closed_to)
        if quantity.quantity
    ]
    found.sort(key=lambda each: (each.start, each.meter_id, tuple(each.group.values())))
    shown = [row for row in rows if row.hour >= start]
    return UsageReport(
        quantities=tuple(found),
        fresh_through=max((row.fresh_through for row in shown), default=None),
        folded_at=max((row.folded_at for row in shown), default=None),
    )


def _hours(start: datetime, end: datetime, window: ResetPeriod) -> list[datetime]:
    if hour_of(start) != start or hour_of(end) != end:
        raise InvalidInputError("invalid_range", "start and end are full hours", "start")
    if not start < end <= start + MAX_SPAN[window]:
        raise InvalidInputError(
            "invalid_range",
            f"start is before end, by at most {MAX_SPAN[window].days} days",
            "end",
        )
    return list(hours_between(start, end))


def _meters(product_id: str, meter_id: str | None, registry: Registry) -> list[Meter]:
    registry.product(product_id)
    meters = [meter for meter in registry.catalog().meters if meter.product_id == product_id]
    if meter_id is None:
        return meters
    wanted = [meter for meter in meters if meter.id == meter_id]
    if not wanted:
        raise NotFoundError(f"product {product_id} has no meter {meter_id}")
    return wanted


def _quantities(
    meter: Meter,
    rows: Sequence[HourlyUsage],
    hours: Sequence[datetime],
    window: ResetPeriod,
    closed_to: datetime,
) -> Iterator[WindowQuantity]:
    names = [by.name for by in meter.group_by]
    for group, states in states_of(rows, meter).items():
        by_hour = hourly_quantities(meter, states, hours)
        for _, of_window in groupby(hours, window.bounds):
            inside = list(of_window)
            end = inside[-1] + HOUR
            yield WindowQuantity(
                start=inside[0],
                end=end,
                meter_id=meter.id,
                group=dict(zip(names, group, strict=True)),
                quantity=exact_sum(by_hour[hour] for hour in inside),
                live=end > closed_to,
            )
