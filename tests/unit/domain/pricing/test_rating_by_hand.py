"""Rating against a second computation of the same rules: fractions, plain loops, all usage at once."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from campaign.by_hand.agreed import Agreed, Entry
from campaign.by_hand.bill import bill_of
from campaign.by_hand.spans import Span
from meterbridge.domain.pricing.advance import advance
from meterbridge.domain.pricing.agreement_terms import AgreementTerms
from meterbridge.domain.pricing.plan_terms import PlanTerms
from meterbridge.domain.pricing.rated import MeteredHour, RatedCharge
from meterbridge.domain.pricing.rating_state import RatingState
from pricing_setup import START
from pricing_strategies import HOURS, agreements, usage

THROUGH = START + timedelta(hours=HOURS)
QUANTITIES = ("metered", "incremented", "included", "free_trial", "over_limit", "rated")
AMOUNTS = ("list_charge", "trial_amount", "over_cap", "net")

Row = dict[tuple[datetime, str, str, str], Fraction]


@st.composite
def cases(draw: st.DrawFn) -> tuple[AgreementTerms, list[MeteredHour]]:
    terms = draw(agreements())
    versions = [replace(each, plan=with_events(each.plan)) for each in terms.versions]
    return replace(terms, versions=tuple(versions)), draw(usage(terms, THROUGH))


def with_events(plan: PlanTerms) -> PlanTerms:
    dimensions = [replace(each, event_meter_id=f"evt_{each.code}") for each in plan.dimensions]
    return replace(plan, dimensions=tuple(dimensions))


def agreed(terms: AgreementTerms) -> Agreed:
    return Agreed(
        span=Span(terms.span.starts_at, terms.span.end_hour),
        plans=[(each.starts_at, each.plan) for each in terms.versions],
        grants=terms.grants,
        seats=[(each.at, Fraction(each.seats)) for each in terms.seats.get("seats", ())],
    )


def used(hours: list[MeteredHour]) -> dict[datetime, dict[tuple[str, str], Fraction]]:
    found: dict[datetime, dict[tuple[str, str], Fraction]] = defaultdict(dict)
    for hour in hours:
        for kind, quantities in (("mtr", hour.quantities), ("evt", hour.events)):
            for code, by_group in quantities.items():
                for group, quantity in by_group.items():
                    found[hour.hour][f"{kind}_{code}", "".join(group)] = Fraction(quantity)
    return found


def enter(row: Row, hour: datetime, each: Entry | RatedCharge) -> None:
    group = "".join(each.group)
    for field in (*QUANTITIES, *AMOUNTS):
        row[hour, each.code, group, field] = Fraction(getattr(each, field))
    for field in ("discounts", "credits"):
        taken = getattr(each, field)
        total = taken if isinstance(taken, Fraction) else sum(map(Fraction, taken.values()))
        row[hour, each.code, group, field] = Fraction(total)


@given(cases())
@settings(max_examples=150)
def test_any_terms_and_usage_come_to_what_they_come_to_by_hand(
    case: tuple[AgreementTerms, list[MeteredHour]],
) -> None:
    terms, hours = case
    state, rated = advance(terms, RatingState(), hours, through=THROUGH)
    bill = bill_of(agreed(terms), used(hours), THROUGH)
    product: Row = {}
    by_hand: Row = {}
    for hour in rated:
        for charge in hour.charges:
            enter(product, hour.hour, charge)
    for moment, entries in bill.hours.items():
        for entry in entries:
            enter(by_hand, moment, entry)
    assert {key: amount for key, amount in product.items() if amount} == {
        key: amount for key, amount in by_hand.items() if amount
    }
    left = {held.id: Fraction(held.balance) for held in state.grants if held.balance}
    assert left == {name: amount for name, amount in bill.wallet.items() if amount}
