"""The same usage on several channels, worked out by hand: what is sent, billed, kept and carried."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import at
from meterbridge.domain.channels import Channel, QuantityKind
from meterbridge.domain.listing_fees import Deal, DealKind
from meterbridge.domain.pricing.agreement_terms import Grant
from meterbridge.domain.pricing.channel_preview import ChannelBill, ChannelPreview, channel_preview
from meterbridge.domain.pricing.channel_reporting import (
    ChannelReporting,
    ReportedDimension,
    ReportingMode,
    Source,
)
from meterbridge.domain.pricing.models import PerUnit
from meterbridge.domain.pricing.plan_terms import (
    Entitlement,
    FreeTrial,
    PlanTerms,
    SubscriptionFee,
    TrialKind,
)
from meterbridge.domain.pricing.rated import MeteredHour
from meterbridge.domain.pricing.tiers import Tier, Volume
from pricing_setup import START, D, plan, priced, rate, terms, used

NOW = at("2026-11-24T12")
INTEGER, DECIMAL = QuantityKind.INTEGER, QuantityKind.DECIMAL


def native(kind: QuantityKind = INTEGER, per: str = "1") -> ReportedDimension:
    return ReportedDimension("api", ReportingMode.NATIVE, (Source("api"),), D(per), kind)


def money(*codes: str) -> ReportedDimension:
    return ReportedDimension("usage", ReportingMode.CURRENCY, tuple(map(Source, codes)), D("0.01"))


def preview(
    given: PlanTerms, channel: Channel, *hours: MeteredHour, deal: Deal | None = None, **terms_: Any
) -> ChannelPreview:
    agreed = terms(given, **terms_)
    rated = rate(agreed, *hours)
    return channel_preview(agreed, channel, rated, deal=deal or Deal(), moment=NOW)


def bill(given: PlanTerms, channel: Channel, *hours: MeteredHour, **changes: Any) -> ChannelBill:
    found = preview(given, channel, *hours, **changes).bill
    assert found is not None
    return found


def records(found: ChannelBill) -> list[dict[str, str]]:
    return [
        {hour.strftime("%dT%H"): f"{units:f}" for hour, units in sent.records.items()}
        for sent in found.sent
    ]


THREE = plan(
    priced(PerUnit(D("0.01")), entitlement=Entitlement(D(100))),
    reporting=(
        ChannelReporting(Channel.AWS, (native(),)),
        ChannelReporting(Channel.AZURE, (native(DECIMAL),)),
        ChannelReporting(Channel.GCP, (native(per="0.001"),)),
    ),
)
HOURS = (
    used("2026-11-03T10", api=60),
    used("2026-11-03T11", api="40.4"),
    used("2026-11-03T12", api="0.4"),
    used("2026-11-03T13", api="0.4"),
    used("2026-11-03T14", api="2.05"),
)
"""100 of it are included: 0.4, 0.4, 0.4 and 2.05 are to be billed, at 0.01 each."""


def test_aws_whole_units_carry_fractions_until_they_make_one() -> None:
    found = bill(THREE, Channel.AWS, *HOURS)
    assert records(found) == [{"03T13": "1", "03T14": "2"}]  # 0.4, 0.8, 1.2 less 1, 2.25 less 2
    (sent,) = found.sent
    assert (sent.to_report, sent.units, sent.held_back) == (D("3.25"), D(3), 2)
    assert (sent.carried, sent.because) == (D("0.25"), "fraction")
    assert (found.charged, found.billed, found.carried) == (D("0.0325"), D("0.03"), D("0.0025"))
    assert (found.fee, found.net) == (D("0.0009"), D("0.0291"))  # 3 %


def test_azure_takes_the_fractions_and_is_told_of_no_hour_of_zero() -> None:
    found = bill(THREE, Channel.AZURE, *HOURS)
    assert records(found) == [{"03T11": "0.4", "03T12": "0.4", "03T13": "0.4", "03T14": "2.05"}]
    (sent,) = found.sent
    assert (sent.units, sent.held_back, sent.carried, sent.because) == (D("3.25"), 0, D(0), None)
    assert (found.billed, found.carried) == (D("0.0325"), D(0))
    assert (found.fee, found.net) == (D("0.000975"), D("0.031525"))


def test_google_counts_whole_thousandths() -> None:
    found = bill(THREE, Channel.GCP, *HOURS, deal=Deal(DealKind.RENEWAL))
    assert records(found) == [{"03T11": "400", "03T12": "400", "03T13": "400", "03T14": "2050"}]
    (sent,) = found.sent
    assert (sent.units, sent.dimension.unit_price.amount) == (D(3250), D("0.00001"))
    assert (found.billed, found.fee, found.net) == (D("0.0325"), D("0.0004875"), D("0.0320125"))


@pytest.mark.parametrize(
    ("channel", "fee", "net"),
    [(Channel.STRIPE, None, None), (Channel.MANUAL, D(0), D("0.0325"))],
)
def test_without_metering_the_invoice_is_the_bill(channel: Channel, fee: Any, net: Any) -> None:
    found = bill(THREE, channel, *HOURS)
    assert found == ChannelBill((), D("0.0325"), D("0.0325"), D(0), D(0), fee, net)


@pytest.mark.parametrize("channel", [Channel.AWS, Channel.AZURE, Channel.GCP])
def test_what_a_falling_volume_price_takes_back_is_carried(channel: Channel) -> None:
    """10 at 2 are 20; with the 11th all are at 1: 9 less; 4 more are 15 in all."""
    given = plan(
        priced(Volume((Tier(D(10), D(2)), Tier(None, D(1))))),
        reporting=(ChannelReporting(channel, (money("api"),)),),
    )
    found = bill(
        given,
        channel,
        used("2026-11-03T10", api=10),
        used("2026-11-03T11", api=1),
        used("2026-11-03T12", api=4),
    )
    assert records(found) == [{"03T10": "2000"}]
    (sent,) = found.sent
    assert (sent.to_report, sent.held_back) == (D(15), 2)
    assert (sent.carried, sent.because) == (D(-5), "negative")
    assert (found.charged, found.billed, found.carried) == (D(15), D(20), D(-5))
    assert (found.fee, found.net) == (D("0.6"), D("19.4"))


def test_usage_in_the_marketplaces_own_trial_is_reported_and_not_billed() -> None:
    given = plan(
        priced(PerUnit(D("0.5"))),
        trial=FreeTrial(TrialKind.DAYS, days=14, native=True),
        reporting=(ChannelReporting(Channel.AWS, (native(),)),),
    )
    found = bill(given, Channel.AWS, used("2026-11-14T23", api=7), used("2026-11-15T00", api=3))
    assert records(found) == [{"14T23": "7", "15T00": "3"}]
    assert (found.charged, found.billed, found.carried) == (D("1.5"), D("1.5"), D(0))


def test_a_fee_that_is_billed_apart_is_not_in_the_marketplaces_bill_nor_its_fee() -> None:
    given = plan(
        priced(PerUnit(D(2))),
        fees=(SubscriptionFee("base", D(99)),),
        reporting=(ChannelReporting(Channel.AWS, (native(),), frozenset({"base"})),),
    )
    found = bill(given, Channel.AWS, used("2026-11-03T10", api=5))
    assert (found.charged, found.billed, found.billed_apart) == (D(109), D(10), D(99))
    assert (found.fee, found.net, found.carried) == (D("0.3"), D("9.7"), D(0))


def test_more_than_a_record_holds_is_carried() -> None:
    found = bill(THREE, Channel.AWS, used("2026-11-03T10", api=2147483747 + 5))
    (sent,) = found.sent
    assert records(found) == [{"03T10": "2147483647"}]
    assert (sent.carried, sent.because) == (D(5), "maximum")


def test_terms_that_a_channel_cannot_keep_have_no_bill_there() -> None:
    found = preview(replace(plan(), currency="EUR"), Channel.AWS, used("2026-11-03T10", api=5))
    assert found.bill is None
    assert [(fault.pointer, fault.code) for fault in found.faults] == [
        ("/currency", "channel_currency")
    ]


def test_grants_cannot_pay_for_what_the_marketplace_charges_by_its_own_price() -> None:
    grant = Grant("g", D(10), START)
    found = preview(THREE, Channel.AWS, *HOURS, grants=(grant,))
    assert [(fault.pointer, fault.code) for fault in found.faults] == [("/grants/0", "not_native")]
    assert found.bill is None
    assert preview(THREE, Channel.MANUAL, *HOURS, grants=(grant,)).faults == ()
