"""What supposed usage would cost under a plan, on each channel. Nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from meterbridge.application.refusals import Faults
from meterbridge.application.registry_admin import RegistryAdmin
from meterbridge.application.usage_given import GivenUsage, usage_totals
from meterbridge.domain.agreements import SeatsInForce
from meterbridge.domain.channels import Channel
from meterbridge.domain.errors import NotFoundError
from meterbridge.domain.listing_fees import Deal, DealKind
from meterbridge.domain.offerings import Offering, Visibility
from meterbridge.domain.plan_pricing import plan_terms
from meterbridge.domain.pricing.advance import advance
from meterbridge.domain.pricing.agreement_terms import (
    AgreementTerms,
    Grant,
    SeatChange,
    TermsVersion,
)
from meterbridge.domain.pricing.channel_preview import ChannelPreview, channel_preview
from meterbridge.domain.pricing.charge_totals import total_charges
from meterbridge.domain.pricing.cycles import BilledSpan, Cycle
from meterbridge.domain.pricing.overrides import Overrides, overridden, override_faults
from meterbridge.domain.pricing.plan_terms import PlanTerms
from meterbridge.domain.pricing.proposed_reporting import proposed_reporting
from meterbridge.domain.pricing.rated import CreditMovement, RatedCharge, ThresholdPassed
from meterbridge.domain.pricing.rating_state import RatingState
from meterbridge.domain.pricing.usage_spread import Spread, spread_usage
from meterbridge.domain.pricing.validation import validate, validate_agreement


@dataclass(frozen=True, slots=True)
class Supposed:
    """An agreement that nobody has made, and what is used in its first cycle.

    Attributes:
        seats: from the start on, or from the moments given.
        deal: on which the channels' fees depend; None is by the offering's visibility.
        channels: empty is all.
    """

    plan_code: str
    starts_at: datetime
    usage: Sequence[GivenUsage]
    spread: Spread = Spread.DAILY
    overrides: Overrides = field(default_factory=Overrides)
    grants: tuple[Grant, ...] = ()
    seats: tuple[SeatsInForce, ...] = ()
    deal: Deal | None = None
    channels: tuple[Channel, ...] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """What a supposed agreement's first cycle comes to.

    Attributes:
        lines: of a bill, by code and group.
        deal: by which fees were told.
    """

    offering: Offering
    plan: PlanTerms
    cycle: Cycle
    lines: tuple[RatedCharge, ...]
    movements: tuple[CreditMovement, ...]
    thresholds: tuple[ThresholdPassed, ...]
    deal: Deal
    channels: tuple[ChannelPreview, ...]


def offering_deal(offering: Offering) -> Deal:
    """The deal that an offering's visibility stands for: without a contract value."""
    private = offering.visibility is Visibility.PRIVATE
    return Deal(DealKind.PRIVATE if private else DealKind.PUBLIC)


def preview_offering(
    offering: Offering, supposed: Supposed, *, registry: RegistryAdmin, now: datetime
) -> Preview:
    """Rate the first cycle of a supposed agreement, and tell what each channel makes of it.

    Raises:
        InvalidRequestError: what is supposed makes no sense; names all faults.
        NotFoundError: a meter of the offering does not exist.
    """
    faults = Faults()
    plan = _plan(offering, supposed, faults)
    span = BilledSpan.since(supposed.starts_at)
    terms = _terms(plan, span, supposed, faults)
    cycle = terms.cycle(span.first_hour)
    meters = {each.meter_id: registry.meter(each.meter_id) for each in plan.dimensions}
    totals = usage_totals(
        supposed.usage, plan, meters, span, cycle, spread=supposed.spread, faults=faults
    )
    faults.refuse_any()
    hours = spread_usage(totals, supposed.spread)
    rated = advance(terms, RatingState(), hours, through=span.last_of(cycle))[1]
    deal = supposed.deal or offering_deal(offering)
    return Preview(
        offering=offering,
        plan=plan,
        cycle=cycle,
        lines=total_charges(rated),
        movements=tuple(each for hour in rated for each in hour.movements),
        thresholds=tuple(each for hour in rated for each in hour.thresholds),
        deal=deal,
        channels=tuple(
            channel_preview(terms, channel, rated, deal=deal, moment=now)
            for channel in supposed.channels or tuple(Channel)
        ),
    )


def _plan(offering: Offering, supposed: Supposed, faults: Faults) -> PlanTerms:
    """The plan's terms, overridden.

    Raises:
        InvalidRequestError: there is no such plan, or the overrides do not fit it.
    """
    try:
        plan = plan_terms(offering.plan(supposed.plan_code), offering.currency)
    except NotFoundError as exc:
        faults.add("unknown_plan", str(exc), "/plan_code")
        faults.refuse_any()
        raise
    found = override_faults(plan, supposed.overrides)
    for fault in found:
        faults.add(fault.code, fault.detail, f"/overrides{fault.pointer}")
    faults.refuse_any()
    changed = overridden(plan, supposed.overrides)
    # What a channel cannot do of it is told with the channel.
    for fault in validate(replace(changed, reporting=())):
        pointer = _of_overrides(fault.pointer, len(plan.discounts))
        faults.add(fault.code, fault.detail, f"/overrides{pointer}")
    faults.refuse_any()
    return changed


def _of_overrides(pointer: str, plans_own: int) -> str:
    """A pointer into the overridden plan's discounts, of which the plan's own come first."""
    _, name, number, *rest = [*pointer.split("/"), "", ""]
    if name != "discounts":
        return pointer
    return "/".join(["", name, str(int(number) - plans_own), *rest]).rstrip("/")


def _terms(plan: PlanTerms, span: BilledSpan, supposed: Supposed, faults: Faults) -> AgreementTerms:
    seats: dict[str, tuple[SeatChange, ...]] = {}
    for each in supposed.seats:
        change = SeatChange(each.at, each.seats)
        seats[each.fee_code] = (*seats.get(each.fee_code, ()), change)
    versions = (TermsVersion(span.starts_at, plan),)
    terms = AgreementTerms(span, versions, supposed.grants, seats)
    # Which channel takes the grants is told with each channel; billed by hand, all do.
    by_hand = replace(plan, reporting=(proposed_reporting(plan, Channel.MANUAL),))
    checked = replace(terms, versions=(TermsVersion(span.starts_at, by_hand),))
    for fault in validate_agreement(checked, Channel.MANUAL):
        faults.add(fault.code, fault.detail, fault.pointer)
    return terms
