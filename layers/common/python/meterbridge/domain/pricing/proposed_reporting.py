"""How a plan would be reported through a channel that it says nothing about."""

from __future__ import annotations

import re
from decimal import Decimal

from meterbridge.domain.channels import Channel, QuantityKind
from meterbridge.domain.money import Rounding, to_increment
from meterbridge.domain.pricing.channel_faults import lowering
from meterbridge.domain.pricing.channel_reporting import (
    ChannelReporting,
    ReportedDimension,
    ReportingMode,
    Source,
)
from meterbridge.domain.pricing.listing_limits import LISTING_LIMITS, ListingLimits
from meterbridge.domain.pricing.models import PerUnit
from meterbridge.domain.pricing.native_prices import is_share_without_end, native_price
from meterbridge.domain.pricing.plan_terms import PlanTerms, PricedDimension

CURRENCY_UNIT = Decimal("0.01")
"""Money in one unit of the proposed dimension for charges."""

_CHARGES = "usage_charges"


def reporting_through(plan: PlanTerms, channel: Channel) -> tuple[ChannelReporting, bool]:
    """How a plan is reported through a channel, and whether it says so itself."""
    for reporting in plan.reporting:
        if reporting.channel is channel:
            return reporting, True
    return proposed_reporting(plan, channel), False


def proposed_reporting(plan: PlanTerms, channel: Channel) -> ChannelReporting:
    """Natively what a unit price can express there, the charges of everything else in one dimension.

    Where a channel takes no metering, everything is billed apart: on our own invoice.
    """
    limits = LISTING_LIMITS.get(channel)
    if limits is None:
        return ChannelReporting(channel, (), frozenset(plan.codes()))
    natively = tuple(
        reported
        for each in plan.dimensions
        if (reported := _natively(plan, each, limits)) is not None
    )
    rest = _charges(plan, natively)
    if len(natively) + len(rest) > limits.dimensions:
        natively, rest = (), _charges(plan, ())
    return ChannelReporting(channel, (*natively, *rest))


def _natively(
    plan: PlanTerms, dimension: PricedDimension, limits: ListingLimits
) -> ReportedDimension | None:
    price = dimension.price
    if not isinstance(price, PerUnit) or lowering(plan, dimension.code):
        return None
    kind = QuantityKind.DECIMAL if limits.decimals_safe else QuantityKind.INTEGER
    reported = ReportedDimension(
        dimension.code, ReportingMode.NATIVE, (Source(dimension.code),), price.per, kind
    )
    asked, step = native_price(plan, reported), limits.price_step
    if asked is None or is_share_without_end(plan, reported):
        return None
    if not re.fullmatch(limits.code, dimension.code):
        return None
    if step is not None and to_increment(asked, step, Rounding.FLOOR) != asked:
        return None
    return reported


def _charges(
    plan: PlanTerms, natively: tuple[ReportedDimension, ...]
) -> tuple[ReportedDimension, ...]:
    """The one dimension for the charges of all that is not reported natively."""
    covered = {each.code for each in natively}
    codes = [code for code in plan.codes() if code not in covered]
    if not codes:
        return ()
    name = _CHARGES
    while name in covered:
        name += "_"
    sources = tuple(Source(code) for code in codes)
    return (ReportedDimension(name, ReportingMode.CURRENCY, sources, CURRENCY_UNIT),)
