"""An agreement's terms: its plan's versions over time, and what was agreed with this buyer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from meterbridge.domain.pricing.cycles import BilledSpan, Cycle, cycle_of
from meterbridge.domain.pricing.plan_terms import PlanTerms, Rollover


@dataclass(frozen=True, slots=True)
class TermsVersion:
    """Terms from an instant on (a ramp deal has several); they begin with a cycle."""

    starts_at: datetime
    plan: PlanTerms


@dataclass(frozen=True, slots=True)
class Grant:
    """Prepaid credits granted to one agreement.

    Attributes:
        effective_at, expires_at: usable for every hour that [effective_at, expires_at) touches.
        priority: lower ones are spent first, then the earliest to expire, then the oldest.
        codes: what they pay for; empty pays for everything.
    """

    id: str
    amount: Decimal
    effective_at: datetime
    expires_at: datetime | None = None
    priority: int = 0
    codes: frozenset[str] = frozenset()
    rollover: Rollover | None = None


@dataclass(frozen=True, slots=True)
class SeatChange:
    """The seats in force from an instant on; they count from the start of its hour."""

    at: datetime
    seats: Decimal


@dataclass(frozen=True, slots=True)
class AgreementTerms:
    """Everything that rating an agreement's usage depends on, but the usage.

    Attributes:
        versions: ascending; the first holds from the agreement's start.
        seats: by the seat fee's code, ascending.
    """

    span: BilledSpan
    versions: tuple[TermsVersion, ...]
    grants: tuple[Grant, ...] = ()
    seats: Mapping[str, tuple[SeatChange, ...]] = field(default_factory=dict)

    def cycle(self, hour: datetime) -> Cycle:
        """The cycle that holds an hour. All versions of an agreement have one kind of cycle."""
        return cycle_of(self.versions[0].plan.cycle, self.span.starts_at, hour)

    def plan_of(self, cycle: Cycle) -> PlanTerms:
        """The terms of a cycle: a version that starts within one holds from the next."""
        return self.version_of(cycle).plan

    def version_of(self, cycle: Cycle) -> TermsVersion:
        """The version whose terms hold for a cycle; for the first, those in force at the start."""
        found = self.versions[0]
        begins_at = max(cycle.start, self.span.starts_at) if cycle.index == 0 else cycle.start
        for version in self.versions:
            if version.starts_at <= begins_at:
                found = version
        return found

    def plans_before(self, cycle: Cycle) -> list[PlanTerms]:
        """The terms of all cycles before one, each version's once."""
        if self.span.first_hour >= cycle.start:
            return []
        found = [self.plan_of(self.cycle(self.span.first_hour))]
        for version in self.versions:
            if self.span.first_hour < version.starts_at < cycle.start:
                held = self.cycle(version.starts_at)
                first = held if held.start >= version.starts_at else self.cycle(held.end)
                if first.start < cycle.start:
                    found.append(self.plan_of(first))
        return found

    def trial_end(self, plan: PlanTerms) -> datetime | None:
        """When a trial's days are over; None without."""
        if plan.trial is None or plan.trial.days is None:
            return None
        return self.span.starts_at + timedelta(days=plan.trial.days)
