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

    @property
    def free_hours(self) -> int:
        """Hours of the cycle for which fees are free."""
        trial = self.plan.trial
        return self._trial_hours if trial is not None and trial.covers_fees else 0

    @property
    def hours_without_minimum(self) -> int:
        """Hours of the cycle that no minimum holds for: their usage or their fees are free."""
        trial = self.plan.trial
        free = trial is not None and (trial.covers_fees or trial.kind is TrialKind.DAYS)
        return self._trial_hours if free else 0

    @cached_property
    def free_until(self) -> datetime:
        """The end of the trial's last hour in the cycle; its first billed hour without."""
        span, end = self.terms.span, self.terms.trial_end(self.plan)
        first = span.first_of(self.cycle)
        if end is None:
            return first
        end_hour = hour_of(end) if hour_of(end) == end else hour_of(end) + HOUR
        return max(min(end_hour, span.end_of(self.cycle)), first)

    @property
    def _trial_hours(self) -> int:
        return hours_in(self.terms.span.first_of(self.cycle), self.free_until)
