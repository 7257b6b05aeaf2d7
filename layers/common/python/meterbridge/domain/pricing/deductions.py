"""What is taken off an hour's list charges, and added to reach a minimum; then the spend cap."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from meterbridge.domain.money import ZERO, add, multiply, subtract
from meterbridge.domain.pricing.charges import Charge, Part, Rule
from meterbridge.domain.pricing.cycles import prorated
from meterbridge.domain.pricing.hour_context import HourContext
from meterbridge.domain.pricing.plan_terms import Discount, TrialKind
from meterbridge.domain.pricing.pools import newly_taken, taken
from meterbridge.domain.pricing.progress import Line, Progress, left_of, take
from meterbridge.domain.pricing.rated import Watched
from meterbridge.domain.pricing.tiers import PERCENT


def cover_trial_amount(at: HourContext, progress: Progress, usage: Sequence[Line]) -> None:
    """Let a trial of an amount pay for usage."""
    trial = at.plan.trial
    if trial is None or trial.kind is not TrialKind.AMOUNT or not at.trial_open:
        return
    change = left_of(usage)
    if not change:
        return
    offered = progress.trial_offered.get("", ZERO)
    progress.trial_offered[""] = add(offered, change)
    take(usage, newly_taken(offered, change, trial.amount), _note_trial)


def _note_trial(line: Line, share: Decimal) -> None:
    line.trial_amount = add(line.trial_amount, share)


def apply_discounts(at: HourContext, progress: Progress, lines: Sequence[Line]) -> None:
    """Take the discounts that hold in the hour, one after another."""
    for discount in at.plan.discounts:
        begun = discount.starts_at is None or discount.starts_at <= at.hour
        if begun and (discount.ends_at is None or at.hour < discount.ends_at):
            chosen = [line for line in lines if not discount.codes or line.code in discount.codes]
            _apply(discount, progress, chosen)


def _apply(discount: Discount, progress: Progress, lines: Sequence[Line]) -> None:
    def note(line: Line, share: Decimal) -> None:
        line.discounts[discount.id] = add(line.discounts.get(discount.id, ZERO), share)

    if discount.percent is not None:
        share = multiply(discount.percent, PERCENT)
        for line in lines:
            take([line], multiply(line.left, share), note)
    if discount.amount is not None and (change := left_of(lines)):
        offered = progress.discounted.get(discount.id, ZERO)
        progress.discounted[discount.id] = add(offered, change)
        take(lines, newly_taken(offered, change, discount.amount), note)


def make_up_minimum(at: HourContext, progress: Progress, lines: Sequence[Line]) -> list[Line]:
    """What a cycle's last hour is short of its minimum, and the term's of its commitment."""
    change = left_of(lines)
    progress.cycle_charge = add(progress.cycle_charge, change)
    progress.committed = add(progress.committed, change)
    made_up: list[Line] = []
    minimum = at.plan.minimum
    if minimum is not None and at.is_cycle_end:
        hours = at.billed_hours - at.hours_without_minimum
        of_hours = at.cycle.hours if minimum.prorate else at.billed_hours
        least = prorated(minimum.amount, hours, of_hours)
        short = max(subtract(least, progress.cycle_charge), ZERO)
        made_up += _true_up(minimum.code, Rule.MINIMUM_CHARGE, short)
        progress.cycle_charge = add(progress.cycle_charge, short)
        progress.committed = add(progress.committed, short)
    commitment = at.plan.commitment
    if commitment is not None and _commitment_ends(at):
        short = max(subtract(commitment.amount, progress.committed), ZERO)
        made_up += _true_up(commitment.code, Rule.COMMITMENT, short)
        progress.committed = ZERO
    return made_up


def _true_up(code: str, rule: Rule, amount: Decimal) -> list[Line]:
    return [Line(code, Charge.of((Part(rule, amount),)))] if amount else []


def _commitment_ends(at: HourContext) -> bool:
    commitment = at.plan.commitment
    if at.is_agreement_end:
        return True
    if commitment is None or commitment.cycles is None:
        return False
    return at.is_cycle_end and (at.cycle.index + 1) % commitment.cycles == 0


def begin_commitment(at: HourContext, progress: Progress) -> None:
    """Count from zero where a commitment begins with the cycle, or there is none."""
    commitment = at.plan.commitment
    if commitment is None or (commitment.cycles and at.cycle.index % commitment.cycles == 0):
        progress.committed = ZERO


def cap_spend(at: HourContext, progress: Progress, lines: Sequence[Line]) -> None:
    """Keep the cycle's charges within the spend cap."""
    change = left_of(lines)
    before = progress.spend
    progress.spend = add(before, change)
    cap = at.plan.spend_cap
    if cap is None:
        return
    billed = subtract(min(progress.spend, cap.amount), min(before, cap.amount))
    # The first lines are billed first, so the last ones are the first to be beyond the cap.
    take(lines[::-1], subtract(change, billed), _note_over_cap)
    progress.watch(
        Watched.SPEND_CAP, "", cap.thresholds, taken(progress.spend, cap.amount), cap.amount
    )


def _note_over_cap(line: Line, share: Decimal) -> None:
    line.over_cap = share
