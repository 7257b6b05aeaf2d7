"""What a plan promises a buyer, and what a listing has to hold of it: one promise for each thing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from meterbridge.domain.pricing.channel_reporting import ChannelReporting, ReportingMode
from meterbridge.domain.pricing.plan_terms import PlanTerms, SeatFee


class PromiseKind(StrEnum):
    """What a promise is about: first what the plan says, then what its listing has to take."""

    CURRENCY = "currency"
    CYCLE = "cycle"
    DIMENSION = "dimension"
    PRICE = "price"
    INCREMENT = "increment"
    ENTITLEMENT = "entitlement"
    FEE = "fee"
    SEATS = "seats"
    TRIAL = "trial"
    DISCOUNT = "discount"
    MINIMUM = "minimum"
    COMMITMENT = "commitment"
    CREDITS = "credits"
    TOP_UP = "top_up"
    SPEND_CAP = "spend_cap"
    NUMBER_OF_DIMENSIONS = "number_of_dimensions"
    DIMENSION_CODE = "dimension_code"
    PRICE_PRECISION = "price_precision"
    QUANTITIES = "quantities"
    ZERO_QUANTITIES = "zero_quantities"
    NEGATIVE_QUANTITIES = "negative_quantities"


@dataclass(frozen=True, slots=True)
class Promise:
    """One thing that has to be kept on a channel.

    Attributes:
        pointer: JSON pointer into the terms.
        code: of the dimension, fee or other charge; a reported dimension's own; "" for the plan.
    """

    kind: PromiseKind
    pointer: str
    code: str = ""


def plan_promises(plan: PlanTerms) -> tuple[Promise, ...]:
    """What a plan promises, whatever the channel."""
    return tuple(_plan_promises(plan))


def listing_promises(reporting: ChannelReporting, at: str) -> tuple[Promise, ...]:
    """What a listing has to take of how a plan is reported.

    Args:
        at: pointer of the channel's reporting.
    """
    return tuple(_listing_promises(reporting, at))


def _plan_promises(plan: PlanTerms) -> Iterator[Promise]:
    yield Promise(PromiseKind.CURRENCY, "/currency")
    yield Promise(PromiseKind.CYCLE, "/cycle")
    for number, dimension in enumerate(plan.dimensions):
        at, code = f"/dimensions/{number}", dimension.code
        yield Promise(PromiseKind.DIMENSION, at, code)
        yield Promise(PromiseKind.PRICE, f"{at}/price", code)
        if dimension.increment is not None:
            yield Promise(PromiseKind.INCREMENT, f"{at}/increment", code)
        if dimension.entitlement is not None:
            yield Promise(PromiseKind.ENTITLEMENT, f"{at}/entitlement", code)
    for number, fee in enumerate(plan.fees):
        kind = PromiseKind.SEATS if isinstance(fee, SeatFee) else PromiseKind.FEE
        yield Promise(kind, f"/fees/{number}", fee.code)
    if plan.trial is not None:
        yield Promise(PromiseKind.TRIAL, "/trial")
    for number in range(len(plan.discounts)):
        yield Promise(PromiseKind.DISCOUNT, f"/discounts/{number}")
    if plan.minimum is not None:
        yield Promise(PromiseKind.MINIMUM, "/minimum", plan.minimum.code)
    if plan.commitment is not None:
        yield Promise(PromiseKind.COMMITMENT, "/commitment", plan.commitment.code)
    for number in range(len(plan.credits)):
        yield Promise(PromiseKind.CREDITS, f"/credits/{number}")
    if plan.top_up is not None:
        yield Promise(PromiseKind.TOP_UP, "/top_up", plan.top_up.code)
    if plan.spend_cap is not None:
        yield Promise(PromiseKind.SPEND_CAP, "/spend_cap")


def _listing_promises(reporting: ChannelReporting, at: str) -> Iterator[Promise]:
    yield Promise(PromiseKind.NUMBER_OF_DIMENSIONS, f"{at}/dimensions")
    if not reporting.dimensions:
        return
    yield Promise(PromiseKind.ZERO_QUANTITIES, at)
    yield Promise(PromiseKind.NEGATIVE_QUANTITIES, at)
    for number, dimension in enumerate(reporting.dimensions):
        place, code = f"{at}/dimensions/{number}", dimension.code
        yield Promise(PromiseKind.DIMENSION_CODE, f"{place}/code", code)
        yield Promise(PromiseKind.QUANTITIES, place, code)
        if dimension.mode is ReportingMode.NATIVE:
            yield Promise(PromiseKind.PRICE_PRECISION, f"{place}/price", code)
