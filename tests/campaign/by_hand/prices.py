"""Price models as a price list reads, in fractions. It knows nothing of how the product prices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import ceil, floor
from typing import Any

from meterbridge.domain.money import Rounding
from meterbridge.domain.pricing.increments import Increment
from meterbridge.domain.pricing.models import (
    Flat,
    Package,
    Percentage,
    PerUnit,
    PriceModel,
    Waterfall,
)
from meterbridge.domain.pricing.tiers import Graduated, GraduatedPercentage, Volume

F = Fraction
ZERO = F(0)
PICO = 10**12


def down(amount: Fraction) -> Fraction:
    """To 12 places: what a share that does not end comes to."""
    return F(floor(amount * PICO), PICO)


def counted(quantity: Fraction, increment: Increment) -> Fraction:
    """A quantity in increments."""
    size = F(increment.size)
    count = quantity / size
    whole = {
        Rounding.CEILING: ceil(count),
        Rounding.FLOOR: floor(count),
        Rounding.ROUND: floor(count + F(1, 2)),
    }
    return whole[increment.rounding] * size


def price(model: PriceModel, quantity: Fraction, events: Fraction) -> Fraction:
    """What a cycle's quantity costs; it is never negative here."""
    match model:
        case PerUnit():
            amount = F(model.unit_price) * quantity / F(model.per)
            return amount if model.per == 1 else down(amount)
        case Package():
            return ceil(quantity / F(model.size)) * F(model.price)
        case Flat():
            return F(model.amount) if model.always or quantity else ZERO
        case Percentage():
            return _percentage(model, quantity, events)
        case Graduated():
            return (
                sum(
                    (F(tier.flat_amount) + part * F(tier.unit_price))
                    for tier, part in _tiers(model.tiers, quantity)
                )
                + ZERO
            )
        case GraduatedPercentage():
            return (
                sum(
                    (F(tier.flat_amount) + part * F(tier.percent) / 100)
                    for tier, part in _tiers(model.tiers, quantity)
                )
                + ZERO
            )
        case Volume():
            reached = [tier for tier, _ in _tiers(model.tiers, quantity)][-1:]
            return sum(F(t.flat_amount) + quantity * F(t.unit_price) for t in reached) + ZERO
        case Waterfall():
            return (
                sum(
                    price(step.model, part, ZERO)
                    for step, part in zip(model.steps, _poured(model, quantity), strict=True)
                )
                + ZERO
            )
    raise ValueError(model)


def of_step(model: PriceModel, name: str, quantity: Fraction) -> Fraction:
    """What of a quantity a waterfall's step takes."""
    assert isinstance(model, Waterfall)
    names = [step.name for step in model.steps]
    return list(_poured(model, quantity))[names.index(name)]


def _percentage(model: Percentage, quantity: Fraction, events: Fraction) -> Fraction:
    paid = max(quantity - F(model.free_amount), ZERO) * F(model.percent) / 100
    paid += max(events - F(model.free_events), ZERO) * F(model.fixed_amount)
    if model.minimum is not None and (quantity or (events and model.fixed_amount)):
        paid = max(paid, F(model.minimum))
    return paid if model.maximum is None else min(paid, F(model.maximum))


def _tiers(tiers: Sequence[Any], quantity: Fraction) -> Iterator[tuple[Any, Fraction]]:
    """The tiers that a quantity reaches, and what of it is in each."""
    below = ZERO
    for tier in tiers:
        if quantity <= below:
            return
        top = quantity if tier.up_to is None else min(quantity, F(tier.up_to))
        yield tier, top - below
        below = top if tier.up_to is None else F(tier.up_to)


def _poured(model: Waterfall, quantity: Fraction) -> Iterator[Fraction]:
    for step in model.steps:
        part = quantity if step.takes is None else min(quantity, F(step.takes))
        yield part
        quantity -= part
