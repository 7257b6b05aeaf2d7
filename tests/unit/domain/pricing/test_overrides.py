"""What one agreement has differently from its plan (Paigo's dimensionOverrides)."""

from __future__ import annotations

import pytest

from builders import at
from meterbridge.domain.errors import InvalidInputError
from meterbridge.domain.pricing.models import PriceModel
from meterbridge.domain.pricing.overrides import (
    DimensionOverride,
    Overrides,
    overridden,
    override_faults,
)
from meterbridge.domain.pricing.plan_terms import Discount
from meterbridge.domain.pricing.tiers import Graduated, Tier, Volume
from pricing_setup import D, by_hour, faults_at, plan, priced, rate, terms, used

TIERED = priced(Graduated((Tier(D(5), D(2)), Tier(None, D(1)))))


def test_an_override_changes_prices_included_quantity_and_discounts() -> None:
    half = Graduated((Tier(D(5), D(1)), Tier(None, D("0.5"))))
    deal = Overrides(
        (DimensionOverride("api", half, D(10)),),
        (Discount("deal", percent=D(50), ends_at=at("2026-11-20T00")),),
    )
    given = terms(overridden(plan(TIERED), deal))
    rated = rate(given, used("2026-11-03T10", api=17), used("2026-11-20T00", api=2))
    assert by_hour(rated) == {"11-03T10": D(3), "11-20T00": D(1)}  # (5 + 2 x 0.5) / 2; 2 x 0.5


@pytest.mark.parametrize(
    ("price", "fault"),
    [
        (Volume((Tier(D(5), D(2)), Tier(None, D(1)))), "/dimensions/0/price"),
        (Graduated((Tier(D(6), D(2)), Tier(None, D(1)))), "/dimensions/0/price"),
        (Graduated((Tier(None, D(1)),)), "/dimensions/0/price"),
    ],
)
def test_an_override_never_changes_a_structure(price: PriceModel, fault: str) -> None:
    overrides = Overrides((DimensionOverride("api", price),))
    assert faults_at(override_faults(plan(TIERED), overrides)) == {(fault, "other_structure")}
    with pytest.raises(InvalidInputError):
        overridden(plan(TIERED), overrides)


def test_an_override_names_a_dimension_of_the_plan_once() -> None:
    overrides = Overrides(
        (DimensionOverride("no"), DimensionOverride("api"), DimensionOverride("api"))
    )
    assert faults_at(override_faults(plan(TIERED), overrides)) == {
        ("/dimensions/0/code", "unknown_code"),
        ("/dimensions/2/code", "repeated"),
    }
