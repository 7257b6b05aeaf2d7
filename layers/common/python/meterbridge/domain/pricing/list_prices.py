"""A plan's list prices, one by one, so that each can be told net of a marketplace's fee."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from meterbridge.domain.money import ZERO, multiply
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
    Fee,
    OneOffFee,
    PlanTerms,
    SeatFee,
)
from meterbridge.domain.pricing.tiers import PERCENT, Graduated, GraduatedPercentage, Tier, Volume
from meterbridge.domain.usage import GroupKey


class PricedBy(StrEnum):
    """What a list price is for."""

    UNIT = "unit"
    PACKAGE = "package"
    EVENT = "event"
    AMOUNT = "amount"
    TIER = "tier"
    CYCLE = "cycle"
    SEAT = "seat"
    ONCE = "once"


@dataclass(frozen=True, slots=True)
class ListPrice:
    """One price of a plan, before anything is taken off.

    Attributes:
        code: of the dimension or fee.
        by: what the price is for. AMOUNT: for each unit of money that is metered.
        per: how many of those it is for, such as a package's size.
        tier: position, from 1; 0 without tiers.
        above, up_to: the cycle's quantity for which it holds: (above, up_to]; None has no bound.
    """

    code: str
    by: PricedBy
    price: Decimal
    per: Decimal = Decimal(1)
    group: GroupKey = ()
    step: str = ""
    tier: int = 0
    name: str = ""
    above: Decimal = ZERO
    up_to: Decimal | None = None


def list_prices(plan: PlanTerms) -> tuple[ListPrice, ...]:
    """All prices of dimensions and fees, in the order of a bill."""
    return tuple(_prices(plan))


def _prices(plan: PlanTerms) -> Iterator[ListPrice]:
    for dimension in plan.dimensions:
        for found in _of_model(dimension.price):
            yield replace(found, code=dimension.code)
    for fee in plan.fees:
        yield ListPrice(fee.code, _fee_basis(fee), fee.price)


def _fee_basis(fee: Fee) -> PricedBy:
    if isinstance(fee, OneOffFee):
        return PricedBy.ONCE
    return PricedBy.SEAT if isinstance(fee, SeatFee) else PricedBy.CYCLE


def _of_model(price: PriceModel) -> Iterator[ListPrice]:
    if isinstance(price, Dimensional):
        for each in price.prices:
            yield from (replace(found, group=each.group) for found in _of_simple(each.model))
        yield from _of_simple(price.default)
    elif isinstance(price, Waterfall):
        for step in price.steps:
            yield from (replace(found, step=step.name) for found in _of_simple(step.model))
    else:
        yield from _of_simple(price)


def _of_simple(model: SimpleModel) -> Iterator[ListPrice]:
    match model:
        case PerUnit():
            yield ListPrice("", PricedBy.UNIT, model.unit_price, model.per)
        case Package():
            yield ListPrice("", PricedBy.PACKAGE, model.price, model.size)
        case Flat():
            yield ListPrice("", PricedBy.CYCLE, model.amount)
        case Percentage():
            yield ListPrice("", PricedBy.AMOUNT, multiply(model.percent, PERCENT))
            if model.fixed_amount:
                yield ListPrice("", PricedBy.EVENT, model.fixed_amount)
        case Graduated() | Volume():
            yield from _of_tiers([(tier, tier.unit_price) for tier in model.tiers], PricedBy.UNIT)
        case GraduatedPercentage():
            shares = [
                (Tier(tier.up_to, ZERO, tier.flat_amount, tier.name), tier.percent)
                for tier in model.tiers
            ]
            fractions = [(tier, multiply(percent, PERCENT)) for tier, percent in shares]
            yield from _of_tiers(fractions, PricedBy.AMOUNT)


def _of_tiers(tiers: Sequence[tuple[Tier, Decimal]], by: PricedBy) -> Iterator[ListPrice]:
    above = ZERO
    for number, (tier, price) in enumerate(tiers, start=1):
        found = ListPrice("", by, price, tier=number, name=tier.name, above=above, up_to=tier.up_to)
        yield found
        if tier.flat_amount:
            yield replace(found, by=PricedBy.TIER, price=tier.flat_amount)
        above = tier.up_to if tier.up_to is not None else above
