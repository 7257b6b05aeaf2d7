"""Find what of an agreement waits: the clock itself (see deadlines for what it means).

Three things wait: records that are open; usage that is in no record, with the hour into which the
next settlements would put it; and what is left where no hour comes any more. The second is found by
settling in advance, with the running hour taken for closed, so that the clock and the settlements
cannot disagree on where a unit goes. Only what fills a whole unit waits: a fraction is no
marketplace's to refuse. A record in doubt (CONFLICTED) does not wait: no deadline changes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from meterbridge.domain.agreements import Agreement, AgreementState, RecoveryPolicy
from meterbridge.domain.book import Book, is_held
from meterbridge.domain.deadlines import (
    ORDINARY_DELAY,
    DeadlineClock,
    WaitingUsage,
    WaitsFor,
    closes_at,
    record_deadline,
)
from meterbridge.domain.ledger_head import first_live_period
from meterbridge.domain.metering_record import OPEN_STATES, MeteringRecord
from meterbridge.domain.money import exact_sum, multiply
from meterbridge.domain.policy import MarketplacePolicy
from meterbridge.domain.rating import units_within
from meterbridge.domain.settlement import SettlementInput, settle
from meterbridge.domain.term import closed_hours, owned_hours, wire_moment
from meterbridge.domain.windows import HOUR, hour_of

_RUNNING_HOUR_CLOSED = -HOUR
"""The grace with which an hour counts as closed from its start on."""

_REASONS = {
    WaitsFor.HOUR: "its hour is not closed yet",
    WaitsFor.SETTLEMENT: "its hour is closed and not settled yet",
}


def deadline_clock(given: SettlementInput) -> DeadlineClock:
    """The clock of an agreement.

    Args:
        given: what a settlement reads, the running hour included.

    Raises:
        InvariantError: a planned record's allocations do not add up, a defect.
    """
    agreement, policy = given.agreement, given.policy
    if policy is None:
        reason = f"channel {agreement.channel} takes no metering records"
        return DeadlineClock(
            agreement.id, agreement.channel, given.now, timedelta(0), reason=reason
        )
    waiting = [
        *_in_records(given, policy),
        *_expired(given.records, agreement),
        *_in_no_record(given, policy),
    ]
    return DeadlineClock(
        agreement.id,
        agreement.channel,
        given.now,
        policy.safety_margin,
        tuple(sorted(waiting, key=lambda each: (each.deadline, each.dimension, each.hour))),
        dict(_missed(given, policy)),
    )


def _in_records(given: SettlementInput, policy: MarketplacePolicy) -> Iterator[WaitingUsage]:
    held = given.agreement.why_not_reported
    for record in given.records:
        if record.state in OPEN_STATES and record.quantity:
            told = f": {record.reason}" if record.reason else ""
            yield WaitingUsage(
                dimension=record.key.dimension,
                hour=record.key.hour,
                quantity=record.quantity,
                metered=record.metered,
                waits_for=WaitsFor.AGREEMENT if held else WaitsFor.MARKETPLACE,
                expected_at=record.created_at + ORDINARY_DELAY,
                deadline=record_deadline(record, given.agreement, policy),
                reason=held or f"the marketplace has not accepted it yet{told}",
            )


def _expired(records: Sequence[MeteringRecord], agreement: Agreement) -> Iterator[WaitingUsage]:
    """Expired records on which a person has to decide."""
    if agreement.recovery is not RecoveryPolicy.MANUAL:
        return
    for record in records:
        if is_held(record, agreement) and record.quantity:
            yield WaitingUsage(
                dimension=record.key.dimension,
                hour=record.key.hour,
                quantity=record.quantity,
                metered=record.metered,
                waits_for=WaitsFor.DECISION,
                expected_at=record.created_at + ORDINARY_DELAY,
                deadline=record.deadline,
                reason="its record has expired and waits for a person's decision",
            )


def _in_no_record(given: SettlementInput, policy: MarketplacePolicy) -> Iterator[WaitingUsage]:
    """What settlements from now on would write, and what they could not."""
    agreement = given.agreement
    held = agreement.why_not_reported
    closed = set(closed_hours(agreement, _live_start(given), given.now, given.grace))
    reported = replace(agreement, state=AgreementState.ACTIVE) if held else agreement
    planned, after = _planned(replace(given, agreement=reported, grace=_RUNNING_HOUR_CLOSED))
    for record in planned:
        hour = record.key.hour
        if record.quantity:
            waits_for = WaitsFor.SETTLEMENT if hour in closed else WaitsFor.HOUR
            yield WaitingUsage(
                dimension=record.key.dimension,
                hour=hour,
                quantity=record.quantity,
                metered=record.metered,
                waits_for=WaitsFor.AGREEMENT if held else waits_for,
                expected_at=closes_at(agreement, hour, given.grace) + ORDINARY_DELAY,
                deadline=record.deadline,
                reason=held or _REASONS[waits_for],
            )
    yield from _left_over(after, policy, given.grace)


def _planned(given: SettlementInput) -> tuple[list[MeteringRecord], SettlementInput]:
    """The records that settlements of the same would write, and what is known after them.

    The head stays: it says from where on records and usage are counted one by one.
    """
    planned: list[MeteringRecord] = []
    while True:
        settlement = settle(given)
        planned += settlement.new_records
        taken_back = set(settlement.absorbed)
        before = [
            replace(record, absorbed=True) if record.key in taken_back else record
            for record in given.records
        ]
        given = replace(given, records=[*before, *settlement.new_records])
        if settlement.complete:
            return planned, given


def _live_start(given: SettlementInput) -> datetime:
    return first_live_period(given.agreement, given.head, given.now).start


def _hours(given: SettlementInput) -> list[datetime]:
    """Those that the agreement owns and that are counted one by one, the running one included."""
    return owned_hours(given.agreement, _live_start(given), hour_of(given.now) + HOUR)


def _books(given: SettlementInput) -> Iterator[Book]:
    absorbing = frozenset(
        record.key
        for record in given.records
        if record.unabsorbed and not is_held(record, given.agreement)
    )
    hours = _hours(given)
    for dimension in given.dimensions:
        billable = given.billable.get(dimension.code, {})
        yield Book(
            given.agreement,
            dimension,
            metered={hour: billable[hour] for hour in hours if billable.get(hour)},
            records=given.records,
            head=given.head,
            absorbing=absorbing,
        )


def _left_over(
    given: SettlementInput, policy: MarketplacePolicy, grace: timedelta
) -> Iterator[WaitingUsage]:
    """Whole units that no hour until now takes: the next one does, or none."""
    agreement = given.agreement
    following = hour_of(given.now) + HOUR
    comes = bool(owned_hours(agreement, following, following + HOUR))
    hour = following if comes else max(_hours(given), default=hour_of(given.now))
    deadline = policy.deadline(wire_moment(agreement, hour), agreement.ends_at)
    for book in _books(given):
        kind, per_unit = book.dimension.quantity_kind, book.dimension.units_per_quantity
        units = units_within(exact_sum(book.outstanding().values()), policy.step(kind), per_unit)
        if units > 0:
            yield WaitingUsage(
                dimension=book.dimension.code,
                hour=hour,
                quantity=units,
                metered=multiply(units, per_unit),
                waits_for=WaitsFor.HOUR if comes else WaitsFor.NOTHING,
                expected_at=closes_at(agreement, hour, grace) + ORDINARY_DELAY,
                deadline=deadline if comes else given.now,
                reason=_REASONS[WaitsFor.HOUR] if comes else "no hour is left to report it for",
            )


def _missed(given: SettlementInput, policy: MarketplacePolicy) -> Iterator[tuple[str, Decimal]]:
    """Metered quantity in no record whose own hour is not taken any more, by dimension.

    A record of a later hour takes everything up to it. So what is due up to the newest missed hour
    is still missed as far as nothing has made up for it.
    """
    agreement = given.agreement
    hours = _hours(given)
    is_open = [
        policy.deadline(wire_moment(agreement, hour), agreement.ends_at) > given.now
        for hour in hours
    ]
    newest_missed = next((at for at in reversed(range(len(hours))) if not is_open[at]), None)
    if newest_missed is None:
        return
    for book in _books(given):
        kind, per_unit = book.dimension.quantity_kind, book.dimension.units_per_quantity
        units = units_within(book.due(hours[newest_missed]), policy.step(kind), per_unit)
        if units > 0:
            yield book.dimension.code, multiply(units, per_unit)
