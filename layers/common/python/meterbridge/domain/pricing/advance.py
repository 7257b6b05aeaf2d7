"""Rating as a fold over an agreement's closed hours: one state in, one state and rated hours out.

The order is fixed: quantity → increment → included → free trial → price model → discounts →
minimum and commitment → prepaid credits → spend cap → net charge. Two runs equal one run over
both their hours, from whatever state the second resumes; usage that comes late is rated by
running again from a state before its hour, as if it had come in time. So is a change of the terms that
reaches back: a grant or seats of an hour that the state has passed, or an end in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from meterbridge.domain.errors import InvariantError
from meterbridge.domain.money import exact_sum
from meterbridge.domain.pricing.agreement_terms import AgreementTerms
from meterbridge.domain.pricing.deductions import (
    apply_discounts,
    begin_commitment,
    cap_spend,
    cover_trial_amount,
    make_up_minimum,
)
from meterbridge.domain.pricing.fees import fee_lines
from meterbridge.domain.pricing.hour_context import HourContext
from meterbridge.domain.pricing.plan_terms import OneOffFee
from meterbridge.domain.pricing.progress import Progress
from meterbridge.domain.pricing.rated import MeteredHour, RatedHour
from meterbridge.domain.pricing.rating_state import RatingState
from meterbridge.domain.pricing.usage_lines import usage_lines
from meterbridge.domain.pricing.wallet import move_credits, spend_credits, top_up, watch_credits
from meterbridge.domain.windows import HOUR, hour_ceiling, hour_of


def advance(
    terms: AgreementTerms, state: RatingState, hours: Iterable[MeteredHour], *, through: datetime
) -> tuple[RatingState, list[RatedHour]]:
    """Rate the hours after a state.

    Args:
        hours: those with usage, ascending; hours without may be left out.
        through: the last closed hour: fees, expiries and true-ups up to it are due, too.

    Returns:
        The state after `through`, and every hour in which something happened.

    Raises:
        InvariantError: an hour is out of order or outside the agreement, a quantity belongs to no
            dimension, or something was not conserved.
    """
    progress, rated = Progress(state), []
    pending = _checked(terms, state, hours, through)
    upcoming = next(pending, None)
    while True:
        hour = upcoming.hour if upcoming is not None else None
        done = progress.rated_through
        if hour is None or done is None or hour > done + HOUR:
            due = _next_due(terms, progress)
            hour = min((each for each in (due, hour) if each), default=None)
        if hour is None or hour > through:
            break
        metered = MeteredHour(hour, {})
        if upcoming is not None and upcoming.hour == hour:
            metered, upcoming = upcoming, next(pending, None)
        found = _rate_hour(terms, progress, metered)
        if not found.empty:
            rated.append(found)
    if progress.rated_through is not None and through > progress.rated_through:
        end = terms.span.end_hour
        progress.rated_through = through if end is None else min(through, end - HOUR)
    return progress.state(), rated


def _checked(
    terms: AgreementTerms, state: RatingState, hours: Iterable[MeteredHour], through: datetime
) -> Iterator[MeteredHour]:
    last, span = state.rated_through, terms.span
    for metered in hours:
        hour = metered.hour
        in_order = (last is None or hour > last) and hour == hour_of(hour) and hour <= through
        if not in_order or hour < span.first_hour or (span.end_hour and hour >= span.end_hour):
            raise InvariantError(f"hour {hour} is out of order or outside the agreement")
        last = hour
        yield metered


def next_due(terms: AgreementTerms, state: RatingState) -> datetime | None:
    """The next hour in which something happens without usage; None when nothing will."""
    return _next_due(terms, Progress(state))


def _next_due(terms: AgreementTerms, progress: Progress) -> datetime | None:
    """The next hour in which something happens by itself."""
    done, span = progress.rated_through, terms.span
    if done is None:
        nothing = span.end_hour is not None and span.end_hour <= span.first_hour
        return None if nothing else span.first_hour
    cycle = terms.cycle(done)
    trial_end = terms.trial_end(terms.plan_of(cycle))
    found = [cycle.end, span.last_of(cycle)]
    found += [hour_ceiling(trial_end)] if trial_end is not None else []
    found += [hour_of(grant.effective_at) for grant in terms.grants]
    found += [hour_ceiling(held.expires_at) for held in progress.grants if held.expires_at]
    found += [hour_of(change.at) for changes in terms.seats.values() for change in changes]
    found += [
        hour_of(fee.at)
        for fee in terms.plan_of(cycle).fees
        if isinstance(fee, OneOffFee) and fee.at is not None
    ]
    later = [hour for hour in found if hour > done and (not span.end_hour or hour < span.end_hour)]
    return min(later, default=None)


def _rate_hour(terms: AgreementTerms, progress: Progress, metered: MeteredHour) -> RatedHour:
    cycle = terms.cycle(metered.hour)
    opening = progress.cycle_start != cycle.start
    at = HourContext(terms, terms.plan_of(cycle), cycle, metered.hour, opening)
    progress.movements, progress.passed = [], []
    if opening:
        progress.open_cycle(cycle.start)
        begin_commitment(at, progress)
    move_credits(at, progress)
    usage = list(usage_lines(at, progress, metered))
    cover_trial_amount(at, progress, usage)
    lines = [*usage, *fee_lines(at, progress)]
    apply_discounts(at, progress, lines)
    lines += make_up_minimum(at, progress, lines)
    spend_credits(progress, lines)
    bought = top_up(at, progress, lines)
    # What was bought comes first, so that it is never what the cap leaves unbilled.
    lines = [*bought, *lines]
    cap_spend(at, progress, lines)
    watch_credits(at, progress)
    charges = tuple(charge for line in lines if not (charge := line.finished()).empty)
    progress.net = exact_sum((progress.net, *(charge.net for charge in charges)))
    progress.rated_through = metered.hour
    return RatedHour(
        hour=metered.hour,
        cycle=cycle,
        currency=at.plan.currency,
        charges=charges,
        movements=tuple(progress.movements),
        thresholds=tuple(progress.passed),
    )
