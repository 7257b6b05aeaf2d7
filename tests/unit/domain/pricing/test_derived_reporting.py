"""How a plan is reported where it does not say: natively what can be, the rest as money."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterbridge.domain.channels import Channel
from meterbridge.domain.pricing.channel_reporting import (
    ChannelReporting,
    ReportedDimension,
    ReportingMode,
    Source,
)
from meterbridge.domain.pricing.cycles import CycleKind
from meterbridge.domain.pricing.derived_reporting import not_reported, with_derived_reporting
from meterbridge.domain.pricing.models import Dimensional, GroupPrice, PerUnit
from meterbridge.domain.pricing.plan_terms import (
    CreditRule,
    Discount,
    Entitlement,
    FreeTrial,
    MinimumCharge,
    PlanTerms,
    SpendCap,
    SubscriptionFee,
    TopUp,
    TrialKind,
)
from meterbridge.domain.pricing.tiers import Graduated, Tier
from meterbridge.domain.pricing.validation import validate
from pricing_setup import D, plan, priced
from pricing_strategies import plans

TIERS = Graduated((Tier(D(100), D(2)), Tier(None, D(1))))


def native(code: str = "api", per: int = 1) -> ReportedDimension:
    return ReportedDimension(code, ReportingMode.NATIVE, (Source(code),), D(per))


def money(*codes: str, name: str = "usage_charges", unit: str = "0.01") -> ReportedDimension:
    return ReportedDimension(
        name, ReportingMode.CURRENCY, tuple(Source(code) for code in codes), D(unit)
    )


def on(channel: Channel, terms: PlanTerms) -> tuple[ReportedDimension, ...]:
    found = with_derived_reporting(terms)
    return next(each.dimensions for each in found.reporting if each.channel is channel)


def test_a_unit_price_is_the_marketplaces_own_and_the_rest_is_reported_as_money() -> None:
    terms = plan(
        priced(PerUnit(D("0.002"), D(1000)), entitlement=Entitlement(D(5))),
        priced(TIERS, "gpu"),
        priced(PerUnit(D(1)), "pay"),
        fees=(SubscriptionFee("base", D(10)),),
        minimum=MinimumCharge(D(50)),
    )
    for channel in (Channel.AWS, Channel.AZURE, Channel.GCP):
        assert on(channel, terms) == (
            native(per=1000),
            native("pay"),
            money("gpu", "base", "minimum_charge"),
        )
    for channel in (Channel.STRIPE, Channel.MANUAL):
        assert on(channel, terms) == (money("api", "gpu", "pay", "base", "minimum_charge"),)


@pytest.mark.parametrize(
    "lowering",
    [
        {"discounts": (Discount("off", percent=D(10)),)},
        {"credits": (CreditRule("gift", D(10)),)},
        {"top_up": TopUp(D(10))},
        {"spend_cap": SpendCap(D(10))},
        {"trial": FreeTrial(TrialKind.AMOUNT, amount=D(10))},
    ],
)
def test_what_lowers_the_charge_is_reported_as_money(lowering: dict[str, Any]) -> None:
    terms = plan(**lowering)
    assert on(Channel.AWS, terms) == (money(*terms.codes()),)


def test_a_discount_of_one_dimension_leaves_the_others_native() -> None:
    off = Discount("off", percent=D(10), codes=frozenset({"gpu"}))
    terms = plan(priced(PerUnit(D(1))), priced(PerUnit(D(2)), "gpu"), discounts=(off,))
    assert on(Channel.GCP, terms) == (native(), money("gpu"))


@pytest.mark.parametrize(
    "trial",
    [
        FreeTrial(TrialKind.DAYS, 14),
        FreeTrial(TrialKind.QUANTITY, quantities={"api": D(5)}),
    ],
)
def test_a_trial_of_days_or_quantity_only_reports_less(trial: FreeTrial) -> None:
    assert on(Channel.AZURE, plan(trial=trial)) == (native(),)


def test_a_price_finer_than_the_marketplace_takes_is_reported_as_money() -> None:
    fine = plan(priced(PerUnit(D("0.000000001"))))
    assert on(Channel.AWS, fine) == (money("api"),)
    assert on(Channel.GCP, fine) == (native(),)


def test_a_price_by_group_is_reported_as_one() -> None:
    by_group = Dimensional((GroupPrice(("a",), PerUnit(D(1))),), PerUnit(D(2)))
    assert on(Channel.AWS, plan(priced(by_group))) == (money("api"),)


def test_more_dimensions_than_a_marketplace_takes_share_the_one_of_money() -> None:
    codes = [f"d{number}" for number in range(10)]
    terms = plan(*(priced(PerUnit(D(1)), code) for code in codes))
    assert on(Channel.AWS, terms) == tuple(native(code) for code in codes)
    assert on(Channel.GCP, terms) == (*(native(code) for code in codes[:7]), money(*codes[7:]))


def test_the_dimension_of_money_has_a_name_of_its_own() -> None:
    terms = plan(priced(PerUnit(D(1)), "usage_charges"), priced(TIERS))
    assert on(Channel.AWS, terms) == (native("usage_charges"), money("api", name="usage_charges_"))


@pytest.mark.parametrize(("currency", "unit"), [("EUR", "0.01"), ("JPY", "1"), ("KWD", "0.001")])
def test_money_is_reported_in_minor_units_where_the_channel_takes_the_currency(
    currency: str, unit: str
) -> None:
    terms = replace(plan(), currency=currency)
    assert on(Channel.STRIPE, terms) == (money("api", unit=unit),)
    told = {each.channel for each in with_derived_reporting(terms).reporting}
    assert told == {Channel.STRIPE, Channel.MANUAL}
    refused = not_reported(with_derived_reporting(terms))
    assert {channel: [each.code for each in faults] for channel, faults in refused.items()} == {
        channel: ["channel_currency"] for channel in (Channel.AWS, Channel.AZURE, Channel.GCP)
    }


def test_a_trial_that_a_marketplace_does_not_have_is_not_reported_there() -> None:
    terms = with_derived_reporting(plan(trial=FreeTrial(TrialKind.DAYS, 14, native=True)))
    assert [each.channel for each in terms.reporting] == [
        Channel.AWS,
        Channel.STRIPE,
        Channel.MANUAL,
    ]
    assert {c: [e.code for e in found] for c, found in not_reported(terms).items()} == {
        Channel.AZURE: ["no_native_trial"],
        Channel.GCP: ["no_native_trial"],
    }


def test_what_the_terms_say_of_a_channel_stays() -> None:
    said = ChannelReporting(Channel.AWS, (money("api", name="cents"),))
    terms = with_derived_reporting(plan(reporting=(said,)))
    assert terms.reporting[0] == said
    assert {each.channel for each in terms.reporting} == set(Channel)
    assert with_derived_reporting(terms) == terms


@given(st.sampled_from(CycleKind).flatmap(plans), st.sampled_from(["USD", "EUR"]))
def test_what_is_derived_is_valid_and_covers_every_charge(terms: PlanTerms, currency: str) -> None:
    sent = replace(terms, currency=currency)
    derived = with_derived_reporting(sent)
    assert set(validate(derived)) == set(validate(sent))
    assert {each.channel for each in derived.reporting} | set(not_reported(derived)) == set(Channel)
