"""An agreement's usage, rated: read from where its rating was sealed last, and no further back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Protocol

from meterbridge.application.billing_terms import BillingTerms, read_billing_terms
from meterbridge.application.ports import Registry, UsageStore
from meterbridge.domain.agreements import Agreement
from meterbridge.domain.ledger_head import LedgerHead
from meterbridge.domain.pricing.advance import advance
from meterbridge.domain.pricing.rated import MeteredHour, RatedHour
from meterbridge.domain.pricing.rating_state import RatingState
from meterbridge.domain.rating import RatedUsage, rated_usage
from meterbridge.domain.usage import HourlyUsage
from meterbridge.domain.windows import HOUR, BillingPeriod, hour_of


class RatingStates(Protocol):
    """Where rating stood; see Ledger."""

    def head(self, agreement_id: str) -> LedgerHead | None:
        """See Ledger."""

    def rating_state(self, agreement_id: str, period: BillingPeriod) -> RatingState | None:
        """See Ledger."""


@dataclass(frozen=True)
class RatedSpan:
    """An agreement's usage and charges of a span of time.

    Attributes:
        metered: its hours with usage, and `rated` every hour in which something happened.
        states: where rating stood before a moment: the span's start and end, each start of a month
            within it, and what else was asked for.
        fresh_through: newest `received_at` that is in it; None without usage.
    """

    billing: BillingTerms
    metered: tuple[MeteredHour, ...]
    hours: tuple[RatedHour, ...]
    states: Mapping[datetime, RatingState]
    fresh_through: datetime | None

    @property
    def states_before_months(self) -> dict[BillingPeriod, RatingState]:
        """Where rating stood before each month that begins in the span, or with its end."""
        return {
            BillingPeriod.of(moment): state
            for moment, state in self.states.items()
            if moment == BillingPeriod.of(moment).start
        }

    @cached_property
    def by_dimension(self) -> dict[str, RatedUsage]:
        """Rated usage by the code of what is reported."""
        billing = self.billing
        return rated_usage(billing.terms, billing.reported, billing.agreement.channel, self.hours)


def rate_rows(
    billing: BillingTerms,
    rows: Sequence[HourlyUsage],
    start: datetime,
    end: datetime,
    *,
    begin: RatingState,
    states_at: Collection[datetime] = (),
) -> RatedSpan:
    """Rate the rows of a span.

    Args:
        rows: of the hours for which the terms were read, from where `begin` stands.
        start, end: full hours; what is rated before the start is only counted.
        begin: where rating stands before the first of those hours.
        states_at: further moments, full hours within the terms' hours.

    Raises:
        InvariantError: something was not conserved, a defect.
    """
    terms = billing.terms
    metered = billing.metered(rows)
    last = billing.rows_to
    cuts = sorted({start, end, last, *_months(start, end), *states_at})
    states: dict[datetime, RatingState] = {}
    state, rated = begin, list[RatedHour]()
    place = 0
    span_is_empty = terms.span.end_hour is not None and terms.span.first_hour >= terms.span.end_hour
    for cut in cuts:
        until = place
        while until < len(metered) and metered[until].hour < cut:
            until += 1
        if not span_is_empty and cut > terms.span.first_hour:
            state, found = advance(terms, state, metered[place:until], through=cut - HOUR)
            rated += [hour for hour in found if start <= hour.hour < end]
        place, states[cut] = until, state
    return RatedSpan(
        billing=billing,
        metered=tuple(each for each in metered if start <= each.hour < end),
        hours=tuple(rated),
        states=states,
        fresh_through=max((row.fresh_through for row in rows), default=None),
    )


def read_rated_usage(
    agreement: Agreement,
    start: datetime,
    end: datetime,
    *,
    registry: Registry,
    usage: UsageStore,
    ledger: RatingStates,
    now: datetime,
    head: LedgerHead | None = None,
    states_at: Collection[datetime] = (),
) -> RatedSpan:
    """Read and rate the hours [start, end) of an agreement, as far as they have begun.

    Args:
        head: as read before; read when left out.
        states_at: further moments at which the state of rating is wanted, not before `start`.

    Raises:
        NotFoundError: the agreement names an offering, plan or meter that does not exist.
        StoreUnavailableError: nothing could be read.
    """
    head = head if head is not None else ledger.head(agreement.id)
    begin_at, begin = _begin(agreement, start, head, ledger)
    end = max(min(end, hour_of(now) + HOUR), start)
    billing = read_billing_terms(agreement, begin_at, end, registry=registry)
    return rate_rows(
        billing, billing.read_rows(usage), start, end, begin=begin, states_at=states_at
    )


def _begin(
    agreement: Agreement, start: datetime, head: LedgerHead | None, ledger: RatingStates
) -> tuple[datetime, RatingState]:
    """The newest known state before a moment: as sealed last, or of an earlier month."""
    first = BillingPeriod.of(agreement.starts_at)
    period = BillingPeriod.of(start)
    if head is not None and head.rating is not None and head.live_from <= period:
        return head.live_from.start, head.rating
    while period > first and head is not None:
        state = ledger.rating_state(agreement.id, period)
        if state is not None:
            return period.start, state
        period = period.before
    return min(first.start, start), RatingState()


def _months(start: datetime, end: datetime) -> list[datetime]:
    found = []
    period = BillingPeriod.of(start).next
    while period.start <= end:
        found.append(period.start)
        period = period.next
    return found
