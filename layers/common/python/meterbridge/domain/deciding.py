"""What a decision makes of a record that waits for a person: one table, and no I/O.

    standing      what it is                                         retry confirm write_off re_date
    IN_DOUBT      CONFLICTED, and no other figure was told           yes   yes     yes       a
    HELD          EXPIRED, and not billed again by itself            yes   b       yes       yes
    RELEASED      REJECTED or EXPIRED, before the next settlement    c     b       yes       yes
    IN_FLIGHT     PENDING or SUBMITTED                               no: it has no result yet
    ACCEPTED      ACCEPTED                                           no: it is billed
    ADOPTED       CONFLICTED, another figure is known                no: that figure is billed
    TAKEN_BACK    REJECTED or EXPIRED, after a settlement            no: it bills itself again
    WRITTEN_OFF   WRITTEN_OFF                                        no: that is for ever

a: it may be booked, and would be billed twice. b: it is known not to be booked. c: the next
settlement bills it again without being told. So a record is decided once, and then for ever.

Whatever leaves the committed sum leaves it in the decision itself, not in the next settlement: the
head is carried on with the quantity as not billed, and a record from before `live_from`, which no
settlement reads any more, gives it back to the opening balance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from meterbridge.domain.agreements import Agreement
from meterbridge.domain.decisions import Decision, DecisionAction
from meterbridge.domain.errors import InvalidInputError, RefusedDecisionError
from meterbridge.domain.ledger_head import Balances, LedgerHead, Position
from meterbridge.domain.metering_record import (
    MeteringRecord,
    RecordKey,
    RecordState,
)
from meterbridge.domain.money import ZERO, exact_sum, subtract
from meterbridge.domain.offerings import QuantityKind
from meterbridge.domain.policy import MarketplacePolicy
from meterbridge.domain.record_standing import RecordStanding, is_sealed, standing_of
from meterbridge.domain.term import closed_hours, owned_hours, wire_end, wire_moment
from meterbridge.domain.windows import HOUR, BillingPeriod, hour_of

_FITTING: Mapping[DecisionAction, frozenset[RecordStanding]] = {
    DecisionAction.RETRY: frozenset({RecordStanding.IN_DOUBT, RecordStanding.HELD}),
    DecisionAction.CONFIRM: frozenset({RecordStanding.IN_DOUBT}),
    DecisionAction.WRITE_OFF: frozenset(
        {RecordStanding.IN_DOUBT, RecordStanding.HELD, RecordStanding.RELEASED}
    ),
    DecisionAction.RE_DATE: frozenset({RecordStanding.HELD, RecordStanding.RELEASED}),
}

_REFUSALS: Mapping[RecordStanding, tuple[str, str]] = {
    RecordStanding.IN_DOUBT: (
        "record_in_doubt",
        "the marketplace may have booked it: find out, then retry or confirm",
    ),
    RecordStanding.HELD: ("record_not_booked", "the marketplace is known not to have booked it"),
    RecordStanding.RELEASED: ("record_released", "the next settlement bills it again by itself"),
    RecordStanding.IN_FLIGHT: (
        "record_in_flight",
        "it has no result yet and may still be accepted",
    ),
    RecordStanding.ACCEPTED: ("record_accepted", "the marketplace accepted it"),
    RecordStanding.ADOPTED: (
        "record_adopted",
        "the marketplace's own figure is known and taken over",
    ),
    RecordStanding.TAKEN_BACK: (
        "record_taken_back",
        "its quantity was taken back and bills itself again",
    ),
    RecordStanding.WRITTEN_OFF: ("record_written_off", "it was written off, which is for ever"),
}


@dataclass(frozen=True, slots=True)
class Case:
    """Everything a decision looks at.

    Attributes:
        record: the record that is decided about.
        head: read before the record: whatever is committed after that makes the decision fail.
        policy: the channel's reporting rules; None where it takes no records.
        grace: how long after its end an hour stays open for late events.
        hour_taken: whether the new hour of a re-dating has a record of this dimension.
    """

    record: MeteringRecord
    head: LedgerHead
    agreement: Agreement
    policy: MarketplacePolicy | None
    grace: timedelta
    hour_taken: bool = False


@dataclass(frozen=True, slots=True)
class DecisionEffect:
    """What is written with a decision, in one transaction or not at all.

    Attributes:
        before, after: the record.
        head: one version on.
        new_record: of the hour that the quantity was re-dated to.
    """

    decision: Decision
    before: MeteringRecord
    after: MeteringRecord
    head: LedgerHead
    new_record: MeteringRecord | None = None


def decide(decision: Decision, case: Case) -> DecisionEffect:
    """What the decision makes of the record and of the books.

    Raises:
        RefusedDecisionError: the record, or the new hour, does not allow it; the code says why.
        InvalidInputError: the figure or the new hour cannot be.
    """
    standing = standing_of(case.record, case.agreement, case.head)
    if standing not in _FITTING[decision.action]:
        code, why = _REFUSALS[standing]
        if decision.action is DecisionAction.CONFIRM and standing is RecordStanding.RELEASED:
            code, why = _REFUSALS[RecordStanding.HELD]
        raise RefusedDecisionError(code, f"{case.record.key} is {case.record.state}: {why}")
    decided = replace(case.record, decision=decision)
    match decision.action:
        case DecisionAction.RETRY:
            return _retried(decision, case, decided)
        case DecisionAction.CONFIRM:
            return _confirmed(decision, case, decided)
        case DecisionAction.WRITE_OFF:
            written_off = replace(decided, state=RecordState.WRITTEN_OFF)
            return _effect(decision, case, written_off)
        case DecisionAction.RE_DATE:
            return _re_dated(decision, case, decided)


def _retried(decision: Decision, case: Case, decided: MeteringRecord) -> DecisionEffect:
    """Out of the committed sum. What was held stays EXPIRED; a doubt is one no more."""
    in_doubt = decided.state is RecordState.CONFLICTED
    state = RecordState.REJECTED if in_doubt else decided.state
    return _effect(decision, case, replace(decided, state=state, absorbed=True))


def _confirmed(decision: Decision, case: Case, decided: MeteringRecord) -> DecisionEffect:
    """As if the marketplace had told it."""
    accepted = decision.accepted_quantity
    if accepted is None:
        raise InvalidInputError("missing", "what the marketplace booked", "/accepted_quantity")
    whole = accepted == accepted.to_integral_value()
    if decided.quantity_kind is QuantityKind.INTEGER and not whole:
        raise InvalidInputError(
            "whole_number", "this dimension is billed in whole units", "/accepted_quantity"
        )
    same = accepted == decided.quantity
    state = RecordState.ACCEPTED if same else RecordState.CONFLICTED
    after = replace(decided, state=state, accepted_quantity=accepted, absorbed=not same)
    return _effect(decision, case, after)


def _re_dated(decision: Decision, case: Case, decided: MeteringRecord) -> DecisionEffect:
    """The same quantity in another hour; the old record is taken out as the new one comes in."""
    hour, agreement = decision.new_hour, case.agreement
    if hour is None:
        raise InvalidInputError("missing", "the hour to bill it in", "/hour")
    policy = case.policy
    if policy is None or not agreement.is_reported:
        detail = f"agreement {agreement.id} is {agreement.state}: nothing is reported for it"
        raise RefusedDecisionError("agreement_not_reported", detail)
    _require_open_hour(hour, case, policy, decision.decided_at)
    if case.hour_taken:
        raise RefusedDecisionError("hour_taken", "the hour has a record of this dimension")
    moment = wire_moment(agreement, hour)
    new_record = MeteringRecord(
        key=RecordKey(agreement.id, decided.key.dimension, hour),
        channel=decided.channel,
        product_id=decided.product_id,
        quantity=decided.quantity,
        units_per_quantity=decided.units_per_quantity,
        allocations=decided.allocations,
        reported_hour_start=moment,
        deadline=policy.deadline(moment, agreement.ends_at),
        buyer=agreement.buyer_reference(),
        created_at=decision.decided_at,
        quantity_kind=decided.quantity_kind,
        reported_hour_end=wire_end(agreement, hour),
        re_dated_from=decided.key.hour,
    )
    return _effect(decision, case, replace(decided, absorbed=True), new_record)


def _require_open_hour(
    hour: datetime, case: Case, policy: MarketplacePolicy, now: datetime
) -> None:
    """By the rules by which a settlement chooses hours."""
    agreement = case.agreement
    if hour != hour_of(hour):
        raise InvalidInputError("full_hour", "an hour starts at the full hour", "/hour")
    if not owned_hours(agreement, hour, hour + HOUR):
        raise InvalidInputError("hour_not_owned", "the agreement does not cover it", "/hour")
    if policy.deadline(wire_moment(agreement, hour), agreement.ends_at) <= now:
        raise InvalidInputError("window_closed", "the marketplace takes it no more", "/hour")
    if hour not in closed_hours(agreement, hour, now, case.grace):
        raise InvalidInputError("hour_not_closed", "usage may still arrive for it", "/hour")


def _effect(
    decision: Decision,
    case: Case,
    after: MeteringRecord,
    new_record: MeteringRecord | None = None,
) -> DecisionEffect:
    """With the head one version on, and in it what counts no more as billed or about to be."""
    before, head = case.record, case.head
    code = before.key.dimension
    released = _difference(
        before.counted(absorbed=before.absorbed), after.counted(absorbed=after.absorbed)
    )
    opening, positions = dict(head.opening), dict(head.positions)
    if is_sealed(before, head):
        opening[code] = _added(head.opening.get(code, {}), released)
    if new_record is not None:
        released = _difference(released, new_record.counted(absorbed=False))
    if released:
        positions[code] = {**head.positions.get(code, {}), **_carried(head, code, released)}
    next_head = replace(
        head,
        version=head.version + 1,
        opening=opening,
        positions=positions,
        # Found by Ledger.waiting, should the message that asks for a settlement be lost.
        waiting=head.waiting or bool(released),
    )
    return DecisionEffect(decision, before, after, next_head, new_record)


def _carried(head: LedgerHead, code: str, released: Balances) -> dict[BillingPeriod, Position]:
    found = {}
    for period, amount in released.items():
        known = head.position(code, period)
        found[period] = Position(
            known.metered,
            subtract(known.committed, amount),
            exact_sum((known.carried, amount)),
        )
    return found


def _difference(left: Balances, right: Balances) -> dict[BillingPeriod, Decimal]:
    """left − right, where that is not zero."""
    return _added(left, {period: amount.copy_negate() for period, amount in right.items()})


def _added(left: Balances, right: Balances) -> dict[BillingPeriod, Decimal]:
    """left + right, where that is not zero."""
    sums = {
        period: exact_sum((left.get(period, ZERO), right.get(period, ZERO)))
        for period in sorted({*left, *right})
    }
    return {period: amount for period, amount in sums.items() if amount}
