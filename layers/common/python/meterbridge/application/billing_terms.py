"""What an agreement bills and on which terms, and its usage in those terms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from meterbridge.application.ports import Registry, UsageStore
from meterbridge.domain.agreements import Agreement, PlanChange, owner_of_hour
from meterbridge.domain.attribution import quantities, quantities_by_group
from meterbridge.domain.customer_links import (
    BilledCustomer,
    CustomerLink,
    Stretch,
    stretches_of_child,
)
from meterbridge.domain.events import MAX_AGE
from meterbridge.domain.meters import Aggregation, Meter
from meterbridge.domain.money import exact_sum
from meterbridge.domain.offerings import Dimension, Offering
from meterbridge.domain.plan_pricing import plan_terms, reported_dimensions
from meterbridge.domain.pricing.agreement_terms import AgreementTerms, SeatChange, TermsVersion
from meterbridge.domain.pricing.cycles import BilledSpan
from meterbridge.domain.pricing.models import Dimensional
from meterbridge.domain.pricing.overrides import overridden
from meterbridge.domain.pricing.plan_terms import PlanTerms, PricedDimension
from meterbridge.domain.pricing.rated import MeteredHour
from meterbridge.domain.term import end_among, owned_hours
from meterbridge.domain.usage import GroupKey, HourlyUsage
from meterbridge.domain.windows import HOUR, hour_ceiling, hour_of

GAUGE_MEMORY = MAX_AGE
"""A gauge that was not stated for this long is taken to be zero: so much history is read for it."""

_StretchRows = tuple[Stretch, Sequence[HourlyUsage]]
_ByHour = dict[GroupKey, dict[datetime, Decimal]]


@dataclass(frozen=True, slots=True)
class BillingTerms:
    """What of a span of time an agreement bills, and how.

    Attributes:
        terms: what its usage is rated by.
        reported: what is reported through its channel, of all versions of its terms.
        meters: those that its dimensions name, by id.
        hours: those it owns of its customer, ascending.
        customers: whose usage it bills and when: its customer, and children billed together.
        rows_from, rows_to: whose hourly usage is needed, gauges' history included.
    """

    agreement: Agreement
    terms: AgreementTerms
    reported: tuple[Dimension, ...]
    meters: Mapping[str, Meter]
    hours: Sequence[datetime]
    customers: tuple[BilledCustomer, ...]
    rows_from: datetime
    rows_to: datetime

    def read_rows(self, usage: UsageStore) -> list[HourlyUsage]:
        """Hourly usage of all whose usage is billed. Raises StoreUnavailableError."""
        product_id = self.agreement.product_id
        return [
            row
            for customer in self.customers
            for row in usage.hourly(product_id, customer.customer_id, self.rows_from, self.rows_to)
        ]

    def metered(self, rows: Sequence[HourlyUsage]) -> list[MeteredHour]:
        """The hours with usage, by what is charged for: each customer aggregated, then summed.

        Aggregates over more than an hour begin anew with the agreement, and for a child with each
        stretch of hours in which it is billed with its parent; a gauge keeps what it held.

        Args:
            rows: of all its customers.

        Raises:
            InvariantError: a row was folded under another definition of its meter.
        """
        used: dict[datetime, dict[str, dict[GroupKey, Decimal]]] = {}
        events: dict[datetime, dict[str, dict[GroupKey, Decimal]]] = {}
        by_cycle = self._hours_by_cycle()
        stretches = self._stretches(rows)
        for dimension in _distinct(self.terms):
            hours = {
                hour for plan, hours in by_cycle if dimension in plan.dimensions for hour in hours
            }
            for meter_id, found in ((dimension.meter_id, used), (dimension.event_meter_id, events)):
                if not meter_id:
                    continue
                for group, hour, quantity in self._each(meter_id, dimension, stretches):
                    if quantity and hour in hours:
                        by_code = found.setdefault(hour, {}).setdefault(dimension.code, {})
                        by_code[group] = exact_sum((by_code.get(group, Decimal(0)), quantity))
        return [
            MeteredHour(hour, used.get(hour, {}), events.get(hour, {}))
            for hour in sorted({*used, *events})
        ]

    def _stretches(self, rows: Sequence[HourlyUsage]) -> list[_StretchRows]:
        by_customer: dict[str, list[HourlyUsage]] = {}
        for row in rows:
            by_customer.setdefault(row.subject, []).append(row)
        return [
            (stretch, by_customer[customer.customer_id])
            for customer in self.customers
            if customer.customer_id in by_customer
            for stretch in customer.stretches
        ]

    def _each(
        self, meter_id: str, dimension: PricedDimension, stretches: Iterable[_StretchRows]
    ) -> Iterator[tuple[GroupKey, datetime, Decimal]]:
        for stretch, rows in stretches:
            for group, by_hour in self._quantities(meter_id, dimension, stretch, rows).items():
                for hour, quantity in by_hour.items():
                    yield group, hour, quantity

    def _hours_by_cycle(self) -> list[tuple[PlanTerms, list[datetime]]]:
        found: list[tuple[PlanTerms, list[datetime]]] = []
        cycle = None
        for hour in self.hours:
            if cycle is None or hour >= cycle.end:
                cycle = self.terms.cycle(hour)
                found.append((self.terms.plan_of(cycle), []))
            found[-1][1].append(hour)
        return found

    def _quantities(
        self,
        meter_id: str,
        dimension: PricedDimension,
        stretch: Stretch,
        rows: Sequence[HourlyUsage],
    ) -> _ByHour:
        meter = self.meters[meter_id]
        names = {each.name for each in meter.group_by}
        wanted = {
            name: value
            for name, value in dimension.group.items()
            if meter_id == dimension.meter_id or name in names
        }
        hours, since, until = stretch.hours, stretch.hours[0], stretch.until
        if isinstance(dimension.price, Dimensional):
            return quantities_by_group(meter, rows, hours, wanted, since=since, until=until)
        return {(): quantities(meter, rows, hours, wanted, since=since, until=until)}


class Offerings(Protocol):
    """What terms are read from; see Registry."""

    def offering(self, offering_id: str, version: int) -> Offering:
        """See Registry."""


def agreement_terms(
    agreement: Agreement, offerings: Offerings, siblings: Sequence[Agreement]
) -> AgreementTerms:
    """The terms of an agreement over its whole life.

    Args:
        siblings: all agreements of its customer for its product.

    Raises:
        NotFoundError: the agreement names an offering or plan that does not exist.
        InvalidInputError: it overrides what its plan does not have.
        StoreUnavailableError: nothing could be read.
    """
    seats: dict[str, list[SeatChange]] = {}
    for change in agreement.seats:
        seats.setdefault(change.fee_code, []).append(SeatChange(change.at, change.seats))
    return AgreementTerms(
        span=_billed_span(agreement, siblings),
        versions=tuple(_versions(agreement, offerings)),
        grants=agreement.grants,
        seats={code: tuple(changes) for code, changes in seats.items()},
    )


def _versions(agreement: Agreement, offerings: Offerings) -> Iterator[TermsVersion]:
    first = PlanChange(
        agreement.starts_at,
        agreement.offering_version,
        agreement.plan_code,
        agreement.overrides,
    )
    for change in (first, *agreement.plan_changes):
        offering = offerings.offering(agreement.offering_id, change.offering_version)
        plan = plan_terms(offering.plan(change.plan_code), offering.currency)
        yield TermsVersion(change.starts_at, overridden(plan, change.overrides))


def _billed_span(agreement: Agreement, siblings: Sequence[Agreement]) -> BilledSpan:
    first = hour_of(agreement.starts_at)
    owner = owner_of_hour(first, siblings)
    if owner is not None and owner.id != agreement.id:
        first += HOUR
    end = hour_ceiling(agreement.ends_at) if agreement.ends_at is not None else None
    return BilledSpan(agreement.starts_at, first, end)


def read_billing_terms(
    agreement: Agreement, start: datetime, end: datetime, *, registry: Registry
) -> BillingTerms:
    """The terms of an agreement for the hours [start, end).

    Raises:
        NotFoundError: the agreement names an offering, plan or meter that does not exist.
        StoreUnavailableError: nothing could be read.
    """
    siblings = registry.agreements_of(agreement.product_id, agreement.customer_id)
    terms = agreement_terms(agreement, registry, siblings)
    wanted = {
        meter_id
        for dimension in _distinct(terms)
        for meter_id in (dimension.meter_id, dimension.event_meter_id)
        if meter_id
    }
    meters = {meter_id: registry.meter(meter_id) for meter_id in sorted(wanted)}
    gauged = any(meter.aggregation is Aggregation.TIME_WEIGHTED for meter in meters.values())
    hours = [
        hour
        for hour in owned_hours(agreement, start, end)
        if (owner := owner_of_hour(hour, siblings)) is not None and owner.id == agreement.id
    ]
    own = (Stretch(hours, end_among(agreement, hours)),) if hours else ()
    customers = [BilledCustomer(agreement.customer_id, own)]
    if hours:
        customers += _billed_children(agreement, hours, siblings, registry)
    first = hours[0] if hours else end
    return BillingTerms(
        agreement=agreement,
        terms=terms,
        reported=_reported(agreement, terms),
        meters=meters,
        hours=hours,
        customers=tuple(customers),
        rows_from=hour_of(start - GAUGE_MEMORY) if gauged else first,
        rows_to=end,
    )


def _billed_children(
    agreement: Agreement,
    hours: Sequence[datetime],
    siblings: Sequence[Agreement],
    registry: Registry,
) -> Iterator[BilledCustomer]:
    """Children whose usage is billed in some of the hours."""
    start, end = hours[0], hours[-1] + HOUR
    links: dict[str, list[CustomerLink]] = {}
    for link in registry.children_of(agreement.customer_id):
        if link.aggregated and link.since < end and link.lasts_beyond(start):
            links.setdefault(link.child_id, []).append(link)
    for child_id, of_child in links.items():
        own = registry.agreements_of(agreement.product_id, child_id)
        stretches = stretches_of_child(
            agreement, start, end, own=own, links=of_child, siblings=siblings
        )
        if stretches:
            yield BilledCustomer(child_id, stretches)


def _distinct(terms: AgreementTerms) -> list[PricedDimension]:
    """Each dimension of any version once."""
    found: list[PricedDimension] = []
    for version in terms.versions:
        found += [each for each in version.plan.dimensions if each not in found]
    return found


def _reported(agreement: Agreement, terms: AgreementTerms) -> tuple[Dimension, ...]:
    """By code, each as the newest version has it."""
    by_code: dict[str, Dimension] = {}
    for version in terms.versions:
        for dimension in reported_dimensions(version.plan, agreement.channel):
            by_code[dimension.code] = dimension
    return tuple(by_code.values())
