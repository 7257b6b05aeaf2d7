"""Listing fees: the row of the schedule that a deal falls under, and what it leaves the seller."""

from __future__ import annotations

from decimal import Decimal

import pytest

from builders import at
from meterbridge.domain.channels import Channel
from meterbridge.domain.listing_fees import (
    FEE_RULES,
    UNPUBLISHED,
    Deal,
    DealKind,
    ListingFee,
    listing_fee,
)

D = Decimal
NOW = at("2026-11-24T12")
AWS, AZURE, GCP = Channel.AWS, Channel.AZURE, Channel.GCP
PRIVATE, RENEWAL = DealKind.PRIVATE, DealKind.RENEWAL
MILLION = D(1_000_000)


@pytest.mark.parametrize(
    ("channel", "deal", "percent", "rules"),
    [
        (AWS, Deal(), "3", ["aws_public"]),
        (AWS, Deal(PRIVATE), "3", ["aws_private_below_1m"]),
        (AWS, Deal(PRIVATE, MILLION - 1), "3", ["aws_private_below_1m"]),
        (AWS, Deal(PRIVATE, MILLION), "2", ["aws_private_1m_to_10m"]),
        (AWS, Deal(PRIVATE, 10 * MILLION - 1), "2", ["aws_private_1m_to_10m"]),
        (AWS, Deal(PRIVATE, 10 * MILLION), "1.5", ["aws_private_from_10m"]),
        (AWS, Deal(RENEWAL), "1.5", ["aws_renewal"]),
        (
            AWS,
            Deal(PRIVATE, MILLION, channel_partner=True),
            "2.5",
            ["aws_private_1m_to_10m", "aws_channel_partner"],
        ),
        (AWS, Deal(channel_partner=True), "3", ["aws_public"]),
        (AWS, Deal(buyer_country="KR"), "4", ["aws_public", "aws_south_korea"]),
        (
            AWS,
            Deal(RENEWAL, channel_partner=True, buyer_country="KR"),
            "3",
            ["aws_renewal", "aws_channel_partner", "aws_south_korea"],
        ),
        (AWS, Deal(buyer_country="JP"), "3", ["aws_public"]),
        (AZURE, Deal(), "3", ["azure_standard"]),
        (AZURE, Deal(PRIVATE, 10 * MILLION, channel_partner=True), "3", ["azure_private"]),
        (AZURE, Deal(RENEWAL), "1.5", ["azure_renewal"]),
        (GCP, Deal(buyer_country="KR"), "3", ["google_standard"]),
        (GCP, Deal(PRIVATE), "3", ["google_private_below_1m"]),
        (GCP, Deal(PRIVATE, 2 * MILLION), "2", ["google_private_1m_to_10m"]),
        (GCP, Deal(PRIVATE, 10 * MILLION), "1.5", ["google_private_from_10m"]),
        (GCP, Deal(RENEWAL), "1.5", ["google_renewal"]),
        (Channel.MANUAL, Deal(), "0", ["no_marketplace"]),
    ],
)
def test_a_deal_falls_under_the_rows_that_hold_for_it(
    channel: Channel, deal: Deal, percent: str, rules: list[str]
) -> None:
    fee = listing_fee(channel, deal, NOW)
    assert (fee.percent, [rule.id for rule in fee.rules]) == (D(percent), rules)
    assert fee.unknown == ""


def test_fee_and_net_are_exact() -> None:
    fee = listing_fee(AWS, Deal(PRIVATE, 10 * MILLION), NOW)
    assert (fee.of(D("0.00000001")), fee.net(D("0.00000001"))) == (
        D("0.00000000015"),
        D("0.00000000985"),
    )
    assert (fee.of(D(200)), fee.net(D(200))) == (D(3), D(197))


def test_stripe_publishes_no_number() -> None:
    fee = listing_fee(Channel.STRIPE, Deal(), NOW)
    assert (fee.percent, fee.of(D(1)), fee.net(D(1))) == (None, None, None)
    assert fee.unknown == UNPUBLISHED[Channel.STRIPE]


@pytest.mark.parametrize(
    ("channel", "deal", "moment", "percent"),
    [
        (AZURE, Deal(RENEWAL), "2024-09-30T23", D(3)),
        (AZURE, Deal(RENEWAL), "2024-10-01T00", D("1.5")),
        (AWS, Deal(buyer_country="KR"), "2025-03-31T23", D(3)),
        (AWS, Deal(buyer_country="KR"), "2025-04-01T00", D(4)),
        (AWS, Deal(), "2024-01-04T23", None),
        (GCP, Deal(), "2025-04-20T23", None),
    ],
)
def test_a_fee_is_that_of_the_moment_of_the_deal(
    channel: Channel, deal: Deal, moment: str, percent: Decimal | None
) -> None:
    fee = listing_fee(channel, deal, at(moment))
    assert fee.percent == percent
    assert bool(fee.unknown) == (percent is None)


def test_a_surcharge_alone_is_no_fee() -> None:
    fee = listing_fee(AWS, Deal(buyer_country="KR"), at("2023-01-01T00"))
    assert fee == ListingFee(None, unknown="no fee of aws is known for that time")


@pytest.mark.parametrize("channel", list(Channel))
@pytest.mark.parametrize("kind", list(DealKind))
@pytest.mark.parametrize("value", [D(0), MILLION - 1, MILLION, 10 * MILLION, D("1E+12")])
def test_every_deal_falls_under_exactly_one_row_beside_what_is_added(
    channel: Channel, kind: DealKind, value: Decimal
) -> None:
    for partner in (False, True):
        fee = listing_fee(channel, Deal(kind, value, partner, "KR"), NOW)
        alone = [rule for rule in fee.rules if not rule.added]
        assert len(alone) == (0 if channel in UNPUBLISHED else 1)


def test_every_row_has_its_own_id_and_says_where_it_is_from() -> None:
    assert len({rule.id for rule in FEE_RULES}) == len(FEE_RULES)
    assert all(rule.source for rule in FEE_RULES)
    assert {rule.channel for rule in FEE_RULES if not rule.verified} == {GCP}
