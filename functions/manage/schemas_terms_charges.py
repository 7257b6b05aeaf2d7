"""What a plan charges for: dimensions of a meter, and fees, told apart by `kind`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictBool

from manage.fields import (
    Amount,
    Code,
    Group,
    Identifier,
    Input,
    Moment,
    OptionalName,
)
from manage.schemas_terms_prices import PriceModel
from manage.tagged_unions import told_by
from meterbridge.domain.money import Rounding
from meterbridge.domain.pricing.increments import Interval
from meterbridge.domain.pricing.plan_terms import THRESHOLDS, PaymentSchedule

Thresholds = Annotated[
    list[Amount],
    Field(max_length=20, description="Percent, ascending, at which an event tells"),
]


class Increment(Input):
    """Quantities count in multiples of `size`, rounded once per interval."""

    size: Amount
    rounding: Rounding = Rounding.CEILING
    interval: Interval = Interval.CYCLE


class Entitlement(Input):
    """The quantity of each cycle that is included."""

    quantity: Amount | None = Field(None, description="All of it if null")
    overage_allowed: StrictBool = Field(
        True, description="false bills nothing beyond it, and tells how much that was"
    )
    thresholds: Thresholds = Field(list(THRESHOLDS))


class PricedDimension(Input):
    """A meter's quantity with its price."""

    code: Code = Field(description="Unique among everything that the plan charges for")
    name: OptionalName = ""
    meter_id: Identifier
    price: PriceModel
    increment: Increment | None = None
    entitlement: Entitlement | None = None
    event_meter_id: Identifier | Literal[""] = Field(
        "", description="Counts the events of a percentage's fixed part: a count or sum meter"
    )
    group: Group = Field(default_factory=dict)


class SubscriptionFee(Input):
    """A price for each cycle."""

    kind: Literal["subscription"]
    code: Code
    price: Amount
    schedule: PaymentSchedule = PaymentSchedule.UPFRONT
    prorate: StrictBool = Field(
        True, description="A cycle that is covered in part costs its share of hours"
    )


class SeatFee(Input):
    """A price for each seat and cycle."""

    kind: Literal["seats"]
    code: Code
    price: Amount
    schedule: PaymentSchedule = PaymentSchedule.UPFRONT
    prorate: StrictBool = Field(
        True, description="false: each cycle costs the most seats that it had so far"
    )


class OneOffFee(Input):
    """A price charged once."""

    kind: Literal["one_off"]
    code: Code
    price: Amount
    at: Moment | None = Field(None, description="With the agreement's first hour if null")


Fee = Annotated[SubscriptionFee | SeatFee | OneOffFee, *told_by("kind")]
