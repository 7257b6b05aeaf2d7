"""Terms where they meet each other, an end, or their own change: what must not become wrong money."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import at
from meterbridge.domain.offerings import Channel, QuantityKind
from meterbridge.domain.pricing.advance import advance
from meterbridge.domain.pricing.agreement_terms import SeatChange
from meterbridge.domain.pricing.channel_reporting import (
    ChannelReporting,
    ReportedDimension,
    ReportingMode,
    Source,
)
from meterbridge.domain.pricing.models import Percentage, PerUnit
from meterbridge.domain.pricing.overrides import Overrides, overridden
from meterbridge.domain.pricing.plan_terms import (
    CreditRule,
    Entitlement,
    FreeTrial,
    MinimumCharge,
    OneOffFee,
    PlanTerms,
    SeatFee,
    SpendCap,
    SubscriptionFee,
    TrialKind,
)
from meterbridge.domain.pricing.rating_state import RatingState
from meterbridge.domain.pricing.tiers import Tier, Volume
from meterbridge.domain.pricing.validation import validate, validate_agreement
from pricing_setup import (
    START,
    D,
    by_hour,
    charges,
    faults_at,
    plan,
    priced,
    rate,
    terms,
    total,
    used,
)

NEW = RatingState()


def test_a_version_that_returns_to_an_earlier_one_brings_its_welcome_credits_only_once() -> None:
    welcome, bare = plan(credits=(CreditRule("welcome", D(10)),)), plan()
    given = terms(welcome, bare, welcome, starts=["2026-12-01T00", "2027-01-01T00"])
    rated = rate(given, used("2027-01-03T10", api=30), through="2027-01-31T23")
    assert by_hour(rated, "credits") == {"01-03T10": D(10)}


def test_terms_in_force_at_the_start_hold_from_the_start() -> None:
    given = terms(
        plan(priced(PerUnit(D(3)))),
        plan(priced(PerUnit(D(2)))),
        starts_at=at("2026-11-16T00"),
        starts=["2026-11-05T00"],
    )
    assert by_hour(rate(given, used("2026-11-20T10", api=1))) == {"11-20T10": D(2)}


def test_an_agreement_that_bills_no_hour_is_charged_nothing() -> None:
    fees = (SubscriptionFee("sub", D(50), prorate=False), OneOffFee("setup", D(9)))
    given = terms(plan(fees=fees), starts_at=at("2026-11-03T10:20:00"), end="2026-11-03T10")
    assert advance(given, NEW, [], through=at("2026-12-31T23")) == (NEW, [])


def test_an_agreement_shorter_than_an_hour_is_charged_in_its_only_hour() -> None:
    fees = (SubscriptionFee("sub", D(720)),)
    short = plan(fees=fees, minimum=MinimumCharge(D(720), prorate=True))
    given = terms(short, starts_at=at("2026-11-03T10:20:00"), end="2026-11-03T11")
    rated = rate(given, used("2026-11-03T10", api="0.25"), through="2026-12-31T23")
    assert by_hour(rated) == {"11-03T10": D("1.25")}  # an hour's share, above the minimum's


def test_an_end_that_becomes_known_later_comes_to_what_it_had_been_from_the_start() -> None:
    trial = FreeTrial(TrialKind.DAYS, days=10, covers_fees=True)
    fees = (SubscriptionFee("sub", D(30), prorate=False), SubscriptionFee("part", D(72)))
    given = plan(fees=fees, trial=trial, minimum=MinimumCharge(D(90)))
    open_ended, ended = terms(given), terms(given, end="2026-11-21T00")
    state, before = advance(open_ended, NEW, [], through=at("2026-11-12T00"))
    state, after = advance(ended, state, [], through=at("2026-11-30T23"))
    known_state, known = advance(ended, NEW, [], through=at("2026-11-30T23"))
    # Half of the 20 days is free: 15 + 24, and 90 x 10 / 20 = 45 at least.
    assert by_hour(known) == {"11-01T00": D(39), "11-20T23": D(6)}
    assert by_hour([*before, *after]) == {"11-01T00": D(68), "11-20T23": D(-23)}
    assert total(before) + total(after) == total(known) == D(45)
    assert state.net == known_state.net


def test_below_the_cap_charges_that_cancel_each_other_stay_where_they_belong() -> None:
    falling = Volume((Tier(D(10), D(2)), Tier(None, D(1))))
    capped = plan(priced(falling), priced(PerUnit(D(9)), "gpu"), spend_cap=SpendCap(D(100)))
    rated = rate(terms(capped), used("2026-11-03T10", api=10), used("2026-11-03T11", api=1, gpu=1))
    assert [(each.code, each.net) for each in charges(rated)][1:] == [("api", D(-9)), ("gpu", D(9))]
    assert total(rated, "over_cap") == D(0)


def test_seats_added_after_a_trial_are_not_covered_by_it() -> None:
    trial = FreeTrial(TrialKind.DAYS, days=10, covers_fees=True)
    seats = (SeatChange(START, D(4)), SeatChange(at("2026-11-16T00"), D(10)))
    given = terms(plan(fees=(SeatFee("seats", D(72)),), trial=trial), seats={"seats": seats})
    rated = rate(given)
    # 4 x 72 less 240 of 720 hours; then 6 more for 360 hours, none of them free.
    assert by_hour(rated) == {"11-01T00": D(192), "11-16T00": D(216)}
    assert total(rated, "trial_amount") == D(96)


def test_no_minimum_holds_for_free_days() -> None:
    given = plan(trial=FreeTrial(TrialKind.DAYS, days=20), minimum=MinimumCharge(D(90)))
    rated = rate(terms(given), used("2026-11-03T10", api=500), through="2026-12-31T23")
    assert by_hour(rated) == {"11-30T23": D(30), "12-31T23": D(90)}  # 90 x 10 / 30 days


def test_a_percentages_minimum_needs_usage_that_is_not_free() -> None:
    share = priced(Percentage(D(1), minimum=D(40)), "pay", event_meter_id="mtr_payments")
    trial = FreeTrial(TrialKind.QUANTITY, quantities={"pay": D(1000)})
    rated = rate(
        terms(plan(share, trial=trial)),
        used("2026-11-03T10", pay=1000, pay_events=5),
        used("2026-11-04T10", pay=1, pay_events=1),
    )
    assert by_hour(rated) == {"11-04T10": D(40)}


FIXED = priced(
    Percentage(D(3), D("0.3")), "pay", event_meter_id="mtr_payments", entitlement=Entitlement(D(5))
)


@pytest.mark.parametrize(
    ("given", "faults"),
    [
        (plan(priced(PerUnit(D(1), D(0)))), {("/dimensions/0/price/per", "not_positive")}),
        (plan(priced(PerUnit(D(1), D(-5)))), {("/dimensions/0/price/per", "negative")}),
        (plan(priced(Percentage(D("1E-7")))), {("/dimensions/0/price/percent", "too_fine")}),
        (plan(FIXED), {("/dimensions/0/entitlement", "no_events")}),
        (
            plan(FIXED, trial=FreeTrial(TrialKind.QUANTITY, quantities={"pay": D(5)})),
            {("/dimensions/0/entitlement", "no_events"), ("/trial/quantities/pay", "no_events")},
        ),
    ],
)
def test_terms_that_could_only_be_charged_wrongly_are_refused(
    given: PlanTerms, faults: set[tuple[str, str]]
) -> None:
    assert faults_at(validate(given)) == faults


@pytest.mark.parametrize(
    ("price", "faults"),
    [
        (PerUnit(D(1), D(3)), {("/reporting/0/dimensions/0", "price_precision")}),
        (PerUnit(D("0.75"), D(3)), set()),
        (PerUnit(D(1), D(0)), {("/dimensions/0/price/per", "not_positive")}),
    ],
)
def test_a_marketplace_is_not_asked_for_a_price_without_end(
    price: PerUnit, faults: set[tuple[str, str]]
) -> None:
    native = ReportedDimension("api", ReportingMode.NATIVE, (Source("api"),))
    given = plan(priced(price), reporting=(ChannelReporting(Channel.AZURE, (native,)),))
    assert faults_at(validate(given)) == faults


def test_one_agreement_may_have_a_spend_cap_of_its_own() -> None:
    capped = plan(spend_cap=SpendCap(D(100)))
    deal = overridden(capped, Overrides(spend_cap=SpendCap(D(30))))
    assert by_hour(rate(terms(deal), used("2026-11-03T10", api=50))) == {"11-03T10": D(30)}
    assert overridden(capped, Overrides()) == capped


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({}, set()),
        ({"mode": ReportingMode.CURRENCY}, {("/versions/1", "other_measure")}),
        ({"units_per_quantity": D(1000)}, {("/versions/1", "other_measure")}),
        ({"quantity_kind": QuantityKind.DECIMAL}, {("/versions/1", "other_measure")}),
    ],
)
def test_no_later_version_reports_a_dimension_in_another_measure(
    changes: dict[str, Any], faults: set[tuple[str, str]]
) -> None:
    first = ReportedDimension("api", ReportingMode.NATIVE, (Source("api"),))
    plans = [
        plan(reporting=(ChannelReporting(Channel.GCP, (each,)),))
        for each in (first, replace(first, **changes))
    ]
    given = terms(*plans, starts=["2026-12-01T00"])
    assert faults_at(validate_agreement(given, Channel.GCP)) == faults
