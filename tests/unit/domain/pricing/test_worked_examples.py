"""Every price model and every rule by a worked example with an exact result, and where it comes from.

A row is read from left to right: what is agreed, what was used in November and what it comes to. Where
a vendor publishes an example, its figures are used; "derived" rows say how their result is computed.
More of each rule is in the other files of this folder.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from builders import at
from meterbridge.domain.money import Rounding
from meterbridge.domain.pricing.agreement_terms import AgreementTerms, Grant, SeatChange
from meterbridge.domain.pricing.increments import Increment, Interval
from meterbridge.domain.pricing.models import (
    Dimensional,
    Flat,
    GroupPrice,
    Package,
    Percentage,
    PerUnit,
    PriceModel,
    Waterfall,
    WaterfallStep,
)
from meterbridge.domain.pricing.overrides import DimensionOverride, Overrides, overridden
from meterbridge.domain.pricing.plan_terms import (
    Commitment,
    CreditRule,
    Discount,
    Entitlement,
    FreeTrial,
    MinimumCharge,
    OneOffFee,
    PaymentSchedule,
    Recurrence,
    Rollover,
    SeatFee,
    SpendCap,
    SubscriptionFee,
    TopUp,
    TrialKind,
)
from meterbridge.domain.pricing.tiers import (
    Graduated,
    GraduatedPercentage,
    PercentTier,
    Tier,
    Volume,
)
from pricing_setup import START, D, plan, priced, rate, terms, total, used

LAGO = "getlago.com/docs/guide/plans/charges"
PAIGO = "Paigo OpenAPI 1.10"


def tiers(*given: str) -> tuple[Tier, ...]:
    """Tiers from "bound price [flat amount]"."""
    split = [(*text.split(), "0")[:3] for text in given]
    return tuple(
        Tier(None if to == "inf" else D(to), D(price), D(flat)) for to, price, flat in split
    )


class Row(NamedTuple):
    """`used` are the quantities of one hour each, from the 2nd on, a day apart; `net` what all comes to."""

    rule: str
    source: str
    terms: AgreementTerms
    used: tuple[Any, ...]
    net: str


def row(
    rule: str, source: str, *used: Any, net: str, price: PriceModel | None = None, **given: Any
) -> Row:
    of_dimension = {key: given.pop(key) for key in ("increment", "entitlement") if key in given}
    of_agreement = {key: given.pop(key) for key in ("grants", "seats", "end") if key in given}
    deal = given.pop("overrides", Overrides())
    charged = overridden(plan(priced(price or PerUnit(D(1)), **of_dimension), **given), deal)
    return Row(rule, source, terms(charged, **of_agreement), used, net)


LAGO_VOLUME = Volume(
    tiers("10000 0.0010 10", "50000 0.0008 10", "100000 0.0006 10", "inf 0.0004 10")
)
LAGO_SHARES = GraduatedPercentage(
    (
        PercentTier(D(1000), D(1), D(200)),
        PercentTier(D(10000), D(2), D(300)),
        PercentTier(None, D(3), D(400)),
    )
)
STRIPE = tiers("5 7", "10 6.50", "inf 6")
HOURS = Increment(D(1), Rounding.CEILING, Interval.HOUR)
SEATS = (SeatChange(START, D(4)), SeatChange(at("2026-11-16T00"), D(10)))
AZ_MBA = Waterfall(
    (
        WaterfallStep("free", D(1000), PerUnit(D(0))),
        WaterfallStep("standard", D(9000), PerUnit(D("0.5"))),
        WaterfallStep("overage", None, PerUnit(D("0.25"))),
    )
)
GPU = Dimensional((GroupPrice(("a100",), PerUnit(D(3))),), default=PerUnit(D(1)))
MONTHLY = CreditRule(
    "monthly", D(100), Recurrence.CYCLE, lasts_cycles=1, rollover=Rollover(cap=D(50))
)
WELCOME = CreditRule("welcome", D(20))

TABLE = [
    # --- price models
    row("per unit", "docs.flexprice.io .../flat-fee: 1,000 calls at $0.05", 1000, net="50", price=PerUnit(D("0.05"))),
    row("per unit, huge and tiny", "derived: 1e15 x 1e-12", "1E+15", net="1000", price=PerUnit(D("1E-12"))),
    row("per 3 units", "derived: 1 / 3 down at the 12th place, then all of it again", 1, 1, 1, net="1", price=PerUnit(D(1), D(3))),
    row("graduated", f"{PAIGO}, tiers: $1 for the first 1000, $0.50 after", 1000, 1500, net="1750", price=Graduated(tiers("1000 1", "inf 0.50"))),
    row("graduated", "docs.useautumn.com .../graduated-pricing: 15,000 requests", 15000, net="107", price=Graduated(tiers("1000 0.01", "10000 0.008", "inf 0.005"))),
    row("volume", "docs.stripe.com .../tiered-pricing: 20 fonts", 5, 1, 14, net="120", price=Volume(STRIPE)),
    row("volume with a fixed fee", f"{LAGO}/charge-models/volume: 65,000 calls", 9999, 40001, 15000, net="49", price=LAGO_VOLUME),
    row("package", "chargebee.com .../package-pricing: 1.5 M tokens at $1.25 a million", 500000, 1000000, net="2.50", price=Package(D(1000000), D("1.25"))),
    row("package, first one free", f"{LAGO}/charge-models/package: 201 units", 201, net="10", price=Package(D(100), D(5)), entitlement=Entitlement(D(100))),
    row("percentage", f"{LAGO}/charge-models/percentage: 1.2 %, $0.10 an event; derived: 12 + 1", (1000, 10), net="13", price=Percentage(D("1.2"), D("0.10"))),
    row("percentage, free events and amount", "the same page: 3 events or $500 are free; derived: 6 + 0.70", (1000, 10), net="6.7", price=Percentage(D("1.2"), D("0.10"), D(3), D(500))),
    row("percentage with a maximum", "derived: 12 + 1, at most 10", (400, 5), (600, 5), net="10", price=Percentage(D("1.2"), D("0.10"), maximum=D(10))),
    row("graduated percentage", f"{LAGO}/charge-models/graduated-percentage: 205 + 306 + 80", 500, 550, 4000, net="591", price=LAGO_SHARES),
    row("flat", "docs.zuora.com, flat fee pricing: 160 used", 100, 60, net="99.0", price=Flat(D("99.0"))),
    row("dimensional", f"{PAIGO}, tiersGroupByMetadata; derived: 2 x 3 + 5 x 1", {("a100",): 2, ("t4",): 5}, net="11", price=GPU),
    row("waterfall", "metered-billing-accelerator, waterfall plan; derived: 0 + 9000 x 0.5 + 100 x 0.25", 5000, 5100, net="4525", price=AZ_MBA),
    # --- quantity
    row("increment, ceiling", f"{PAIGO}, rounding: 1 h 5 min are 2 h", "1.08", net="2", increment=HOURS),
    row("increment, floor", f"{PAIGO}, rounding: 1 h", "1.08", net="1", increment=replace(HOURS, rounding=Rounding.FLOOR)),
    row("increment, round", f"{PAIGO}, rounding: half away from zero", "1.5", net="2", increment=replace(HOURS, rounding=Rounding.ROUND)),
    row("increment over a cycle", "derived: 0.4 + 0.4 = 0.8, up to 1; by the hour it would be 2", "0.4", "0.4", net="1", increment=replace(HOURS, interval=Interval.CYCLE)),
    row("included quantity", f"{PAIGO}, usageEntitlement; derived: 1,000,250 - 1,000,000", 900000, 100250, net="250", entitlement=Entitlement(D(1000000))),
    row("no overage", f"{PAIGO}, overageAllowed false", 900, 300, net="0", entitlement=Entitlement(D(1000), overage_allowed=False)),
    # --- free trial
    row("trial of days", f"{PAIGO}, freeTrialLength 1; derived: the 2nd is not free", 100, 40, net="140", trial=FreeTrial(TrialKind.DAYS, days=1)),
    row("trial of days, while it lasts", "derived: the 2nd is free, the 3rd is not", 100, 40, net="40", trial=FreeTrial(TrialKind.DAYS, days=2)),
    row("trial of a quantity", "derived: 140 - 120", 100, 40, net="20", trial=FreeTrial(TrialKind.QUANTITY, quantities={"api": D(120)})),
    row("trial of an amount", "derived: 140 x 0.5 - 60", 100, 40, net="10", price=PerUnit(D("0.5")), trial=FreeTrial(TrialKind.AMOUNT, amount=D(60))),
    # --- discounts and overrides
    row("discount with an end date", f"{PAIGO}, enrollment discount; derived: 100 - 20 %, 40 in full", 100, 40, net="120", discounts=(Discount("deal", percent=D(20), ends_at=at("2026-11-03T00")),)),
    row("discount of an amount per cycle", "derived: 140 - 30, over two hours", 20, 120, net="110", discounts=(Discount("deal", amount=D(30)),)),
    row("two discounts", "derived: (140 - 10 %) - 26", 100, 40, net="100", discounts=(Discount("a", percent=D(10)), Discount("b", amount=D(26)))),
    row("override of a price", f"{PAIGO}, dimensionOverrides: another price, the same structure", 100, net="25", overrides=Overrides((DimensionOverride("api", PerUnit(D("0.25"))),))),
    # --- minimum and commitment
    row("minimum charge", f"{PAIGO}, minimumCharge 32.00", 20, net="32", minimum=MinimumCharge(D(32))),
    row("minimum charge, reached", "getlago.com/docs/guide/lago-cloud/contract-billing: usage of 1,300 above 1,000", 1300, net="1300", minimum=MinimumCharge(D(1000))),
    row("commitment", "getlago.com/docs/guide/lago-cloud/contract-billing: 800 + a true-up of 200", 800, net="1000", commitment=Commitment(D(1000), cycles=1)),
    row("commitment, agreement ends early", "derived: what is committed is owed at the end", 800, net="1000", commitment=Commitment(D(1000)), end="2026-11-20T00"),
    # --- fees
    row("subscription", f"{PAIGO}, subscriptionPrice 20.00; derived: 20 + 5", 5, net="25", fees=(SubscriptionFee("sub", D(20)),)),
    row("subscription, prorated", "derived: 72 x 360 / 720 hours", net="36", fees=(SubscriptionFee("sub", D(72)),), end="2026-11-16T00"),
    row("subscription in arrear", f"{PAIGO}, paymentSchedule arrear; derived: the same amount", net="72", fees=(SubscriptionFee("sub", D(72), PaymentSchedule.ARREAR),)),
    row("seats by the hour", "derived: 4 x 72 + 6 x 72 x 360 / 720 hours", net="504", fees=(SeatFee("seats", D(72)),), seats={"seats": SEATS}),
    row("seats by the most", "derived: 10 x 72", net="720", fees=(SeatFee("seats", D(72), prorate=False),), seats={"seats": SEATS}),
    row("one-off fee", "derived: once", net="500", fees=(OneOffFee("setup", D(500)),)),
    # --- credits, top-up and cap
    row("prepaid credits", f"{PAIGO}, prepaidCredit 20.00: before the payment method", 50, net="30", credits=(WELCOME,)),
    row("credits, then the invoice", "developer.konghq.com .../consumption-and-expiration: 100 USD with 40 of credits", 100, net="60", grants=(Grant("g", D(40), START),)),
    row("credits that expire", "derived: 10 of 40 spent by the 3rd, the rest is gone", 10, 50, net="50", grants=(Grant("g", D(40), START, at("2026-11-03T00")),)),
    row("credits for one thing only", "derived: 50 of fees are not paid by them", 30, net="50", fees=(SubscriptionFee("sub", D(50)),), grants=(Grant("g", D(40), START, codes=frozenset({"api"})),)),
    row("credits of each cycle", "derived: 130 - 100", 30, 100, net="30", credits=(MONTHLY,)),
    row("top-up", f"{PAIGO}, topUpThreshold 0.2: bought at the start, and when 4 of 20 are left", 15, 1, net="40", top_up=TopUp(D(20))),
    row("spend cap", "derived: what is beyond 100 is never billed", 70, 70, net="100", spend_cap=SpendCap(D(100))),
    # --- the order of it all
    row(
        "increment, included, tiers, discount, minimum, credits",
        "derived: 61.2 up to 62; less 2 is 60; 50 x 1 + 10 x 0.5 = 55; less 20 % is 44; up to 50; less 12",
        "61.2", net="38", price=Graduated(tiers("50 1", "inf 0.5")), increment=HOURS, entitlement=Entitlement(D(2)),
        discounts=(Discount("deal", percent=D(20)),), minimum=MinimumCharge(D(50)), grants=(Grant("g", D(12), START),),
    ),
]  # fmt: skip


def metered(quantities: tuple[Any, ...]) -> list[Any]:
    """One hour a day from the 2nd; a pair is a quantity and its number of events."""
    found = []
    for day, given in enumerate(quantities, start=2):
        quantity, events = given if isinstance(given, tuple) else (given, 0)
        found.append(used(f"2026-11-{day:02}T10", api=quantity, api_events=events))
    return found


@pytest.mark.parametrize("example", [pytest.param(each, id=each.rule) for each in TABLE])
def test_a_rule_comes_to_what_its_source_says(example: Row) -> None:
    rated = rate(example.terms, *metered(example.used), through="2026-11-30T23")
    assert total(rated) == Decimal(example.net), example.source


def test_what_rolls_over_is_spent_in_the_next_cycle() -> None:
    # 70 of 100 are left, 50 of them live on: December's 160 are paid by 50 + 100.
    hours = (used("2026-11-02T10", api=30), used("2026-12-02T10", api=160))
    assert total(rate(terms(plan(credits=(MONTHLY,))), *hours, through="2026-12-31T23")) == D(10)
