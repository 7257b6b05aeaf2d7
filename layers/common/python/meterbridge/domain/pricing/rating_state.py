"""Where rating stands after an hour: small, exact, and all that the next hour needs to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from meterbridge.domain.errors import InvariantError
from meterbridge.domain.money import ZERO, plain, subtract
from meterbridge.domain.pricing.increments import Counted
from meterbridge.domain.pricing.plan_terms import Rollover
from meterbridge.domain.pricing.pools import taken

FORMAT = 1
"""Version of the written form. Another one is refused: rate again from the agreement's start."""


class UsageState(msgspec.Struct, frozen=True):
    """One dimension's group in the current cycle.

    Attributes:
        rated: quantity priced so far.
        events: events priced so far.
    """

    counted: Counted = Counted()
    rated: Decimal = ZERO
    events: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class FeeState:
    """What was charged of a fee in the current cycle, and what of it the trial covered."""

    charged: Decimal = ZERO
    covered: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class HeldGrant:
    """Credits in the wallet.

    Attributes:
        family: what it rolled over from, through all its successors.
        offered: charges it was asked to pay so far; it has paid as many of them as it could.
    """

    id: str
    family: str
    amount: Decimal
    priority: int
    effective_at: datetime
    expires_at: datetime | None
    codes: tuple[str, ...]
    rollover: Rollover | None
    offered: Decimal = ZERO

    @property
    def spent(self) -> Decimal:
        """What it paid for."""
        return taken(self.offered, self.amount)

    @property
    def balance(self) -> Decimal:
        """What is left of it; never negative."""
        return subtract(self.amount, self.spent)


@dataclass(frozen=True, slots=True)
class RatingState:
    """Where an agreement's rating stands.

    Attributes:
        rated_through: last hour that is in it; None before the first.
        cycle_start: start of the cycle of that hour; usage, fees, discounted, cycle_charge, spend
            and thresholds of entitlements and the cap are this cycle's.
        usage: by dimension and group, see `usage_key`.
        fees: by code.
        trial_offered: what a trial was asked to cover so far, by dimension code; "" is money.
        discounted: what discounts of an amount were offered, by discount.
        cycle_charge: charges that count for the minimum.
        committed: charges that count for the commitment, of the cycles it is running over.
        grants: the wallet, without what expired or was used up in an earlier cycle.
        spend: charges after credits, before the cap.
        thresholds: those that were told.
        net: all net charges since the agreement's start.
    """

    rated_through: datetime | None = None
    cycle_start: datetime | None = None
    usage: Mapping[str, UsageState] = field(default_factory=dict)
    fees: Mapping[str, FeeState] = field(default_factory=dict)
    trial_offered: Mapping[str, Decimal] = field(default_factory=dict)
    discounted: Mapping[str, Decimal] = field(default_factory=dict)
    cycle_charge: Decimal = ZERO
    committed: Decimal = ZERO
    grants: tuple[HeldGrant, ...] = ()
    spend: Decimal = ZERO
    thresholds: tuple[str, ...] = ()
    net: Decimal = ZERO

    def to_wire(self) -> dict[str, Any]:
        """As plain values: decimals and moments are strings."""
        written = msgspec.to_builtins(self, builtin_types=(Decimal,))
        return {"format": FORMAT, "state": _texts(written)}

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> RatingState:
        """The reverse of to_wire.

        Raises:
            InvariantError: it is not such a state, or one of another format.
        """
        if wire.get("format") != FORMAT:
            raise InvariantError(f"a rating state of format {wire.get('format')} is not known")
        try:
            return msgspec.convert(wire.get("state"), cls)
        except msgspec.ValidationError as exc:
            raise InvariantError(f"not a rating state: {exc}") from exc


def usage_key(code: str, group: tuple[str, ...]) -> str:
    """Key of a dimension's group in a state: unambiguous for any values."""
    return msgspec.json.encode([code, *group]).decode()


def _texts(value: Any) -> Any:
    """Decimals canonically and keys in order, so that equal states are written alike."""
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, dict):
        return {key: _texts(each) for key, each in sorted(value.items())}
    if isinstance(value, (list, tuple)):
        return [_texts(each) for each in value]
    return value
