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
            PromiseKind.NUMBER_OF_DIMENSIONS: "contracts.md §1.3.4: UsageBasedPricingTerm",
            PromiseKind.DIMENSION_CODE: "contracts.md §1.3.3: dimension key",
            PromiseKind.PRICE_PRECISION: "contracts.md §1.3.4: UsageBasedPricingTerm",
            PromiseKind.CURRENCY: "contracts.md §1.3.4: UsageBasedPricingTerm",
            PromiseKind.TRIAL: "contracts.md §1.2.6: SaaS free trials",
            PromiseKind.QUANTITIES: "contracts.md §1.1.2: QuantityAsDecimal",
            PromiseKind.ZERO_QUANTITIES: "contracts.md §1.1.5: hourly records, also of zero",
            PromiseKind.NEGATIVE_QUANTITIES: "contracts.md §1.1.2 and §1.4.5: billing adjustments",
            PromiseKind.CYCLE: "contracts.md §1.1.6: the UTC month, until 06:00 UTC of day 1",
            PromiseKind.ENTITLEMENT: "contracts.md §1.1.5: AWS multiplies what is reported",
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
            PromiseKind.NUMBER_OF_DIMENSIONS: "contracts.md §2.1.5: 30 per offer, for all plans",
            PromiseKind.DIMENSION_CODE: "contracts.md §2.1.5: dimensions",
            PromiseKind.PRICE_PRECISION: "contracts.md §2.3: customMeters; no step is published",
            PromiseKind.CURRENCY: "contracts.md §2.3: pricePerPaymentInUsd",
            PromiseKind.TRIAL: "contracts.md §2.1.5: no free trial with metered dimensions",
            PromiseKind.QUANTITIES: "contracts.md §2.1.5: decimals; precision is not published",
            PromiseKind.ZERO_QUANTITIES: "contracts.md §2.1.5: zero is refused",
            PromiseKind.NEGATIVE_QUANTITIES: "contracts.md §2.1.5: negative is refused",
            PromiseKind.CYCLE: "contracts.md §2.1.5: quantities run by the subscription's term",
            PromiseKind.ENTITLEMENT: "contracts.md §2.1.5: Microsoft does not subtract it",
            PromiseKind.PRICE: "contracts.md §2.1.5: one dimension per tier",
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
            PromiseKind.NUMBER_OF_DIMENSIONS: "contracts.md §3.3: 8 metrics per usage plan",
            PromiseKind.DIMENSION_CODE: "contracts.md §3.3: metric ids",
            PromiseKind.PRICE_PRECISION: "contracts.md §3.3: no step is published",
            PromiseKind.CURRENCY: "contracts.md §3.3: prices in USD",
            PromiseKind.TRIAL: "contracts.md §3.3: no free trial of its own",
            PromiseKind.QUANTITIES: "contracts.md §3.1.2: int64 or double metrics",
            PromiseKind.ZERO_QUANTITIES: "contracts.md §3.1.5: no rule found",
            PromiseKind.NEGATIVE_QUANTITIES: "contracts.md §3.1.5: taken to be forbidden",
            PromiseKind.CYCLE: "contracts.md §3.1.5: months by US Pacific time",
            PromiseKind.ENTITLEMENT: "contracts.md §3.1.5: subtracted before reporting",
        },
    ),
}
