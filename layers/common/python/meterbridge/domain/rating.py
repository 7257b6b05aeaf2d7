"""From rated hours to what an agreement's reported dimensions have to bill.

A dimension that is reported natively counts metered units, and the marketplace holds their price; one
in currency counts money, the net charge itself. For both, in the dimension's own measure and exactly:

    metered = included + free trial + taken off + billable
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from meterbridge.domain.money import (
    ZERO,
    Money,
    exact_sum,
    multiply,
    quotient,
    subtract,
    whole_count,
)
from meterbridge.domain.offerings import Channel, Dimension
from meterbridge.domain.pricing.agreement_terms import AgreementTerms
from meterbridge.domain.pricing.channel_reporting import ReportingMode, Source
from meterbridge.domain.pricing.plan_terms import PlanTerms
from meterbridge.domain.pricing.rated import RatedCharge, RatedHour
from meterbridge.domain.pricing.reported import reported_quantity

ByHour = Mapping[datetime, Decimal]


@dataclass(frozen=True, slots=True)
class RatedUsage:
    """One reported dimension's usage by hour: metered units, or money where it is in currency.

    Attributes:
        metered: as used; in currency, the list charge.
        free_trial: covered by a trial that the marketplace does not give itself.
        taken_off: what rounding to increments takes (negative where it adds), and what is beyond a
            limit without overage; in currency, discounts, credits and what is beyond the cap.
        billable: may be negative in an hour, where an earlier one turns out cheaper.
    """

    metered: ByHour
    included: ByHour
    free_trial: ByHour
    billable: ByHour
    taken_off: ByHour = field(default_factory=dict)


def rated_usage(
    terms: AgreementTerms,
    dimensions: Iterable[Dimension],
    channel: Channel,
    hours: Sequence[RatedHour],
) -> dict[str, RatedUsage]:
    """Rated usage by the code of each reported dimension; hours of zero are left out.

    Args:
        dimensions: those that the terms report through the channel.
    """
    found: dict[str, _Sums] = {each.code: _Sums() for each in dimensions}
    for hour in hours:
        plan = terms.plan_of(hour.cycle)
        for reporting in plan.reporting:
            if reporting.channel is not channel:
                continue
            for dimension in reporting.dimensions:
                for source in dimension.sources:
                    for charge in hour.charges:
                        if source.takes(charge.code, charge.group):
                            found[dimension.code].add(
                                hour.hour, plan, dimension.mode, source, charge
                            )
    return {code: sums.rated() for code, sums in found.items()}


class _Sums:
    """Quantities of one dimension by hour, while they are added up."""

    def __init__(self) -> None:
        self.by_name: dict[str, dict[datetime, Decimal]] = {
            name: {} for name in ("metered", "included", "free_trial", "taken_off", "billable")
        }

    def add(
        self,
        hour: datetime,
        plan: PlanTerms,
        mode: ReportingMode,
        source: Source,
        charge: RatedCharge,
    ) -> None:
        billable = reported_quantity(plan, mode, source, charge)
        if mode is ReportingMode.CURRENCY:
            taken_off = (*charge.discounts.values(), *charge.credits.values(), charge.over_cap)
            parts = (charge.list_charge, ZERO, charge.trial_amount, exact_sum(taken_off), billable)
        elif source.step:
            # What is included or free is not told by step: the whole is on the meter's charge line.
            parts = (billable, ZERO, ZERO, ZERO, billable)
        else:
            free = ZERO if plan.trial is not None and plan.trial.native else charge.free_trial
            taken = subtract(charge.over_limit, charge.adjusted)
            parts = (charge.metered, charge.included, free, taken, billable)
        for quantities, amount in zip(self.by_name.values(), parts, strict=True):
            if amount:
                quantities[hour] = exact_sum((quantities.get(hour, ZERO), amount))

    def rated(self) -> RatedUsage:
        return RatedUsage(**self.by_name)


def charge_for(dimension: Dimension, metered: Decimal) -> Money:
    """The unrounded price of a metered quantity, fractions of a unit included.

    Of a dimension in currency that is the quantity itself. Exact for a price per metered unit; to 12
    decimal places where a unit stands for several.
    """
    price = dimension.unit_price
    if dimension.in_currency:
        return Money(metered, price.currency)
    if dimension.units_per_quantity == 1:
        return price.times(metered)
    amount = quotient(multiply(price.amount, metered), dimension.units_per_quantity)
    return Money(amount, price.currency)


def units_within(metered: Decimal, step: Decimal, per_unit: Decimal) -> Decimal:
    """The greatest number of marketplace units, in whole steps, that a metered quantity fills."""
    return multiply(whole_count(metered, multiply(step, per_unit)), step)
