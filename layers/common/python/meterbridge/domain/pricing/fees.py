"""Fees: what a cycle's subscription, seats and one-off fees come to, up to an hour."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from meterbridge.domain.money import ZERO, exact_sum, multiply, quotient, subtract
from meterbridge.domain.pricing.charges import Charge, Part, Rule
from meterbridge.domain.pricing.cycles import hours_in, prorated
from meterbridge.domain.pricing.hour_context import HourContext
from meterbridge.domain.pricing.plan_terms import (
    Fee,
    OneOffFee,
    PaymentSchedule,
    SeatFee,
    SubscriptionFee,
)
from meterbridge.domain.pricing.progress import Line, Progress
from meterbridge.domain.pricing.rating_state import FeeState
from meterbridge.domain.windows import hour_of


def fee_lines(at: HourContext, progress: Progress) -> Iterator[Line]:
    """A line for each fee of which something is due, or given back, in the hour."""
    for fee in at.plan.fees:
        before = progress.fee(fee.code)
        charged = _charged(at, fee)
        covered = _covered(at, fee, charged)
        if charged == before.charged and covered == before.covered:
            continue
        progress.fees[fee.code] = FeeState(charged, covered)
        change = subtract(charged, before.charged)
        line = Line(fee.code, Charge.of((Part(_rule(fee), change),)))
        line.cover(subtract(covered, before.covered))
        yield line


def _rule(fee: Fee) -> Rule:
    if isinstance(fee, SubscriptionFee):
        return Rule.SUBSCRIPTION
    return Rule.SEATS if isinstance(fee, SeatFee) else Rule.ONE_OFF


def _charged(at: HourContext, fee: Fee) -> Decimal:
    """What is due of a fee for this cycle by the end of this hour."""
    span = at.terms.span
    if isinstance(fee, OneOffFee):
        due = span.first_hour if fee.at is None else max(hour_of(fee.at), span.first_hour)
        return fee.price if span.first_of(at.cycle) <= due <= at.hour else ZERO
    if fee.schedule is PaymentSchedule.ARREAR and not at.is_cycle_end:
        return ZERO
    if isinstance(fee, SeatFee):
        return _seats(at, fee)
    return prorated(fee.price, at.billed_hours, at.cycle.hours) if fee.prorate else fee.price


def _seats(at: HourContext, fee: SeatFee) -> Decimal:
    """A seat fee as of this hour: a change within the cycle counts from the start of its hour."""
    if not fee.prorate:
        return multiply(fee.price, max(seats for _, seats in _in_force(at, fee)))
    return _seats_until(at, fee, at.terms.span.end_of(at.cycle))


def _seats_until(at: HourContext, fee: SeatFee, until: datetime) -> Decimal:
    """What the seats cost for their hours before an instant."""
    spans = _in_force(at, fee)
    ends = [*(since for since, _ in spans[1:]), until]
    seat_hours = exact_sum(
        multiply(seats, Decimal(hours_in(since, min(end, until))))
        for (since, seats), end in zip(spans, ends, strict=True)
    )
    return quotient(multiply(fee.price, seat_hours), Decimal(at.cycle.hours))


def _in_force(at: HourContext, fee: SeatFee) -> list[tuple[datetime, Decimal]]:
    """From when in the cycle there were how many seats, as of this hour."""
    first = at.terms.span.first_of(at.cycle)
    found = {first: ZERO}
    for change in at.terms.seats.get(fee.code, ()):
        hour = max(hour_of(change.at), first)
        if hour <= at.hour:
            found[hour] = change.seats
    return list(found.items())


def _covered(at: HourContext, fee: Fee, charged: Decimal) -> Decimal:
    """What a trial covers of a fee: its free hours, by the seats that are in force in them."""
    if isinstance(fee, OneOffFee) or at.free_hours == 0 or not charged:
        return ZERO
    if isinstance(fee, SeatFee) and fee.prorate:
        return _seats_until(at, fee, at.free_until)
    return prorated(charged, at.free_hours, at.billed_hours)
