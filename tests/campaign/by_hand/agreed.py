"""What the oracle is told of an agreement, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction

from campaign.by_hand.prices import ZERO
from campaign.by_hand.spans import Span
from meterbridge.domain.pricing.agreement_terms import Grant
from meterbridge.domain.pricing.plan_terms import PlanTerms

Used = Mapping[datetime, Mapping[tuple[str, str], Fraction]]
"""By hour, and by meter and group; the group is "" without."""


@dataclass(frozen=True)
class Agreed:
    """An agreement as the campaign has made it.

    Attributes:
        plans: with the moment from which each holds; but the first, at a cycle's start.
        seats: in force, of the fee "seats", by moment.
    """

    span: Span
    plans: Sequence[tuple[datetime, PlanTerms]]
    grants: Sequence[Grant] = ()
    seats: Sequence[tuple[datetime, Fraction]] = ()

    def plan_of(self, cycle_start: datetime) -> PlanTerms:
        """What holds for a cycle."""
        begins_at = max(cycle_start, self.span.start)
        return [plan for at, plan in self.plans if at <= begins_at][-1]


@dataclass
class Entry:
    """What one code comes to in an hour. `group` is a dimension's; `reached` its priced quantity to date."""

    code: str
    group: str = ""
    metered: Fraction = ZERO
    incremented: Fraction = ZERO
    included: Fraction = ZERO
    free_trial: Fraction = ZERO
    over_limit: Fraction = ZERO
    rated: Fraction = ZERO
    list_charge: Fraction = ZERO
    trial_amount: Fraction = ZERO
    discounts: Fraction = ZERO
    credits: Fraction = ZERO
    over_cap: Fraction = ZERO
    reached: Fraction = ZERO

    @property
    def net(self) -> Fraction:
        """What is left of the list charge."""
        taken = self.trial_amount + self.discounts + self.credits + self.over_cap
        return self.list_charge - taken


@dataclass
class Bill:
    """By hour. `plans` holds in each of them; `wallet` is what is left of each grant."""

    hours: dict[datetime, list[Entry]] = field(default_factory=dict)
    plans: dict[datetime, PlanTerms] = field(default_factory=dict)
    wallet: dict[str, Fraction] = field(default_factory=dict)
