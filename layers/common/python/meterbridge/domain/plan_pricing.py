"""What a plan charges for and what it reports, whichever way it is written down."""

from __future__ import annotations

from meterbridge.domain.money import ZERO, Money
from meterbridge.domain.offerings import Channel, Dimension, Plan
from meterbridge.domain.pricing.channel_reporting import (
    ChannelReporting,
    ReportedDimension,
    ReportingMode,
    Source,
)
from meterbridge.domain.pricing.models import PerUnit
from meterbridge.domain.pricing.native_prices import native_price
from meterbridge.domain.pricing.plan_terms import PlanTerms, PricedDimension


def plan_terms(plan: Plan, currency: str) -> PlanTerms:
    """A plan's terms; of a plan without any, its unit prices, reported natively on all channels."""
    if plan.terms is not None:
        return plan.terms
    return PlanTerms(
        currency=currency,
        dimensions=tuple(
            PricedDimension(
                code=each.code,
                meter_id=each.meter_id,
                price=PerUnit(each.unit_price.amount, each.units_per_quantity),
                group=each.group,
                name=each.name,
            )
            for each in plan.dimensions
        ),
        reporting=tuple(_natively(plan, channel) for channel in Channel),
    )


def _natively(plan: Plan, channel: Channel) -> ChannelReporting:
    dimensions = tuple(
        ReportedDimension(
            code=each.code,
            mode=ReportingMode.NATIVE,
            sources=(Source(each.code),),
            units_per_quantity=each.units_per_quantity,
            quantity_kind=each.quantity_kind,
        )
        for each in plan.dimensions
    )
    return ChannelReporting(channel, dimensions)


def reported_dimensions(terms: PlanTerms, channel: Channel) -> tuple[Dimension, ...]:
    """What is reported through a channel; nothing where the terms say nothing about it."""
    return tuple(
        _reported(terms, dimension)
        for reporting in terms.reporting
        if reporting.channel is channel
        for dimension in reporting.dimensions
    )


def _reported(terms: PlanTerms, dimension: ReportedDimension) -> Dimension:
    """A reported dimension with the price of one of its units."""
    in_currency = dimension.mode is ReportingMode.CURRENCY
    price = dimension.units_per_quantity if in_currency else native_price(terms, dimension)
    priced = {each.code: each for each in terms.dimensions}
    first = priced.get(dimension.sources[0].code) if dimension.sources else None
    single = first is not None and len(dimension.sources) == 1
    return Dimension(
        code=dimension.code,
        meter_id=first.meter_id if first is not None and single else "",
        unit_price=Money(price if price is not None else ZERO, terms.currency),
        quantity_kind=dimension.quantity_kind,
        units_per_quantity=dimension.units_per_quantity,
        group=first.group if first is not None and single else {},
        name=first.name if first is not None and single else "",
        in_currency=in_currency,
    )
