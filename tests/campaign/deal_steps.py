"""Steps that change what a customer has agreed, if the product's rules allow it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from campaign.oracle import Oracle
from campaign.schedule import SUBJECTS, Step
from campaign.world import ThreeClouds
from meterbridge.domain.agreements import SeatsInForce
from meterbridge.domain.pricing.agreement_terms import Grant, SeatChange
from meterbridge.domain.pricing.cycles import cycle_of
from meterbridge.domain.pricing.validation import validate_agreement


def deal_step(step: Step, world: ThreeClouds, oracle: Oracle) -> None:
    """Grant credits, change seats or the plan, or wait for the cycle's end; nothing where it cannot be."""
    subject, now = step.on, world.clock.now().replace(microsecond=0)
    dealt = oracle.dealt.get(subject)
    if dealt is None or subject in oracle.ends or now < dealt.deal.starts_at:
        return
    cycle = cycle_of(dealt.deal.plan.cycle, dealt.deal.starts_at, now)
    if step.do == "cycle_end":
        # A deployment's first sweep is never so late: it would not look back so far.
        world.sweep()
        world.clock.advance(max(cycle.end - now - timedelta(minutes=40), timedelta(0)))
        return
    if step.do == "change":
        if dealt.changes_at is None and dealt.deal.later is not None:
            dealt.changes_at = cycle.end
            if validate_agreement(dealt.terms(), SUBJECTS[subject]):
                dealt.changes_at = None
            else:
                world.change_plan(subject, cycle.end)
        return
    added: Grant | SeatChange
    if step.do == "grant":
        expires_at = now + timedelta(hours=step.hours) if step.hours else None
        name, amount = f"grant{len(dealt.grants)}", Decimal(step.amount) / 100
        added = Grant(name, amount, now, expires_at, codes=frozenset(step.text.split()))
    else:
        added = SeatChange(now, Decimal(step.amount))
    if validate_agreement(dealt.terms(added), SUBJECTS[subject]):
        return
    if isinstance(added, Grant):
        dealt.grants.append(added)
        world.grant(subject, added)
    else:
        dealt.seats.append(added)
        world.set_seats(subject, SeatsInForce("seats", added.at, added.seats))
