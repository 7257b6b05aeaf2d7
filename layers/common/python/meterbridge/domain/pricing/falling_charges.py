"""Charges that may fall within a cycle, and the discounts that must not end before they do.

A volume price falls for all units when a tier is reached, and a fee paid upfront is given back in
part when an end or fewer seats become known. What falls is taken back as it was charged. Were a
discount over by then, more would be given back than was ever paid; so it begins and ends with a cycle.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from meterbridge.domain.pricing.agreement_terms import AgreementTerms
from meterbridge.domain.pricing.cycles import cycle_of
from meterbridge.domain.pricing.faults import Fault
from meterbridge.domain.pricing.models import Dimensional, PriceModel, Waterfall
from meterbridge.domain.pricing.plan_terms import (
    Discount,
    OneOffFee,
    PaymentSchedule,
    PlanTerms,
)
from meterbridge.domain.pricing.tiers import Volume


def falling_codes(plan: PlanTerms) -> frozenset[str]:
    """What may be charged less later in a cycle than before."""
    usage = (each.code for each in plan.dimensions if _may_fall(each.price))
    fees = (
        fee.code
        for fee in plan.fees
        if not isinstance(fee, OneOffFee)
        and fee.prorate
        and fee.schedule is PaymentSchedule.UPFRONT
    )
    return frozenset((*usage, *fees))


def dated_discount_faults(terms: AgreementTerms) -> Iterator[Fault]:
    """Discounts of what may fall that begin or end within one of the agreement's cycles."""
    for number, version in enumerate(terms.versions):
        falling = falling_codes(version.plan)
        for discount in version.plan.discounts:
            lowered = sorted(falling & discount.codes if discount.codes else falling)
            moment = _within_a_cycle(terms, discount) if lowered else None
            if moment is not None:
                detail = (
                    f"discount {discount.id!r} changes at {moment.isoformat()}, within a cycle in "
                    f"which {', '.join(lowered)} may fall: let it begin and end with a cycle"
                )
                yield Fault(f"/versions/{number}", "discount_within_cycle", detail)


def _may_fall(price: PriceModel) -> bool:
    models = [price]
    if isinstance(price, Dimensional):
        models = [price.default, *(each.model for each in price.prices)]
    if isinstance(price, Waterfall):
        models = [step.model for step in price.steps]
    return any(isinstance(model, Volume) for model in models)


def _within_a_cycle(terms: AgreementTerms, discount: Discount) -> datetime | None:
    """When a discount begins or ends other than with a cycle, in the agreement's life."""
    span = terms.span
    for moment in (discount.starts_at, discount.ends_at):
        if moment is None or moment <= span.starts_at:
            continue
        if span.end_hour is not None and moment >= span.end_hour:
            continue
        kind = terms.versions[0].plan.cycle
        if cycle_of(kind, span.starts_at, moment).start != moment:
            return moment
    return None
