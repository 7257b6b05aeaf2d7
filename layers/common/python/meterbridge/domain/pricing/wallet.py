"""The wallet: prepaid credits are granted, spent in order, topped up, rolled over, and expire.

A grant pays as many of the charges it was ever asked to pay as its amount covers. So the balance
is never negative, and does not depend on how charges were spread over the hours in which the
grant could be spent. What expired does not come back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from meterbridge.domain.money import ZERO, add, exact_sum, multiply, subtract, whole_count
from meterbridge.domain.pricing.agreement_terms import Grant
from meterbridge.domain.pricing.charges import Charge, Rule, priced
from meterbridge.domain.pricing.cycles import cycle_at
from meterbridge.domain.pricing.hour_context import HourContext
from meterbridge.domain.pricing.plan_terms import CreditRule, Recurrence
from meterbridge.domain.pricing.pools import newly_taken
from meterbridge.domain.pricing.progress import Line, Progress, left_of, take
from meterbridge.domain.pricing.rated import CreditMovement, MovementKind, Watched
from meterbridge.domain.pricing.rating_state import HeldGrant
from meterbridge.domain.windows import hour_of, hour_text

_NEVER = datetime.max.replace(tzinfo=UTC)


def move_credits(at: HourContext, progress: Progress) -> None:
    """Let credits expire or roll over, and grant those that become effective, before the hour."""
    _expire(at, progress)
    if at.opening:
        for rule in _rules_due(at):
            _receive(progress, _from_rule(at, rule))
    for grant in at.terms.grants:
        due = max(hour_of(grant.effective_at), at.terms.span.first_hour)
        if due == at.hour and (grant.expires_at is None or grant.expires_at > at.hour):
            _receive(progress, _from_grant(grant))


def spend_credits(progress: Progress, lines: Sequence[Line]) -> None:
    """Let the wallet pay for what is left of an hour's charges."""
    grants = progress.grants
    for place in sorted(range(len(grants)), key=lambda place: _order(grants[place])):
        _spend(progress, place, lines)


def top_up(at: HourContext, progress: Progress, lines: Sequence[Line]) -> list[Line]:
    """Buy credits when the wallet is at its threshold, or cannot pay for the hour.

    They pay for the rest of the hour, and are a charge of their own. Nothing is bought in free
    days, in the agreement's last hour, or beyond the spend cap.
    """
    rule = at.plan.top_up
    if rule is None or at.free_days or at.is_agreement_end:
        return []
    general = [held for held in progress.grants if not held.codes]
    short = subtract(
        exact_sum((max(left_of(lines), ZERO), multiply(rule.threshold, rule.amount))),
        exact_sum(held.balance for held in general),
    )
    if short < 0:
        return []
    count = exact_sum((whole_count(short, rule.amount), Decimal(1)))
    if at.plan.spend_cap is not None:
        # What the hour itself gives back makes room now, not in the next hour.
        spend = exact_sum((progress.spend, min(left_of(lines), ZERO)))
        room = max(subtract(at.plan.spend_cap.amount, spend), ZERO)
        count = min(count, whole_count(room, rule.amount))
    if count == 0:
        return []
    expires_at = None if rule.lasts_days is None else at.hour + timedelta(days=rule.lasts_days)
    name = f"{rule.code}:{hour_text(at.hour)}"
    bought = HeldGrant(
        id=name,
        family=name,
        amount=multiply(count, rule.amount),
        priority=0,
        effective_at=at.hour,
        expires_at=expires_at,
        codes=(),
        rollover=None,
    )
    _receive(progress, bought)
    _spend(progress, len(progress.grants) - 1, lines)
    return [Line(rule.code, Charge.of((priced(Rule.TOP_UP, count, rule.amount),)))]


def watch_credits(at: HourContext, progress: Progress) -> None:
    """Tell how much of the wallet is spent."""
    granted = exact_sum(held.amount for held in progress.grants)
    if granted:
        spent = exact_sum(held.spent for held in progress.grants)
        progress.watch(Watched.CREDITS, "", at.plan.credit_thresholds, spent, granted)


def _order(held: HeldGrant) -> tuple[int, datetime, datetime, str]:
    return (held.priority, held.expires_at or _NEVER, held.effective_at, held.id)


def _spend(progress: Progress, place: int, lines: Sequence[Line]) -> None:
    held = progress.grants[place]
    payable = [line for line in lines if not held.codes or line.code in held.codes]
    change = left_of(payable)
    if not change:
        return

    def note(line: Line, share: Decimal) -> None:
        line.credits[held.id] = add(line.credits.get(held.id, ZERO), share)

    take(payable, newly_taken(held.offered, change, held.amount), note)
    progress.grants[place] = replace(held, offered=add(held.offered, change))


def _receive(progress: Progress, held: HeldGrant) -> None:
    progress.grants.append(held)
    progress.movements.append(CreditMovement(MovementKind.GRANTED, held.id, held.amount))
    progress.forget(Watched.CREDITS)


def _expire(at: HourContext, progress: Progress) -> None:
    over = [held for held in progress.grants if held.expires_at and held.expires_at <= at.hour]
    progress.grants = [held for held in progress.grants if held not in over]
    for family in dict.fromkeys(held.family for held in over):
        _end_family(at, progress, [held for held in over if held.family == family])


def _end_family(at: HourContext, progress: Progress, over: Sequence[HeldGrant]) -> None:
    """Of what is left of grants that expire together, up to the cap rolls over into one.

    The new one keeps the age of the old, so that it is spent before its younger siblings.
    """
    rollover = over[0].rollover
    left = exact_sum(held.balance for held in over)
    cap = ZERO if rollover is None else left if rollover.cap is None else rollover.cap
    rest = rolled = min(left, cap)
    for held in over:
        kept = min(held.balance, rest)
        rest = subtract(rest, kept)
        for kind, amount in (
            (MovementKind.ROLLED_OVER, kept),
            (MovementKind.EXPIRED, subtract(held.balance, kept)),
        ):
            if amount:
                progress.movements.append(CreditMovement(kind, held.id, amount))
    if rollover is not None and rolled:
        successor = replace(
            over[0],
            id=f"{over[0].family}:rollover:{hour_text(at.hour)}",
            amount=rolled,
            expires_at=_cycles_on(at, rollover.cycles),
            offered=ZERO,
        )
        _receive(progress, successor)


def _cycles_on(at: HourContext, cycles: int) -> datetime:
    """The end of so many cycles, this one included."""
    terms = at.terms
    kind = terms.versions[0].plan.cycle
    return cycle_at(kind, terms.span.starts_at, at.cycle.index + cycles - 1).end


def _rules_due(at: HourContext) -> list[CreditRule]:
    """The plan's credits that come with this cycle; the first of a version brings its one-offs.

    A version that returns to what an earlier one had brings none of its one-offs again.
    """
    known = {rule.id for plan in at.terms.plans_before(at.cycle) for rule in plan.credits}
    return [
        rule
        for rule in at.plan.credits
        if rule.recurrence is Recurrence.CYCLE or rule.id not in known
    ]


def _from_rule(at: HourContext, rule: CreditRule) -> HeldGrant:
    lasts = rule.lasts_cycles
    return HeldGrant(
        id=f"{rule.id}:{hour_text(at.hour)}" if rule.recurrence is Recurrence.CYCLE else rule.id,
        family=rule.id,
        amount=rule.amount,
        priority=rule.priority,
        effective_at=at.hour,
        expires_at=None if lasts is None else _cycles_on(at, lasts),
        codes=tuple(sorted(rule.codes)),
        rollover=rule.rollover,
    )


def _from_grant(grant: Grant) -> HeldGrant:
    return HeldGrant(
        id=grant.id,
        family=grant.id,
        amount=grant.amount,
        priority=grant.priority,
        effective_at=grant.effective_at,
        expires_at=grant.expires_at,
        codes=tuple(sorted(grant.codes)),
        rollover=grant.rollover,
    )
