"""Random terms with random ways to report them."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from meterbridge.domain.offerings import Channel
from meterbridge.domain.pricing.channel_reporting import (
    ChannelReporting,
    ReportedDimension,
    ReportingMode,
    Source,
)
from meterbridge.domain.pricing.cycles import CycleKind
from meterbridge.domain.pricing.native_prices import unit_price
from meterbridge.domain.pricing.plan_terms import PlanTerms
from pricing_strategies import plans
from publishing_setup import CENT, CLOUDS


@st.composite
def reportings(draw: st.DrawFn, terms: PlanTerms, channel: Channel) -> ChannelReporting:
    """Everything in one currency dimension, but for what is native or billed apart."""
    natives = [
        each.code
        for each in terms.dimensions
        if unit_price(each.price, Source(each.code)) is not None and draw(st.booleans())
    ]
    apart = [each.code for each in terms.fees if draw(st.booleans())]
    rest = [code for code in terms.codes() if code not in natives and code not in apart]
    dimensions = [
        ReportedDimension(code, ReportingMode.NATIVE, (Source(code),)) for code in natives
    ]
    if rest:
        sources = tuple(map(Source, rest))
        dimensions.append(ReportedDimension("usage", ReportingMode.CURRENCY, sources, CENT))
    return ChannelReporting(channel, tuple(dimensions), frozenset(apart))


@st.composite
def reported_plans(draw: st.DrawFn) -> PlanTerms:
    terms = draw(plans(draw(st.sampled_from(CycleKind))))
    return replace(terms, reporting=tuple(draw(reportings(terms, each)) for each in CLOUDS))
