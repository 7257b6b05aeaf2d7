"""Fees, minimums, commitments, caps and ramps, by worked examples; November has 720 hours."""

from __future__ import annotations

import pytest

from builders import at
from meterbridge.domain.pricing.agreement_terms import SeatChange
from meterbridge.domain.pricing.charges import Rule
from meterbridge.domain.pricing.cycles import CycleKind
from meterbridge.domain.pricing.models import PerUnit
from meterbridge.domain.pricing.plan_terms import (
    Commitment,
    Fee,
    FreeTrial,
    MinimumCharge,
    OneOffFee,
    PaymentSchedule,
    SeatFee,
    SpendCap,
    SubscriptionFee,
    TrialKind,
)
from meterbridge.domain.pricing.rated import Watched
from pricing_setup import D, by_hour, charges, plan, priced, rate, terms, total, used

ARREAR = PaymentSchedule.ARREAR
YEAR = "2027-12-31T23"


@pytest.mark.parametrize(
    ("fee", "end", "net"),
    [
        (SubscriptionFee("sub", D(72)), "", {"11-16T00": D(36), "12-01T00": D(72)}),
        (SubscriptionFee("sub", D(72), prorate=False), "", {"11-16T00": D(72), "12-01T00": D(72)}),
        (SubscriptionFee("sub", D(72), ARREAR), "", {"11-30T23": D(36), "12-31T23": D(72)}),
        # 100 x 240 / 720 hours, down at the 12th decimal
        (SubscriptionFee("sub", D(100)), "2026-11-26T00", {"11-16T00": D("33.333333333333")}),
        (SubscriptionFee("sub", D(72), ARREAR), "2026-11-26T00", {"11-25T23": D(24)}),
        (OneOffFee("setup", D(500)), "", {"11-16T00": D(500)}),
        (OneOffFee("setup", D(500), at("2026-12-05T10:20:00")), "", {"12-05T10": D(500)}),
    ],
)  # fmt: skip
def test_a_fee_is_charged_in_its_hour(fee: Fee, end: str, net: dict[str, object]) -> None:
    given = terms(plan(fees=(fee,)), starts_at=at("2026-11-16T00"), end=end)
    assert by_hour(rate(given, through="2026-12-31T23")) == net


SEATS = (
    SeatChange(at("2026-11-01T00"), D(4)),
    SeatChange(at("2026-11-16T00:30:00"), D(10)),
    SeatChange(at("2026-11-21T00"), D(7)),
)


@pytest.mark.parametrize(
    ("fee", "net"),
    [
        # 4 x 72; then 6 more for 360 of 720 hours; then 3 fewer for 240; December 7 x 72
        (
            SeatFee("seats", D(72)),
            {"11-01T00": D(288), "11-16T00": D(216), "11-21T00": D(-72), "12-01T00": D(504)},
        ),
        (
            SeatFee("seats", D(72), prorate=False),
            {"11-01T00": D(288), "11-16T00": D(432), "12-01T00": D(504)},
        ),
        (SeatFee("seats", D(72), ARREAR), {"11-30T23": D(432), "12-31T23": D(504)}),
        (SeatFee("seats", D(72), ARREAR, prorate=False), {"11-30T23": D(720), "12-31T23": D(504)}),
    ],
)
def test_seats_cost_by_the_hours_that_they_are_in_force_or_by_the_most_of_a_cycle(
    fee: SeatFee, net: dict[str, object]
) -> None:
    given = terms(plan(fees=(fee,)), seats={"seats": SEATS})
    assert by_hour(rate(given, through="2026-12-31T23")) == net


def test_a_trial_may_cover_its_share_of_fees_and_of_the_minimum() -> None:
    trial = FreeTrial(TrialKind.DAYS, days=10, covers_fees=True)
    fees = (SubscriptionFee("sub", D(72)), OneOffFee("setup", D(5)))
    given = terms(plan(fees=fees, trial=trial, minimum=MinimumCharge(D(90))))
    rated = rate(given)
    assert (total(rated, "list_charge", "sub"), total(rated, "trial_amount")) == (D(72), D(24))
    # sub 48 + setup 5, and 90 x 480 / 720 = 60 at least
    assert by_hour(rated) == {"11-01T00": D(53), "11-30T23": D(7)}


def test_a_minimum_is_made_up_in_the_last_hour_of_each_cycle() -> None:
    given = terms(plan(minimum=MinimumCharge(D(100))), end="2027-01-16T00")
    rated = rate(given, used("2026-11-03T10", api=30), used("2026-12-03T10", api=130), through=YEAR)
    assert by_hour(rated) == {
        "11-03T10": D(30),
        "11-30T23": D(70),
        "12-03T10": D(130),
        "01-15T23": D(100),
    }
    assert [part.rule for each in charges(rated, "minimum_charge") for part in each.parts] == [
        Rule.MINIMUM_CHARGE,
        Rule.MINIMUM_CHARGE,
    ]


def test_a_minimum_may_be_by_hours() -> None:
    given = terms(plan(minimum=MinimumCharge(D(100), prorate=True)), end="2026-11-16T00")
    assert by_hour(rate(given)) == {"11-15T23": D(50)}


@pytest.mark.parametrize(
    ("cycles", "end", "net"),
    [
        (3, "", {"01-31T23": D(860), "04-30T23": D(1000)}),
        (None, "", {}),
        (None, "2027-03-15T12", {"03-15T11": D(860)}),
        (3, "2027-03-15T12", {"01-31T23": D(860), "03-15T11": D(1000)}),
    ],
)
def test_a_commitment_is_trued_up_when_its_cycles_or_the_agreement_end(
    cycles: int | None, end: str, net: dict[str, object]
) -> None:
    given = terms(plan(commitment=Commitment(D(1000), cycles)), end=end)
    rated = rate(
        given,
        used("2026-11-03T10", api=100),
        used("2026-12-03T10", api=40),
        through="2027-04-30T23",
    )
    assert by_hour(rated, code="commitment") == net


def test_a_minimum_counts_for_the_commitment() -> None:
    both = plan(minimum=MinimumCharge(D(100)), commitment=Commitment(D(500), cycles=2))
    rated = rate(terms(both), used("2026-11-03T10", api=250), through="2026-12-31T23")
    assert by_hour(rated, code="commitment") == {"12-31T23": D(150)}  # 500 - 250 - 100


def test_beyond_the_spend_cap_nothing_is_billed() -> None:
    rated = rate(
        terms(plan(spend_cap=SpendCap(D(100)))),
        used("2026-11-03T10", api=79),
        used("2026-11-03T11", api=30),
        used("2026-11-03T12", api=30),
        used("2026-12-03T12", api=30),
        through="2026-12-31T23",
    )
    assert by_hour(rated) == {"11-03T10": D(79), "11-03T11": D(21), "12-03T12": D(30)}
    assert total(rated, "over_cap") == D(39)
    assert [
        (hour.hour.hour, each.watched, each.percent) for hour in rated for each in hour.thresholds
    ] == [(11, Watched.SPEND_CAP, D(80)), (11, Watched.SPEND_CAP, D(100))]


def test_a_ramp_changes_the_terms_with_a_cycle() -> None:
    ramp = [plan(priced(PerUnit(D(price)))) for price in (3, 2, 1)]
    given = terms(*ramp, starts=["2026-12-01T00", "2027-01-10T00"])
    rated = rate(
        given,
        used("2026-11-30T23", api=1),
        used("2026-12-01T00", api=1),
        used("2027-01-10T00", api=1),
        used("2027-02-01T00", api=1),
        through=YEAR,
    )
    assert by_hour(rated) == {
        "11-30T23": D(3),
        "12-01T00": D(2),
        "01-10T00": D(2),
        "02-01T00": D(1),
    }


def test_an_annual_cycle_has_one_subscription_and_one_minimum_a_year() -> None:
    annual = plan(
        fees=(SubscriptionFee("sub", D(1000)),),
        minimum=MinimumCharge(D(1200)),
        cycle=CycleKind.ANNUAL,
    )
    rated = rate(terms(annual, starts_at=at("2026-11-16T08")), through="2027-11-16T08")
    assert [(hour.hour, hour.net.amount) for hour in rated] == [
        (at("2026-11-16T08"), D(1000)),
        (at("2027-11-16T07"), D(200)),
        (at("2027-11-16T08"), D(1000)),
    ]
