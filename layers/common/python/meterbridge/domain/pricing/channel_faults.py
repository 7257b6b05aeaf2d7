"""What a marketplace cannot take of a plan as it is reported there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from meterbridge.domain.channels import REPORTED_CHANNELS, Channel
from meterbridge.domain.money import Rounding, to_increment
from meterbridge.domain.pricing.agreement_terms import Grant
from meterbridge.domain.pricing.channel_reporting import (
    ChannelReporting,
    ReportedDimension,
    ReportingMode,
    Source,
)
from meterbridge.domain.pricing.faults import Fault, amount_faults, code_faults, repeat_faults
from meterbridge.domain.pricing.listing_limits import LISTING_LIMITS
from meterbridge.domain.pricing.models import (
    Dimensional,
    PriceModel,
    Waterfall,
)
from meterbridge.domain.pricing.native_prices import (
    is_share_without_end,
    native_price,
    unit_price,
)
from meterbridge.domain.pricing.plan_terms import PlanTerms, TrialKind
from meterbridge.domain.pricing.promises import plan_promises


@dataclass(frozen=True, slots=True)
class Broken:
    """A fault, and the promises that a channel cannot keep because of it.

    Attributes:
        promises: their pointers, see `promises.py`.
    """

    fault: Fault
    promises: tuple[str, ...]


def channel_faults(plan: PlanTerms) -> Iterator[Fault]:
    """All that is wrong with how a plan is reported, channel by channel."""
    names = [(f"/reporting/{n}/channel", each.channel) for n, each in enumerate(plan.reporting)]
    yield from repeat_faults(names, "channel")
    for number, reporting in enumerate(plan.reporting):
        yield from (each.fault for each in broken_promises(plan, reporting, f"/reporting/{number}"))


def broken_promises(plan: PlanTerms, reporting: ChannelReporting, at: str) -> Iterator[Broken]:
    """What one channel cannot do of a plan as it is to be reported there.

    Args:
        at: pointer of the reporting.
    """
    yield from _limit_faults(at, plan, reporting)
    listing = f"{at}/dimensions"
    apart = code_faults(f"{at}/billed_apart", reporting.billed_apart, plan.codes())
    yield from (Broken(fault, (listing,)) for fault in apart)
    for place, dimension in enumerate(reporting.dimensions):
        yield from _dimension_faults(f"{listing}/{place}", plan, dimension)
        if reporting.channel in REPORTED_CHANNELS:
            yield from _lowered_faults(f"{listing}/{place}", plan, dimension)
    yield from _coverage_faults(at, plan, reporting)


def grant_faults(plan: PlanTerms, channel: Channel, grants: Sequence[Grant]) -> Iterator[Fault]:
    """Grants that would pay for what the channel charges by a price of its own."""
    if channel not in REPORTED_CHANNELS:
        return
    sources = [
        source
        for reporting in plan.reporting
        if reporting.channel is channel
        for dimension in reporting.dimensions
        if dimension.mode is ReportingMode.NATIVE
        for source in dimension.sources
    ]
    for number, grant in enumerate(grants):
        paid = sorted({source.code for source in sources if _touches(grant.codes, source)})
        if paid:
            detail = f"{channel} charges {', '.join(paid)} by its own price, whatever is granted"
            yield Fault(f"/grants/{number}", "not_native", detail)


def _limit_faults(at: str, plan: PlanTerms, reporting: ChannelReporting) -> Iterator[Broken]:
    names = [(f"{at}/dimensions/{n}/code", e.code) for n, e in enumerate(reporting.dimensions)]
    for fault in repeat_faults(names, "dimension"):
        yield Broken(fault, (fault.pointer,))
    limits = LISTING_LIMITS.get(reporting.channel)
    if limits is None:
        return
    if plan.currency not in limits.currencies and reporting.dimensions:
        detail = f"{reporting.channel} meters in {' or '.join(sorted(limits.currencies))} only"
        yield Broken(Fault("/currency", "channel_currency", detail), ("/currency",))
    if len(reporting.dimensions) > limits.dimensions:
        detail = f"{reporting.channel} takes {limits.dimensions} dimensions"
        pointer = f"{at}/dimensions"
        yield Broken(Fault(pointer, "too_many_dimensions", detail), (pointer,))
    for pointer, code in names:
        if code and not re.fullmatch(limits.code, code):
            detail = f"{reporting.channel} does not take {code!r}"
            yield Broken(Fault(pointer, "dimension_code", detail), (pointer,))
    for number, dimension in enumerate(reporting.dimensions):
        price = native_price(plan, dimension)
        step = limits.price_step
        if price is not None and step and to_increment(price, step, Rounding.FLOOR) != price:
            detail = f"{reporting.channel} takes prices in steps of {step:f}"
            pointer = f"{at}/dimensions/{number}"
            yield Broken(Fault(pointer, "price_precision", detail), (f"{pointer}/price",))
        elif is_share_without_end(plan, dimension):
            detail = "the price of one unit has no end: report it in currency"
            pointer = f"{at}/dimensions/{number}"
            yield Broken(Fault(pointer, "price_precision", detail), (f"{pointer}/price",))
    trial = plan.trial
    if trial is not None and trial.native:
        days = limits.trial_days
        if trial.kind is not TrialKind.DAYS or days is None:
            detail = f"{reporting.channel} has no such trial of its own"
            yield Broken(Fault("/trial/native", "no_native_trial", detail), ("/trial",))
        elif trial.days is not None and not days[0] <= trial.days <= days[1]:
            detail = f"{reporting.channel}'s trials last {days[0]} to {days[1]} days"
            yield Broken(Fault("/trial/days", "native_trial_days", detail), ("/trial",))


def _dimension_faults(at: str, plan: PlanTerms, dimension: ReportedDimension) -> Iterator[Broken]:
    for fault in _structure_faults(at, plan, dimension):
        yield Broken(fault, (at,))
    if dimension.mode is not ReportingMode.NATIVE:
        return
    prices = {each.code: each.price for each in plan.dimensions}
    for number, source in enumerate(dimension.sources):
        pointer = f"{at}/sources/{number}"
        if source.code in prices:
            yield from _native_faults(pointer, plan, source, prices[source.code])
        elif source.code in plan.codes():
            fault = Fault(pointer, "not_native", "a fee or true-up has no metered units")
            yield Broken(fault, _promised(plan, source.code))


def _structure_faults(at: str, plan: PlanTerms, dimension: ReportedDimension) -> Iterator[Fault]:
    """What no marketplace could make sense of."""
    yield from amount_faults(f"{at}/units_per_quantity", dimension.units_per_quantity)
    if not dimension.sources:
        yield Fault(f"{at}/sources", "missing", "it reports nothing")
    native = dimension.mode is ReportingMode.NATIVE
    prices = {each.code: each.price for each in plan.dimensions}
    for number, source in enumerate(dimension.sources):
        pointer = f"{at}/sources/{number}"
        yield from code_faults(f"{pointer}/code", [source.code], plan.codes())
        if source.code in prices:
            yield from _source_faults(pointer, source, prices[source.code], native=native)
    found = {unit_price(prices[e.code], e) for e in dimension.sources if e.code in prices}
    if native and len(found - {None}) > 1:
        yield Fault(f"{at}/sources", "several_prices", "a native dimension has one unit price")


def _source_faults(at: str, source: Source, price: PriceModel, *, native: bool) -> Iterator[Fault]:
    steps = {step.name for step in price.steps} if isinstance(price, Waterfall) else set()
    if source.step and source.step not in steps:
        yield Fault(f"{at}/step", "unknown_step", f"there is no step {source.step!r}")
    if source.step and not native:
        detail = "discounts and credits are not told by step: report the whole dimension"
        yield Fault(f"{at}/step", "step_in_currency", detail)
    if source.group is not None and source.group not in _groups(price):
        yield Fault(f"{at}/group", "unknown_group", "no price names this group")


def _native_faults(at: str, plan: PlanTerms, source: Source, price: PriceModel) -> Iterator[Broken]:
    """Why a marketplace's own unit price cannot come to the charge of a source."""
    if unit_price(price, source) is None:
        detail = "only one price per unit can be the marketplace's own"
        pointers = [each for each in _promised(plan, source.code) if each.endswith("/price")]
        yield Broken(Fault(at, "not_native", detail), tuple(pointers))


def _lowered_faults(at: str, plan: PlanTerms, dimension: ReportedDimension) -> Iterator[Broken]:
    """What lowers the charge of a source below the price that a marketplace lists."""
    if dimension.mode is not ReportingMode.NATIVE:
        return
    prices = {each.code for each in plan.dimensions}
    for number, source in enumerate(dimension.sources):
        if source.code not in prices:
            continue
        for pointer in _lowering(plan, source):
            detail = f"{pointer} lowers the charge, which only currency can report"
            fault = Fault(f"{at}/sources/{number}", "not_native", detail)
            yield Broken(fault, (pointer,))


def _lowering(plan: PlanTerms, source: Source) -> list[str]:
    """Pointers of what lowers a charge in money."""
    found = [
        *(f"/discounts/{n}" for n, e in enumerate(plan.discounts) if _touches(e.codes, source)),
        *(f"/credits/{n}" for n, e in enumerate(plan.credits) if _touches(e.codes, source)),
    ]
    found += ["/top_up"] if plan.top_up is not None else []
    found += ["/spend_cap"] if plan.spend_cap is not None else []
    if plan.trial is not None and plan.trial.kind is TrialKind.AMOUNT:
        found.append("/trial")
    return found


def _promised(plan: PlanTerms, code: str) -> tuple[str, ...]:
    """Pointers of everything that the plan promises of a code."""
    return tuple(each.pointer for each in plan_promises(plan) if each.code == code)


def _touches(codes: frozenset[str], source: Source) -> bool:
    return not codes or source.code in codes


def _groups(price: PriceModel) -> set[tuple[str, ...]]:
    return {(), *(each.group for each in price.prices)} if isinstance(price, Dimensional) else {()}


def _coverage_faults(at: str, plan: PlanTerms, reporting: ChannelReporting) -> Iterator[Broken]:
    """Everything charged must be reported exactly once, or said to be billed apart."""
    prices = {each.code: each.price for each in plan.dimensions}
    sources = [source for each in reporting.dimensions for source in each.sources]
    for code in plan.codes():
        units = _units_of(prices.get(code))
        reported = [
            unit
            for source in sources
            if source.code == code
            for unit in units
            if source.step in ("", unit[0]) and source.group in (None, unit[1])
        ]
        if code in reporting.billed_apart:
            reported += units
        for unit in units:
            times = reported.count(unit)
            if times != 1:
                part = "".join(f" {each}" for each in (unit[0], "/".join(unit[1])) if each)
                fault = "not_reported" if times == 0 else "reported_twice"
                detail = f"{code}{part} is reported {times} times"
                yield Broken(Fault(f"{at}/dimensions", fault, detail), _promised(plan, code))


def _units_of(price: PriceModel | None) -> list[tuple[str, tuple[str, ...]]]:
    """What of a code can be reported by itself: (step, group)."""
    if isinstance(price, Waterfall):
        return [(step.name, ()) for step in price.steps]
    return [("", group) for group in sorted(_groups(price))] if price is not None else [("", ())]
