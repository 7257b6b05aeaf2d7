"""How a channel keeps each promise that nothing forbids it to keep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from meterbridge.domain.channels import QuantityKind
from meterbridge.domain.money import plain
from meterbridge.domain.policy import reporting_policy
from meterbridge.domain.pricing.channel_reporting import (
    ChannelReporting,
    ReportedDimension,
    ReportingMode,
)
from meterbridge.domain.pricing.listing_limits import LISTING_LIMITS, ListingLimits
from meterbridge.domain.pricing.models import Waterfall
from meterbridge.domain.pricing.native_prices import native_price
from meterbridge.domain.pricing.plan_terms import PlanTerms, TrialKind
from meterbridge.domain.pricing.promises import Promise, PromiseKind

APART = "not metered there: the listing's own flat fee, or an invoice"


class Parity(StrEnum):
    """How a channel keeps a promise.

    NATIVE: its listing has the same. EMULATED: Meterbridge does it before it reports.
    INVOICED_APART: it is not metered there. IMPOSSIBLE: there is no way as the terms are.
    """

    NATIVE = "native"
    EMULATED = "emulated"
    INVOICED_APART = "invoiced_apart"
    IMPOSSIBLE = "impossible"


Answer = tuple[Parity, str]
"""How a promise is kept, and that in words."""


@dataclass(frozen=True)
class Setting:
    """A plan on one channel at a moment."""

    plan: PlanTerms
    reporting: ChannelReporting
    at: str
    moment: datetime

    @property
    def limits(self) -> ListingLimits | None:
        """What the listing can hold; None where there is no listing."""
        return LISTING_LIMITS.get(self.reporting.channel)

    def reported(self, promise: Promise) -> ReportedDimension:
        """The reported dimension that a promise of the listing is about."""
        number = int(promise.pointer.removeprefix(f"{self.at}/dimensions/").split("/")[0])
        return self.reporting.dimensions[number]

    def natively(self, codes: Iterable[str]) -> list[ReportedDimension]:
        """Dimensions that report some of these in their own units."""
        return self._among(codes, ReportingMode.NATIVE)

    def in_currency(self, codes: Iterable[str]) -> list[ReportedDimension]:
        """Dimensions that report the charge of some of these."""
        return self._among(codes, ReportingMode.CURRENCY)

    def _among(self, codes: Iterable[str], mode: ReportingMode) -> list[ReportedDimension]:
        places = sorted({place for code in codes for place in self._places.get(code, ())})
        found = [self.reporting.dimensions[place] for place in places]
        return [each for each in found if each.mode is mode]

    @cached_property
    def _places(self) -> Mapping[str, set[int]]:
        """By code, which reported dimensions report it."""
        found: dict[str, set[int]] = {}
        for place, dimension in enumerate(self.reporting.dimensions):
            for source in dimension.sources:
                found.setdefault(source.code, set()).add(place)
        return found


def kept(setting: Setting, promise: Promise) -> Answer:
    """How a promise is kept, as long as no fault of the terms forbids it."""
    if setting.limits is None:
        return Parity.INVOICED_APART, "on an invoice: nothing is metered there"
    return _ANSWERS[promise.kind](setting, promise)


def _names(dimensions: Iterable[ReportedDimension]) -> str:
    return ", ".join(f"`{each.code}`" for each in dimensions)


def _charged(setting: Setting, codes: Iterable[str]) -> str:
    """In which units the charges of these are reported."""
    currency = setting.plan.currency
    return "reported in " + " and ".join(
        f"units of {currency} {plain(each.units_per_quantity)} under dimension `{each.code}`"
        for each in setting.in_currency(codes)
    )


def _currency(setting: Setting, _: Promise) -> Answer:
    if not setting.reporting.dimensions:
        return (
            Parity.INVOICED_APART,
            f"nothing is metered there; invoiced in {setting.plan.currency}",
        )
    return Parity.NATIVE, f"usage is priced in {setting.plan.currency}"


def _cycle(setting: Setting, _: Promise) -> Answer:
    limits, cycle = setting.limits, setting.plan.cycle
    if limits is None or not setting.reporting.dimensions:
        return Parity.INVOICED_APART, f"counted and invoiced by {cycle}"
    if cycle is limits.own_cycle:
        return Parity.NATIVE, "it invoices by the same months"
    return (
        Parity.EMULATED,
        f"counted here by {cycle}; it invoices what is reported by its own months",
    )


def _dimension(setting: Setting, promise: Promise) -> Answer:
    codes = [promise.code]
    if setting.in_currency(codes):
        return Parity.EMULATED, f"its charge is {_charged(setting, codes)}"
    if natively := setting.natively(codes):
        return Parity.NATIVE, f"metered there as {_names(natively)}"
    return Parity.INVOICED_APART, APART


def _price(setting: Setting, promise: Promise) -> Answer:
    codes = [promise.code]
    if setting.in_currency(codes):
        return Parity.EMULATED, f"the charge is computed here and {_charged(setting, codes)}"
    natively = setting.natively(codes)
    if not natively:
        return Parity.INVOICED_APART, APART
    price = next(each.price for each in setting.plan.dimensions if each.code == promise.code)
    if isinstance(price, Waterfall):
        return Parity.EMULATED, f"one dimension for each step, chosen here: {_names(natively)}"
    listed = ", ".join(_listed_price(setting.plan, each) for each in natively)
    return Parity.NATIVE, f"the listing's own price: {listed}"


def _listed_price(plan: PlanTerms, dimension: ReportedDimension) -> str:
    price, per = native_price(plan, dimension), dimension.units_per_quantity
    unit = "a unit" if per == 1 else f"{plain(per)} units"
    asked = "no price" if price is None else f"{plan.currency} {plain(price)}"
    return f"{asked} for {unit} of `{dimension.code}`"


def _before_reporting(what: str) -> Callable[[Setting, Promise], Answer]:
    """For what changes the quantity that counts, natively reported or not."""

    def answer(setting: Setting, promise: Promise) -> Answer:
        codes = [promise.code]
        if setting.natively(codes) or setting.in_currency(codes):
            return Parity.EMULATED, f"{what} here, before it is reported"
        return Parity.INVOICED_APART, APART

    return answer


def _own_charge(setting: Setting, promise: Promise) -> Answer:
    """For fees and true-ups, which are charges of their own."""
    if setting.in_currency([promise.code]):
        return Parity.EMULATED, _charged(setting, [promise.code])
    return Parity.INVOICED_APART, APART


def _trial(setting: Setting, _: Promise) -> Answer:
    trial, codes = setting.plan.trial, setting.plan.codes()
    natively, charged = setting.natively(codes), setting.in_currency(codes)
    if not natively and not charged:
        return Parity.INVOICED_APART, APART
    if trial is not None and trial.native:
        return (
            Parity.NATIVE,
            f"its own trial of {trial.days} days: usage is reported and invoiced at 0",
        )
    ways = [f"{_names(natively)} not told of free usage"] if natively else []
    ways += [f"its charge left out of {_names(charged)}"] if charged else []
    if trial is not None and trial.kind is TrialKind.AMOUNT:
        ways = [f"its amount left out of {_names(charged)}"]
    return Parity.EMULATED, _with_apart(setting, " and ".join(ways), codes)


def _lowering(setting: Setting, promise: Promise) -> Answer:
    """For what is taken off charges: discounts, credits and the spend cap."""
    codes = _lowered_codes(setting.plan, promise)
    if not setting.in_currency(codes):
        return Parity.INVOICED_APART, APART
    taken = f"taken off before the charge is {_charged(setting, codes)}"
    return Parity.EMULATED, _with_apart(setting, taken, codes)


def _lowered_codes(plan: PlanTerms, promise: Promise) -> list[str]:
    number = promise.pointer.rpartition("/")[2]
    chosen: frozenset[str] = frozenset()
    if promise.kind is PromiseKind.DISCOUNT:
        chosen = plan.discounts[int(number)].codes
    if promise.kind is PromiseKind.CREDITS:
        chosen = plan.credits[int(number)].codes
    return [code for code in plan.codes() if not chosen or code in chosen]


def _with_apart(setting: Setting, text: str, codes: Iterable[str]) -> str:
    apart = [f"`{code}`" for code in codes if code in setting.reporting.billed_apart]
    return f"{text}; for {', '.join(apart)} on the invoice apart" if apart else text


def _number_of_dimensions(setting: Setting, _: Promise) -> Answer:
    count, limits = len(setting.reporting.dimensions), setting.limits
    if limits is None or not count:
        return Parity.INVOICED_APART, "nothing is metered there"
    return Parity.NATIVE, f"{count} of at most {limits.dimensions}"


def _dimension_code(_: Setting, promise: Promise) -> Answer:
    return Parity.NATIVE, f"`{promise.code}` is taken as it is"


def _price_precision(setting: Setting, promise: Promise) -> Answer:
    limits, dimension = setting.limits, setting.reported(promise)
    if limits is None:
        return Parity.INVOICED_APART, APART
    step = limits.price_step
    known = "no step is published" if step is None else f"in steps of {step:f}"
    return Parity.NATIVE, f"{_listed_price(setting.plan, dimension)}; {known}"


def _quantities(setting: Setting, promise: Promise) -> Answer:
    dimension = setting.reported(promise)
    policy = reporting_policy(setting.reporting.channel, setting.moment)
    if policy is None:
        return Parity.INVOICED_APART, APART
    kind = dimension.quantity_kind
    most = f"at most {plain(policy.max_quantity[kind])} in a record"
    if kind is QuantityKind.DECIMAL:
        taken = f"in steps of {plain(policy.step(kind))}, {most}; what is finer is carried"
        if setting.limits is not None and not setting.limits.decimals_safe:
            taken += "; its pages disagree on fractions: whole small units are safe"
        return Parity.NATIVE, taken
    return Parity.EMULATED, f"whole units, {most}; a fraction is carried until it makes one"


def _zero_quantities(setting: Setting, _: Promise) -> Answer:
    policy = reporting_policy(setting.reporting.channel, setting.moment)
    if policy is None:
        return Parity.INVOICED_APART, APART
    if policy.zero_allowed:
        return Parity.NATIVE, "an hour without usage may be reported as 0"
    return Parity.EMULATED, "an hour without usage is not reported"


def _negative_quantities(setting: Setting, _: Promise) -> Answer:
    limits = setting.limits
    if limits is None:
        return Parity.INVOICED_APART, APART
    return (
        Parity.EMULATED,
        "what is taken back (a volume price that falls, seats given back) is carried and set off "
        f"against later usage; what is left at the end is {limits.correction}",
    )


_ANSWERS: Mapping[PromiseKind, Callable[[Setting, Promise], Answer]] = {
    PromiseKind.CURRENCY: _currency,
    PromiseKind.CYCLE: _cycle,
    PromiseKind.DIMENSION: _dimension,
    PromiseKind.PRICE: _price,
    PromiseKind.INCREMENT: _before_reporting("rounded"),
    PromiseKind.ENTITLEMENT: _before_reporting("the included quantity is taken off"),
    PromiseKind.FEE: _own_charge,
    PromiseKind.SEATS: _own_charge,
    PromiseKind.TRIAL: _trial,
    PromiseKind.DISCOUNT: _lowering,
    PromiseKind.MINIMUM: _own_charge,
    PromiseKind.COMMITMENT: _own_charge,
    PromiseKind.CREDITS: _lowering,
    PromiseKind.TOP_UP: _own_charge,
    PromiseKind.SPEND_CAP: _lowering,
    PromiseKind.NUMBER_OF_DIMENSIONS: _number_of_dimensions,
    PromiseKind.DIMENSION_CODE: _dimension_code,
    PromiseKind.PRICE_PRECISION: _price_precision,
    PromiseKind.QUANTITIES: _quantities,
    PromiseKind.ZERO_QUANTITIES: _zero_quantities,
    PromiseKind.NEGATIVE_QUANTITIES: _negative_quantities,
}
