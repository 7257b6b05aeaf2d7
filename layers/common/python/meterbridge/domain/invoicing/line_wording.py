"""What a line says, in words: tiers by their bounds, packages by their size, rules by what they do."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from meterbridge.domain.invoicing.invoice_lines import LineKind
from meterbridge.domain.money import CURRENCY_EXPONENTS, multiply, plain
from meterbridge.domain.pricing.charges import Part, Rule
from meterbridge.domain.pricing.models import (
    Dimensional,
    Package,
    Percentage,
    PerUnit,
    PriceModel,
    SimpleModel,
    Waterfall,
    model_of,
)
from meterbridge.domain.pricing.plan_terms import PlanTerms, PricedDimension
from meterbridge.domain.pricing.tiers import (
    Graduated,
    GraduatedPercentage,
    PercentTier,
    Tier,
    Volume,
)
from meterbridge.domain.usage import GroupKey

_HUNDRED = Decimal(100)
_FEES = {
    Rule.SUBSCRIPTION: "subscription fee",
    Rule.SEATS: "seats",
    Rule.ONE_OFF: "one-off fee",
    Rule.MINIMUM_CHARGE: "made up to the minimum charge",
    Rule.COMMITMENT: "true-up to the commitment",
    Rule.TOP_UP: "prepaid credits bought",
}
_FREE = {
    LineKind.INCLUDED: "included in the plan",
    LineKind.FREE_TRIAL: "free trial",
    LineKind.OVER_LIMIT: "over the limit, not billed",
}


def describe_part(plan: PlanTerms, code: str, group: GroupKey, part: Part) -> str:
    """What a part of a charge is for."""
    name = name_of(plan, code, group)
    if part.rule in _FEES:
        return f"{name}: {_FEES[part.rule]}"
    step = f", {part.step}" if part.step else ""
    model = _model(plan, code, group, part.step)
    how = "" if model is None else _how(plan.currency, model, part)
    return f"{name}{step}{': ' if how else ''}{how}"


def describe_free(plan: PlanTerms, code: str, group: GroupKey, kind: LineKind) -> str:
    """Quantity that costs nothing, and why."""
    return f"{name_of(plan, code, group)}: {_FREE[kind]}"


def describe_deduction(plan: PlanTerms, kind: LineKind, source: str) -> str:
    """What was taken off, and by what."""
    if kind is LineKind.TRIAL_AMOUNT:
        return "Free trial"
    if kind is LineKind.OVER_CAP:
        cap = plan.spend_cap
        limit = "" if cap is None else f" of {amount_text(plan.currency, cap.amount)}"
        return f"Beyond the spend cap{limit}, not billed"
    if kind is LineKind.CREDIT:
        return f"Prepaid credits: {_grant(source)}"
    discount = next((each for each in plan.discounts if each.id == source), None)
    percent = None if discount is None else discount.percent
    share = "" if percent is None else f" ({plain(percent)} %)"
    return f"Discount: {source}{share}"


def describe_adjustment(plan: PlanTerms, code: str, period: str) -> str:
    """What belongs to an earlier period."""
    return f"{name_of(plan, code, ())}: correction of {period}"


def name_of(plan: PlanTerms, code: str, group: GroupKey) -> str:
    """What is charged for, with the group that has a price of its own."""
    dimension = _dimension(plan, code)
    name = dimension.name if dimension is not None and dimension.name else _words(code)
    return f"{name} ({', '.join(group)})" if group else name


def amount_text(currency: str, amount: Decimal) -> str:
    """An amount with its currency, at least to the minor unit and never shortened."""
    return f"{padded(amount, CURRENCY_EXPONENTS.get(currency, 2))} {currency}"


def padded(amount: Decimal, places: int) -> str:
    """Exact text of an amount with thousands separated and at least so many decimals."""
    whole, _, fraction = plain(abs(amount)).partition(".")
    fraction = fraction.ljust(places, "0")
    sign = "-" if amount < 0 else ""
    return f"{sign}{int(whole):,}{'.' if fraction else ''}{fraction}"


def _grant(source: str) -> str:
    """A grant's name; one that came by itself says when, as "monthly of 2026-11-01"."""
    name, *rest = source.split(":")
    if not rest:
        return name
    day = rest[-1].partition("T")[0]
    return f"{name} {'rolled over on' if len(rest) > 1 else 'of'} {day}"


def _how(currency: str, model: SimpleModel, part: Part) -> str:
    match part.rule:
        case Rule.GRADUATED | Rule.GRADUATED_PERCENTAGE:
            return _tier(model, part)
        case Rule.VOLUME:
            return f"all at the price of {_tier(model, part)}"
        case Rule.TIER_FLAT_AMOUNT:
            return f"flat amount of {_tier(model, part)}"
        case Rule.PACKAGE if isinstance(model, Package):
            return f"packages of {padded(model.size, 0)}, each one begun"
        case Rule.PER_UNIT if isinstance(model, PerUnit) and model.per != 1:
            return f"per {padded(model.per, 0)}"
        case Rule.FLAT:
            return "flat amount for the period"
        case _:
            return _percentage(currency, model, part)


def _percentage(currency: str, model: SimpleModel, part: Part) -> str:
    if not isinstance(model, Percentage):
        return ""
    match part.rule:
        case Rule.PERCENTAGE:
            return f"{plain(model.percent)} % of the amount"
        case Rule.FREE_AMOUNT:
            return "amount without a percentage"
        case Rule.FIXED_PER_EVENT:
            return f"{amount_text(currency, model.fixed_amount)} for each event"
        case Rule.MINIMUM:
            return "made up to its minimum"
        case Rule.MAXIMUM:
            return "what is over its maximum"
        case _:
            return ""


def _tier(model: SimpleModel, part: Part) -> str:
    if not isinstance(model, Graduated | Volume | GraduatedPercentage):
        return f"tier {part.tier}"
    tiers: Sequence[Tier | PercentTier] = model.tiers
    tier = tiers[part.tier - 1]
    lower = tiers[part.tier - 2].up_to if part.tier > 1 else None
    if tier.up_to is None:
        span = "all" if lower is None else f"over {padded(lower, 0)}"
    elif lower is None:
        span = f"up to {padded(tier.up_to, 0)}"
    else:
        span = f"over {padded(lower, 0)} up to {padded(tier.up_to, 0)}"
    percent = f", {plain(tier.percent)} %" if isinstance(tier, PercentTier) else ""
    name = part.name or f"tier {part.tier}"
    return f"{name} ({span}{percent})"


def _model(plan: PlanTerms, code: str, group: GroupKey, step: str) -> SimpleModel | None:
    dimension = _dimension(plan, code)
    if dimension is None:
        return None
    price: PriceModel = dimension.price
    model = model_of(price, group) if isinstance(price, Dimensional) else price
    if isinstance(model, Waterfall):
        return next((each.model for each in model.steps if each.name == step), None)
    return None if isinstance(model, Dimensional) else model


def _dimension(plan: PlanTerms, code: str) -> PricedDimension | None:
    return next((each for each in plan.dimensions if each.code == code), None)


def _words(code: str) -> str:
    words = code.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:]


def percent_text(share: Decimal) -> str:
    """A fraction as a percentage: 0.029 is "2.9 %"."""
    return f"{plain(multiply(share, _HUNDRED))} %"
