"""What every step of rating an hour has to know: terms, cycle, hour, and whether it is free."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from meterbridge.domain.pricing.agreement_terms import AgreementTerms
from meterbridge.domain.pricing.cycles import Cycle, hours_in
from meterbridge.domain.pricing.plan_terms import PlanTerms, TrialKind
from meterbridge.domain.windows import HOUR, hour_of


@dataclass(frozen=True)
class HourContext:
    """One hour of an agreement.

    Attributes:
        opening: it is the first of its cycle.
    """

    terms: AgreementTerms
    plan: PlanTerms
    cycle: Cycle
    hour: datetime
    opening: bool

    @property
    def is_cycle_end(self) -> bool:
        """Whether it is the last billed hour of its cycle."""
        return self.hour == self.terms.span.last_of(self.cycle)

    @property
    def is_agreement_end(self) -> bool:
        """Whether the agreement is known to end with it."""
        return self.terms.span.is_last(self.hour)

    @cached_property
    def billed_hours(self) -> int:
        """Hours of the cycle that the agreement covers, as far as its end is known."""
        span = self.terms.span
        return hours_in(span.first_of(self.cycle), span.end_of(self.cycle))

    @cached_property
    def trial_open(self) -> bool:
        """Whether there is a trial and its days are not over; it may be used up otherwise."""
        if self.plan.trial is None:
            return False
        end = self.terms.trial_end(self.plan)
        return end is None or self.hour < end

    @property
    def free_days(self) -> bool:
        """Whether all usage of the hour is free."""
        trial = self.plan.trial
        return trial is not None and trial.kind is TrialKind.DAYS and self.trial_open

    @cached_property
    def free_hours(self) -> int:
        """Hours of the cycle for which fees and minimum are free."""
        trial, end = self.plan.trial, self.terms.trial_end(self.plan)
        if trial is None or end is None or not trial.covers_fees:
            return 0
        span = self.terms.span
        end_hour = hour_of(end) if hour_of(end) == end else hour_of(end) + HOUR
        return hours_in(span.first_of(self.cycle), min(end_hour, span.end_of(self.cycle)))
