"""What rating makes of an hour: every charge with the way it came about, and what it set off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import msgspec
from msgspec import Struct

from meterbridge.domain.errors import InvariantError
from meterbridge.domain.money import ZERO, Money, exact_sum, subtract
from meterbridge.domain.pricing.charges import Part
from meterbridge.domain.pricing.cycles import Cycle
from meterbridge.domain.usage import GroupKey

Quantities = Mapping[str, Mapping[GroupKey, Decimal]]
"""Quantity by dimension code and group; the group is () without group-by."""


@dataclass(frozen=True, slots=True)
class MeteredHour:
    """What an agreement used in a closed hour.

    Attributes:
        events: number of events, for dimensions with a fixed part per event.
    """

    hour: datetime
    quantities: Quantities
    events: Quantities = field(default_factory=dict)


class RatedCharge(Struct, frozen=True):
    """What one dimension, group or fee comes to in an hour.

    incremented = included + free_trial + over_limit + rated, in quantity; and in money
    list_charge = trial_amount + Σ discounts + Σ credits + over_cap + net.

    Attributes:
        metered, incremented: quantity as used, and as it counts.
        included, free_trial, over_limit, rated: what became of it; only rated quantity is priced.
        parts: how the list charge came about.
        trial_amount: of the list charge, covered by the trial.
        discounts: by discount.
        credits: by grant.
        over_cap: beyond the spend cap, never billed.
        net: the charge that is left.

    Raises:
        InvariantError: a quantity or amount is in none of these, or in two: a defect.
    """

    code: str
    group: GroupKey = ()
    metered: Decimal = ZERO
    incremented: Decimal = ZERO
    included: Decimal = ZERO
    free_trial: Decimal = ZERO
    over_limit: Decimal = ZERO
    rated: Decimal = ZERO
    list_charge: Decimal = ZERO
    parts: tuple[Part, ...] = ()
    trial_amount: Decimal = ZERO
    discounts: Mapping[str, Decimal] = msgspec.field(default_factory=dict)
    credits: Mapping[str, Decimal] = msgspec.field(default_factory=dict)
    over_cap: Decimal = ZERO
    net: Decimal = ZERO

    def __post_init__(self) -> None:
        quantities = (self.included, self.free_trial, self.over_limit, self.rated)
        if _sum(quantities) != self.incremented:
            raise InvariantError(f"{self.code}: the quantity {self.incremented} is not conserved")
        amounts = [self.trial_amount, self.over_cap, self.net]
        if self.discounts or self.credits:
            amounts += [*self.discounts.values(), *self.credits.values()]
        if _sum(amounts) != self.list_charge:
            raise InvariantError(f"{self.code}: the charge {self.list_charge} is not conserved")
        if _sum([part.amount for part in self.parts]) != self.list_charge:
            raise InvariantError(f"{self.code}: its parts do not make {self.list_charge}")

    @property
    def adjusted(self) -> Decimal:
        """What increment and rounding added to the metered quantity, or took from it."""
        return subtract(self.incremented, self.metered)

    @property
    def empty(self) -> bool:
        """Whether nothing was used and nothing is charged."""
        used = (self.metered, self.incremented, self.included, self.free_trial, self.rated)
        return not (any(used) or self.over_limit or self.parts or self.trial_amount or self.net)


def _sum(values: Iterable[Decimal]) -> Decimal:
    """The sum of what is mostly nothing."""
    return exact_sum([value for value in values if value])


class MovementKind(StrEnum):
    """What happens to credits beside being spent. What rolls over leaves one grant for another."""

    GRANTED = "granted"
    EXPIRED = "expired"
    ROLLED_OVER = "rolled_over"


@dataclass(frozen=True, slots=True)
class CreditMovement:
    """Credits that came into the wallet or left it unspent."""

    kind: MovementKind
    grant_id: str
    amount: Decimal


class Watched(StrEnum):
    """What a threshold is a share of."""

    ENTITLEMENT = "entitlement"
    OVER_LIMIT = "over_limit"
    CREDITS = "credits"
    SPEND_CAP = "spend_cap"


@dataclass(frozen=True, slots=True)
class ThresholdPassed:
    """A share of a limit was reached: told once per cycle, for credits once until more come.

    Attributes:
        code: the dimension of an entitlement; "" for credits and the cap.
        percent: the threshold.
        used: quantity or amount when it was passed; of `limit`.
    """

    watched: Watched
    code: str
    percent: Decimal
    used: Decimal
    limit: Decimal


@dataclass(frozen=True, slots=True)
class RatedHour:
    """An hour's charges, and what they set off."""

    hour: datetime
    cycle: Cycle
    currency: str
    charges: tuple[RatedCharge, ...]
    movements: tuple[CreditMovement, ...] = ()
    thresholds: tuple[ThresholdPassed, ...] = ()

    @property
    def net(self) -> Money:
        """The sum of its net charges."""
        return Money(exact_sum(charge.net for charge in self.charges), self.currency)

    @property
    def empty(self) -> bool:
        """Whether nothing happened in it."""
        return not (self.charges or self.movements or self.thresholds)
