"""The settlement head: what an agreement's last settlement found, and how far back it looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from meterbridge.domain.agreements import Agreement
from meterbridge.domain.events import MAX_AGE
from meterbridge.domain.money import ZERO
from meterbridge.domain.pricing.rating_state import RatingState
from meterbridge.domain.windows import BillingPeriod

Balances = Mapping[BillingPeriod, Decimal]
"""Metered quantity by billing period."""


@dataclass(frozen=True, slots=True)
class Position:
    """What a settlement found for one dimension and billing period, in metered quantity.

    Invariant: metered = committed + carried.
    """

    metered: Decimal
    committed: Decimal
    carried: Decimal


@dataclass(frozen=True, slots=True)
class LedgerHead:
    """An agreement's settlement: its version and what it found, by dimension and period.

    Attributes:
        settled_through: last closed hour that the agreement owns; nothing later is in positions.
        live_from: usage and records before this period are summed up in `opening` and never read
            again: no event that old is accepted any more.
        opening: metered − committed before `live_from`, where that is not zero.
        sealed: metered quantity of the periods before `live_from`, which no longer changes.
        waiting: something whole is left that only an hour still to come can take.
        rating: where rating stood before `live_from`; None in a head from before the first.
        due_at: the next hour in which something is charged, or expires, without usage.
        corrected: what approved corrections give back to the buyer, in metered quantity, where that is
            not zero. It counts as committed no more, in `positions` too; `opening` is without it.
    """

    agreement_id: str
    version: int
    live_from: BillingPeriod
    settled_at: datetime
    settled_through: datetime | None
    opening: Mapping[str, Balances] = field(default_factory=dict)
    sealed: Mapping[str, Balances] = field(default_factory=dict)
    positions: Mapping[str, Mapping[BillingPeriod, Position]] = field(default_factory=dict)
    waiting: bool = False
    rating: RatingState | None = None
    due_at: datetime | None = None
    corrected: Mapping[str, Balances] = field(default_factory=dict)

    def position(self, dimension: str, period: BillingPeriod) -> Position:
        """What was found for a period; all zero where there was nothing."""
        known = self.positions.get(dimension, {}).get(period)
        if known is not None:
            return known
        metered = self.sealed.get(dimension, {}).get(period, ZERO)
        return Position(metered, metered, ZERO)


def live_from_at(now: datetime) -> BillingPeriod:
    """The oldest billing period whose usage can still change at a moment."""
    return BillingPeriod.of(now - MAX_AGE - timedelta(days=1))


def first_live_period(
    agreement: Agreement, head: LedgerHead | None, now: datetime
) -> BillingPeriod:
    """The billing period from which a settlement has to read."""
    if head is not None:
        return head.live_from
    return min(BillingPeriod.of(agreement.starts_at), live_from_at(now))
