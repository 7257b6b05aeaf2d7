"""One plan of an offering on one channel, as compilers read it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from meterbridge.domain.channels import Channel
from meterbridge.domain.money import plain
from meterbridge.domain.offerings import Dimension, Offering, Plan
from meterbridge.domain.plan_pricing import plan_terms, reported_dimensions
from meterbridge.domain.pricing.channel_reporting import ChannelReporting, ReportedDimension
from meterbridge.domain.pricing.plan_terms import (
    PaymentSchedule,
    PlanTerms,
    SeatFee,
    SubscriptionFee,
)


@dataclass(frozen=True, slots=True)
class Sale:
    """A plan, its terms, and what is reported of it.

    Attributes:
        terms: with no other channel's reporting, so that whatever is wrong with them concerns this.
        place: of the channel in the plan's own `reporting`; None where it is not named.
        dimensions: what the marketplace is told of, with the price of one of its units.
    """

    offering: Offering
    plan: Plan
    channel: Channel
    terms: PlanTerms
    place: int | None
    dimensions: tuple[Dimension, ...]

    @classmethod
    def of(cls, offering: Offering, plan_code: str, channel: Channel) -> Sale:
        """A plan of an offering on a channel.

        Raises:
            NotFoundError: the offering has no such plan.
        """
        plan = offering.plan(plan_code)
        whole = plan_terms(plan, offering.currency)
        places = [n for n, each in enumerate(whole.reporting) if each.channel is channel]
        terms = replace(whole, reporting=tuple(whole.reporting[place] for place in places))
        return cls(
            offering,
            plan,
            channel,
            terms,
            places[0] if places else None,
            reported_dimensions(terms, channel),
        )

    @property
    def reporting(self) -> ChannelReporting | None:
        """How it is reported there."""
        return self.terms.reporting[0] if self.terms.reporting else None

    @property
    def reported(self) -> tuple[ReportedDimension, ...]:
        """The dimensions as they are reported, in the order of `dimensions`."""
        return self.reporting.dimensions if self.reporting is not None else ()

    @property
    def title(self) -> str:
        """What a buyer reads."""
        return self.plan.name or f"{self.offering.name} ({self.plan.code})"

    def apart(self) -> frozenset[str]:
        """Codes that are not metered there."""
        return self.reporting.billed_apart if self.reporting is not None else frozenset()

    def upfront_fees(self) -> tuple[SubscriptionFee | SeatFee, ...]:
        """Fees that the listing itself may charge: not metered, and due at a cycle's beginning."""
        return tuple(
            fee
            for fee in self.terms.fees
            if isinstance(fee, SubscriptionFee | SeatFee)
            and fee.code in self.apart()
            and fee.schedule is PaymentSchedule.UPFRONT
        )


def unit_text(dimension: Dimension, currency: str) -> str:
    """What one unit of a dimension is, for a buyer."""
    size = plain(dimension.units_per_quantity)
    if dimension.in_currency:
        return f"Charges under the plan's terms, in units of {size} {currency}"
    name = dimension.name or dimension.code
    return f"{name}, per {size} units" if dimension.units_per_quantity != 1 else f"{name}, per unit"
