"""What a marketplace cannot take of a plan as it is reported there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

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


@dataclass(frozen=True, slots=True)
class _Limits:
    """What a marketplace's listing can hold of a plan.

    Attributes:
        price_step: finest step of a unit price; None where none is published.
        trial_days: [least, most] days of its own free trial; None has none with metered usage.
    """

    dimensions: int
    code: str
    price_step: Decimal | None
    trial_days: tuple[int, int] | None


_LIMITS = {
    # contracts.md §1.3.3 (key), §1.3.4 (1..800 rows, 8 decimals), §1.2.6 (trials of 7 to 90 days)
    Channel.AWS: _Limits(800, r"[A-Za-z0-9_.-]{1,100}", Decimal("1E-8"), (7, 90)),
    # contracts.md §2.1.5: at most 30 dimensions per offer; no free trial with metered dimensions
    Channel.AZURE: _Limits(30, r".+", None, None),
    # contracts.md §3.3: up to 8 metrics per usage plan; it names no free trial
    Channel.GCP: _Limits(8, r".+", None, None),
}


def channel_faults(plan: PlanTerms) -> Iterator[Fault]:
    """All that is wrong with how a plan is reported, channel by channel."""
    names = [(f"/reporting/{n}/channel", each.channel) for n, each in enumerate(plan.reporting)]
    yield from repeat_faults(names, "channel")
    for number, reporting in enumerate(plan.reporting):
        at = f"/reporting/{number}"
        yield from _limit_faults(at, plan, reporting)
        yield from code_faults(f"{at}/billed_apart", reporting.billed_apart, plan.codes())
        for place, dimension in enumerate(reporting.dimensions):
            yield from _dimension_faults(f"{at}/dimensions/{place}", plan, dimension)
            if reporting.channel in REPORTED_CHANNELS:
                yield from _lowered_faults(f"{at}/dimensions/{place}", plan, dimension)
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


def _limit_faults(at: str, plan: PlanTerms, reporting: ChannelReporting) -> Iterator[Fault]:
    names = [(f"{at}/dimensions/{n}/code", e.code) for n, e in enumerate(reporting.dimensions)]
    yield from repeat_faults(names, "dimension")
    limits = _LIMITS.get(reporting.channel)
    if limits is None:
        return
    if plan.currency != "USD" and reporting.dimensions:
        # contracts.md §1.3.4, §2.3, §3.3: usage is priced in US dollars on all three
        yield Fault("/currency", "channel_currency", f"{reporting.channel} meters in USD only")
    if len(reporting.dimensions) > limits.dimensions:
        detail = f"{reporting.channel} takes {limits.dimensions} dimensions"
        yield Fault(f"{at}/dimensions", "too_many_dimensions", detail)
    for pointer, code in names:
        if code and not re.fullmatch(limits.code, code):
            yield Fault(pointer, "dimension_code", f"{reporting.channel} does not take {code!r}")
    for number, dimension in enumerate(reporting.dimensions):
        price = native_price(plan, dimension)
        step = limits.price_step
        if price is not None and step and to_increment(price, step, Rounding.FLOOR) != price:
            detail = f"{reporting.channel} takes prices in steps of {step:f}"
            yield Fault(f"{at}/dimensions/{number}", "price_precision", detail)
        elif is_share_without_end(plan, dimension):
            detail = "the price of one unit has no end: report it in currency"
            yield Fault(f"{at}/dimensions/{number}", "price_precision", detail)
    trial = plan.trial
    if trial is not None and trial.native:
        days = limits.trial_days
        if trial.kind is not TrialKind.DAYS or days is None:
            detail = f"{reporting.channel} has no such trial of its own"
            yield Fault("/trial/native", "no_native_trial", detail)
        elif trial.days is not None and not days[0] <= trial.days <= days[1]:
            detail = f"{reporting.channel}'s trials last {days[0]} to {days[1]} days"
            yield Fault("/trial/days", "native_trial_days", detail)


def _dimension_faults(at: str, plan: PlanTerms, dimension: ReportedDimension) -> Iterator[Fault]:
    yield from amount_faults(f"{at}/units_per_quantity", dimension.units_per_quantity)
    if not dimension.sources:
        yield Fault(f"{at}/sources", "missing", "it reports nothing")
    native = dimension.mode is ReportingMode.NATIVE
    prices = {each.code: each.price for each in plan.dimensions}
    for number, source in enumerate(dimension.sources):
        pointer = f"{at}/sources/{number}"
        yield from code_faults(f"{pointer}/code", [source.code], plan.codes())
        if source.code not in prices:
            if native and source.code in plan.codes():
                yield Fault(pointer, "not_native", "a fee or true-up has no metered units")
            continue
        yield from _source_faults(pointer, source, prices[source.code], native=native)
        if native:
            yield from _native_faults(pointer, source, prices[source.code])
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


def _native_faults(at: str, source: Source, price: PriceModel) -> Iterator[Fault]:
    """Why a marketplace's own unit price cannot come to the charge of a source."""
    if unit_price(price, source) is None:
        yield Fault(at, "not_native", "only one price per unit can be the marketplace's own")


def _lowered_faults(at: str, plan: PlanTerms, dimension: ReportedDimension) -> Iterator[Fault]:
    """What lowers the charge of a source below the price that a marketplace lists."""
    if dimension.mode is not ReportingMode.NATIVE:
        return
    prices = {each.code for each in plan.dimensions}
    for number, source in enumerate(dimension.sources):
        if source.code in prices:
            yield from _lowering_faults(f"{at}/sources/{number}", plan, source)


def _lowering_faults(at: str, plan: PlanTerms, source: Source) -> Iterator[Fault]:
    lowering = [
        *(f"/discounts/{n}" for n, e in enumerate(plan.discounts) if _touches(e.codes, source)),
        *(f"/credits/{n}" for n, e in enumerate(plan.credits) if _touches(e.codes, source)),
    ]
    lowering += ["/top_up"] if plan.top_up is not None else []
    lowering += ["/spend_cap"] if plan.spend_cap is not None else []
    if plan.trial is not None and plan.trial.kind is TrialKind.AMOUNT:
        lowering.append("/trial")
    for pointer in lowering:
        yield Fault(
            at, "not_native", f"{pointer} lowers the charge, which only currency can report"
        )


def _touches(codes: frozenset[str], source: Source) -> bool:
    return not codes or source.code in codes


def _groups(price: PriceModel) -> set[tuple[str, ...]]:
    return {(), *(each.group for each in price.prices)} if isinstance(price, Dimensional) else {()}


def _coverage_faults(at: str, plan: PlanTerms, reporting: ChannelReporting) -> Iterator[Fault]:
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
                yield Fault(f"{at}/dimensions", fault, f"{code}{part} is reported {times} times")


def _units_of(price: PriceModel | None) -> list[tuple[str, tuple[str, ...]]]:
    """What of a code can be reported by itself: (step, group)."""
    if isinstance(price, Waterfall):
        return [(step.name, ()) for step in price.steps]
    return [("", group) for group in sorted(_groups(price))] if price is not None else [("", ())]
