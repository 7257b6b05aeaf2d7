"""Prices by tier: each tier's units at its own price, or all units at the price of the last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from msgspec import Struct

from meterbridge.domain.money import ZERO, multiply, subtract
from meterbridge.domain.pricing.charges import Charge, Part, Rule, priced

PERCENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Tier:
    """A span of quantity with a price (Paigo's DimensionTier).

    Attributes:
        up_to: its upper bound, inclusive; None is the last tier's, without bound.
        unit_price: price of a unit in it.
        flat_amount: charged once when the quantity enters it.
        name: as it appears on an invoice.
    """

    up_to: Decimal | None
    unit_price: Decimal
    flat_amount: Decimal = ZERO
    name: str = ""


@dataclass(frozen=True, slots=True)
class PercentTier:
    """A span of an amount with a percentage of it; 2.9 is 2.9 %.

    Attributes:
        up_to: its upper bound, inclusive; None is the last tier's, without bound.
        flat_amount: charged once when the amount enters it.
    """

    up_to: Decimal | None
    percent: Decimal
    flat_amount: Decimal = ZERO
    name: str = ""


class Graduated(Struct, frozen=True, tag_field="model", tag="graduated"):
    """Each unit at the price of the tier that it falls into."""

    tiers: tuple[Tier, ...]

    def charge(self, quantity: Decimal, events: Decimal = ZERO) -> Charge:
        """The cycle's charge for its quantity so far."""
        parts: list[Part] = []
        for position, within in slices(quantity, [tier.up_to for tier in self.tiers]):
            tier = self.tiers[position - 1]
            parts.append(_flat(position, tier))
            parts.append(
                priced(
                    Rule.GRADUATED,
                    within,
                    tier.unit_price,
                    quantity=within,
                    tier=position,
                    name=tier.name,
                )
            )
        return Charge.of(parts)


class Volume(Struct, frozen=True, tag_field="model", tag="volume"):
    """All units at the price of the tier that the cycle's quantity has reached."""

    tiers: tuple[Tier, ...]

    def charge(self, quantity: Decimal, events: Decimal = ZERO) -> Charge:
        """The cycle's charge for its quantity so far. It may be less than for a smaller one."""
        reached = slices(quantity, [tier.up_to for tier in self.tiers])
        position = max((position for position, _ in reached), default=1)
        tier = self.tiers[position - 1]
        if quantity == 0:
            return Charge.of(())
        units = priced(
            Rule.VOLUME, quantity, tier.unit_price, quantity=quantity, tier=position, name=tier.name
        )
        return Charge.of((_flat(position, tier), units))


class GraduatedPercentage(Struct, frozen=True, tag_field="model", tag="graduated_percentage"):
    """Each part of an amount at the percentage of the tier that it falls into."""

    tiers: tuple[PercentTier, ...]

    def charge(self, quantity: Decimal, events: Decimal = ZERO) -> Charge:
        """The cycle's charge for its amount so far."""
        parts: list[Part] = []
        for position, within in slices(quantity, [tier.up_to for tier in self.tiers]):
            tier = self.tiers[position - 1]
            parts.append(_flat(position, tier))
            parts.append(
                priced(
                    Rule.GRADUATED_PERCENTAGE,
                    within,
                    multiply(tier.percent, PERCENT),
                    quantity=within,
                    tier=position,
                    name=tier.name,
                )
            )
        return Charge.of(parts)


def slices(quantity: Decimal, bounds: Sequence[Decimal | None]) -> Iterator[tuple[int, Decimal]]:
    """How a quantity falls into spans, given their inclusive upper bounds: (position, part of it).

    A negative quantity is all in the first: it is taken back at the price at which counting begins.
    """
    lower = ZERO
    for position, bound in enumerate(bounds, start=1):
        upper = quantity if bound is None else min(quantity, bound)
        within = subtract(upper, lower)
        if within > 0 or (position == 1 and within < 0):
            yield position, within
        if bound is None or quantity <= bound:
            return
        lower = bound


def _flat(position: int, tier: Tier | PercentTier) -> Part:
    units = Decimal(1) if tier.flat_amount else ZERO
    return priced(Rule.TIER_FLAT_AMOUNT, units, tier.flat_amount, tier=position, name=tier.name)
