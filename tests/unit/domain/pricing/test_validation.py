"""Terms that cannot be: every fault at once, each with a pointer and a code."""

from __future__ import annotations

from typing import Any

import pytest

from builders import at
from meterbridge.domain.offerings import Channel
from meterbridge.domain.pricing.agreement_terms import AgreementTerms, Grant, SeatChange
from meterbridge.domain.pricing.channel_reporting import (
    ChannelReporting,
    ReportedDimension,
    ReportingMode,
    Source,
)
from meterbridge.domain.pricing.cycles import BilledSpan, CycleKind
from meterbridge.domain.pricing.increments import Increment
from meterbridge.domain.pricing.models import (
    Dimensional,
    GroupPrice,
    Package,
    Percentage,
    PerUnit,
    PriceModel,
    Waterfall,
    WaterfallStep,
)
from meterbridge.domain.pricing.plan_terms import (
    Commitment,
    CreditRule,
    Discount,
    Entitlement,
    FreeTrial,
    MinimumCharge,
    PaymentSchedule,
    PlanTerms,
    PricedDimension,
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
from meterbridge.domain.pricing.validation import validate, validate_agreement
from pricing_setup import START, D, faults_at, plan, priced, terms

FALLING = (Tier(D(100), D(1)), Tier(None, D("0.5")))


def faults_of(price: PriceModel, **changes: object) -> set[tuple[str, str]]:
    dimension = PricedDimension("api", "mtr", price, **changes)  # type: ignore[arg-type]
    prefix = "/dimensions/0"
    return {(at.removeprefix(prefix), code) for at, code in faults_at(validate(plan(dimension)))}


@pytest.mark.parametrize(
    ("price", "changes", "faults"),
    [
        (PerUnit(D(-1)), {}, {("/price/unit_price", "negative")}),
        (PerUnit(D("1E-13")), {}, {("/price/unit_price", "too_fine")}),
        (Graduated(()), {}, {("/price/tiers", "last_unbounded")}),
        (Volume((Tier(D(5), D(1)),)), {}, {("/price/tiers", "last_unbounded")}),
        (
            Graduated((Tier(D(5), D(1)), Tier(D(5), D(-1)), Tier(None, D(1)), Tier(None, D(1)))),
            {},
            {
                ("/price/tiers/1/up_to", "bounds_order"),
                ("/price/tiers/1/unit_price", "negative"),
                ("/price/tiers/2/up_to", "bound_missing"),
            },
        ),
        (
            Graduated((Tier(D(100), D(1)), Tier(D(250), D(1)), Tier(None, D(1)))),
            {"increment": Increment(D(100))},
            {("/price/tiers/1/up_to", "not_a_multiple")},
        ),
        (
            GraduatedPercentage((PercentTier(None, D(101)),)),
            {"increment": Increment(D(0))},
            {("/price/tiers/0/percent", "not_a_percentage"), ("/increment/size", "not_positive")},
        ),
        (Package(D(0), D(1)), {}, {("/price/size", "not_positive")}),
        (
            Percentage(D(3), D("0.3"), minimum=D(5), maximum=D(4)),
            {},
            {("/price/maximum", "below_minimum"), ("/event_meter_id", "missing")},
        ),
        (
            Waterfall(
                (
                    WaterfallStep("a", None, PerUnit(D(1))),
                    WaterfallStep("a", D(0), Percentage(D(1), D(1))),
                )
            ),
            {},
            {
                ("/price/steps/1/name", "repeated"),
                ("/price/steps", "last_unbounded"),
                ("/price/steps/0/takes", "bound_missing"),
                ("/price/steps/1/takes", "not_positive"),
                ("/price/steps/1/model/fixed_amount", "no_events"),
            },
        ),
        (
            Dimensional((GroupPrice(("a",), PerUnit(D(-1))), GroupPrice(("a",), PerUnit(D(1)))), PerUnit(D(-2))),
            {"entitlement": Entitlement(D(5))},
            {
                ("/price/prices/1/group", "repeated"),
                ("/price/prices/0/model/unit_price", "negative"),
                ("/price/default/unit_price", "negative"),
                ("/entitlement", "not_by_group"),
            },
        ),
        (
            PerUnit(D(1)),
            {"entitlement": Entitlement(D(-5), thresholds=(D(100), D(80)))},
            {("/entitlement/quantity", "negative"), ("/entitlement/thresholds", "thresholds_order")},
        ),
    ],
)  # fmt: skip
def test_a_dimensions_faults_are_all_told(
    price: PriceModel, changes: dict[str, object], faults: set[tuple[str, str]]
) -> None:
    assert faults_of(price, **changes) == faults


def test_a_plans_faults_are_all_told_at_once() -> None:
    bad = PlanTerms(
        currency="XXX",
        dimensions=(priced(PerUnit(D(1))), PricedDimension("api", "", PerUnit(D(1)))),
        fees=(SubscriptionFee("", D(-1)),),
        trial=FreeTrial(TrialKind.QUANTITY, days=0, quantities={"other": D(0)}),
        discounts=(
            Discount("a", codes=frozenset({"nothing"})),
            Discount("a", percent=D(120), starts_at=START, ends_at=START),
        ),
        minimum=MinimumCharge(D(0)),
        commitment=Commitment(D(10), cycles=0),
        credits=(
            CreditRule("c:", D(0), codes=frozenset({"top_up"}), rollover=Rollover(D(-1), 0)),
            CreditRule("top_up", D(1)),
        ),
        top_up=TopUp(D(10), threshold=D(1), lasts_days=0),
        spend_cap=SpendCap(D(0), thresholds=(D(0),)),
        credit_thresholds=(D(90), D(80)),
    )
    assert faults_at(validate(bad)) == {
        ("/currency", "unknown_currency"),
        ("/dimensions/1/code", "repeated"),
        ("/dimensions/1/meter_id", "missing"),
        ("/fees/0/code", "missing"),
        ("/fees/0/price", "negative"),
        ("/trial/days", "not_positive"),
        ("/trial/quantities", "unknown_code"),
        ("/trial/quantities/other", "not_positive"),
        ("/discounts/0", "percent_or_amount"),
        ("/discounts/0/codes", "unknown_code"),
        ("/discounts/1/id", "repeated"),
        ("/discounts/1/percent", "not_a_percentage"),
        ("/discounts/1/ends_at", "empty_span"),
        ("/minimum/amount", "not_positive"),
        ("/commitment/cycles", "not_positive"),
        ("/credits/0/amount", "not_positive"),
        ("/credits/0/codes", "unknown_code"),
        ("/credits/0/id", "colon"),
        ("/credits/1/id", "repeated"),
        ("/credits/0/rollover", "never_expires"),
        ("/credits/0/rollover/cap", "negative"),
        ("/credits/0/rollover/cycles", "not_positive"),
        ("/credit_thresholds", "thresholds_order"),
        ("/top_up/threshold", "not_a_share"),
        ("/top_up/lasts_days", "not_positive"),
        ("/spend_cap/amount", "not_positive"),
        ("/spend_cap/thresholds", "thresholds_order"),
    }


def reporting(channel: Channel, *dimensions: ReportedDimension) -> dict[str, object]:
    return {"reporting": (ChannelReporting(channel, dimensions),)}


def native(code: str = "api", *sources: Source) -> ReportedDimension:
    return ReportedDimension(code, ReportingMode.NATIVE, sources or (Source("api"),))


TIERED = priced(Graduated((Tier(D(5), D(2)), Tier(None, D(1)))))
MANY = tuple(native(f"d{number}", Source("api")) for number in range(9))


@pytest.mark.parametrize(
    ("given", "faults"),
    [
        (plan(**reporting(Channel.AWS)), {("/dimensions", "not_reported")}),
        (
            plan(**reporting(Channel.AWS, native("a"), native("b"))),
            {("/dimensions", "reported_twice")},
        ),
        (plan(TIERED, **reporting(Channel.AWS, native())), {("/dimensions/0/sources/0", "not_native")}),
        (
            plan(spend_cap=SpendCap(D(9)), **reporting(Channel.AWS, native())),
            {("/dimensions/0/sources/0", "not_native")},
        ),
        (
            plan(discounts=(Discount("a", percent=D(1)),), **reporting(Channel.AWS, native())),
            {("/dimensions/0/sources/0", "not_native")},
        ),
        (
            plan(priced(PerUnit(D("1E-9"))), **reporting(Channel.AWS, native("ä"))),
            {("/dimensions/0", "price_precision"), ("/dimensions/0/code", "dimension_code")},
        ),
        (
            plan(**reporting(Channel.GCP, *MANY)),
            {("/dimensions", "too_many_dimensions"), ("/dimensions", "reported_twice")},
        ),
        (
            plan(priced(PerUnit(D(1))), priced(PerUnit(D(2)), "gpu"),
                 **reporting(Channel.AWS, native("x", Source("api"), Source("gpu")))),
            {("/dimensions/0/sources", "several_prices")},
        ),
        (
            plan(**reporting(Channel.AWS, ReportedDimension(
                "m", ReportingMode.CURRENCY, (Source("api", "s"), Source("no")), D(0)))),
            {
                ("/dimensions/0/units_per_quantity", "not_positive"),
                ("/dimensions/0/sources/0/step", "unknown_step"),
                ("/dimensions/0/sources/0/step", "step_in_currency"),
                ("/dimensions/0/sources/1/code", "unknown_code"),
                ("/dimensions", "not_reported"),
            },
        ),
    ],
)  # fmt: skip
def test_what_a_channel_cannot_report_is_a_fault(
    given: PlanTerms, faults: set[tuple[str, str]]
) -> None:
    found = {(at.removeprefix("/reporting/0"), code) for at, code in faults_at(validate(given))}
    assert found == faults


@pytest.mark.parametrize(
    ("channel", "days", "faults"),
    [
        (Channel.AWS, 7, set()),
        (Channel.AWS, 91, {("/trial/days", "native_trial_days")}),
        (Channel.AZURE, 30, {("/trial/native", "no_native_trial")}),
        (Channel.GCP, 30, {("/trial/native", "no_native_trial")}),
    ],
)
def test_only_aws_has_trials_of_its_own(
    channel: Channel, days: int, faults: set[tuple[str, str]]
) -> None:
    trial = FreeTrial(TrialKind.DAYS, days=days, native=True)
    assert faults_at(validate(plan(trial=trial, **reporting(channel, native())))) == faults


def test_usage_is_metered_in_us_dollars() -> None:
    euros = PlanTerms("EUR", dimensions=plan().dimensions, **reporting(Channel.AZURE, native()))  # type: ignore[arg-type]
    assert faults_at(validate(euros)) == {("/currency", "channel_currency")}


def test_an_agreements_faults_are_all_told_at_once() -> None:
    annual = plan(cycle=CycleKind.ANNUAL)
    given = terms(
        plan(fees=(SeatFee("seats", D(1)),)),
        annual,
        plan(),
        starts=["2027-01-01T00", "2026-12-02T00"],
        grants=(Grant("g", D(0), START, START), Grant("g", D(1), START, codes=frozenset({"x"}))),
        seats={
            "seats": (SeatChange(START, D(1)), SeatChange(START, D(-1))),
            "chairs": (SeatChange(START, D(1)),),
        },
    )
    assert faults_at(validate_agreement(given, Channel.MANUAL)) == {
        ("/versions/1", "other_cycle_or_currency"),
        ("/versions/2/starts_at", "versions_order"),
        ("/versions/2/starts_at", "not_a_cycles_start"),
        ("/grants/0/amount", "not_positive"),
        ("/grants/0/expires_at", "empty_span"),
        ("/grants/1/id", "repeated"),
        ("/grants/1/codes", "unknown_code"),
        ("/seats/seats/1/seats", "negative"),
        ("/seats/seats/1/at", "order"),
        ("/seats/chairs", "unknown_code"),
        ("/versions/0", "not_reported"),
        ("/versions/1", "not_reported"),
        ("/versions/2", "not_reported"),
    }
    assert faults_at(
        validate_agreement(AgreementTerms(BilledSpan.since(START), ()), Channel.AWS)
    ) == {("/versions", "missing")}


def test_a_grant_cannot_pay_for_what_a_marketplace_charges_by_its_own_price() -> None:
    both = plan(
        priced(PerUnit(D(1))),
        priced(PerUnit(D(1)), "gpu"),
        **reporting(
            Channel.AWS,
            native(),
            ReportedDimension("money", ReportingMode.CURRENCY, (Source("gpu"),), D("0.01")),
        ),
    )
    assert validate(both) == ()
    grants = (Grant("all", D(1), START), Grant("gpu", D(1), START, codes=frozenset({"gpu"})))
    given = terms(both, grants=grants)
    assert faults_at(validate_agreement(given, Channel.AWS)) == {("/grants/0", "not_native")}


@pytest.mark.parametrize(
    ("given", "window", "faulty"),
    [
        # Used 100 at 1.00, all discounted; then 10 more at 0.50: 45 would be given back that were never paid.
        ({"dimensions": (priced(Volume(FALLING)),)}, (None, "2026-11-15T00"), True),
        ({"dimensions": (priced(Volume(FALLING)),)}, ("2026-11-15T00", None), True),
        ({"dimensions": (priced(Volume(FALLING)),)}, (None, "2026-12-01T00"), False),
        ({"dimensions": (priced(Graduated(FALLING)),)}, (None, "2026-11-15T00"), False),
        ({"fees": (SubscriptionFee("base", D(20)),)}, (None, "2026-11-15T00"), True),
        (
            {"fees": (SubscriptionFee("base", D(20), prorate=False),)},
            (None, "2026-11-15T00"),
            False,
        ),
        (
            {"fees": (SeatFee("seats", D(20), PaymentSchedule.ARREAR),)},
            (None, "2026-11-15T00"),
            False,
        ),
        ({"fees": (SeatFee("seats", D(20)),)}, (None, "2026-11-15T00"), True),
        ({"fees": (SeatFee("seats", D(20)),)}, (None, "2026-10-15T00"), False),
    ],
)
def test_a_discount_of_what_may_fall_begins_and_ends_with_a_cycle(
    given: dict[str, Any], window: tuple[str | None, str | None], faulty: bool
) -> None:
    starts_at, ends_at = (at(each) if each else None for each in window)
    dated = Discount("early", percent=D(100), starts_at=starts_at, ends_at=ends_at)
    agreed = terms(PlanTerms("USD", discounts=(dated,), **given))
    found = [f for f in validate_agreement(agreed, Channel.AWS) if f.code != "not_reported"]
    expected = [("/versions/0", "discount_within_cycle")] if faulty else []
    assert [(fault.pointer, fault.code) for fault in found] == expected
