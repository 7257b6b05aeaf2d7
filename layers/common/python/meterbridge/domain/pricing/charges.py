"""Charges that explain themselves: what was priced by which rule, and how parts make the whole."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct, structs

from meterbridge.domain.money import ZERO, exact_sum, multiply, subtract


class Rule(StrEnum):
    """By which rule a part of a charge came about. Fees and true-ups are rules of their own."""

    PER_UNIT = "per_unit"
    GRADUATED = "graduated"
    VOLUME = "volume"
    TIER_FLAT_AMOUNT = "tier_flat_amount"
    PACKAGE = "package"
    PERCENTAGE = "percentage"
    GRADUATED_PERCENTAGE = "graduated_percentage"
    FREE_AMOUNT = "free_amount"
    FIXED_PER_EVENT = "fixed_per_event"
    MINIMUM = "minimum"
    MAXIMUM = "maximum"
    FLAT = "flat"
    SUBSCRIPTION = "subscription"
    SEATS = "seats"
    ONE_OFF = "one_off"
    MINIMUM_CHARGE = "minimum_charge"
    COMMITMENT = "commitment"
    TOP_UP = "top_up"


class Part(Struct, frozen=True):
    """One part of a charge: amount = units × unit_price, where there is a unit price.

    Attributes:
        quantity: metered quantity that this part prices; a charge's parts add up to all of it.
        units: what the price is for: the quantity itself, packages, events, or a flat amount's 1.
        unit_price: price of a unit, a percentage as a fraction; None for what only adjusts.
        tier: position of the tier, from 1; 0 without tiers.
        name: the tier's name, if it has one.
        step: the waterfall's step, if there is one.
    """

    rule: Rule
    amount: Decimal
    quantity: Decimal = ZERO
    units: Decimal = ZERO
    unit_price: Decimal | None = None
    tier: int = 0
    name: str = ""
    step: str = ""

    def says_like(self, other: Part) -> bool:
        """Whether both say the same, of more or less."""
        return (
            self.rule is other.rule
            and self.tier == other.tier
            and self.unit_price == other.unit_price
            and self.name == other.name
            and self.step == other.step
        )

    def more_than(self, before: Part) -> Part:
        """What it has more than one that says the same."""
        return Part(
            self.rule,
            subtract(self.amount, before.amount),
            subtract(self.quantity, before.quantity),
            subtract(self.units, before.units),
            self.unit_price,
            self.tier,
            self.name,
            self.step,
        )

    @property
    def empty(self) -> bool:
        """Whether it says nothing."""
        return not (self.amount or self.quantity or self.units)


def priced(
    rule: Rule,
    units: Decimal,
    unit_price: Decimal,
    *,
    quantity: Decimal = ZERO,
    tier: int = 0,
    name: str = "",
) -> Part:
    """A part with a unit price."""
    return Part(rule, multiply(units, unit_price), quantity, units, unit_price, tier, name)


class Charge(Struct, frozen=True):
    """An exact amount and the parts that it is the sum of."""

    amount: Decimal
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, parts: Iterable[Part]) -> Charge:
        """The sum of parts; those that say nothing are left out."""
        kept = tuple(part for part in parts if not part.empty)
        return cls(exact_sum(part.amount for part in kept), kept)

    def since(self, before: Charge) -> Charge:
        """What this charge has more than an earlier one, part by part.

        A part that is no longer there counts as taken back: so a volume price that fell shows what
        is undone at the old price and what is charged at the new one.
        """
        if self is before or not before.parts:
            return NOTHING if self is before else self
        left, parts = list(before.parts), []
        for part in self.parts:
            known = _taken_out(left, part)
            parts.append(part if known is None else part.more_than(known))
        gone = (structs.replace(part, amount=ZERO, quantity=ZERO, units=ZERO) for part in left)
        taken_back = (now.more_than(part) for now, part in zip(gone, left, strict=True))
        return Charge.of((*parts, *taken_back))


def _taken_out(parts: list[Part], like: Part) -> Part | None:
    """The one of some parts that says the same as another."""
    for position, part in enumerate(parts):
        if part.says_like(like):
            return parts.pop(position)
    return None


NOTHING = Charge(ZERO, ())
"""No charge at all."""
