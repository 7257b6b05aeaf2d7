"""Onto the marketplaces: native units where its own price can express the charge, else money."""

from __future__ import annotations

from typing import Any

import pytest

from builders import at
from meterbridge.domain.errors import NotFoundError
from meterbridge.domain.money import exact_sum
from meterbridge.domain.offerings import Channel
from meterbridge.domain.pricing.agreement_terms import Grant
from meterbridge.domain.pricing.channel_reporting import (
    ChannelReporting,
    ReportedDimension,
    ReportingMode,
    Source,
)
from meterbridge.domain.pricing.models import (
    Dimensional,
    GroupPrice,
    PerUnit,
    Waterfall,
    WaterfallStep,
)
from meterbridge.domain.pricing.plan_terms import (
    Discount,
    Entitlement,
    FreeTrial,
    MinimumCharge,
    PlanTerms,
    SubscriptionFee,
    TrialKind,
)
from meterbridge.domain.pricing.reported import reported_quantities
from meterbridge.domain.pricing.tiers import Tier, Volume
from meterbridge.domain.pricing.validation import validate
from pricing_setup import START, D, plan, priced, rate, terms, total, used

CENT = D("0.01")


def native(code: str, *sources: Source) -> ReportedDimension:
    return ReportedDimension(code, ReportingMode.NATIVE, sources or (Source(code),))


def money(code: str, *codes: str) -> ReportedDimension:
    return ReportedDimension(code, ReportingMode.CURRENCY, tuple(map(Source, codes)), CENT)


def on_aws(*dimensions: ReportedDimension, apart: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"reporting": (ChannelReporting(Channel.AWS, dimensions, frozenset(apart)),)}


def reported(given: PlanTerms, *hours: Any, **changes: Any) -> dict[str, dict[str, Any]]:
    assert validate(given) == ()
    agreed = terms(given, **changes)
    found = reported_quantities(agreed, Channel.AWS, rate(agreed, *hours))
    return {
        code: {hour.strftime("%m-%dT%H"): quantity for hour, quantity in by_hour.items()}
        for code, by_hour in found.items()
    }


def test_natively_only_what_is_not_included_and_not_free_is_reported() -> None:
    given = plan(
        priced(PerUnit(D("0.04")), entitlement=Entitlement(D(100))),
        trial=FreeTrial(TrialKind.QUANTITY, quantities={"api": D(50)}),
        **on_aws(native("api")),
    )
    found = reported(given, used("2026-11-03T10", api=120), used("2026-11-03T11", api=80))
    assert found == {"api": {"11-03T11": D(50)}}


@pytest.mark.parametrize(("native_trial", "quantity"), [(True, D(7)), (False, None)])
def test_a_marketplaces_own_trial_is_told_of_the_usage_in_it(
    native_trial: bool, quantity: Any
) -> None:
    trial = FreeTrial(TrialKind.DAYS, days=14, native=native_trial)
    given = plan(trial=trial, **on_aws(native("api")))
    found = reported(given, used("2026-11-03T10", api=7))
    assert found.get("api", {}).get("11-03T10") == quantity


def test_each_step_of_a_waterfall_has_its_own_dimension() -> None:
    spread = Waterfall(
        (
            WaterfallStep("first", D(100), PerUnit(D(3))),
            WaterfallStep("over", None, PerUnit(D(2))),
        )
    )
    given = plan(
        priced(spread),
        **on_aws(native("a", Source("api", "first")), native("b", Source("api", "over"))),
    )
    found = reported(given, used("2026-11-03T10", api=70), used("2026-11-03T11", api=70))
    assert found == {"a": {"11-03T10": D(70), "11-03T11": D(30)}, "b": {"11-03T11": D(40)}}


def test_each_group_of_a_dimensional_price_has_its_own_dimension() -> None:
    gpu = Dimensional((GroupPrice(("a100",), PerUnit(D(3))),), PerUnit(D(1)))
    given = plan(
        priced(gpu, "gpu"),
        **on_aws(
            native("big", Source("gpu", group=("a100",))), native("small", Source("gpu", group=()))
        ),
    )
    found = reported(given, used("2026-11-03T10", gpu={("a100",): 2, ("t4",): 5, ("l4",): 6}))
    assert found == {"big": {"11-03T10": D(2)}, "small": {"11-03T10": D(11)}}


def test_in_currency_the_net_charges_of_usage_fees_and_true_ups_are_reported() -> None:
    given = plan(
        priced(Volume((Tier(D(10), D(2)), Tier(None, D(1))))),
        fees=(SubscriptionFee("sub", D(30)), SubscriptionFee("listing", D(99))),
        discounts=(Discount("deal", percent=D(10), codes=frozenset({"api"})),),
        minimum=MinimumCharge(D(150)),
        **on_aws(money("usage", "api", "sub", "minimum_charge"), apart=("listing",)),
    )
    grant = Grant("g", D(10), START, codes=frozenset({"api"}))
    hours = [used("2026-11-03T10", api=10), used("2026-11-03T11", api=1)]
    agreed = terms(given, grants=(grant,))
    rated = rate(agreed, *hours)
    found = reported_quantities(agreed, Channel.AWS, rated)["usage"]
    assert found == {
        at("2026-11-01T00"): D(30),
        at("2026-11-03T10"): D(8),  # 20 - 10 % - 10 of credits
        at("2026-11-03T11"): D(-8),  # all at 1: 11 x 0.9 less 18, and 0.1 of credits comes back
        at("2026-11-30T23"): D("11.1"),  # 150 - 99 - 30 - 9.9
    }
    assert exact_sum(found.values()) == total(rated) - total(rated, "net", "listing")


def test_a_channel_the_plan_does_not_know_is_an_error() -> None:
    given = terms(plan(**on_aws(native("api"))))
    rated = rate(given, used("2026-11-03T10", api=1))
    with pytest.raises(NotFoundError):
        reported_quantities(given, Channel.GCP, rated)
