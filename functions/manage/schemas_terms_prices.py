"""Price models: what is sent and what is answered, told apart by `model`.

The members are named as in domain/pricing/models.py and tiers.py, into which they are converted.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, StrictBool

from manage.fields import Amount, GroupValues, Input, Name, OptionalName
from manage.tagged_unions import told_by

_UP_TO = Field(None, description="Upper bound, inclusive; the last has none")


class PerUnit(Input):
    """The same price for each unit, or for each `per` units."""

    model: Literal["per_unit"]
    unit_price: Amount
    per: Amount = Field(
        Decimal(1), description="Units that the price is for: 1000 prices thousands"
    )


class Tier(Input):
    """A span of the cycle's quantity with its price."""

    up_to: Amount | None = _UP_TO
    unit_price: Amount
    flat_amount: Amount = Field(
        Decimal(0), description="Charged once when the quantity enters the tier"
    )
    name: OptionalName = ""


Tiers = Annotated[list[Tier], Field(min_length=1, max_length=100)]


class Graduated(Input):
    """Each unit at the price of the tier that it falls into."""

    model: Literal["graduated"]
    tiers: Tiers


class Volume(Input):
    """All units at the price of the tier that the cycle's quantity has reached."""

    model: Literal["volume"]
    tiers: Tiers


class Package(Input):
    """A price for each package of units begun."""

    model: Literal["package"]
    size: Amount
    price: Amount


class Percentage(Input):
    """A percentage of an amount, and a fixed part for each event."""

    model: Literal["percentage"]
    percent: Amount = Field(description="2.9 is 2.9 %")
    fixed_amount: Amount = Field(
        Decimal(0), description="For each event that event_meter_id counts"
    )
    free_events: Amount = Field(Decimal(0), description="Events of a cycle without the fixed part")
    free_amount: Amount = Field(
        Decimal(0), description="No percentage is taken of this much of a cycle"
    )
    minimum: Amount | None = Field(None, description="Of the charge of a cycle with usage")
    maximum: Amount | None = Field(None, description="Of the cycle's charge")


class PercentTier(Input):
    """A span of the cycle's amount with a percentage of it."""

    up_to: Amount | None = _UP_TO
    percent: Amount = Field(description="2.9 is 2.9 %")
    flat_amount: Amount = Field(
        Decimal(0), description="Charged once when the amount enters the tier"
    )
    name: OptionalName = ""


class GraduatedPercentage(Input):
    """Each part of an amount at the percentage of the tier that it falls into."""

    model: Literal["graduated_percentage"]
    tiers: list[PercentTier] = Field(min_length=1, max_length=100)


class Flat(Input):
    """An amount for the cycle, whatever the quantity."""

    model: Literal["flat"]
    amount: Amount
    always: StrictBool = Field(False, description="Also in a cycle without usage")


SimpleModel = Annotated[
    PerUnit | Graduated | Volume | Package | Percentage | GraduatedPercentage | Flat,
    *told_by("model"),
]


class WaterfallStep(Input):
    """A step that takes up to a quantity of each cycle."""

    name: Name
    takes: Amount | None = Field(None, description="The last takes all that is left")
    model: SimpleModel


class Waterfall(Input):
    """One meter spread over several steps, each with its own price."""

    model: Literal["waterfall"]
    steps: list[WaterfallStep] = Field(min_length=1, max_length=20)


class GroupPrice(Input):
    """The price of one group of the meter."""

    group: GroupValues = Field(min_length=1)
    model: SimpleModel


class Dimensional(Input):
    """A price by group; all groups without one have the default."""

    model: Literal["dimensional"]
    prices: list[GroupPrice] = Field(min_length=1, max_length=200)
    default: SimpleModel


PriceModel = Annotated[
    PerUnit
    | Graduated
    | Volume
    | Package
    | Percentage
    | GraduatedPercentage
    | Flat
    | Waterfall
    | Dimensional,
    *told_by("model"),
]
