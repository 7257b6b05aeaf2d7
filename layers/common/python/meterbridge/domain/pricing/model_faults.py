"""Faults of price models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from meterbridge.domain.money import multiply, whole_count
from meterbridge.domain.pricing.faults import (
    Fault,
    amount_faults,
    percent_faults,
    price_faults,
    repeat_faults,
)
from meterbridge.domain.pricing.models import (
    Dimensional,
    Flat,
    Package,
    Percentage,
    PerUnit,
    PriceModel,
    Waterfall,
)
from meterbridge.domain.pricing.tiers import Graduated, GraduatedPercentage, Volume


def model_faults(at: str, model: PriceModel, increment: Decimal | None) -> Iterator[Fault]:
    """Everything wrong with a price model.

    Args:
        increment: of the quantity that it prices; tiers have to end on multiples of it.
    """
    match model:
        case PerUnit():
            yield from price_faults(f"{at}/unit_price", model.unit_price)
            yield from amount_faults(f"{at}/per", model.per)
        case Graduated() | Volume():
            bounds = [tier.up_to for tier in model.tiers]
            yield from _bound_faults(f"{at}/tiers", "up_to", bounds, increment)
            for number, tier in enumerate(model.tiers):
                yield from price_faults(f"{at}/tiers/{number}/unit_price", tier.unit_price)
                yield from price_faults(f"{at}/tiers/{number}/flat_amount", tier.flat_amount)
        case GraduatedPercentage():
            bounds = [tier.up_to for tier in model.tiers]
            yield from _bound_faults(f"{at}/tiers", "up_to", bounds, increment)
            for number, share in enumerate(model.tiers):
                yield from percent_faults(f"{at}/tiers/{number}/percent", share.percent)
                yield from price_faults(f"{at}/tiers/{number}/flat_amount", share.flat_amount)
        case Package():
            yield from amount_faults(f"{at}/size", model.size)
            yield from price_faults(f"{at}/price", model.price)
        case Flat():
            yield from price_faults(f"{at}/amount", model.amount)
        case Percentage():
            yield from _percentage_faults(at, model)
        case Waterfall():
            yield from _waterfall_faults(at, model, increment)
        case Dimensional():
            names = [
                (f"{at}/prices/{number}/group", "/".join(each.group))
                for number, each in enumerate(model.prices)
            ]
            yield from repeat_faults(names, "group")
            for number, each in enumerate(model.prices):
                yield from model_faults(f"{at}/prices/{number}/model", each.model, increment)
            yield from model_faults(f"{at}/default", model.default, increment)


def _bound_faults(
    at: str, field: str, bounds: Sequence[Decimal | None], increment: Decimal | None
) -> Iterator[Fault]:
    """Paigo's DimensionTier: inclusive, ascending, multiples of the increment, the last unbounded."""
    if not bounds or bounds[-1] is not None:
        yield Fault(at, "last_unbounded", "the last must have no bound")
    reached = Decimal(0)
    for number, bound in enumerate(bounds):
        pointer = f"{at}/{number}/{field}"
        if bound is None:
            if number < len(bounds) - 1:
                yield Fault(pointer, "bound_missing", "only the last has no bound")
            continue
        if bound <= reached:
            yield Fault(pointer, "bounds_order", f"{bound} is not above {reached}")
        if increment and multiply(whole_count(bound, increment), increment) != bound:
            yield Fault(pointer, "not_a_multiple", f"{bound} is no multiple of {increment}")
        reached = max(reached, bound)


def _percentage_faults(at: str, model: Percentage) -> Iterator[Fault]:
    yield from percent_faults(f"{at}/percent", model.percent)
    for field in ("fixed_amount", "free_events", "free_amount", "minimum", "maximum"):
        yield from price_faults(f"{at}/{field}", getattr(model, field))
    if model.minimum is not None and model.maximum is not None and model.minimum > model.maximum:
        yield Fault(f"{at}/maximum", "below_minimum", f"it is below {model.minimum}")


def _waterfall_faults(at: str, model: Waterfall, increment: Decimal | None) -> Iterator[Fault]:
    steps = model.steps
    names = [(f"{at}/steps/{number}/name", step.name) for number, step in enumerate(steps)]
    yield from repeat_faults(names, "step")
    if not steps or steps[-1].takes is not None:
        yield Fault(f"{at}/steps", "last_unbounded", "the last step must take all that is left")
    for number, step in enumerate(steps):
        pointer = f"{at}/steps/{number}"
        if step.takes is None and number < len(steps) - 1:
            yield Fault(f"{pointer}/takes", "bound_missing", "only the last step takes all")
        yield from amount_faults(f"{pointer}/takes", step.takes)
        if isinstance(step.model, Percentage) and step.model.fixed_amount:
            yield Fault(
                f"{pointer}/model/fixed_amount", "no_events", "events cannot be told by step"
            )
        yield from model_faults(f"{pointer}/model", step.model, increment)
