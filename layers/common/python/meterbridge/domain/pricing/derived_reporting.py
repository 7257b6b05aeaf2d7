"""How a plan is reported through a channel that its terms do not speak of.

What the marketplace can charge by a price of its own is reported natively, under its own code; all
the rest is reported together as money, in the currency's minor units. Derived once, when a plan is
published: a published version never changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from meterbridge.domain.channels import REPORTED_CHANNELS, Channel
from meterbridge.domain.money import CURRENCY_EXPONENTS
from meterbridge.domain.pricing.channel_faults import channel_faults
from meterbridge.domain.pricing.channel_reporting import (
    ChannelReporting,
    ReportedDimension,
    ReportingMode,
    Source,
)
from meterbridge.domain.pricing.faults import Fault
from meterbridge.domain.pricing.models import PerUnit
from meterbridge.domain.pricing.plan_terms import PlanTerms, PricedDimension

USAGE_CHARGES = "usage_charges"
"""Code of the dimension that reports charges as money."""


def with_derived_reporting(plan: PlanTerms) -> PlanTerms:
    """A valid plan that says how it is reported through every channel that can take it."""
    derived = [
        derived_reporting(plan, channel)
        for channel, faults in not_reported(plan).items()
        if not faults
    ]
    return replace(plan, reporting=(*plan.reporting, *derived))


def not_reported(plan: PlanTerms) -> dict[Channel, tuple[Fault, ...]]:
    """Channels that the terms do not speak of, with what they cannot take even as money.

    Of a plan with derived reporting, those that it is not reported through.
    """
    told = {reporting.channel for reporting in plan.reporting}
    return {
        channel: _faults(plan, _with_charges(plan, channel, ()))
        for channel in Channel
        if channel not in told
    }


def derived_reporting(plan: PlanTerms, channel: Channel) -> ChannelReporting:
    """How a plan would be reported through a channel; the channel may still refuse it."""
    native = [
        _natively(dimension, dimension.price)
        for dimension in plan.dimensions
        # The others list no prices: we make the invoice there, and all of it is money.
        if channel in REPORTED_CHANNELS
        and isinstance(dimension.price, PerUnit)
        and _is_native(plan, channel, _natively(dimension, dimension.price))
    ]
    found = _with_charges(plan, channel, native)
    while native and any(e.code == "too_many_dimensions" for e in _faults(plan, found)):
        native.pop()
        found = _with_charges(plan, channel, native)
    return found


def _with_charges(
    plan: PlanTerms, channel: Channel, native: Sequence[ReportedDimension]
) -> ChannelReporting:
    codes = {dimension.code for dimension in native}
    rest = tuple(Source(code) for code in plan.codes() if code not in codes)
    name = USAGE_CHARGES
    while name in codes:
        name += "_"
    charges = ReportedDimension(
        code=name,
        mode=ReportingMode.CURRENCY,
        sources=rest,
        units_per_quantity=Decimal(1).scaleb(-CURRENCY_EXPONENTS[plan.currency]),
    )
    return ChannelReporting(channel, (*native, charges) if rest else tuple(native))


def _natively(dimension: PricedDimension, price: PerUnit) -> ReportedDimension:
    return ReportedDimension(
        code=dimension.code,
        mode=ReportingMode.NATIVE,
        sources=(Source(dimension.code),),
        units_per_quantity=price.per,
    )


def _is_native(plan: PlanTerms, channel: Channel, dimension: ReportedDimension) -> bool:
    """Whether the marketplace's own price comes to the charge."""
    alone = ChannelReporting(channel, (dimension,))
    faults = _faults(plan, alone)
    return not any(fault.pointer.startswith("/reporting/0/dimensions/0") for fault in faults)


def _faults(plan: PlanTerms, reporting: ChannelReporting) -> tuple[Fault, ...]:
    return tuple(channel_faults(replace(plan, reporting=(reporting,))))
