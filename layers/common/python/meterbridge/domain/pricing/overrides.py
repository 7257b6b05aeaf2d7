"""What one agreement has differently from its plan: prices, included quantities, discounts.

An override may change the price of a dimension, never its structure (Paigo's dimensionOverrides).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from msgspec import structs

from meterbridge.domain.errors import InvalidInputError
from meterbridge.domain.money import ZERO
from meterbridge.domain.pricing.faults import Fault
from meterbridge.domain.pricing.models import (
    Dimensional,
    Flat,
    Package,
    Percentage,
    PerUnit,
    PriceModel,
    SimpleModel,
    Waterfall,
)
from meterbridge.domain.pricing.plan_terms import (
    Discount,
    Entitlement,
    PlanTerms,
    PricedDimension,
    SpendCap,
)
from meterbridge.domain.pricing.tiers import Graduated, GraduatedPercentage, Volume


@dataclass(frozen=True, slots=True)
class DimensionOverride:
    """One dimension's price or included quantity for one agreement; None leaves it as it is."""

    code: str
    price: PriceModel | None = None
    included: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Overrides:
    """What one agreement has differently.

    Attributes:
        discounts: they come after the plan's.
        spend_cap: in the place of the plan's; None leaves that as it is.
    """

    dimensions: tuple[DimensionOverride, ...] = ()
    discounts: tuple[Discount, ...] = ()
    spend_cap: SpendCap | None = None


def override_faults(plan: PlanTerms, overrides: Overrides) -> tuple[Fault, ...]:
    """Overrides of what the plan does not have, or that would change a structure."""
    return tuple(_faults(plan, overrides))


def overridden(plan: PlanTerms, overrides: Overrides) -> PlanTerms:
    """The plan's terms as this agreement has them. They have to be validated like any plan's.

    Raises:
        InvalidInputError: the first of `override_faults`.
    """
    for fault in _faults(plan, overrides):
        raise InvalidInputError(fault.code, fault.detail, fault.pointer)
    by_code = {each.code: each for each in overrides.dimensions}
    return replace(
        plan,
        dimensions=tuple(_overridden(each, by_code.get(each.code)) for each in plan.dimensions),
        discounts=(*plan.discounts, *overrides.discounts),
        spend_cap=overrides.spend_cap or plan.spend_cap,
    )


def _overridden(dimension: PricedDimension, override: DimensionOverride | None) -> PricedDimension:
    if override is None:
        return dimension
    entitlement = dimension.entitlement
    if override.included is not None:
        entitlement = replace(entitlement or Entitlement(None), quantity=override.included)
    return replace(dimension, price=override.price or dimension.price, entitlement=entitlement)


def _faults(plan: PlanTerms, overrides: Overrides) -> Iterator[Fault]:
    prices = {each.code: each.price for each in plan.dimensions}
    seen: set[str] = set()
    for number, override in enumerate(overrides.dimensions):
        at = f"/dimensions/{number}"
        if override.code in seen:
            yield Fault(f"{at}/code", "repeated", f"{override.code!r} is overridden twice")
        seen.add(override.code)
        price = prices.get(override.code)
        if price is None:
            yield Fault(f"{at}/code", "unknown_code", f"the plan has no {override.code!r}")
        elif override.price is not None and _structure(override.price) != _structure(price):
            detail = "an override may change prices, not tiers, steps, groups or the model"
            yield Fault(f"{at}/price", "other_structure", detail)


def _structure(price: PriceModel) -> PriceModel:
    """A price model without its prices: two of one structure are equal."""
    if isinstance(price, Dimensional):
        groups = tuple(replace(each, model=_simple(each.model)) for each in price.prices)
        return Dimensional(groups, _simple(price.default))
    if isinstance(price, Waterfall):
        return Waterfall(tuple(replace(step, model=_simple(step.model)) for step in price.steps))
    return _simple(price)


def _simple(model: SimpleModel) -> SimpleModel:
    match model:
        case PerUnit():
            return structs.replace(model, unit_price=ZERO)
        case Graduated() | Volume():
            tiers = tuple(replace(t, unit_price=ZERO, flat_amount=ZERO) for t in model.tiers)
            return structs.replace(model, tiers=tiers)
        case GraduatedPercentage():
            shares = tuple(replace(t, percent=ZERO, flat_amount=ZERO) for t in model.tiers)
            return structs.replace(model, tiers=shares)
        case Package():
            return structs.replace(model, price=ZERO)
        case Percentage():
            return structs.replace(
                model, percent=ZERO, fixed_amount=ZERO, minimum=None, maximum=None
            )
        case Flat():
            return structs.replace(model, amount=ZERO)
