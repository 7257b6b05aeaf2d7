"""Real usage rated again, as if an agreement had been moved to other terms. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from meterbridge.application.agreed_terms import within_overrides
from meterbridge.application.rated_usage import RatedSpan
from meterbridge.application.refusals import Faults
from meterbridge.application.registry_admin import RegistryAdmin
from meterbridge.domain.agreements import Agreement, PlanChange
from meterbridge.domain.channels import Channel
from meterbridge.domain.errors import NotFoundError
from meterbridge.domain.money import subtract
from meterbridge.domain.offerings import Offering
from meterbridge.domain.plan_pricing import plan_terms
from meterbridge.domain.pricing.compared_charges import (
    ComparedCharge,
    compared_charges,
    total_net,
)
from meterbridge.domain.pricing.cycles import Cycle, cycle_of, hours_in
from meterbridge.domain.pricing.faults import Fault
from meterbridge.domain.pricing.overrides import Overrides, overridden, override_faults
from meterbridge.domain.pricing.plan_terms import PlanTerms
from meterbridge.domain.pricing.validation import validate
from meterbridge.domain.windows import hour_of

MAX_SPAN = timedelta(days=92)
"""The longest span that one replay tells of."""

MAX_QUANTITIES = 40_000
"""Hours times dimensions that are rated for one agreement, from the start of the span's first cycle."""

MAX_SCANNED = 200
"""Agreements looked at for one page of a replay of all."""

ENOUGH_QUANTITIES = 20_000
"""A page ends when so many quantities of an hour and dimension have been rated, twice each."""

ReadRated = Callable[[Agreement, datetime, datetime], RatedSpan]
"""read_rated_usage with its ports."""


@dataclass(frozen=True, slots=True)
class OtherTerms:
    """What to rate by in place of what an agreement has; None keeps that."""

    offering_version: int | None = None
    plan_code: str | None = None
    overrides: Overrides | None = None


@dataclass(frozen=True, slots=True)
class AgreementReplay:
    """One agreement's charges of a span, before and after.

    Attributes:
        rated_from: the start of the cycle from which the other terms hold: the span's first.
        lines: by code and group; none where it is refused.
        refused: code of why it cannot be rated by the other terms; "" where it can.
        detail: that, for a person.
        quantities: how many were rated, each of an hour and dimension.
    """

    agreement_id: str
    customer_id: str
    channel: Channel
    currency: str
    rated_from: datetime | None = None
    lines: tuple[ComparedCharge, ...] = ()
    before: Decimal = Decimal(0)
    after: Decimal = Decimal(0)
    refused: str = ""
    detail: str = ""
    quantities: int = 0

    @property
    def difference(self) -> Decimal:
        """In net charges; positive costs more."""
        return subtract(self.after, self.before)


@dataclass(frozen=True, slots=True)
class ReplayPage:
    """Agreements replayed, in order of id. `next_after` continues; "" at the end."""

    items: tuple[AgreementReplay, ...]
    next_after: str = ""


def check_replay(
    offering: Offering,
    other: OtherTerms,
    start: datetime,
    end: datetime,
    *,
    registry: RegistryAdmin,
) -> None:
    """Raises InvalidRequestError with all that no agreement could be replayed for.

    Args:
        offering: its newest version.
    """
    faults = Faults()
    if not timedelta(0) < end - start <= MAX_SPAN:
        detail = f"start is before end, by at most {MAX_SPAN.days} days"
        faults.add("invalid_range", detail, "/end")
    if other.offering_version is not None and other.offering_version > offering.version:
        detail = f"the newest version is {offering.version}"
        faults.add("unknown_version", detail, "/version")
    elif other.offering_version is not None:
        offering = registry.offering(offering.id, other.offering_version)
    codes = [plan.code for plan in offering.plans]
    named = other.offering_version is not None
    if other.plan_code is not None and named and other.plan_code not in codes:
        detail = f"version {offering.version} has no plan {other.plan_code}"
        faults.add("unknown_plan", detail, "/plan_code")
    elif other.overrides is not None and other.plan_code is not None and named:
        plan = plan_terms(offering.plan(other.plan_code), offering.currency)
        faults.add_all(_override_faults(plan, other.overrides))
    faults.refuse_any()


def replay_agreement(
    agreement: Agreement,
    other: OtherTerms,
    start: datetime,
    end: datetime,
    *,
    registry: RegistryAdmin,
    read: ReadRated,
) -> AgreementReplay | None:
    """An agreement's hours in [start, end) as they were rated, and as they would be.

    As if the other terms had been agreed on from the start of the cycle that holds `start`, with
    the credits, trial and commitment that the agreement had by then. Whatever it has agreed on for
    later than that is left aside.

    Returns:
        None where the agreement covers no hour of the span.

    Raises:
        NotFoundError: the agreement names an offering, plan or meter that does not exist.
        StoreUnavailableError: nothing could be read.
    """
    first = max(start, hour_of(agreement.starts_at))
    if first >= end or (agreement.ends_at is not None and agreement.ends_at <= first):
        return None
    present = _in_force(agreement, first)
    plan = _plan(agreement, present, registry)
    cycle = cycle_of(plan.cycle, agreement.starts_at, first)
    present = _in_force(agreement, max(cycle.start, agreement.starts_at))
    found = AgreementReplay(
        agreement.id, agreement.customer_id, agreement.channel, plan.currency, cycle.start
    )
    hours_rated = hours_in(max(cycle.start, hour_of(agreement.starts_at)), end)
    if hours_rated * len(plan.dimensions) > MAX_QUANTITIES:
        detail = f"{hours_rated} hours of {len(plan.dimensions)} dimensions: take a shorter span"
        return replace(found, refused="too_much_usage", detail=detail)
    change = PlanChange(
        starts_at=max(cycle.start, agreement.starts_at),
        offering_version=other.offering_version or present.offering_version,
        plan_code=other.plan_code or present.plan_code,
        overrides=present.overrides if other.overrides is None else other.overrides,
    )
    for refused, detail in _refusals(agreement, plan, change, registry):
        return replace(found, refused=refused, detail=detail)
    moved = agreement if other == OtherTerms() else _moved(agreement, cycle, change)
    before = read(agreement, cycle.start, end)
    after = read(moved, cycle.start, end)
    hours = [[hour for hour in each.hours if hour.hour >= start] for each in (before, after)]
    return replace(
        found,
        lines=compared_charges(*hours),
        before=total_net(hours[0]),
        after=total_net(hours[1]),
        quantities=sum(len(hour.quantities) for hour in before.metered),
    )


def replay_agreements(
    offering: Offering,
    other: OtherTerms,
    start: datetime,
    end: datetime,
    *,
    after: str,
    limit: int,
    registry: RegistryAdmin,
    read: ReadRated,
) -> ReplayPage:
    """The agreements of an offering that cover an hour of the span, as replay_agreement.

    A page is shorter than the limit when many agreements were looked at for it, or much was rated.
    """
    items: list[AgreementReplay] = []
    entries = registry.agreement_page(after, MAX_SCANNED, {offering.product_id})
    for place, entry in enumerate(entries.entries):
        agreement = entry.value
        if agreement.offering_id != offering.id:
            continue
        found = replay_agreement(agreement, other, start, end, registry=registry, read=read)
        items += [] if found is None else [found]
        if len(items) >= limit or sum(each.quantities for each in items) >= ENOUGH_QUANTITIES:
            more = place + 1 < len(entries.entries) or bool(entries.next_after)
            return ReplayPage(tuple(items), agreement.id if more else "")
    return ReplayPage(tuple(items), entries.next_after)


def _in_force(agreement: Agreement, moment: datetime) -> PlanChange:
    """The version, plan and overrides that an agreement has at a moment."""
    found = PlanChange(
        agreement.starts_at, agreement.offering_version, agreement.plan_code, agreement.overrides
    )
    for change in agreement.plan_changes:
        if change.starts_at <= moment:
            found = change
    return found


def _moved(agreement: Agreement, cycle: Cycle, change: PlanChange) -> Agreement:
    """The agreement with other terms from a cycle on."""
    if cycle.start <= agreement.starts_at:
        return replace(
            agreement,
            offering_version=change.offering_version,
            plan_code=change.plan_code,
            overrides=change.overrides,
            plan_changes=(),
        )
    kept = (each for each in agreement.plan_changes if each.starts_at < cycle.start)
    return replace(agreement, plan_changes=(*kept, change))


def _plan(agreement: Agreement, change: PlanChange, registry: RegistryAdmin) -> PlanTerms:
    offering = registry.offering(agreement.offering_id, change.offering_version)
    return plan_terms(offering.plan(change.plan_code), offering.currency)


def _refusals(
    agreement: Agreement, plan: PlanTerms, change: PlanChange, registry: RegistryAdmin
) -> Iterator[tuple[str, str]]:
    """(code, detail) of why an agreement cannot be moved."""
    try:
        other = _plan(agreement, change, registry)
    except NotFoundError as exc:
        yield "unknown_plan", str(exc)
        return
    if (other.currency, other.cycle) != (plan.currency, plan.cycle):
        yield "other_cycle_or_currency", "an agreement keeps its currency and its cycle"
    for fault in _override_faults(other, change.overrides):
        yield fault.code, f"{fault.pointer}: {fault.detail}"


def _override_faults(plan: PlanTerms, overrides: Overrides) -> tuple[Fault, ...]:
    """What is wrong with overrides, or with what they make of the plan."""
    found = override_faults(plan, overrides)
    if not found and overrides != Overrides():
        known = set(validate(replace(plan, reporting=())))
        found = tuple(
            replace(each, pointer=within_overrides(each.pointer, plan, overrides))
            for each in validate(replace(overridden(plan, overrides), reporting=()))
            if each not in known
        )
    return tuple(replace(each, pointer=f"/overrides{each.pointer}") for each in found)
