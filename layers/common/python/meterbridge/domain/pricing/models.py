"""Price models: the charge of a cycle as a pure function of the quantity used in it so far.

An hour's charge is the difference of two of these, so that the hours of a cycle always add up to
its charge, however the usage was spread over them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from msgspec import Struct, structs

from meterbridge.domain.money import (
    ZERO,
    Rounding,
    multiply,
    quotient,
    subtract,
    to_increment,
    whole_count,
)
from meterbridge.domain.pricing.charges import Charge, Part, Rule, priced
from meterbridge.domain.pricing.tiers import (
    PERCENT,
    Graduated,
    GraduatedPercentage,
    Volume,
    slices,
)
from meterbridge.domain.usage import GroupKey


class PerUnit(Struct, frozen=True, tag_field="model", tag="per_unit"):
    """The same price for each unit, or for each `per` units.

    Attributes:
        per: units that the price is for (1000 prices thousands); part of them costs its share.
    """

    unit_price: Decimal
    per: Decimal = Decimal(1)

    def charge(self, quantity: Decimal, events: Decimal = ZERO) -> Charge:
        """The cycle's charge for its quantity so far, to 12 places where a share does not end."""
        if self.per == 1:
            part = priced(Rule.PER_UNIT, quantity, self.unit_price, quantity=quantity)
        else:
            amount = quotient(multiply(self.unit_price, quantity), self.per)
            units = quotient(quantity, self.per)
            part = Part(Rule.PER_UNIT, amount, quantity, units, self.unit_price)
        return Charge.of((part,))


class Package(Struct, frozen=True, tag_field="model", tag="package"):
    """A price for each package of units begun."""

    size: Decimal
    price: Decimal

    def charge(self, quantity: Decimal, events: Decimal = ZERO) -> Charge:
        """The cycle's charge for its quantity so far: part of a package costs a whole one."""
        filled = to_increment(quantity, self.size, Rounding.CEILING)
        packages = whole_count(filled, self.size)
        return Charge.of((priced(Rule.PACKAGE, packages, self.price, quantity=quantity),))


class Percentage(Struct, frozen=True, tag_field="model", tag="percentage"):
    """A percentage of an amount, and a fixed part for each event.

    Attributes:
        percent: 2.9 is 2.9 %.
        fixed_amount: for each event.
        free_events: events of a cycle without the fixed part.
        free_amount: of a cycle's amount, no percentage is taken of this much.
        minimum, maximum: of the cycle's charge; the minimum only in a cycle with priced usage.
    """

    percent: Decimal
    fixed_amount: Decimal = ZERO
    free_events: Decimal = ZERO
    free_amount: Decimal = ZERO
    minimum: Decimal | None = None
    maximum: Decimal | None = None

    def charge(self, quantity: Decimal, events: Decimal = ZERO) -> Charge:
        """The cycle's charge for its amount and number of events so far."""
        return Charge.of(self._parts(quantity, events))

    def _parts(self, quantity: Decimal, events: Decimal) -> Iterator[Part]:
        free = min(max(quantity, ZERO), self.free_amount)
        taxed = subtract(quantity, free)
        billed_events = max(subtract(events, self.free_events), ZERO)
        parts = (
            priced(Rule.FREE_AMOUNT, free, ZERO, quantity=free),
            priced(Rule.PERCENTAGE, taxed, multiply(self.percent, PERCENT), quantity=taxed),
            priced(Rule.FIXED_PER_EVENT, billed_events, self.fixed_amount),
        )
        yield from parts
        total = Charge.of(parts).amount
        used = quantity or (events and self.fixed_amount)
        if self.minimum is not None and used and total < self.minimum:
            yield Part(Rule.MINIMUM, subtract(self.minimum, total))
        if self.maximum is not None and total > self.maximum:
            yield Part(Rule.MAXIMUM, subtract(self.maximum, total))


class Flat(Struct, frozen=True, tag_field="model", tag="flat"):
    """An amount for the cycle, whatever the quantity.

    Attributes:
        always: also in a cycle without usage.
    """

    amount: Decimal
    always: bool = False

    def charge(self, quantity: Decimal, events: Decimal = ZERO) -> Charge:
        """The cycle's charge for its quantity so far."""
        units = Decimal(1) if self.always or quantity != 0 else ZERO
        return Charge.of((priced(Rule.FLAT, units, self.amount, quantity=quantity),))


SimpleModel = PerUnit | Graduated | Volume | Package | Percentage | GraduatedPercentage | Flat


@dataclass(frozen=True, slots=True)
class WaterfallStep:
    """A step that takes up to a quantity of each cycle.

    Attributes:
        takes: None takes all that is left.
    """

    name: str
    takes: Decimal | None
    model: SimpleModel


class Waterfall(Struct, frozen=True, tag_field="model", tag="waterfall"):
    """One meter spread over several steps, each priced, and reported, by itself."""

    steps: tuple[WaterfallStep, ...]

    def charge(self, quantity: Decimal, events: Decimal = ZERO) -> Charge:
        """The cycle's charge for its quantity so far; every part names its step."""
        within = dict(slices(quantity, self._bounds()))
        return Charge.of(
            structs.replace(part, step=step.name)
            for position, step in enumerate(self.steps, start=1)
            for part in step.model.charge(within.get(position, ZERO)).parts
        )

    def _bounds(self) -> list[Decimal | None]:
        bounds: list[Decimal | None] = []
        reached = ZERO
        for step in self.steps:
            if step.takes is None:
                bounds.append(None)
                break
            reached = subtract(reached, step.takes.copy_negate())
            bounds.append(reached)
        return bounds


@dataclass(frozen=True, slots=True)
class GroupPrice:
    """The price of one value of a meter's group-by."""

    group: GroupKey
    model: SimpleModel


class Dimensional(Struct, frozen=True, tag_field="model", tag="dimensional"):
    """A price by group (Paigo's tiersGroupByMetadata).

    Each named group counts its own quantity from zero; all others together have the default.
    """

    prices: tuple[GroupPrice, ...]
    default: SimpleModel

    def named(self, group: GroupKey) -> GroupKey:
        """The group under which a group is counted; () is all that have no price of their own."""
        return group if any(price.group == group for price in self.prices) else ()

    def model(self, group: GroupKey) -> SimpleModel:
        """The price of a group."""
        for price in self.prices:
            if price.group == group:
                return price.model
        return self.default


PriceModel = SimpleModel | Waterfall | Dimensional


def model_of(price: PriceModel, group: GroupKey) -> SimpleModel | Waterfall:
    """What prices a group's quantity."""
    return price.model(group) if isinstance(price, Dimensional) else price
