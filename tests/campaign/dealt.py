"""A deal as it has become while a schedule was played, and what is due by it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction

from campaign.by_hand.agreed import Agreed, Bill, Entry, Used
from campaign.by_hand.bill import bill_of
from campaign.by_hand.prices import ZERO, of_step
from campaign.by_hand.spans import Span
from campaign.deals import Deal
from meterbridge.domain.pricing.agreement_terms import AgreementTerms, Grant, SeatChange
from meterbridge.domain.pricing.channel_reporting import ReportedDimension, ReportingMode, Source
from meterbridge.domain.pricing.models import Dimensional
from meterbridge.domain.pricing.plan_terms import PlanTerms
from meterbridge.domain.pricing.tiers import Volume


@dataclass
class Dealt:
    """One customer's deal, and all that was added to it."""

    deal: Deal
    grants: list[Grant] = field(default_factory=list)
    seats: list[SeatChange] = field(default_factory=list)
    changes_at: datetime | None = None

    def terms(self, *more: Grant | SeatChange) -> AgreementTerms:
        """With something more, as the product's rules see it."""
        return self.deal.terms(
            changes_at=self.changes_at,
            grants=(*self.grants, *(each for each in more if isinstance(each, Grant))),
            seats=(*self.seats, *(each for each in more if isinstance(each, SeatChange))),
        )

    def bill(self, used: Used, through: datetime, ends_at: datetime | None) -> Bill:
        """Everything that is due."""
        plans = [(self.deal.starts_at, self.deal.plan)]
        if self.changes_at is not None and self.deal.later is not None:
            plans.append((self.changes_at, self.deal.later))
        agreed = Agreed(
            Span(self.deal.starts_at, ends_at),
            plans,
            tuple(self.grants),
            [(each.at, Fraction(each.seats)) for each in self.seats],
        )
        return bill_of(agreed, used, through)

    def can_fall(self, *, ended: bool) -> bool:
        """Whether what is due of a dimension may become less than it was at some moment.

        Late usage, time, a grant, fewer seats or an end may bring that about.
        """
        plans = [self.deal.plan, *([self.deal.later] if self.deal.later else [])]
        return bool(self.grants or self.seats) or any(_can_fall(each, ended) for each in plans)


def _can_fall(plan: PlanTerms, ended: bool) -> bool:
    models = [each.price for each in plan.dimensions]
    for price in list(models):
        if isinstance(price, Dimensional):
            models += [price.default, *(each.model for each in price.prices)]
    shared = [plan.minimum, plan.commitment, plan.spend_cap]
    shared += [each for each in plan.discounts if each.amount is not None]
    return bool(
        any(isinstance(each, Volume) for each in models)
        or plan.trial
        or plan.credits
        or plan.top_up
        or any(each.starts_at or each.ends_at for each in plan.discounts)
        or (ended and plan.fees)
        or (any(shared) and len(plan.reporting[0].dimensions) > 1)
    )


def due_of(plan: PlanTerms, entries: Iterable[Entry]) -> dict[str, Fraction]:
    """What each reported dimension has to report of an hour."""
    found: dict[str, Fraction] = {}
    entries = list(entries)
    for dimension in plan.reporting[0].dimensions:
        found[dimension.code] = sum(
            (
                _reported(plan, dimension, source, entry)
                for source in dimension.sources
                for entry in entries
                if entry.code == source.code
            ),
            ZERO,
        )
    return found


def _reported(
    plan: PlanTerms, dimension: ReportedDimension, source: Source, entry: Entry
) -> Fraction:
    if dimension.mode is ReportingMode.CURRENCY:
        return entry.net
    if source.step:
        price = next(each.price for each in plan.dimensions if each.code == entry.code)
        before = of_step(price, source.step, entry.reached - entry.rated)
        return of_step(price, source.step, entry.reached) - before
    native_trial = plan.trial is not None and plan.trial.native
    return entry.rated + (entry.free_trial if native_trial else ZERO)
