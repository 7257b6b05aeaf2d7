"""What a marketplace's listing can hold of a plan, as data with its sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from meterbridge.domain.channels import Channel
from meterbridge.domain.pricing.cycles import CycleKind
from meterbridge.domain.pricing.promises import PromiseKind

OURS = "Meterbridge"
"""Source of what no marketplace has a rule for."""


@dataclass(frozen=True, slots=True)
class ListingLimits:
    """What one marketplace's listing can hold.

    Attributes:
        dimensions: most metered dimensions of a plan.
        code: pattern of a dimension's code.
        price_step: finest step of a unit price; None where none is published.
        trial_days: [least, most] days of its own free trial; None has none with metered usage.
        currencies: in which usage can be priced.
        own_cycle: by which it invoices usage itself, at the same hours as ours; None where its
            months are others.
        decimals_safe: whether fractions of a unit are surely billed.
        correction: how too much that was billed is given back, for a person.
        sources: of these rules, by what they are about.
    """

    dimensions: int
    code: str
    price_step: Decimal | None
    trial_days: tuple[int, int] | None
    currencies: frozenset[str]
    own_cycle: CycleKind | None
    decimals_safe: bool
    correction: str
    sources: Mapping[PromiseKind, str]

    def source(self, kind: PromiseKind) -> str:
        """Where the rule about something is written."""
        return self.sources.get(kind, OURS)


_USD = frozenset({"USD"})

LISTING_LIMITS: Mapping[Channel, ListingLimits] = {
    # [DISAGREE] The rate card takes 800 rows, quotas say 200 dimensions and older pages 24 or 100;
    # the console takes shorter codes. What the API itself takes is the limit (§1.3.1, §1.3.3).
    Channel.AWS: ListingLimits(
        dimensions=800,
        code=r"[A-Za-z0-9_.-]{1,100}",
        price_step=Decimal("1E-8"),
        trial_days=(7, 90),
        currencies=_USD,
        own_cycle=CycleKind.CALENDAR_MONTH,
        decimals_safe=True,
        correction="a billing adjustment on the buyer's invoice",
        sources={
            PromiseKind.NUMBER_OF_DIMENSIONS: "AWS Marketplace Catalog API, UsageBasedPricingTerm",  # §1.3.4
            PromiseKind.DIMENSION_CODE: "AWS Marketplace Catalog API, dimension key",  # §1.3.3
            PromiseKind.PRICE_PRECISION: "AWS Marketplace Catalog API, UsageBasedPricingTerm",  # §1.3.4
            PromiseKind.CURRENCY: "AWS Marketplace Catalog API, UsageBasedPricingTerm",  # §1.3.4
            PromiseKind.TRIAL: "AWS Marketplace seller guide, SaaS free trials",  # §1.2.6
            PromiseKind.QUANTITIES: "AWS metering service, QuantityAsDecimal",  # §1.1.2
            PromiseKind.ZERO_QUANTITIES: "AWS Marketplace seller guide, hourly records, also of zero",  # §1.1.5
            PromiseKind.NEGATIVE_QUANTITIES: "AWS agreement service, billing adjustments",  # §1.1.2 and §1.4.5
            PromiseKind.CYCLE: "AWS metering service, UTC months until 06:00 UTC of day 1",  # §1.1.6
            PromiseKind.ENTITLEMENT: "AWS Marketplace seller guide, metering for usage",  # §1.1.5
        },
    ),
    # [NOT VERIFIED] Neither a step of prices nor a pattern of dimension ids is published.
    Channel.AZURE: ListingLimits(
        dimensions=30,
        code=r".+",
        price_step=None,
        trial_days=None,
        currencies=_USD,
        own_cycle=None,
        decimals_safe=True,
        correction="a request to Microsoft's support, with the evidence",
        sources={
            PromiseKind.NUMBER_OF_DIMENSIONS: "Azure SaaS metered billing, 30 per offer for all its plans",  # §2.1.5
            PromiseKind.DIMENSION_CODE: "Azure SaaS metered billing",  # §2.1.5
            PromiseKind.PRICE_PRECISION: "Azure product ingestion, customMeters: no step is published",  # §2.3
            PromiseKind.CURRENCY: "Azure product ingestion, pricePerPaymentInUsd",  # §2.3
            PromiseKind.TRIAL: "Azure SaaS metered billing, no free trial with dimensions",  # §2.1.5
            PromiseKind.QUANTITIES: "Azure metering service, decimals of unpublished precision",  # §2.1.5
            PromiseKind.ZERO_QUANTITIES: "Azure metering service, zero is refused",  # §2.1.5
            PromiseKind.NEGATIVE_QUANTITIES: "Azure metering service, negative is refused",  # §2.1.5
            PromiseKind.CYCLE: "Azure metering FAQ, quantities run by the subscription's term",  # §2.1.5
            PromiseKind.ENTITLEMENT: "Azure metering service, Microsoft does not subtract it",  # §2.1.5
            PromiseKind.PRICE: "Azure metering FAQ, one dimension per tier",  # §2.1.5
        },
    ),
    # [DISAGREE] One page knows INT64 metrics only, Google's agent also double ones: whole
    # quantities are what surely is billed (§3.1.2). [NOT VERIFIED] Zero and negative values.
    Channel.GCP: ListingLimits(
        dimensions=8,
        code=r".+",
        price_step=None,
        trial_days=None,
        currencies=_USD,
        own_cycle=None,
        decimals_safe=False,
        correction="a request to Google's support, with the evidence",
        sources={
            PromiseKind.NUMBER_OF_DIMENSIONS: "Google Producer Portal, 8 metrics per usage plan",  # §3.3
            PromiseKind.DIMENSION_CODE: "Google Producer Portal, metric ids",  # §3.3
            PromiseKind.PRICE_PRECISION: "Google Producer Portal, no step is published",  # §3.3
            PromiseKind.CURRENCY: "Google Producer Portal, prices in USD",  # §3.3
            PromiseKind.TRIAL: "Google Producer Portal, no free trial of its own",  # §3.3
            PromiseKind.QUANTITIES: "Google Service Control, int64 or double metrics",  # §3.1.2
            PromiseKind.ZERO_QUANTITIES: "Google Service Control, no rule found",  # §3.1.5
            PromiseKind.NEGATIVE_QUANTITIES: "Google Service Control, not said to be allowed",  # §3.1.5
            PromiseKind.CYCLE: "Google reporting practices, months by US Pacific time",  # §3.1.5
            PromiseKind.ENTITLEMENT: "Google reporting practices, subtracted before reporting",  # §3.1.5
        },
    ),
}
