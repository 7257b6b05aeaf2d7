"""What a preview says that a marketplace is sent is what settlements then send."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import at
from meterbridge.domain.channels import Channel
from meterbridge.domain.listing_fees import Deal
from meterbridge.domain.money import plain
from meterbridge.domain.pricing.channel_preview import channel_preview
from meterbridge.domain.pricing.models import Package, PerUnit
from meterbridge.domain.pricing.plan_terms import Entitlement, PlanTerms, SubscriptionFee
from meterbridge.domain.pricing.rated import MeteredHour
from meterbridge.domain.pricing.tiers import Graduated, Tier, Volume
from meterbridge.domain.windows import HOUR
from pricing_setup import plan, priced, rate, terms
from rated_world import RatedWorld, in_cents, natively

D = Decimal
START = at("2026-11-24T00")
NATIVE = plan(priced(PerUnit(D("0.04")), entitlement=Entitlement(D(3))), reporting=natively("api"))
CHARGED = [
    plan(priced(price), fees=fees, reporting=in_cents("api", *(fee.code for fee in fees)))
    for price in (
        Graduated((Tier(D(5), D("0.013")), Tier(None, D("0.004")))),
        Volume((Tier(D(5), D("0.5")), Tier(D(9), D("0.2")), Tier(None, D("0.301")))),
        Package(D(2), D("0.333")),
    )
    for fees in ((), (SubscriptionFee("base", D("9.999")),))
]
quantities = st.decimals(0, 6, places=2, allow_nan=False)
hours = st.dictionaries(st.integers(0, 10), quantities, min_size=1)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from([NATIVE, *CHARGED]), hours, st.booleans())
def test_settlements_send_what_a_preview_says(
    sold: PlanTerms, used: dict[int, Decimal], hourly: bool
) -> None:
    # Settled late, what a falling price takes back is known before too much is sent.
    hourly = hourly or isinstance(sold.dimensions[0].price, Volume)
    world = RatedWorld(sold, now="2026-11-24T00:10", starts_at=START)
    metered = []
    for number in range(11):
        hour = START + number * HOUR
        if quantity := used.get(number):
            world.use(f"{hour:%Y-%m-%dT%H}", api=quantity)
            metered.append(MeteredHour(hour, {"api": {(): quantity}}))
        if hourly:
            world.settle(hour + HOUR + timedelta(minutes=20))
    last = START + 10 * HOUR
    world.settle(last + HOUR + timedelta(minutes=20))
    agreed = terms(sold, starts_at=START)
    rated = rate(agreed, *metered, through=last)
    preview = channel_preview(agreed, Channel.AWS, rated, deal=Deal(), moment=START)
    assert preview.bill is not None
    assert world.records() == {
        f"{hour:%m-%dT%H} {sent.dimension.code}": plain(units)
        for sent in preview.bill.sent
        for hour, units in sent.records.items()
    }
    for line, sent in zip(world.statement().lines, preview.bill.sent, strict=True):
        assert line.dimension == sent.dimension
        assert line.rated == sent.to_report
