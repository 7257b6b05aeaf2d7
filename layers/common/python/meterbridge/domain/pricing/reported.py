"""From rated hours to what a marketplace's dimensions are to report."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from meterbridge.domain.channels import Channel
from meterbridge.domain.errors import NotFoundError
from meterbridge.domain.money import ZERO, exact_sum
from meterbridge.domain.pricing.agreement_terms import AgreementTerms
from meterbridge.domain.pricing.channel_reporting import (
    ChannelReporting,
    ReportingMode,
    Source,
)
from meterbridge.domain.pricing.plan_terms import PlanTerms
from meterbridge.domain.pricing.rated import RatedCharge, RatedHour


def reported_quantities(
    terms: AgreementTerms, channel: Channel, rated: Iterable[RatedHour]
) -> dict[str, dict[datetime, Decimal]]:
    """What each reported dimension has to report, by hour; hours of zero are left out.

    NATIVE dimensions report billable quantity in metered units, CURRENCY ones the net charge. Both
    may be negative: what cannot be sent is for the ledger to carry.

    Raises:
        NotFoundError: the terms say nothing about the channel.
    """
    found: dict[str, dict[datetime, Decimal]] = {}
    for hour in rated:
        plan = terms.plan_of(hour.cycle)
        for dimension in reporting_of(plan, channel).dimensions:
            quantity = exact_sum(
                reported_quantity(plan, dimension.mode, source, charge)
                for source in dimension.sources
                for charge in hour.charges
                if source.takes(charge.code, charge.group)
            )
            if quantity:
                found.setdefault(dimension.code, {})[hour.hour] = quantity
    return found


def reporting_of(plan: PlanTerms, channel: Channel) -> ChannelReporting:
    """How a plan is reported through a channel.

    Raises:
        NotFoundError: the plan does not say.
    """
    for reporting in plan.reporting:
        if reporting.channel is channel:
            return reporting
    raise NotFoundError(f"the terms say nothing about reporting to {channel}")


def reported_quantity(
    plan: PlanTerms, mode: ReportingMode, source: Source, charge: RatedCharge
) -> Decimal:
    """What of a charge that a source takes is reported: money, or quantity in metered units."""
    if mode is ReportingMode.CURRENCY:
        return charge.net
    if source.step:
        return exact_sum(part.quantity for part in charge.parts if part.step == source.step)
    native_trial = plan.trial is not None and plan.trial.native
    return exact_sum((charge.rated, charge.free_trial if native_trial else ZERO))
