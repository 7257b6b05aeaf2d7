"""What rated usage would come to on a channel: what it is sent, bills and keeps, and what is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from meterbridge.domain.channels import Channel
from meterbridge.domain.listing_fees import Deal, ListingFee, listing_fee
from meterbridge.domain.money import exact_sum, subtract
from meterbridge.domain.plan_pricing import reported_dimensions
from meterbridge.domain.policy import reporting_policy
from meterbridge.domain.pricing.agreement_terms import AgreementTerms, TermsVersion
from meterbridge.domain.pricing.channel_faults import grant_faults
from meterbridge.domain.pricing.channel_reporting import ChannelReporting
from meterbridge.domain.pricing.faults import Fault
from meterbridge.domain.pricing.kept_promises import Parity
from meterbridge.domain.pricing.parity import channel_parity
from meterbridge.domain.pricing.rated import RatedHour
from meterbridge.domain.pricing.reported import reported_quantities
from meterbridge.domain.pricing.sent_quantities import SentQuantities, sent_quantities


@dataclass(frozen=True, slots=True)
class ChannelBill:
    """What a channel makes of an agreement's charges.

    charged = billed + billed_apart + carried, in the plan's currency, exact and unrounded.

    Attributes:
        sent: by reported dimension.
        charged: the net charges, on whatever bill.
        billed: by the marketplace, for what it is sent.
        billed_apart: not metered there.
        carried: charges of what was not sent, or of what was sent too much.
        fee: what the channel keeps of what it bills; None where no number is published.
        net: what is left of it for the seller; None with the fee.
    """

    sent: tuple[SentQuantities, ...]
    charged: Decimal
    billed: Decimal
    billed_apart: Decimal
    carried: Decimal
    fee: Decimal | None
    net: Decimal | None


@dataclass(frozen=True, slots=True)
class ChannelPreview:
    """An agreement's charges on one channel.

    Attributes:
        declared: the terms say how it is reported there; otherwise so it would be.
        faults: why these terms cannot be sold there; then there is no bill.
    """

    channel: Channel
    reporting: ChannelReporting
    declared: bool
    fee: ListingFee
    faults: tuple[Fault, ...]
    bill: ChannelBill | None


def channel_preview(
    terms: AgreementTerms,
    channel: Channel,
    rated: Sequence[RatedHour],
    *,
    deal: Deal,
    moment: datetime,
) -> ChannelPreview:
    """What rated hours come to on a channel, by the rules of a moment.

    Args:
        terms: of one plan version, by which the hours were rated.
    """
    plan = terms.versions[0].plan
    parity = channel_parity(plan, channel, moment)
    reported = replace(plan, reporting=(parity.reporting,))
    impossible = (each for each in parity.lines if each.parity is Parity.IMPOSSIBLE)
    faults = dict.fromkeys(fault for line in impossible for fault in line.faults)
    faults |= dict.fromkeys(grant_faults(reported, channel, terms.grants))
    fee = listing_fee(channel, deal, moment)
    bill = None
    if not faults:
        versions = (TermsVersion(terms.versions[0].starts_at, reported),)
        bill = _bill(replace(terms, versions=versions), parity.reporting, rated, fee, moment)
    return ChannelPreview(channel, parity.reporting, parity.declared, fee, tuple(faults), bill)


def _bill(
    terms: AgreementTerms,
    reporting: ChannelReporting,
    rated: Sequence[RatedHour],
    fee: ListingFee,
    moment: datetime,
) -> ChannelBill:
    plan, channel = terms.versions[0].plan, reporting.channel
    charges = [charge for hour in rated for charge in hour.charges]
    charged = exact_sum(charge.net for charge in charges)
    policy = reporting_policy(channel, moment)
    if policy is None:
        # Nothing is metered there: all of it is billed by the channel as our own invoice says.
        return ChannelBill(
            (), charged, charged, Decimal(0), Decimal(0), fee.of(charged), fee.net(charged)
        )
    quantities = reported_quantities(terms, channel, rated)
    trial = plan.trial
    free_until = terms.trial_end(plan) if trial is not None and trial.native else None
    sent = tuple(
        sent_quantities(each, quantities.get(each.code, {}), policy, free_until)
        for each in reported_dimensions(plan, channel)
    )
    billed = exact_sum(each.billed for each in sent)
    apart = exact_sum(charge.net for charge in charges if charge.code in reporting.billed_apart)
    return ChannelBill(
        sent=sent,
        charged=charged,
        billed=billed,
        billed_apart=apart,
        carried=subtract(subtract(charged, billed), apart),
        fee=fee.of(billed),
        net=fee.net(billed),
    )
