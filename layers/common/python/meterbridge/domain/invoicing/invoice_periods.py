"""Invoice periods: the spans of an agreement that one invoice each is made of.

A period is a month by the agreement's cycle: the UTC calendar month, or a month from the agreement's
start where cycles count from there; a year's cycle has twelve of them. So it never lies in two cycles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from meterbridge.domain.events import MAX_AGE
from meterbridge.domain.pricing.agreement_terms import AgreementTerms
from meterbridge.domain.pricing.cycles import CycleKind, cycle_at, cycle_of

LATE_USAGE = MAX_AGE + timedelta(days=1)
"""Usage changes no hour older than this: the oldest event that is accepted, and a day to fold it."""


@dataclass(frozen=True, slots=True)
class InvoicePeriod:
    """What one invoice is about.

    Attributes:
        index: counts from 0, the agreement's first.
        start, end: hours that the agreement bills, [start, end); none where it is over already.
        opens, closes: the whole month.
    """

    index: int
    start: datetime
    end: datetime
    opens: datetime
    closes: datetime

    @property
    def key(self) -> str:
        """Its name among the agreement's periods, as "20261101"."""
        return self.opens.strftime("%Y%m%d")

    @property
    def billed(self) -> bool:
        """Whether the agreement bills any hour of it; otherwise it only takes late usage."""
        return self.start < self.end

    def final_at(self, delay: timedelta) -> datetime:
        """When its invoice is made."""
        return self.closes + delay


def period_at(terms: AgreementTerms, index: int) -> InvoicePeriod:
    """An agreement's period by its index."""
    cycle = cycle_at(_kind(terms), terms.span.starts_at, index)
    start, end = terms.span.first_of(cycle), terms.span.end_of(cycle)
    return InvoicePeriod(index, start, max(start, end), cycle.start, cycle.end)


def period_of(terms: AgreementTerms, moment: datetime) -> InvoicePeriod:
    """The period that holds a moment; before the agreement's start, its first."""
    first = max(moment, terms.span.first_hour)
    return period_at(terms, cycle_of(_kind(terms), terms.span.starts_at, first).index)


def periods_from(terms: AgreementTerms, index: int, until: datetime) -> Iterator[InvoicePeriod]:
    """Periods from an index on that have opened by a moment and may have something to bill."""
    period = period_at(terms, index)
    while period.opens <= until and not is_over(terms, period):
        yield period
        index += 1
        period = period_at(terms, index)


def is_over(terms: AgreementTerms, period: InvoicePeriod) -> bool:
    """Whether the agreement ended so long before a period that no late usage can come in it."""
    end = terms.span.end_hour
    return end is not None and period.opens >= end + LATE_USAGE


def _kind(terms: AgreementTerms) -> CycleKind:
    kind = terms.versions[0].plan.cycle
    return CycleKind.ANNIVERSARY if kind is CycleKind.ANNUAL else kind
