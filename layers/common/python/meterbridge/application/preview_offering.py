"""What supposed usage would cost under a plan, on each channel. Nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from meterbridge.application.agreed_terms import agreed_faults
from meterbridge.application.billing_terms import agreement_terms
from meterbridge.application.refusals import Faults
from meterbridge.application.registry_admin import RegistryAdmin
from meterbridge.application.usage_given import GivenUsage, usage_totals
from meterbridge.domain.agreements import Agreement, SeatsInForce
from meterbridge.domain.channels import Channel
from meterbridge.domain.listing_fees import Deal, DealKind
from meterbridge.domain.offerings import Offering, Visibility
from meterbridge.domain.pricing.advance import advance
from meterbridge.domain.pricing.agreement_terms import Grant
from meterbridge.domain.pricing.channel_preview import ChannelPreview, channel_preview
from meterbridge.domain.pricing.charge_totals import total_charges
from meterbridge.domain.pricing.cycles import Cycle
from meterbridge.domain.pricing.overrides import Overrides
from meterbridge.domain.pricing.plan_terms import PlanTerms
from meterbridge.domain.pricing.rated import CreditMovement, RatedCharge, ThresholdPassed
from meterbridge.domain.pricing.rating_state import RatingState
from meterbridge.domain.pricing.usage_spread import Spread, spread_usage


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
        InvalidRequestError: nobody could make such an agreement, or use so; names all faults.
        InvalidInputError: the start is no whole second.
        NotFoundError: a meter of the offering does not exist.
    """
    agreement = _agreement(offering, supposed)
    faults = Faults()
    faults.add_all(agreed_faults(agreement, registry))
    faults.refuse_any()
    terms = agreement_terms(agreement, registry, ())
    plan, span = terms.versions[0].plan, terms.span
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


def _agreement(offering: Offering, supposed: Supposed) -> Agreement:
    """The agreement that is supposed. Billed by hand, it takes whatever can be invoiced: what a
    marketplace cannot do of it is told with that marketplace.
    """
    return Agreement(
        id="supposed",
        customer_id="supposed",
        product_id=offering.product_id,
        channel=Channel.MANUAL,
        offering_id=offering.id,
        offering_version=offering.version,
        plan_code=supposed.plan_code,
        starts_at=supposed.starts_at,
        overrides=supposed.overrides,
        grants=supposed.grants,
        seats=supposed.seats,
    )
