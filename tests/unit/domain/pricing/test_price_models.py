"""Price models by worked examples, computed by hand; the derivation stands in each case's id."""

from __future__ import annotations

from decimal import Decimal

import pytest

from meterbridge.domain.pricing.charges import NOTHING, Part, Rule
from meterbridge.domain.pricing.models import (
    Dimensional,
    Flat,
    GroupPrice,
    Package,
    Percentage,
    PerUnit,
    SimpleModel,
    Waterfall,
    WaterfallStep,
    model_of,
)
from meterbridge.domain.pricing.tiers import (
    Graduated,
    GraduatedPercentage,
    PercentTier,
    Tier,
    Volume,
)

D = Decimal


def tiers(*given: str) -> tuple[Tier, ...]:
    """Tiers from "bound price [flat amount]"."""
    found = []
    for text in given:
        bound, price, flat = (*text.split(), "0")[:3]
        found.append(Tier(None if bound == "inf" else D(bound), D(price), D(flat)))
    return tuple(found)


# The example in Paigo's OpenAPI 1.10, CreateDimensionDto.tiers: "$1 for the first 1000 API calls
# and $0.50 for every API call after that".
PAIGO = tiers("1000 1", "inf 0.50")
# docs.stripe.com/subscriptions/pricing-models/tiered-pricing: 1-5 $7, 6-10 $6.50, 11+ $6. The page
# gives 35, 39 and 120 for 5, 6 and 20 fonts by volume, and how graduated adds up.
STRIPE = tiers("5 7", "10 6.50", "inf 6")
# Each tier with a flat amount on entering it, as Stripe's flat_amount; computed by hand.
STRIPE_FLAT = tiers("5 5 10", "10 4 20", "15 3 30", "inf 2 40")
# A card fee. Free events and free amounts as in getlago.com/docs/guide/plans/charges/charge-models/
# percentage: the first are "not subject to the fixed fee", the second "not subject to the charge rate".
CARD = Percentage(percent=D("2.9"), fixed_amount=D("0.30"))
SHARE = GraduatedPercentage(
    (PercentTier(D(1000), D(1)), PercentTier(D(10000), D(2)), PercentTier(None, D(3), D(200)))
)

EXAMPLES: list[tuple[str, SimpleModel, str, str, str]] = [
    ("12.5 x 0.04", PerUnit(D("0.04")), "12.5", "0", "0.5"),
    ("0 x 0.04", PerUnit(D("0.04")), "0", "0", "0"),
    ("-3 x 0.04, a correction", PerUnit(D("0.04")), "-3", "0", "-0.12"),
    ("1/3 of a nano: no rounding", PerUnit(D("0.000000001")), "0.333333333333", "0", "3.33333333333E-10"),
    ("Paigo: 1000 x 1, bound inclusive", Graduated(PAIGO), "1000", "0", "1000"),
    ("Paigo: 1000 x 1 + 1 x 0.5", Graduated(PAIGO), "1001", "0", "1000.5"),
    ("Paigo: 1000 x 1 + 1500 x 0.5", Graduated(PAIGO), "2500", "0", "1750"),
    ("Stripe graduated, 6: 5 x 7 + 1 x 6.5", Graduated(STRIPE), "6", "0", "41.5"),
    ("Stripe graduated, 20: 35 + 32.5 + 10 x 6", Graduated(STRIPE), "20", "0", "127.5"),
    ("graduated, -2: 2 x 7 taken back", Graduated(STRIPE), "-2", "0", "-14"),
    ("graduated flat, 12: 25+10 + 20+20 + 6+30", Graduated(STRIPE_FLAT), "12", "0", "111"),
    ("graduated flat, 0", Graduated(STRIPE_FLAT), "0", "0", "0"),
    ("Stripe volume, 5: 5 x 7", Volume(STRIPE), "5", "0", "35"),
    ("Stripe volume, 6: 6 x 6.5", Volume(STRIPE), "6", "0", "39"),
    ("Stripe volume, 20: 20 x 6", Volume(STRIPE), "20", "0", "120"),
    ("volume flat, 12: 12 x 3 + 30", Volume(STRIPE_FLAT), "12", "0", "66"),
    ("volume, 0", Volume(STRIPE_FLAT), "0", "0", "0"),
    ("package of 100 for 5, 0", Package(D(100), D(5)), "0", "0", "0"),
    ("package, 1: a package begun", Package(D(100), D(5)), "1", "0", "5"),
    ("package, 100: exactly one", Package(D(100), D(5)), "100", "0", "5"),
    ("package, 100.001: two", Package(D(100), D(5)), "100.001", "0", "10"),
    ("card, 1000 in 10: 29 + 3", CARD, "1000", "10", "32"),
    ("free events: 29 + (10 - 4) x 0.30", Percentage(D("2.9"), D("0.30"), free_events=D(4)), "1000", "10", "30.8"),
    ("free amount: (1000 - 400) x 2.9 %", Percentage(D("2.9"), free_amount=D(400)), "1000", "10", "17.4"),
    ("free amount not used up", Percentage(D("2.9"), free_amount=D(400)), "399.99", "1", "0"),
    ("minimum 40 over 32", Percentage(D("2.9"), D("0.30"), minimum=D(40)), "1000", "10", "40"),
    ("minimum without usage", Percentage(D("2.9"), D("0.30"), minimum=D(40)), "0", "0", "0"),
    ("maximum 30 under 32", Percentage(D("2.9"), D("0.30"), maximum=D(30)), "1000", "10", "30"),
    ("graduated %, 1000: 1 %", SHARE, "1000", "0", "10"),
    ("graduated %, 4000: 10 + 3000 x 2 %", SHARE, "4000", "0", "70"),
    ("graduated %, 15000: 10 + 180 + 5000 x 3 % + 200", SHARE, "15000", "0", "540"),
    ("flat with usage", Flat(D(99)), "0.001", "0", "99"),
    ("flat without usage", Flat(D(99)), "0", "0", "0"),
    ("flat always", Flat(D(99), always=True), "0", "0", "99"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "quantity", "events", "amount"),
    [pytest.param(*values, id=name) for name, *values in EXAMPLES],
)
def test_a_model_charges_what_was_computed_by_hand(
    model: SimpleModel, quantity: str, events: str, amount: str
) -> None:
    charge = model.charge(D(quantity), D(events))
    assert charge.amount == D(amount)
    assert sum(part.amount for part in charge.parts) == D(amount)
    assert sum(part.quantity for part in charge.parts) == D(quantity)
    for part in charge.parts:
        assert part.unit_price is None or part.amount == part.units * part.unit_price


def test_every_part_says_which_tier_took_how_much_at_which_price() -> None:
    tiered = Graduated((Tier(D(5), D(7), name="starter"), Tier(None, D(6), D(1), name="growth")))
    assert tiered.charge(D(8)).parts == (
        Part(Rule.GRADUATED, D(35), D(5), D(5), D(7), 1, "starter"),
        Part(Rule.TIER_FLAT_AMOUNT, D(1), D(0), D(1), D(1), 2, "growth"),
        Part(Rule.GRADUATED, D(18), D(3), D(3), D(6), 2, "growth"),
    )


def test_a_volume_price_that_falls_takes_back_what_was_charged_at_the_old_one() -> None:
    volume = Volume(STRIPE)
    difference = volume.charge(D(6)).since(volume.charge(D(5)))
    assert difference.amount == D(4)
    assert difference.parts == (
        Part(Rule.VOLUME, D(39), D(6), D(6), D("6.50"), 2),
        Part(Rule.VOLUME, D(-35), D(-5), D(-5), D(7), 1),
    )


def test_a_volume_price_may_lower_the_charge() -> None:
    volume = Volume(tiers("10 2", "inf 1"))
    assert volume.charge(D(11)).since(volume.charge(D(10))).amount == D(-9)


def test_nothing_follows_from_nothing() -> None:
    model = Graduated(PAIGO)
    assert model.charge(D(7)).since(model.charge(D(7))) == NOTHING


# Az-MBA's case: a monthly quantity first, then an annual one, then overage (here by cycle).
SPREAD = Waterfall(
    (
        WaterfallStep("base", D(100), Flat(D(50))),
        WaterfallStep("standard", D(400), PerUnit(D("0.5"))),
        WaterfallStep("overage", None, Graduated(tiers("100 0.4", "inf 0.3"))),
    )
)


@pytest.mark.parametrize(
    ("quantity", "by_step"),
    [
        ("60", {"base": (D(60), D(50))}),
        ("100", {"base": (D(100), D(50))}),
        ("150", {"base": (D(100), D(50)), "standard": (D(50), D(25))}),
        (
            "700",  # 100 base, 400 × 0.5, then 100 × 0.4 + 100 × 0.3
            {
                "base": (D(100), D(50)),
                "standard": (D(400), D(200)),
                "overage": (D(200), D(70)),
            },
        ),
    ],
)
def test_a_waterfall_fills_its_steps_in_order(
    quantity: str, by_step: dict[str, tuple[Decimal, Decimal]]
) -> None:
    found: dict[str, tuple[Decimal, Decimal]] = {}
    for part in SPREAD.charge(D(quantity)).parts:
        so_far = found.get(part.step, (D(0), D(0)))
        found[part.step] = (so_far[0] + part.quantity, so_far[1] + part.amount)
    assert found == by_step


def test_a_group_has_its_own_price_and_all_others_share_the_default() -> None:
    gpu = Dimensional((GroupPrice(("a100",), PerUnit(D(3))),), default=PerUnit(D(1)))
    assert [gpu.named(group) for group in (("a100",), ("t4",), ())] == [("a100",), (), ()]
    assert model_of(gpu, ("a100",)).charge(D(2)).amount == D(6)
    assert model_of(gpu, ("t4",)).charge(D(2)).amount == D(2)
