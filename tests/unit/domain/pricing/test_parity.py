"""Parity: each promise of a plan on each channel, worked out by hand; and list prices net of fees."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import at
from meterbridge.domain.channels import Channel, QuantityKind
from meterbridge.domain.pricing.channel_reporting import (
    ChannelReporting,
    ReportedDimension,
    ReportingMode,
    Source,
)
from meterbridge.domain.pricing.cycles import CycleKind
from meterbridge.domain.pricing.increments import Increment
from meterbridge.domain.pricing.kept_promises import Parity
from meterbridge.domain.pricing.models import (
    Dimensional,
    GroupPrice,
    Package,
    PerUnit,
    Waterfall,
    WaterfallStep,
)
from meterbridge.domain.pricing.parity import channel_parity
from meterbridge.domain.pricing.plan_terms import (
    Commitment,
    CreditRule,
    Discount,
    Entitlement,
    FreeTrial,
    MinimumCharge,
    OneOffFee,
    PlanTerms,
    SeatFee,
    SpendCap,
    SubscriptionFee,
    TopUp,
    TrialKind,
)
from meterbridge.domain.pricing.tiers import Graduated, Tier
from meterbridge.domain.pricing.validation import validate
from pricing_setup import D, plan, priced

AWS, AZURE, GCP = Channel.AWS, Channel.AZURE, Channel.GCP
NOW = at("2026-11-24T12")
NATIVE, EMULATED = Parity.NATIVE, Parity.EMULATED
APART, IMPOSSIBLE = Parity.INVOICED_APART, Parity.IMPOSSIBLE
CENT = D("0.01")
IN_CENTS = "reported in units of USD 0.01 under dimension `usage_charges`"


def native(code: str, kind: QuantityKind = QuantityKind.INTEGER) -> ReportedDimension:
    return ReportedDimension(code, ReportingMode.NATIVE, (Source(code),), D(1), kind)


def money(*codes: str) -> ReportedDimension:
    sources = tuple(map(Source, codes))
    return ReportedDimension("usage_charges", ReportingMode.CURRENCY, sources, CENT)


def through(channel: Channel, *dimensions: ReportedDimension, apart: Any = ()) -> dict[str, Any]:
    return {"reporting": (ChannelReporting(channel, dimensions, frozenset(apart)),)}


def found(given: PlanTerms, channel: Channel) -> dict[str, tuple[Parity, str]]:
    """How each promise is kept, by its kind and, where several have one, its code."""
    lines = channel_parity(given, channel, NOW).lines
    kinds = [line.promise.kind for line in lines]
    return {
        kind if kinds.count(kind) == 1 else f"{kind} {line.promise.code}": (line.parity, line.how)
        for kind, line in zip(kinds, lines, strict=True)
    }


def test_a_unit_price_is_the_listings_own() -> None:
    given = plan(priced(PerUnit(D("0.04"), D(1000)), entitlement=Entitlement(D(500))))
    thousands = replace(native("api", QuantityKind.DECIMAL), units_per_quantity=D(1000))
    given = replace(given, **through(AWS, thousands))
    assert found(given, AWS) == {
        "currency": (NATIVE, "usage is priced in USD"),
        "cycle": (NATIVE, "it invoices by the same months"),
        "dimension": (NATIVE, "metered there as `api`"),
        "price": (NATIVE, "the listing's own price: USD 0.04 for 1000 units of `api`"),
        "entitlement": (EMULATED, "the included quantity is taken off here, before it is reported"),
        "number_of_dimensions": (NATIVE, "1 of at most 800"),
        "zero_quantities": (NATIVE, "an hour without usage may be reported as 0"),
        "negative_quantities": (
            EMULATED,
            "what is taken back (a volume price that falls, seats given back) is carried and set "
            "off against later usage; what is left at the end is a billing adjustment on the "
            "buyer's invoice",
        ),
        "dimension_code": (NATIVE, "`api` is taken as it is"),
        "quantities": (
            NATIVE,
            "in steps of 0.000001, at most 9999999999.999999 in a record; what is finer is carried",
        ),
        "price_precision": (NATIVE, "USD 0.04 for 1000 units of `api`; in steps of 0.00000001"),
    }


EVERYTHING = plan(
    priced(Graduated((Tier(D(10), D(2)), Tier(None, D(1)))), increment=Increment(D(1))),
    fees=(SubscriptionFee("base", D(99)), SeatFee("seats", D(5)), OneOffFee("setup", D(40))),
    trial=FreeTrial(TrialKind.DAYS, days=14),
    discounts=(
        Discount("deal", percent=D(10)),
        Discount("sub", percent=D(5), codes=frozenset({"base"})),
    ),
    minimum=MinimumCharge(D(50)),
    commitment=Commitment(D(900)),
    credits=(CreditRule("gift", D(20)),),
    top_up=TopUp(D(100)),
    spend_cap=SpendCap(D(500)),
    cycle=CycleKind.ANNIVERSARY,
)
CODES = ("api", "seats", "setup", "minimum_charge", "commitment", "top_up")


def test_what_a_listing_cannot_express_is_computed_here_and_reported_in_currency() -> None:
    given = replace(EVERYTHING, **through(AZURE, money(*CODES), apart=["base"]))
    assert validate(given) == ()
    off = f"taken off before the charge is {IN_CENTS}; for `base` on the invoice apart"
    apart = "not metered there: the listing's own flat fee, or an invoice"
    kept = found(given, AZURE)
    elsewhere = {"currency", "cycle", "dimension", "price", "number_of_dimensions"}
    assert {name: kept[name] for name in kept if name not in elsewhere} == {
        "increment": (EMULATED, "rounded here, before it is reported"),
        "fee base": (APART, apart),
        "seats": (EMULATED, IN_CENTS),
        "fee setup": (EMULATED, IN_CENTS),
        "trial": (
            EMULATED,
            "its charge left out of `usage_charges`; for `base` on the invoice apart",
        ),
        "discount ": (APART, apart),
        "minimum": (EMULATED, IN_CENTS),
        "commitment": (EMULATED, IN_CENTS),
        "credits": (EMULATED, off),
        "top_up": (EMULATED, IN_CENTS),
        "spend_cap": (EMULATED, off),
        "zero_quantities": (EMULATED, "an hour without usage is not reported"),
        "negative_quantities": kept["negative_quantities"],
        "dimension_code": (NATIVE, "`usage_charges` is taken as it is"),
        "quantities": (
            EMULATED,
            "whole units, at most 999999999999999 in a record; a fraction is carried until it "
            "makes one",
        ),
    }
    assert kept["dimension"] == (EMULATED, f"its charge is {IN_CENTS}")
    assert kept["price"] == (EMULATED, f"the charge is computed here and {IN_CENTS}")
    assert kept["cycle"] == (
        EMULATED,
        "counted here by anniversary; it invoices what is reported by its own months",
    )
    everywhere = next(
        line
        for line in channel_parity(given, AZURE, NOW).lines
        if line.promise.pointer == "/discounts/0"
    )
    assert (everywhere.parity, everywhere.how) == (EMULATED, off)


def test_a_plan_that_says_nothing_of_a_channel_is_told_as_it_would_be_reported() -> None:
    given = plan(
        priced(PerUnit(D("0.1")), "api"),
        priced(Package(D(10), D(1)), "gpu"),
        fees=(SubscriptionFee("base", D(99)),),
    )
    parity = channel_parity(given, AWS, NOW)
    assert (parity.declared, parity.possible) == (False, True)
    assert parity.reporting == ChannelReporting(AWS, (native("api"), money("gpu", "base")))


def test_whether_google_bills_fractions_is_not_sure() -> None:
    given = replace(plan(), **through(GCP, native("api", QuantityKind.DECIMAL)))
    parity, how = found(given, GCP)["quantities"]
    assert (parity, how.split("; ")[1:]) == (
        NATIVE,
        ["what is finer is carried", "its pages disagree on fractions: whole small units are safe"],
    )


def test_a_price_finer_than_the_listing_takes_would_be_reported_in_currency() -> None:
    given = plan(priced(PerUnit(D("0.000000001"))))
    assert channel_parity(given, AWS, NOW).reporting.dimensions == (money("api"),)
    assert channel_parity(given, AZURE, NOW).reporting.dimensions[0].mode is ReportingMode.NATIVE


@pytest.mark.parametrize("channel", [Channel.STRIPE, Channel.MANUAL])
def test_where_nothing_is_metered_everything_is_on_an_invoice(channel: Channel) -> None:
    for given in (EVERYTHING, replace(plan(), **through(channel, native("api")))):
        parity = channel_parity(given, channel, NOW)
        assert {(line.parity, line.how) for line in parity.lines} == {
            (APART, "on an invoice: nothing is metered there")
        }
        assert parity.billed_apart == frozenset()


def test_a_trial_of_the_marketplaces_own_is_native() -> None:
    trial = FreeTrial(TrialKind.DAYS, days=30, native=True)
    given = plan(trial=trial, **through(AWS, native("api")))
    assert found(given, AWS)["trial"] == (
        NATIVE,
        "its own trial of 30 days: usage is reported and invoiced at 0",
    )


def test_steps_of_a_waterfall_and_groups_are_dimensions_of_their_own() -> None:
    spread = Waterfall(
        (WaterfallStep("first", D(9), PerUnit(D(3))), WaterfallStep("over", None, PerUnit(D(2))))
    )
    gpu = Dimensional((GroupPrice(("a100",), PerUnit(D(3))),), PerUnit(D(1)))
    dimensions = [
        ReportedDimension("a", ReportingMode.NATIVE, (Source("api", "first"),)),
        ReportedDimension("b", ReportingMode.NATIVE, (Source("api", "over"),)),
        ReportedDimension("big", ReportingMode.NATIVE, (Source("gpu", group=("a100",)),)),
        ReportedDimension("small", ReportingMode.NATIVE, (Source("gpu", group=()),)),
    ]
    given = plan(priced(spread), priced(gpu, "gpu"), **through(AZURE, *dimensions))
    assert validate(given) == ()
    kept = found(given, AZURE)
    assert kept["price api"] == (EMULATED, "one dimension for each step, chosen here: `a`, `b`")
    assert kept["price gpu"] == (
        NATIVE,
        "the listing's own price: USD 3 for a unit of `big`, USD 1 for a unit of `small`",
    )
