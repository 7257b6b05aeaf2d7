"""However a cycle's usage is spread, it costs the same; and no channel loses or makes up any of it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import at
from meterbridge.domain.channels import Channel
from meterbridge.domain.listing_fees import Deal
from meterbridge.domain.money import ZERO, exact_sum, multiply
from meterbridge.domain.pricing.agreement_terms import AgreementTerms
from meterbridge.domain.pricing.channel_preview import channel_preview
from meterbridge.domain.pricing.charge_totals import total_charges
from meterbridge.domain.pricing.cycles import BilledSpan
from meterbridge.domain.pricing.rated import RatedHour
from meterbridge.domain.pricing.usage_spread import Spread, UsageTotal, spread_usage
from meterbridge.domain.windows import HOUR
from pricing_setup import START, rate
from pricing_strategies import CODES, GROUPS, agreements, undated_agreements, usage

NOW = at("2026-11-24T12")
END = at("2026-12-01T00")

quantities = st.decimals(0, 5000, places=3) | st.integers(0, 5000).map(Decimal)
totals = st.lists(
    st.builds(
        UsageTotal,
        st.sampled_from(CODES),
        st.just(START),
        st.just(END),
        quantities,
        st.integers(0, 20).map(Decimal),
        st.sampled_from(GROUPS),
    ),
    max_size=6,
)


def at_once(given_totals: list[UsageTotal]) -> list[UsageTotal]:
    return [replace(each, end=START + HOUR) for each in given_totals]


@settings(max_examples=60, deadline=None)
@given(undated_agreements(), totals)
def test_a_cycle_costs_the_same_however_its_usage_is_spread(
    terms: AgreementTerms, given_totals: list[UsageTotal]
) -> None:
    """Terms that name days or hours aside: see undated_agreements."""
    last = terms.span.last_of(terms.cycle(START))
    end = last + HOUR
    spans = [replace(each, end=end) for each in given_totals]
    ways = [
        spread_usage(spans, Spread.DAILY),
        spread_usage(spans, Spread.HOURLY),
        spread_usage(at_once(spans), Spread.DAILY),
    ]
    lines = [total_charges(rate(terms, *hours, through=last)) for hours in ways]
    bills = [
        {(line.code, line.group): (line.metered, line.rated, line.list_charge) for line in each}
        for each in lines
    ]
    assert bills[0] == bills[1] == bills[2]
    assert len({exact_sum(line.net for line in each) for each in lines}) == 1


@given(totals, st.sampled_from(Spread))
def test_spreading_keeps_every_total_and_splits_no_last_digit(
    given_totals: list[UsageTotal], spread: Spread
) -> None:
    hours = spread_usage(given_totals, spread)
    assert [each.hour for each in hours] == sorted({each.hour for each in hours})
    assert all(START <= each.hour < END for each in hours)
    for code in CODES:
        for group in GROUPS:
            mine = [each for each in given_totals if (each.code, each.group) == (code, group)]
            shares = [hour.quantities.get(code, {}).get(group, ZERO) for hour in hours]
            events = [hour.events.get(code, {}).get(group, ZERO) for hour in hours]
            assert exact_sum(shares) == exact_sum(each.quantity for each in mine)
            assert exact_sum(events) == exact_sum(each.events for each in mine)
            assert all(share >= 0 for share in shares)
            assert all(each == each.to_integral_value() for each in events)
            if all(each.quantity == each.quantity.to_integral_value() for each in mine):
                assert all(share == share.to_integral_value() for share in shares)


@st.composite
def rated_agreements(draw: st.DrawFn) -> tuple[AgreementTerms, list[RatedHour]]:
    """One version of any terms, and its first months."""
    terms = draw(agreements())
    terms = replace(terms, versions=terms.versions[:1], span=BilledSpan.since(terms.span.starts_at))
    hours = draw(usage(terms, at("2027-01-10T00")))
    return terms, rate(terms, *hours, through="2027-01-10T00")


@settings(max_examples=100, deadline=None)
@given(rated_agreements(), st.sampled_from(Channel))
def test_charged_is_billed_and_billed_apart_and_carried(
    rated: tuple[AgreementTerms, list[RatedHour]], channel: Channel
) -> None:
    terms, hours = rated
    found = channel_preview(terms, channel, hours, deal=Deal(), moment=NOW)
    if found.faults:
        assert found.bill is None
        return
    bill = found.bill
    assert bill is not None
    assert bill.charged == exact_sum(hour.net.amount for hour in hours)
    assert bill.charged == exact_sum((bill.billed, bill.billed_apart, bill.carried))
    for sent in bill.sent:
        per = sent.dimension.units_per_quantity
        assert sent.to_report == exact_sum((multiply(sent.units, per), sent.carried))
        assert all(units > 0 for units in sent.records.values())
    carried = [
        sent.carried
        if sent.dimension.in_currency
        else multiply(sent.carried, sent.dimension.unit_price.amount)
        for sent in bill.sent
    ]
    assert bill.carried == exact_sum(carried)
    if bill.fee is not None and bill.net is not None:
        assert bill.billed == exact_sum((bill.fee, bill.net))
