"""Usage through increment, included quantity, trial, price and discounts, by worked examples."""

from __future__ import annotations

import pytest

from builders import at
from meterbridge.domain.errors import InvariantError
from meterbridge.domain.money import Rounding
from meterbridge.domain.pricing.agreement_terms import AgreementTerms, Grant
from meterbridge.domain.pricing.increments import Increment, Interval
from meterbridge.domain.pricing.models import (
    Dimensional,
    Flat,
    GroupPrice,
    Package,
    Percentage,
    PerUnit,
)
from meterbridge.domain.pricing.plan_terms import Discount, Entitlement, FreeTrial, TrialKind
from meterbridge.domain.pricing.rated import ThresholdPassed, Watched
from meterbridge.domain.pricing.tiers import Graduated, Tier, Volume
from pricing_setup import START, D, by_hour, charges, plan, priced, rate, terms, total, used

PAIGO = Graduated((Tier(D(1000), D(1)), Tier(None, D("0.50"))))


def test_tiers_go_on_from_hour_to_hour_and_begin_anew_with_the_cycle() -> None:
    rated = rate(
        terms(plan(priced(PAIGO))),
        used("2026-11-03T10", api=800),
        used("2026-11-03T11", api=800),
        used("2026-12-01T00", api=800),
        through="2026-12-31T23",
    )
    assert by_hour(rated) == {"11-03T10": D(800), "11-03T11": D(500), "12-01T00": D(800)}


def test_a_volume_price_that_falls_makes_an_hour_negative_and_the_cycle_right() -> None:
    volume = Volume((Tier(D(10), D(2)), Tier(None, D(1))))
    rated = rate(
        terms(plan(priced(volume))), used("2026-11-03T10", api=10), used("2026-11-03T11", api=1)
    )
    assert by_hour(rated) == {"11-03T10": D(20), "11-03T11": D(-9)}


def test_an_hour_bills_what_it_adds_to_the_running_interval() -> None:
    increment = Increment(D(60), Rounding.CEILING, Interval.DAY)
    rated = rate(
        terms(plan(priced(PerUnit(D("0.5")), increment=increment))),
        used("2026-11-03T10", api=40),
        used("2026-11-03T11", api=15),
        used("2026-11-03T12", api=50),
        used("2026-11-04T00", api=1),
    )
    assert by_hour(rated, "incremented") == {
        "11-03T10": D(60),
        "11-03T12": D(60),
        "11-04T00": D(60),
    }
    assert total(rated, "metered") == D(106)
    assert total(rated, "adjusted") == D(74)
    assert total(rated) == D(90)


def test_included_quantity_is_used_up_first_then_the_price_begins() -> None:
    # getlago.com, package model: $5 per 100, the first 100 free: 201 units cost 10.
    included = Entitlement(D(100))
    rated = rate(
        terms(plan(priced(Package(D(100), D(5)), entitlement=included))),
        used("2026-11-03T10", api=90),
        used("2026-11-03T11", api=111),
    )
    assert by_hour(rated, "included") == {"11-03T10": D(90), "11-03T11": D(10)}
    assert by_hour(rated, "rated") == {"11-03T11": D(101)}
    assert total(rated) == D(10)


def test_beyond_a_limit_without_overage_nothing_is_billed_but_all_is_shown() -> None:
    limit = Entitlement(D(100), overage_allowed=False)
    rated = rate(
        terms(plan(priced(PerUnit(D(1)), entitlement=limit))),
        used("2026-11-03T10", api=79),
        used("2026-11-03T11", api=1),
        used("2026-11-03T12", api=25),
        used("2026-11-03T13", api=25),
    )
    assert (total(rated, "included"), total(rated, "over_limit")) == (D(100), D(30))
    assert (total(rated, "rated"), total(rated)) == (D(0), D(0))
    assert [(hour.hour.hour, passed) for hour in rated for passed in hour.thresholds] == [
        (11, ThresholdPassed(Watched.ENTITLEMENT, "api", D(80), D(80), D(100))),
        (12, ThresholdPassed(Watched.ENTITLEMENT, "api", D(100), D(105), D(100))),
        (12, ThresholdPassed(Watched.OVER_LIMIT, "api", D(100), D(105), D(100))),
    ]


def test_an_unlimited_entitlement_includes_everything() -> None:
    unlimited = Entitlement(None)
    rated = rate(
        terms(plan(priced(PerUnit(D(1)), entitlement=unlimited))), used("2026-11-03T10", api=10**9)
    )
    assert (total(rated, "included"), total(rated)) == (D(10**9), D(0))


def test_days_of_trial_are_free_and_do_not_count_for_tiers() -> None:
    trial = FreeTrial(TrialKind.DAYS, days=2)
    rated = rate(
        terms(plan(priced(PAIGO), trial=trial), starts_at=at("2026-11-01T12:00:00")),
        used("2026-11-03T11", api=5000),
        used("2026-11-03T12", api=1001),
    )
    assert by_hour(rated, "free_trial") == {"11-03T11": D(5000)}
    assert by_hour(rated) == {"11-03T12": D("1000.5")}


def test_a_quantity_of_trial_lasts_over_cycles_until_it_is_used() -> None:
    trial = FreeTrial(TrialKind.QUANTITY, quantities={"api": D(150)})
    rated = rate(
        terms(plan(priced(PerUnit(D(2)), entitlement=Entitlement(D(10))), trial=trial)),
        used("2026-11-03T10", api=110),
        used("2026-12-03T10", api=110),
        through="2026-12-31T23",
    )
    assert by_hour(rated, "included") == {"11-03T10": D(10), "12-03T10": D(10)}
    assert by_hour(rated, "free_trial") == {"11-03T10": D(100), "12-03T10": D(50)}
    assert by_hour(rated) == {"12-03T10": D(100)}


def test_an_amount_of_trial_pays_list_charges_until_it_is_used_or_its_days_are_over() -> None:
    trial = FreeTrial(TrialKind.AMOUNT, days=30, amount=D(100))
    given = terms(plan(priced(PerUnit(D(1))), priced(PerUnit(D(2)), "gpu"), trial=trial))
    rated = rate(given, used("2026-11-03T10", api=60, gpu=10), used("2026-11-03T11", api=30))
    assert by_hour(rated, "trial_amount") == {"11-03T10": D(80), "11-03T11": D(20)}
    assert by_hour(rated) == {"11-03T11": D(10)}
    late = rate(given, used("2026-12-01T00", api=60), through="2026-12-01T00")
    assert (total(late, "trial_amount"), total(late)) == (D(0), D(60))


def test_a_percentage_takes_a_fixed_part_for_each_event() -> None:
    rated = rate(
        terms(plan(priced(Percentage(D("2.9"), D("0.30"), free_events=D(5)), "pay"))),
        used("2026-11-03T10", pay=400, pay_events=4),
        used("2026-11-03T11", pay=600, pay_events=6),
    )
    # 400 x 2.9 % = 11.6; then 600 x 2.9 % = 17.4 and the 6th to 10th event.
    assert by_hour(rated) == {"11-03T10": D("11.6"), "11-03T11": D("18.9")}


def test_events_of_free_days_have_no_fixed_part() -> None:
    trial = FreeTrial(TrialKind.DAYS, days=1)
    given = terms(plan(priced(Percentage(D(1), D(2), free_events=D(3)), "pay"), trial=trial))
    rated = rate(
        given,
        used("2026-11-01T10", pay=100, pay_events=3),
        used("2026-11-02T00", pay=100, pay_events=4),
    )
    assert by_hour(rated) == {"11-02T00": D(3)}  # 1 % of 100, and the fourth event


def test_a_flat_amount_is_charged_once_a_cycle_with_its_usage_or_always() -> None:
    given = terms(plan(priced(Flat(D(9)), "used"), priced(Flat(D(7), always=True), "always")))
    rated = rate(
        given,
        used("2026-11-03T10", used=1),
        used("2026-11-03T11", used=1, always=3),
        through="2026-12-31T23",
    )
    assert by_hour(rated, code="used") == {"11-03T10": D(9)}
    assert by_hour(rated, code="always") == {"11-01T00": D(7), "12-01T00": D(7)}


def test_groups_count_apart_and_unnamed_ones_together() -> None:
    tiered = Graduated((Tier(D(10), D(3)), Tier(None, D(2))))
    gpu = Dimensional((GroupPrice(("a100",), tiered),), default=tiered)
    rated = rate(
        terms(plan(priced(gpu, "gpu"))),
        used("2026-11-03T10", gpu={("a100",): 12, ("t4",): 8, ("l4",): 4}),
    )
    assert {(each.group, each.net) for each in charges(rated)} == {
        (("a100",), D(34)),  # 10 x 3 + 2 x 2
        ((), D(34)),  # 8 + 4, the same
    }


def test_in_which_order_groups_come_does_not_decide_which_of_them_credits_pay() -> None:
    gpu = Dimensional((GroupPrice(("a100",), PerUnit(D(3))),), default=PerUnit(D(1)))
    given = terms(plan(priced(gpu, "gpu")), grants=(Grant("g", D(6), START),))
    for groups in ({("a100",): 2, ("t4",): 4}, {("t4",): 4, ("a100",): 2}):
        rated = rate(given, used("2026-11-02T10"), used("2026-11-03T10", gpu=groups))
        assert {each.group: each.net for each in charges(rated)} == {(): D(0), ("a100",): D(4)}


def discounted(*discounts: Discount) -> AgreementTerms:
    given = plan(priced(PerUnit(D(1))), priced(PerUnit(D(1)), "gpu"), discounts=discounts)
    return terms(given)


@pytest.mark.parametrize(
    ("discounts", "net"),
    [
        ([Discount("a", percent=D(20))], {"11-03T10": D(120), "11-20T10": D(40)}),
        (
            [Discount("a", percent=D(20), ends_at=at("2026-11-20T10"))],
            {"11-03T10": D(120), "11-20T10": D(50)},
        ),
        (
            [Discount("a", percent=D(20), starts_at=at("2026-11-20T10"))],
            {"11-03T10": D(150), "11-20T10": D(40)},
        ),
        (
            [Discount("a", percent=D(50), codes=frozenset({"gpu"}))],
            {"11-03T10": D(125), "11-20T10": D(50)},
        ),
        ([Discount("a", amount=D(160))], {"11-20T10": D(40)}),
        ([Discount("a", amount=D(500))], {}),
        (  # 150 - 15 - 120 off; then 50 - 5 = 45
            [Discount("a", percent=D(10)), Discount("b", amount=D(120))],
            {"11-03T10": D(15), "11-20T10": D(45)},
        ),
    ],
)
def test_discounts_lower_the_charges_of_their_hours(
    discounts: list[Discount], net: dict[str, object]
) -> None:
    rated = rate(
        discounted(*discounts),
        used("2026-11-03T10", api=100, gpu=50),
        used("2026-11-20T10", api=50),
    )
    assert by_hour(rated) == net
    assert total(rated, "list_charge") == total(rated, "discounts") + total(rated)


@pytest.mark.parametrize(
    "hours",
    [
        [used("2026-11-03T11", api=1), used("2026-11-03T10", api=1)],
        [used("2026-11-03T11", api=1), used("2026-11-03T11", api=1)],
        [used("2026-10-31T23", api=1)],
        [used("2026-12-01T00", api=1)],
        [used("2026-11-03T11", other=1)],
    ],
    ids=["backwards", "twice", "before the start", "after the last closed hour", "of no dimension"],
)
def test_usage_that_cannot_be_rated_is_an_error(hours: list[object]) -> None:
    with pytest.raises(InvariantError):
        rate(terms(plan()), *hours)  # type: ignore[arg-type]
