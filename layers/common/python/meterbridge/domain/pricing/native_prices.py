"""The one price that a marketplace itself can hold for what is reported natively."""

from __future__ import annotations

from decimal import Decimal

from meterbridge.domain.money import multiply, quotient
from meterbridge.domain.pricing.channel_reporting import ReportedDimension, ReportingMode, Source
from meterbridge.domain.pricing.models import Dimensional, PerUnit, PriceModel, Waterfall, model_of
from meterbridge.domain.pricing.plan_terms import PlanTerms


def unit_price(price: PriceModel, source: Source) -> PerUnit | None:
    """The one price per unit of what a source reports; None where there is none."""
    if isinstance(price, Dimensional) and source.group is None:
        return None
    model = model_of(price, source.group or ())
    if isinstance(model, Waterfall):
        models = [step.model for step in model.steps if step.name == source.step]
        model = models[0] if models else model
    return model if isinstance(model, PerUnit) else None


def native_price(plan: PlanTerms, dimension: ReportedDimension) -> Decimal | None:
    """What the marketplace asks for one of the dimension's own units; None where it is no price.

    To 12 places where a share does not end.
    """
    found = _price_of_units(plan, dimension)
    if found is None or found.per == 1:
        return None if found is None else found.unit_price
    return quotient(found.unit_price, found.per)


def is_share_without_end(plan: PlanTerms, dimension: ReportedDimension) -> bool:
    """Whether the price of one unit is a share that no number of 12 places comes to."""
    found, price = _price_of_units(plan, dimension), native_price(plan, dimension)
    return (
        found is not None and price is not None and multiply(price, found.per) != found.unit_price
    )


def _price_of_units(plan: PlanTerms, dimension: ReportedDimension) -> PerUnit | None:
    """The price per unit of the marketplace's, still as a share."""
    if dimension.mode is not ReportingMode.NATIVE:
        return None
    prices = {each.code: each.price for each in plan.dimensions}
    for source in dimension.sources:
        found = unit_price(prices[source.code], source) if source.code in prices else None
        if found is not None and found.per > 0:
            return PerUnit(multiply(found.unit_price, dimension.units_per_quantity), found.per)
    return None
