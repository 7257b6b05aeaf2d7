"""Charges that explain themselves: what was priced by which rule, and how parts make the whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

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


@dataclass(frozen=True, slots=True)
class Part:
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

    @property
    def identity(self) -> tuple[str, int, str, str, Decimal | None]:
        """What two parts have in common that say the same."""
        return (self.rule, self.tier, self.name, self.step, self.unit_price)

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


@dataclass(frozen=True, slots=True)
class Charge:
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
        found = {part.identity: part for part in self.parts}
        for part in before.parts:
            now = found.get(part.identity) or replace(part, amount=ZERO, quantity=ZERO, units=ZERO)
            found[part.identity] = replace(
                part,
                amount=subtract(now.amount, part.amount),
                quantity=subtract(now.quantity, part.quantity),
                units=subtract(now.units, part.units),
            )
        return Charge.of(found.values())


NOTHING = Charge(ZERO, ())
"""No charge at all."""
