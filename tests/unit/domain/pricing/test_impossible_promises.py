"""What a channel cannot keep of a plan as it is reported there, why, and by whose rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import at
from meterbridge.domain.channels import Channel
from meterbridge.domain.pricing.channel_reporting import (
    ChannelReporting,
    ReportedDimension,
    ReportingMode,
    Source,
)
from meterbridge.domain.pricing.kept_promises import Parity
from meterbridge.domain.pricing.models import PerUnit
from meterbridge.domain.pricing.parity import channel_parity
from meterbridge.domain.pricing.plan_terms import (
    CreditRule,
    Discount,
    FreeTrial,
    PlanTerms,
    SpendCap,
    SubscriptionFee,
    TopUp,
    TrialKind,
)
from meterbridge.domain.pricing.tiers import Graduated, Tier
from pricing_setup import D, plan, priced

AWS, AZURE, GCP = Channel.AWS, Channel.AZURE, Channel.GCP
NOW = at("2026-11-24T12")


def native(code: str) -> ReportedDimension:
    return ReportedDimension(code, ReportingMode.NATIVE, (Source(code),))


def money(code: str) -> ReportedDimension:
    return ReportedDimension("charges", ReportingMode.CURRENCY, (Source(code),), D("0.01"))


def through(channel: Channel, *dimensions: ReportedDimension) -> dict[str, Any]:
    return {"reporting": (ChannelReporting(channel, dimensions),)}


IMPOSSIBLE_CASES: dict[str, tuple[PlanTerms, Channel, dict[str, str], str]] = {
    "another currency": (
        replace(plan(), currency="EUR"),
        AWS,
        {"currency": "aws meters in USD only"},
        "AWS Marketplace Catalog API, UsageBasedPricingTerm",
    ),
    "too many dimensions": (
        plan(
            *(priced(PerUnit(D(1)), f"d{n}") for n in range(9)),
            **through(GCP, *(native(f"d{n}") for n in range(9))),
        ),
        GCP,
        {"number_of_dimensions": "gcp takes 8 dimensions"},
        "Google Producer Portal, 8 metrics per usage plan",
    ),
    "a dimension's code": (
        plan(priced(PerUnit(D(1)), "a b"), **through(AWS, native("a b"))),
        AWS,
        {"dimension_code": "aws does not take 'a b'"},
        "AWS Marketplace Catalog API, dimension key",
    ),
    "a fine price": (
        plan(priced(PerUnit(D("0.000000001"))), **through(AWS, native("api"))),
        AWS,
        {"price_precision": "aws takes prices in steps of 0.00000001"},
        "AWS Marketplace Catalog API, UsageBasedPricingTerm",
    ),
    "a short trial": (
        plan(trial=FreeTrial(TrialKind.DAYS, days=6, native=True), **through(AWS, native("api"))),
        AWS,
        {"trial": "aws's trials last 7 to 90 days"},
        "AWS Marketplace seller guide, SaaS free trials",
    ),
    "a trial of its own": (
        plan(
            trial=FreeTrial(TrialKind.DAYS, days=30, native=True), **through(AZURE, native("api"))
        ),
        AZURE,
        {"trial": "azure has no such trial of its own"},
        "Azure SaaS metered billing, no free trial with dimensions",
    ),
    "tiers at one price": (
        plan(priced(Graduated((Tier(None, D(1)),))), **through(AZURE, native("api"))),
        AZURE,
        {"price": "only one price per unit can be the marketplace's own"},
        "Azure metering FAQ, one dimension per tier",
    ),
    "a discount on the listing's price": (
        plan(discounts=(Discount("deal", percent=D(5)),), **through(AWS, native("api"))),
        AWS,
        {"discount": "/discounts/0 lowers the charge, which only currency can report"},
        "Meterbridge",
    ),
    "credits, a top-up and a cap on the listing's price": (
        plan(
            credits=(CreditRule("gift", D(5)),),
            top_up=TopUp(D(9)),
            spend_cap=SpendCap(D(9)),
            **through(AWS, native("api"), money("top_up")),
        ),
        AWS,
        {
            "credits": "/credits/0 lowers the charge, which only currency can report",
            "top_up": "/top_up lowers the charge, which only currency can report",
            "spend_cap": "/spend_cap lowers the charge, which only currency can report",
        },
        "Meterbridge",
    ),
    "a fee in units": (
        plan(fees=(SubscriptionFee("base", D(9)),), **through(AWS, native("api"), native("base"))),
        AWS,
        {"fee": "a fee or true-up has no metered units"},
        "Meterbridge",
    ),
    "what is reported nowhere": (
        plan(fees=(SubscriptionFee("base", D(9)),), **through(AWS, native("api"))),
        AWS,
        {"fee": "base is reported 0 times"},
        "Meterbridge",
    ),
}


@pytest.mark.parametrize("case", IMPOSSIBLE_CASES)
def test_what_is_impossible_says_why_and_by_whose_rule(case: str) -> None:
    given, channel, expected, source = IMPOSSIBLE_CASES[case]
    lines = channel_parity(given, channel, NOW).lines
    impossible = [line for line in lines if line.parity is Parity.IMPOSSIBLE]
    assert {str(line.promise.kind): line.how for line in impossible} == expected
    assert {line.source for line in impossible} == {source}


def test_a_parity_is_possible_only_if_every_line_is() -> None:
    assert channel_parity(plan(), AWS, NOW).possible
    assert not channel_parity(replace(plan(), currency="EUR"), AWS, NOW).possible
