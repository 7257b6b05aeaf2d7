"""List prices, each net of a channel's fee, worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from builders import at
from meterbridge.domain.channels import Channel
from meterbridge.domain.listing_fees import Deal, DealKind, listing_fee
from meterbridge.domain.pricing.list_prices import list_prices
from meterbridge.domain.pricing.models import (
    Dimensional,
    Flat,
    GroupPrice,
    Package,
    Percentage,
    PerUnit,
    Waterfall,
    WaterfallStep,
)
from meterbridge.domain.pricing.plan_terms import OneOffFee, PlanTerms, SeatFee, SubscriptionFee
from meterbridge.domain.pricing.tiers import Graduated, GraduatedPercentage, PercentTier, Tier
from pricing_setup import D, plan, priced

AWS = Channel.AWS
NOW = at("2026-11-24T12")


def net_prices(given: PlanTerms, channel: Channel, deal: Deal) -> list[tuple[Any, ...]]:
    fee = listing_fee(channel, deal, NOW)
    return [
        (each.code, each.by, each.tier, each.above, each.up_to, each.price, fee.net(each.price))
        for each in list_prices(given)
    ]


TIERED = plan(
    priced(
        Graduated(
            (
                Tier(D(1000), D("0.004")),
                Tier(D(10000), D("0.0035"), D(7)),
                Tier(None, D("0.0000123")),
            )
        )
    ),
    fees=(SubscriptionFee("base", D(99)), SeatFee("seats", D("5.55")), OneOffFee("setup", D(40))),
)


def test_the_net_price_of_each_tier_after_a_fee_of_three_percent() -> None:
    """x 0.97, to the last digit."""
    assert net_prices(TIERED, AWS, Deal()) == [
        ("api", "unit", 1, D(0), D(1000), D("0.004"), D("0.00388")),
        ("api", "unit", 2, D(1000), D(10000), D("0.0035"), D("0.003395")),
        ("api", "tier", 2, D(1000), D(10000), D(7), D("6.79")),
        ("api", "unit", 3, D(10000), None, D("0.0000123"), D("0.000011931")),
        ("base", "cycle", 0, D(0), None, D(99), D("96.03")),
        ("seats", "seat", 0, D(0), None, D("5.55"), D("5.3835")),
        ("setup", "once", 0, D(0), None, D(40), D("38.8")),
    ]


def test_the_net_price_of_a_large_private_deal_of_a_partner_in_south_korea() -> None:
    """1.5 + 0.5 + 1 percentage points: x 0.97; in Japan without a partner x 0.985."""
    deal = Deal(DealKind.PRIVATE, D(10_000_000), channel_partner=True, buyer_country="KR")
    assert net_prices(TIERED, AWS, deal)[0][-1] == D("0.00388")
    assert net_prices(TIERED, AWS, replace(deal, channel_partner=False))[0][-1] == D("0.0039")
    alone = Deal(DealKind.PRIVATE, D(10_000_000), buyer_country="JP")
    assert net_prices(TIERED, AWS, alone)[0][-1] == D("0.00394")


def test_the_net_price_is_unknown_where_the_fee_is_and_whole_without_a_marketplace() -> None:
    assert {row[-1] for row in net_prices(TIERED, Channel.STRIPE, Deal())} == {None}
    assert net_prices(TIERED, Channel.MANUAL, Deal())[0][-1] == D("0.004")


def test_every_price_model_lists_its_prices() -> None:
    spread = Waterfall(
        (WaterfallStep("first", D(9), PerUnit(D(3))), WaterfallStep("over", None, Flat(D(2))))
    )
    groups = Dimensional((GroupPrice(("a100",), Package(D(8), D(3))),), PerUnit(D(1), D(100)))
    share = GraduatedPercentage((PercentTier(D(50), D(2)), PercentTier(None, D("1.5"), D(1))))
    given = plan(
        priced(spread, "w"),
        priced(groups, "g"),
        priced(share, "s"),
        priced(Percentage(D("2.9"), D("0.3")), "p"),
        priced(Percentage(D(1)), "q"),
    )
    assert [
        (e.code, e.by, e.per, e.group, e.step, e.tier, e.price) for e in list_prices(given)
    ] == [
        ("w", "unit", D(1), (), "first", 0, D(3)),
        ("w", "cycle", D(1), (), "over", 0, D(2)),
        ("g", "package", D(8), ("a100",), "", 0, D(3)),
        ("g", "unit", D(100), (), "", 0, D(1)),
        ("s", "amount", D(1), (), "", 1, D("0.02")),
        ("s", "amount", D(1), (), "", 2, D("0.015")),
        ("s", "tier", D(1), (), "", 2, D(1)),
        ("p", "amount", D(1), (), "", 0, D("0.029")),
        ("p", "event", D(1), (), "", 0, D("0.3")),
        ("q", "amount", D(1), (), "", 0, D("0.01")),
    ]
