"""What is agreed with a buyer as time goes by: credits, seats, and moves to another plan.

Each function gives the agreement with one thing more, or less, for `change_agreement` to check and
to store. What is agreed already changes nothing when it is agreed again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from meterbridge.application.manage_agreements import rated_before
from meterbridge.application.refusals import StateError
from meterbridge.application.registry_admin import AlreadyExistsError
from meterbridge.domain.agreements import Agreement, PlanChange, SeatsInForce
from meterbridge.domain.errors import NotFoundError
from meterbridge.domain.pricing.agreement_terms import Grant


def with_grant(agreement: Agreement, grant: Grant) -> Agreement:
    """Raises AlreadyExistsError where another grant has its id."""
    known = next((each for each in agreement.grants if each.id == grant.id), None)
    if known == grant:
        return agreement
    if known is not None:
        raise AlreadyExistsError(f"grant {grant.id} of another content")
    return replace(agreement, grants=(*agreement.grants, grant))


def with_seats(agreement: Agreement, seats: SeatsInForce) -> Agreement:
    """In place of seats that were agreed for the same fee and moment."""
    others = [
        each for each in agreement.seats if (each.fee_code, each.at) != (seats.fee_code, seats.at)
    ]
    found = sorted((*others, seats), key=lambda each: each.at)
    return replace(agreement, seats=tuple(found))


def with_plan_change(agreement: Agreement, plan_change: PlanChange) -> Agreement:
    """Raises AlreadyExistsError where another change is agreed for the same moment."""
    moment = plan_change.starts_at
    known = next((each for each in agreement.plan_changes if each.starts_at == moment), None)
    if known == plan_change:
        return agreement
    if known is not None:
        raise AlreadyExistsError(f"a plan change at {moment.isoformat()}")
    found = sorted((*agreement.plan_changes, plan_change), key=lambda each: each.starts_at)
    return replace(agreement, plan_changes=tuple(found))


def without_plan_change(agreement: Agreement, starts_at: datetime, now: datetime) -> Agreement:
    """Raises NotFoundError where none is agreed for the moment, StateError where it has begun."""
    found = [each for each in agreement.plan_changes if each.starts_at != starts_at]
    if len(found) == len(agreement.plan_changes):
        raise NotFoundError(f"a plan change at {starts_at.isoformat()}")
    hour = rated_before(agreement, now)
    if hour is not None and starts_at < hour:
        raise StateError("a plan change that has begun stays")
    return replace(agreement, plan_changes=tuple(found))
