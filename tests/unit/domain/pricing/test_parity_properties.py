"""Whatever a plan says and however it is reported, every promise is answered for once, rightly."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import at
from meterbridge.domain.channels import Channel, QuantityKind
from meterbridge.domain.pricing.channel_reporting import (
    ChannelReporting,
    ReportedDimension,
    ReportingMode,
    Source,
)
from meterbridge.domain.pricing.cycles import CycleKind
from meterbridge.domain.pricing.kept_promises import Parity
from meterbridge.domain.pricing.parity import ChannelParity, channel_parity
from meterbridge.domain.pricing.plan_terms import FreeTrial, PlanTerms, TrialKind
from meterbridge.domain.pricing.validation import validate
from pricing_setup import D
from pricing_strategies import CODES, GROUPS, plans

NOW = at("2026-11-24T12")
METERED = [Channel.AWS, Channel.AZURE, Channel.GCP]
ALL_CODES = [*CODES, "sub", "seats", "setup", "minimum_charge", "commitment", "top_up", "nothing"]

sources = st.builds(
    Source,
    st.sampled_from(ALL_CODES),
    st.sampled_from(["", "", "step0"]),
    st.none() | st.sampled_from(GROUPS),
)
reported = st.builds(
    ReportedDimension,
    st.sampled_from(["api", "gpu", "usage", "a b", "", "x" * 101]),
    st.sampled_from(ReportingMode),
    st.lists(sources, max_size=4).map(tuple),
    st.sampled_from([D(1), D("0.01"), D(1000), D(0), D("0.00001")]),
    st.sampled_from(QuantityKind),
)
native_trials = st.builds(
    FreeTrial, st.just(TrialKind.DAYS), st.integers(1, 100), native=st.booleans()
)


@st.composite
def reported_plans(draw: st.DrawFn, channel: Channel) -> PlanTerms:
    """Any plan; it says anything, or nothing, of the channel."""
    plan = draw(plans(draw(st.sampled_from(CycleKind))))
    plan = replace(plan, currency=draw(st.sampled_from(["USD", "USD", "EUR"])))
    if draw(st.booleans()):
        plan = replace(plan, trial=draw(native_trials))
    how = draw(st.integers(0, 2))
    if how == 0:
        return plan
    dimensions = draw(st.lists(reported, max_size=10 if how == 1 else 2).map(tuple))
    if how == 2:
        # Mostly right: everything in one dimension of charges.
        everything = tuple(Source(code) for code in plan.codes())
        whole = ReportedDimension("usage", ReportingMode.CURRENCY, everything, D("0.01"))
        dimensions = (whole, *dimensions[: draw(st.integers(0, 1))])
    apart = draw(st.frozensets(st.sampled_from(ALL_CODES), max_size=3))
    return replace(plan, reporting=(ChannelReporting(channel, dimensions, apart),))


def promised_by(plan: PlanTerms) -> list[str]:
    """Pointers of what a plan says, found by looking at it."""
    found = ["/currency", "/cycle"]
    for number, dimension in enumerate(plan.dimensions):
        found += [f"/dimensions/{number}", f"/dimensions/{number}/price"]
        for name in ("increment", "entitlement"):
            if getattr(dimension, name) is not None:
                found.append(f"/dimensions/{number}/{name}")
    for name in ("fees", "discounts", "credits"):
        found += [f"/{name}/{number}" for number in range(len(getattr(plan, name)))]
    for name in ("trial", "minimum", "commitment", "top_up", "spend_cap"):
        if getattr(plan, name) is not None:
            found.append(f"/{name}")
    return found


def listed_by(parity: ChannelParity, at_reporting: str) -> list[str]:
    """Pointers of what its listing has to take."""
    found = [f"{at_reporting}/dimensions"]
    if parity.reporting.dimensions:
        found += [at_reporting, at_reporting]
    for number, dimension in enumerate(parity.reporting.dimensions):
        place = f"{at_reporting}/dimensions/{number}"
        found += [place, f"{place}/code"]
        if dimension.mode is ReportingMode.NATIVE:
            found.append(f"{place}/price")
    return found


@settings(max_examples=250)
@given(st.data(), st.sampled_from(Channel))
def test_every_promise_is_answered_for_exactly_once(data: st.DataObject, channel: Channel) -> None:
    plan = data.draw(reported_plans(channel))
    parity = channel_parity(plan, channel, NOW)
    pointers = [line.promise.pointer for line in parity.lines]
    assert sorted(pointers) == sorted([*promised_by(plan), *listed_by(parity, "/reporting/0")])
    promises = [(line.promise.kind, line.promise.pointer) for line in parity.lines]
    assert len(set(promises)) == len(promises)
    assert all(line.how and line.source for line in parity.lines)


@settings(max_examples=250)
@given(st.data(), st.sampled_from(Channel))
def test_impossible_is_what_validation_finds_wrong_with_the_reporting(
    data: st.DataObject, channel: Channel
) -> None:
    plan = data.draw(reported_plans(channel))
    parity = channel_parity(plan, channel, NOW)
    reported_so = replace(plan, reporting=(parity.reporting,))
    of_the_plan = set(validate(replace(plan, reporting=())))
    wrong = set(validate(reported_so)) - of_the_plan
    impossible = [line for line in parity.lines if line.parity is Parity.IMPOSSIBLE]
    assert {fault for line in impossible for fault in line.faults} == wrong
    assert all(line.faults for line in impossible)
    assert all(not line.faults for line in parity.lines if line not in impossible)
    assert parity.possible == (not wrong)


@settings(max_examples=150)
@given(st.data(), st.sampled_from(METERED))
def test_a_proposal_fails_only_by_the_currency_or_a_trial_of_the_marketplaces_own(
    data: st.DataObject, channel: Channel
) -> None:
    plan = replace(data.draw(reported_plans(channel)), reporting=())
    lines = channel_parity(plan, channel, NOW).lines
    broken = {line.promise.pointer for line in lines if line.parity is Parity.IMPOSSIBLE}
    assert broken <= {"/currency", "/trial"}
