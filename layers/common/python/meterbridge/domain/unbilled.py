"""Usage that is metered and that no dimension of an agreement bills: how much of it, and why.

    metered = billed + unbilled, for every meter and group

Hours are taken together in spans: those that one agreement owns, and those in a row that none
owns. Within a span quantities are attributed to hours as billing does it, and a span without an
agreement is counted as one of that time would bill it. For SUM and COUNT, metered is then what the
hours hold. Other aggregates over more than an hour begin anew with every span and end with it (a
gauge keeps what it held): metered is the sum over spans, and an aggregate that is billed once, in
the last hour of its period, is unbilled in that hour too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from meterbridge.domain.agreements import Agreement
from meterbridge.domain.attribution import attributed, former_quantities, states_of
from meterbridge.domain.customer_links import CustomerLink, owner_for_child
from meterbridge.domain.meters import ADDITIVE, Meter
from meterbridge.domain.money import exact_sum
from meterbridge.domain.pricing.agreement_terms import AgreementTerms
from meterbridge.domain.pricing.plan_terms import PricedDimension
from meterbridge.domain.term import end_among
from meterbridge.domain.usage import GroupKey, HourlyUsage
from meterbridge.domain.windows import HOUR, hours_between


class UnbilledReason(StrEnum):
    """Why nothing bills it.

    NO_AGREEMENT of the customer for the product owns the hours, nor one of the parent with whom it
    is billed. NO_DIMENSION of the plan, which the agreement that owns them is on, takes the meter or
    this group of it.
    """

    NO_AGREEMENT = "no_agreement"
    NO_DIMENSION = "no_dimension"


@dataclass(frozen=True, slots=True)
class UnbilledUsage:
    """What one meter and group show in the hours of one span, cut to the range asked for.

    Attributes:
        group: value by group-by name; empty where the usage was last counted under another group-by
            of its meter.
        agreement_id: whose plan lacks the dimension; None where no agreement owns the hours.
        quantity: metered quantity; zero only where an hour takes off what others add.
        first_hour, last_hour: of those that have a quantity.
    """

    customer_id: str
    meter_id: str
    group: Mapping[str, str]
    agreement_id: str | None
    reason: UnbilledReason
    quantity: Decimal
    first_hour: datetime
    last_hour: datetime


@dataclass(frozen=True, slots=True)
class _Span:
    agreement: Agreement | None
    hours: Sequence[datetime]
    until: datetime | None


def counted_from(meters: Iterable[Meter], start: datetime) -> datetime:
    """The first hour whose owner matters to what the hours from `start` on show."""
    begun = [each.reset.bounds(start)[0] for each in meters if each.aggregation not in ADDITIVE]
    return min(begun, default=start)


def unbilled_usage(
    customer_id: str,
    start: datetime,
    end: datetime,
    *,
    meters: Sequence[Meter],
    rows: Sequence[HourlyUsage],
    agreements: Sequence[Agreement],
    terms: Mapping[str, AgreementTerms],
    links: Sequence[CustomerLink] = (),
    parents: Sequence[Agreement] = (),
) -> list[UnbilledUsage]:
    """The unbilled usage of the hours [start, end), by meter, group and first hour.

    Args:
        meters: all of the product, archived ones too: their earlier usage stays.
        rows: of the customer, from the earliest `context_start` of the meters to `end`.
        agreements: all that own an hour from counted_from to `end`, that one included.
        terms: of each of them, by agreement id; and of `parents`.
        links: the customer's as a child.
        parents: agreements of the parents it may be billed with, likewise.
    """

    def owner(hour: datetime) -> Agreement | None:
        return owner_for_child(hour, own=agreements, links=links, parents=parents)

    spans = list(_spans(counted_from(meters, start), end, agreements, owner))
    found = [
        each
        for meter in meters
        for group, span, by_hour in _unbilled(meter, rows, spans, terms)
        for each in _shown(
            customer_id,
            meter,
            group,
            span,
            {hour: quantity for hour, quantity in by_hour.items() if hour >= start},
        )
    ]
    return sorted(
        found, key=lambda each: (each.meter_id, tuple(each.group.values()), each.first_hour)
    )


def _unbilled(
    meter: Meter,
    rows: Sequence[HourlyUsage],
    spans: Sequence[_Span],
    terms: Mapping[str, AgreementTerms],
) -> Iterator[tuple[GroupKey, _Span, Mapping[datetime, Decimal]]]:
    """By group and span. No dimension bills what a former definition of the meter has counted."""
    for group, states in states_of(rows, meter).items():
        for span in spans:
            billed = _billing(meter, group, span, terms)
            if not (billed and all(billed.values())):
                found = attributed(meter, states, span.hours, since=span.hours[0], until=span.until)
                yield (
                    group,
                    span,
                    {
                        hour: amount
                        for hour, amount in found.items()
                        if amount and not _is_billed(span, hour, billed, terms)
                    },
                )
    for quantities in former_quantities(rows, meter).values():
        for span in spans:
            yield (), span, {hour: quantities[hour] for hour in span.hours if hour in quantities}


def _spans(
    start: datetime,
    end: datetime,
    agreements: Sequence[Agreement],
    owner_of: Callable[[datetime], Agreement | None],
) -> Iterator[_Span]:
    """Of its own agreements, and the stretches in a row that a parent's one owns, or nobody."""
    owned: dict[str, list[datetime]] = {agreement.id: [] for agreement in agreements}
    run: list[datetime] = []
    of_run: Agreement | None = None
    # The hour after the range tells whether a stretch ends with it.
    for hour in hours_between(start, end + HOUR):
        owner = owner_of(hour)
        own = owner is not None and owner.id in owned
        if run and (own or owner != of_run):
            yield _Span(of_run, run, until=hour)
            run = []
        if hour < end:
            if owner is not None and own:
                owned[owner.id].append(hour)
            else:
                of_run = owner
                run.append(hour)
    if run:
        yield _Span(of_run, run, until=None)
    for agreement in agreements:
        if hours := owned[agreement.id]:
            yield _Span(agreement, hours, until=end_among(agreement, hours))


def _billing(
    meter: Meter, group: GroupKey, span: _Span, terms: Mapping[str, AgreementTerms]
) -> dict[datetime, bool]:
    """Whether each version of a span's terms bills a meter's group, by when the version starts."""
    if span.agreement is None:
        return {}
    return {
        version.starts_at: any(_takes(each, meter, group) for each in version.plan.dimensions)
        for version in terms[span.agreement.id].versions
    }


def _takes(dimension: PricedDimension, meter: Meter, group: GroupKey) -> bool:
    if dimension.meter_id == meter.id:
        return meter.selects(group, dimension.group)
    names = {each.name for each in meter.group_by}
    wanted = {name: value for name, value in dimension.group.items() if name in names}
    return dimension.event_meter_id == meter.id and meter.selects(group, wanted)


def _is_billed(
    span: _Span,
    hour: datetime,
    billed: Mapping[datetime, bool],
    terms: Mapping[str, AgreementTerms],
) -> bool:
    if span.agreement is None:
        return False
    agreed = terms[span.agreement.id]
    return billed[agreed.version_of(agreed.cycle(hour)).starts_at]


def _shown(
    customer_id: str,
    meter: Meter,
    group: GroupKey,
    span: _Span,
    by_hour: Mapping[datetime, Decimal],
) -> Iterator[UnbilledUsage]:
    if not by_hour:
        return
    names = [by.name for by in meter.group_by]
    lacking = span.agreement
    yield UnbilledUsage(
        customer_id=customer_id,
        meter_id=meter.id,
        group=dict(zip(names, group, strict=True)) if group else {},
        agreement_id=lacking.id if lacking is not None else None,
        reason=UnbilledReason.NO_AGREEMENT if lacking is None else UnbilledReason.NO_DIMENSION,
        quantity=exact_sum(by_hour.values()),
        first_hour=min(by_hour),
        last_hour=max(by_hour),
    )
