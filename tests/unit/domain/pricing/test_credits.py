"""Prepaid credits by worked examples: order, expiry, rollover, recurrence, top-up, thresholds."""

from __future__ import annotations

from typing import Any

from builders import at
from meterbridge.domain.pricing.advance import advance
from meterbridge.domain.pricing.agreement_terms import Grant
from meterbridge.domain.pricing.models import PerUnit
from meterbridge.domain.pricing.plan_terms import (
    CreditRule,
    FreeTrial,
    Recurrence,
    Rollover,
    SpendCap,
    SubscriptionFee,
    TopUp,
    TrialKind,
)
from meterbridge.domain.pricing.rated import MovementKind, RatedHour, Watched
from meterbridge.domain.pricing.rating_state import RatingState
from meterbridge.domain.pricing.tiers import Tier, Volume
from pricing_setup import START, D, by_hour, charges, plan, priced, rate, terms, total, used


def spent(rated: list[RatedHour]) -> dict[str, Any]:
    """Credits spent, by grant."""
    found: dict[str, Any] = {}
    for each in charges(rated):
        for grant, amount in each.credits.items():
            found[grant] = found.get(grant, 0) + amount
    return found


def moved(rated: list[RatedHour]) -> list[tuple[str, MovementKind, str, Any]]:
    return [
        (hour.hour.strftime("%m-%dT%H"), each.kind, each.grant_id, each.amount)
        for hour in rated
        for each in hour.movements
    ]


def test_credits_pay_by_priority_then_by_expiry_then_by_age() -> None:
    grants = (
        Grant("late", D(10), START, at("2027-06-01T00")),
        Grant("second", D(10), START, at("2027-01-01T00"), priority=1),
        Grant("never", D(10), START),
        Grant("soon", D(10), START, at("2027-02-01T00")),
        Grant("younger", D(10), at("2026-11-02T00"), at("2027-02-01T00")),
    )
    given = terms(plan(), grants=grants)
    orders = []
    for quantity in (10, 20, 30, 40, 50, 60):
        rated = rate(given, used("2026-11-03T10", api=quantity))
        orders.append(list(spent(rated)))
    assert orders[4] == ["soon", "younger", "late", "never", "second"]
    assert [len(order) for order in orders] == [1, 2, 3, 4, 5, 5]
    assert total(rated) == D(10)


def test_a_grant_is_usable_for_every_hour_that_its_time_touches() -> None:
    grant = Grant("g", D(100), at("2026-11-03T10:59:00"), at("2026-11-03T12:01:00"))
    rated = rate(
        terms(plan(), grants=(grant,)),
        *(used(f"2026-11-03T{hour:02}", api=10) for hour in (9, 10, 11, 12, 13)),
    )
    assert by_hour(rated) == {"11-03T09": D(10), "11-03T13": D(10)}
    assert moved(rated) == [
        ("11-03T10", MovementKind.GRANTED, "g", D(100)),
        ("11-03T13", MovementKind.EXPIRED, "g", D(70)),
    ]


def test_a_grant_may_pay_for_some_charges_only() -> None:
    grant = Grant("g", D(100), START, codes=frozenset({"api"}))
    fees = (SubscriptionFee("sub", D(50)),)
    rated = rate(terms(plan(fees=fees), grants=(grant,)), used("2026-11-03T10", api=30))
    assert (by_hour(rated), spent(rated)) == ({"11-01T00": D(50)}, {"g": D(30)})


def test_what_rolls_over_is_capped_and_rolls_over_again() -> None:
    rule = CreditRule(
        "monthly", D(100), Recurrence.CYCLE, lasts_cycles=1, rollover=Rollover(cap=D(50))
    )
    rated = rate(
        terms(plan(credits=(rule,))),
        used("2026-11-03T10", api=30),
        used("2026-12-03T10", api=120),
        used("2027-01-03T10", api=140),
        through="2027-02-01T00",
    )
    assert total(rated) == D(10)
    assert moved(rated) == [
        ("11-01T00", MovementKind.GRANTED, "monthly:2026-11-01T00", D(100)),
        # 70 left, 50 kept; they and December's pay 120, which leaves 30
        ("12-01T00", MovementKind.ROLLED_OVER, "monthly:2026-11-01T00", D(50)),
        ("12-01T00", MovementKind.EXPIRED, "monthly:2026-11-01T00", D(20)),
        ("12-01T00", MovementKind.GRANTED, "monthly:rollover:2026-12-01T00", D(50)),
        ("12-01T00", MovementKind.GRANTED, "monthly:2026-12-01T00", D(100)),
        ("01-01T00", MovementKind.ROLLED_OVER, "monthly:2026-12-01T00", D(30)),
        ("01-01T00", MovementKind.GRANTED, "monthly:rollover:2027-01-01T00", D(30)),
        ("01-01T00", MovementKind.GRANTED, "monthly:2027-01-01T00", D(100)),
        ("02-01T00", MovementKind.GRANTED, "monthly:2027-02-01T00", D(100)),
    ]


def test_a_charge_taken_back_gives_its_credits_back() -> None:
    volume = Volume((Tier(D(10), D(2)), Tier(None, D(1))))
    given = terms(plan(priced(volume)), grants=(Grant("g", D(20), START),))
    rated = rate(given, used("2026-11-03T10", api=10), used("2026-11-03T11", api=1))
    assert by_hour(rated, "credits") == {"11-03T10": D(20), "11-03T11": D(-9)}
    assert total(rated) == D(0)


def test_a_wallet_is_topped_up_when_it_falls_to_its_threshold() -> None:
    rated = rate(
        terms(plan(top_up=TopUp(D(20)))),  # at 20 % of 20: when 4 or less are left
        used("2026-11-03T10", api=15),
        used("2026-11-03T11", api=1),
        used("2026-11-03T12", api=50),
    )
    # 20 at the start; 5 are left; 4: + 20 = 24; 50 need 26 more: 40, and 14 are left
    assert by_hour(rated) == {"11-01T00": D(20), "11-03T11": D(20), "11-03T12": D(40)}
    assert by_hour(rated, code="api") == {}
    assert by_hour(rated, "credits") == {"11-03T10": D(15), "11-03T11": D(1), "11-03T12": D(50)}


def test_nothing_is_topped_up_in_free_days_beyond_the_cap_or_in_the_last_hour() -> None:
    trial = FreeTrial(TrialKind.DAYS, days=1)
    capped = plan(top_up=TopUp(D(20)), spend_cap=SpendCap(D(50)), trial=trial)
    rated = rate(
        terms(capped, end="2026-11-10T00"),
        used("2026-11-01T10", api=100),
        used("2026-11-03T10", api=200),
        used("2026-11-09T23", api=3),
    )
    # 20 pay for part of the 200; of the cap 30 are left: 20 more credits, and 10 billed.
    assert by_hour(rated, code="top_up") == {"11-02T00": D(20), "11-03T10": D(20)}
    assert by_hour(rated, code="api") == {"11-03T10": D(10)}
    assert total(rated, "over_cap") == D(153)


def test_the_wallets_thresholds_are_told_once_until_more_credits_come() -> None:
    grants = (Grant("a", D(100), START), Grant("b", D(100), at("2026-11-05T00")))
    rated = rate(
        terms(plan(), grants=grants),
        used("2026-11-03T10", api=85),
        used("2026-11-03T11", api=30),
        used("2026-11-05T10", api=70),
    )
    told = [
        (hour.hour.strftime("%m-%dT%H"), each.percent, each.used, each.limit)
        for hour in rated
        for each in hour.thresholds
        if each.watched is Watched.CREDITS
    ]
    assert told == [
        ("11-03T10", D(80), D(85), D(100)),
        ("11-03T11", D(100), D(100), D(100)),
        ("11-05T10", D(80), D(170), D(200)),
    ]


def test_a_plans_credits_come_once_with_the_agreement_even_over_a_ramp() -> None:
    first = plan(credits=(CreditRule("welcome", D(10)),))
    second = plan(
        priced(PerUnit(D(2))), credits=(CreditRule("welcome", D(10)), CreditRule("more", D(5)))
    )
    rated = rate(terms(first, second, starts=["2026-12-01T00"]), through="2027-01-31T23")
    assert [entry[0::2] for entry in moved(rated)] == [
        ("11-01T00", "welcome"),
        ("12-01T00", "more"),
    ]


def test_the_first_credits_are_bought_when_the_free_days_are_over() -> None:
    trial = FreeTrial(TrialKind.DAYS, days=1)
    rated = rate(terms(plan(top_up=TopUp(D(20)), trial=trial)))
    assert by_hour(rated) == {"11-02T00": D(20)}


def test_what_is_left_expires_by_itself_and_what_is_used_up_is_let_go_with_the_cycle() -> None:
    expiring = Grant("g", D(100), START, at("2026-11-03T12:01:00"))
    used_up = Grant("h", D(10), START, priority=1, codes=frozenset({"api"}))
    given = terms(plan(), grants=(expiring, used_up))
    hours = [used("2026-11-02T10", api=30), used("2026-11-03T20", api=10)]
    assert moved(rate(given, hours[0]))[-1] == ("11-03T13", MovementKind.EXPIRED, "g", D(70))
    november, _ = advance(given, RatingState(), hours, through=at("2026-11-30T23"))
    december, _ = advance(given, november, [], through=at("2026-12-01T00"))
    assert [held.id for held in november.grants] == ["h"]
    assert december.grants == ()
