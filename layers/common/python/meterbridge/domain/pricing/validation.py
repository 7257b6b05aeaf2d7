"""Whether terms make sense: all faults at once."""

from __future__ import annotations

from collections.abc import Iterator

from meterbridge.domain.channels import Channel
from meterbridge.domain.money import CURRENCY_EXPONENTS
from meterbridge.domain.pricing.agreement_terms import AgreementTerms
from meterbridge.domain.pricing.channel_faults import channel_faults, grant_faults
from meterbridge.domain.pricing.cycles import cycle_of
from meterbridge.domain.pricing.falling_charges import dated_discount_faults
from meterbridge.domain.pricing.faults import (
    Fault,
    amount_faults,
    code_faults,
    count_faults,
    decimal_places,
    grant_id_faults,
    percent_faults,
    price_faults,
    repeat_faults,
    threshold_faults,
)
from meterbridge.domain.pricing.model_faults import model_faults
from meterbridge.domain.pricing.models import Dimensional, Percentage
from meterbridge.domain.pricing.plan_terms import PlanTerms, PricedDimension, TrialKind

MAX_DISCOUNT_PLACES = 24
"""Each percentage adds its decimal places and two to those of a charge: 33.33 % adds four. Money is
exact to 100 digits, and a quantity of 36 digits at a price of 30 comes to 66 before any discount."""

_EVENTS_NOT_FREE = "which events belong to the free quantity cannot be told: use free_events"


def validate(plan: PlanTerms) -> tuple[Fault, ...]:
    """All that is wrong with a plan, and all that a channel it is reported on cannot do."""
    return tuple(_plan_faults(plan))


def validate_agreement(terms: AgreementTerms, channel: Channel) -> tuple[Fault, ...]:
    """All that is wrong with an agreement's own terms; its plans are validated by themselves.

    Args:
        channel: through which it is billed.
    """
    return (
        *_agreement_faults(terms),
        *dated_discount_faults(terms),
        *_reporting_faults(terms, channel),
    )


def _reporting_faults(terms: AgreementTerms, channel: Channel) -> Iterator[Fault]:
    found: dict[Fault, None] = {}
    for number, version in enumerate(terms.versions):
        if all(reporting.channel is not channel for reporting in version.plan.reporting):
            detail = f"the plan does not say how it is reported to {channel}"
            found[Fault(f"/versions/{number}", "not_reported", detail)] = None
        found |= dict.fromkeys(grant_faults(version.plan, channel, terms.grants))
    yield from found
    yield from _remeasured_faults(terms, channel)


def _remeasured_faults(terms: AgreementTerms, channel: Channel) -> Iterator[Fault]:
    """A reported dimension's ledger counts in one measure: what is carried goes from plan to plan."""
    known: dict[str, tuple[object, ...]] = {}
    for number, version in enumerate(terms.versions):
        for reporting in version.plan.reporting:
            for each in reporting.dimensions if reporting.channel is channel else ():
                measure = (each.mode, each.units_per_quantity, each.quantity_kind)
                if known.setdefault(each.code, measure) != measure:
                    detail = f"{each.code!r} is reported in another measure than before"
                    yield Fault(f"/versions/{number}", "other_measure", detail)


def _plan_faults(plan: PlanTerms) -> Iterator[Fault]:
    if plan.currency not in CURRENCY_EXPONENTS:
        yield Fault("/currency", "unknown_currency", f"{plan.currency!r} is not supported")
    names = [(f"/dimensions/{n}/code", each.code) for n, each in enumerate(plan.dimensions)]
    names += [(f"/fees/{n}/code", each.code) for n, each in enumerate(plan.fees)]
    for field in ("minimum", "commitment", "top_up"):
        if (extra := getattr(plan, field)) is not None:
            names.append((f"/{field}/code", extra.code))
            yield from amount_faults(f"/{field}/amount", extra.amount)
    yield from repeat_faults(names, "code")
    for number, dimension in enumerate(plan.dimensions):
        yield from _dimension_faults(f"/dimensions/{number}", dimension)
    for number, fee in enumerate(plan.fees):
        yield from price_faults(f"/fees/{number}/price", fee.price)
    yield from _trial_faults(plan)
    yield from _discount_faults(plan)
    yield from _credit_faults(plan)
    if plan.commitment is not None:
        yield from count_faults("/commitment/cycles", plan.commitment.cycles)
    if plan.spend_cap is not None:
        yield from amount_faults("/spend_cap/amount", plan.spend_cap.amount)
        yield from threshold_faults("/spend_cap/thresholds", plan.spend_cap.thresholds)
    yield from channel_faults(plan)


def _dimension_faults(at: str, dimension: PricedDimension) -> Iterator[Fault]:
    increment, entitlement = dimension.increment, dimension.entitlement
    if not dimension.meter_id:
        yield Fault(f"{at}/meter_id", "missing", "a meter is needed")
    if increment is not None:
        yield from amount_faults(f"{at}/increment/size", increment.size)
    size = increment.size if increment is not None and increment.size > 0 else None
    yield from model_faults(f"{at}/price", dimension.price, size)
    if _has_fixed_part(dimension) and not dimension.event_meter_id:
        yield Fault(f"{at}/event_meter_id", "missing", "a fixed part needs a count of events")
    if entitlement is not None:
        yield from price_faults(f"{at}/entitlement/quantity", entitlement.quantity)
        yield from threshold_faults(f"{at}/entitlement/thresholds", entitlement.thresholds)
        if isinstance(dimension.price, Dimensional):
            detail = "which group's price is saved would depend on which comes first"
            yield Fault(f"{at}/entitlement", "not_by_group", detail)
        if _has_fixed_part(dimension):
            yield Fault(f"{at}/entitlement", "no_events", _EVENTS_NOT_FREE)


def _has_fixed_part(dimension: PricedDimension) -> bool:
    price = dimension.price
    models = [price]
    if isinstance(price, Dimensional):
        models = [price.default, *(each.model for each in price.prices)]
    return any(isinstance(each, Percentage) and each.fixed_amount > 0 for each in models)


def _trial_faults(plan: PlanTerms) -> Iterator[Fault]:
    trial = plan.trial
    if trial is None:
        return
    yield from count_faults("/trial/days", trial.days)
    if trial.days is None and (trial.kind is TrialKind.DAYS or trial.covers_fees):
        yield Fault("/trial/days", "missing", "a number of days is needed")
    if trial.kind is TrialKind.AMOUNT:
        yield from amount_faults("/trial/amount", trial.amount)
    if trial.kind is TrialKind.QUANTITY and not trial.quantities:
        yield Fault("/trial/quantities", "missing", "a quantity is needed")
    yield from code_faults("/trial/quantities", trial.quantities, [d.code for d in plan.dimensions])
    prices = {each.code: each.price for each in plan.dimensions}
    for code, quantity in trial.quantities.items():
        yield from amount_faults(f"/trial/quantities/{code}", quantity)
        if isinstance(prices.get(code), Dimensional):
            detail = "which group's price is saved would depend on which comes first"
            yield Fault(f"/trial/quantities/{code}", "not_by_group", detail)
    for dimension in plan.dimensions:
        if dimension.code in trial.quantities and _has_fixed_part(dimension):
            yield Fault(f"/trial/quantities/{dimension.code}", "no_events", _EVENTS_NOT_FREE)


def _discount_faults(plan: PlanTerms) -> Iterator[Fault]:
    names = [(f"/discounts/{n}/id", each.id) for n, each in enumerate(plan.discounts)]
    yield from repeat_faults(names, "id")
    payable = [*(each.code for each in plan.dimensions), *(each.code for each in plan.fees)]
    places = 0
    for number, discount in enumerate(plan.discounts):
        at = f"/discounts/{number}"
        if discount.percent is not None:
            places += decimal_places(discount.percent) + 2
            if places > MAX_DISCOUNT_PLACES:
                detail = (
                    f"with those before it takes more than {MAX_DISCOUNT_PLACES} decimal places"
                )
                yield Fault(f"{at}/percent", "too_fine", detail)
        if (discount.percent is None) == (discount.amount is None):
            yield Fault(at, "percent_or_amount", "exactly one of percent and amount is needed")
        yield from percent_faults(f"{at}/percent", discount.percent)
        yield from amount_faults(f"{at}/amount", discount.amount)
        yield from code_faults(f"{at}/codes", discount.codes, payable)
        if discount.starts_at and discount.ends_at and discount.ends_at <= discount.starts_at:
            yield Fault(f"{at}/ends_at", "empty_span", "it must be after starts_at")


def _credit_faults(plan: PlanTerms) -> Iterator[Fault]:
    yield from repeat_faults([(f"/credits/{n}/id", e.id) for n, e in enumerate(plan.credits)], "id")
    payable = [code for code in plan.codes() if plan.top_up is None or code != plan.top_up.code]
    for number, rule in enumerate(plan.credits):
        at = f"/credits/{number}"
        bought = [] if plan.top_up is None else [plan.top_up.code]
        yield from grant_id_faults(f"{at}/id", rule.id, bought)
        yield from amount_faults(f"{at}/amount", rule.amount)
        yield from count_faults(f"{at}/lasts_cycles", rule.lasts_cycles)
        yield from code_faults(f"{at}/codes", rule.codes, payable)
        if rule.rollover is not None:
            yield from price_faults(f"{at}/rollover/cap", rule.rollover.cap)
            yield from count_faults(f"{at}/rollover/cycles", rule.rollover.cycles)
            if rule.lasts_cycles is None:
                yield Fault(f"{at}/rollover", "never_expires", "only what expires can roll over")
    yield from threshold_faults("/credit_thresholds", plan.credit_thresholds)
    if plan.top_up is not None:
        yield from count_faults("/top_up/lasts_days", plan.top_up.lasts_days)
        if not 0 <= plan.top_up.threshold < 1:
            yield Fault("/top_up/threshold", "not_a_share", "it must be at least 0 and below 1")


def _agreement_faults(terms: AgreementTerms) -> Iterator[Fault]:
    if not terms.versions:
        yield Fault("/versions", "missing", "at least one version is needed")
        return
    first, last = terms.versions[0].plan, None
    for number, version in enumerate(terms.versions):
        at = f"/versions/{number}"
        if (version.plan.currency, version.plan.cycle) != (first.currency, first.cycle):
            yield Fault(at, "other_cycle_or_currency", "a ramp keeps its currency and its cycle")
        if last is not None and version.starts_at <= last:
            yield Fault(f"{at}/starts_at", "versions_order", "versions must be ascending")
        last = version.starts_at
        if number and version.starts_at >= terms.span.starts_at:
            cycle = cycle_of(first.cycle, terms.span.starts_at, version.starts_at)
            if cycle.start != version.starts_at:
                detail = f"cycles begin at {cycle.start.isoformat()} and {cycle.end.isoformat()}"
                yield Fault(f"{at}/starts_at", "not_a_cycles_start", detail)
    known = {code for version in terms.versions for code in version.plan.codes()}
    taken = {rule.id for version in terms.versions for rule in version.plan.credits}
    yield from repeat_faults([(f"/grants/{n}/id", e.id) for n, e in enumerate(terms.grants)], "id")
    for number, grant in enumerate(terms.grants):
        at = f"/grants/{number}"
        yield from grant_id_faults(f"{at}/id", grant.id, taken)
        yield from amount_faults(f"{at}/amount", grant.amount)
        yield from code_faults(f"{at}/codes", grant.codes, known)
        if grant.expires_at is not None and grant.expires_at <= grant.effective_at:
            yield Fault(f"{at}/expires_at", "empty_span", "it must be after effective_at")
    for code, changes in terms.seats.items():
        yield from code_faults(f"/seats/{code}", [code], known)
        for number, change in enumerate(changes):
            yield from price_faults(f"/seats/{code}/{number}/seats", change.seats)
            if number and change.at <= changes[number - 1].at:
                yield Fault(f"/seats/{code}/{number}/at", "order", "changes must be ascending")
