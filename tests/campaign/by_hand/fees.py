"""Fees: what has become due of each by an hour of its cycle."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING

from campaign.by_hand.prices import ZERO, F, down
from campaign.by_hand.spans import HOUR, hour_of, hours, prorated
from meterbridge.domain.pricing.plan_terms import (
    Fee,
    OneOffFee,
    PaymentSchedule,
    SeatFee,
)

if TYPE_CHECKING:
    from campaign.by_hand.bill import Cycle


def due(cycle: Cycle, fee: Fee, hour: datetime) -> tuple[Fraction, Fraction]:
    """What a cycle owes of a fee by the end of an hour, and what of that is free."""
    price = F(fee.price)
    if isinstance(fee, OneOffFee):
        at = cycle.agreed.span.first
        if fee.at is not None:
            at = max(hour_of(fee.at), at)
        return (price if cycle.first <= at <= hour else ZERO), ZERO
    if fee.schedule is PaymentSchedule.ARREAR and hour < cycle.last:
        return ZERO, ZERO
    free_until = (
        cycle.free_until if cycle.plan.trial and cycle.plan.trial.covers_fees else cycle.first
    )
    mine, free = hours(cycle.first, cycle.stop), hours(cycle.first, free_until)
    whole = hours(cycle.start, cycle.end)
    if isinstance(fee, SeatFee):
        held = [(hour_of(at), seats) for at, seats in cycle.agreed.seats if hour_of(at) <= hour]
        if fee.prorate:
            owed = price * _seat_hours(cycle, held, cycle.stop) / whole
            return down(owed), down(price * _seat_hours(cycle, held, free_until) / whole)
        before = [seats for at, seats in held if at <= cycle.first][-1:]
        most = max([*before, *_last_of_hours(cycle, held)], default=ZERO)
        owed = price * most
    else:
        owed = prorated(price, mine, whole) if fee.prorate else price
    return owed, prorated(owed, free, mine)


def _last_of_hours(cycle: Cycle, held: list[tuple[datetime, Fraction]]) -> list[Fraction]:
    """Changes within the cycle; of several in one hour only the last counts."""
    return list({at: seats for at, seats in held if at > cycle.first}.values())


def _seat_hours(cycle: Cycle, held: list[tuple[datetime, Fraction]], until: datetime) -> Fraction:
    """Hour by hour."""
    total, hour = ZERO, cycle.first
    while hour < until:
        total += next((seats for at, seats in reversed(held) if at <= hour), ZERO)
        hour += HOUR
    return total
