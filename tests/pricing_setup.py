"""Terms and usage for rating, written short; and what a run of hours comes to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from builders import at
from meterbridge.domain.money import exact_sum
from meterbridge.domain.pricing.advance import advance
from meterbridge.domain.pricing.agreement_terms import AgreementTerms, TermsVersion
from meterbridge.domain.pricing.cycles import BilledSpan
from meterbridge.domain.pricing.faults import Fault
from meterbridge.domain.pricing.models import PerUnit, PriceModel
from meterbridge.domain.pricing.plan_terms import PlanTerms, PricedDimension
from meterbridge.domain.pricing.rated import MeteredHour, RatedCharge, RatedHour
from meterbridge.domain.pricing.rating_state import RatingState

D = Decimal
START = at("2026-11-01T00")


def priced(price: PriceModel, code: str = "api", **changes: Any) -> PricedDimension:
    return PricedDimension(code=code, meter_id=f"mtr_{code}", price=price, **changes)


def plan(*dimensions: PricedDimension, **changes: Any) -> PlanTerms:
    return PlanTerms("USD", dimensions=dimensions or (priced(PerUnit(D(1))),), **changes)


def terms(
    *plans: PlanTerms, end: str = "", starts: Sequence[str] = (), **changes: Any
) -> AgreementTerms:
    """Plans in force from the given instants; the first from the agreement's start."""
    begin = changes.pop("starts_at", START)
    moments = [begin, *(at(text) for text in starts)]
    versions = [TermsVersion(moment, each) for moment, each in zip(moments, plans, strict=True)]
    span = BilledSpan.since(begin, at(end) if end else None)
    return AgreementTerms(span, tuple(versions), **changes)


def used(hour: str | datetime, **quantities: Any) -> MeteredHour:
    """Usage by code; a mapping gives it by group, `api_events` gives the events of api."""
    moment = at(hour) if isinstance(hour, str) else hour
    found: dict[str, dict[str, dict[tuple[str, ...], Decimal]]] = {"quantity": {}, "events": {}}
    for name, given in quantities.items():
        kind = "events" if name.endswith("_events") else "quantity"
        by_group = given if isinstance(given, Mapping) else {(): given}
        found[kind][name.removesuffix("_events")] = {
            group: D(str(value)) for group, value in by_group.items()
        }
    return MeteredHour(moment, found["quantity"], found["events"])


def rate(
    given: AgreementTerms,
    *hours: MeteredHour,
    through: str | datetime = "2026-11-30T23",
    state: RatingState | None = None,
) -> list[RatedHour]:
    moment = at(through) if isinstance(through, str) else through
    return advance(given, state or RatingState(), hours, through=moment)[1]


def charges(rated: Iterable[RatedHour], code: str = "") -> list[RatedCharge]:
    return [each for hour in rated for each in hour.charges if code in ("", each.code)]


def total(rated: Iterable[RatedHour], field: str = "net", code: str = "") -> Decimal:
    """The sum of a field of charges; of discounts and credits, of all of them."""
    values = [getattr(each, field) for each in charges(rated, code)]
    if field in ("discounts", "credits"):
        return exact_sum(amount for value in values for amount in value.values())
    return exact_sum(values)


def by_hour(rated: Iterable[RatedHour], field: str = "net", code: str = "") -> dict[str, Decimal]:
    """A field by hour as "11-24T10", hours of zero left out."""
    found = {hour.hour.strftime("%m-%dT%H"): total([hour], field, code) for hour in rated}
    return {hour: value for hour, value in found.items() if value}


def faults_at(faults: Iterable[Fault]) -> set[tuple[str, str]]:
    """Faults as (pointer, code)."""
    return {(fault.pointer, fault.code) for fault in faults}
