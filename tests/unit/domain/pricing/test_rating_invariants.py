"""What must hold for any terms and any usage: nothing lost, and no run differs from another."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from meterbridge.domain.money import exact_sum
from meterbridge.domain.offerings import Channel
from meterbridge.domain.pricing.advance import advance
from meterbridge.domain.pricing.agreement_terms import AgreementTerms
from meterbridge.domain.pricing.channel_reporting import (
    ChannelReporting,
    ReportedDimension,
    ReportingMode,
    Source,
)
from meterbridge.domain.pricing.rated import MeteredHour, MovementKind, RatedHour
from meterbridge.domain.pricing.rating_state import RatingState
from meterbridge.domain.pricing.reported import reported_quantities
from meterbridge.domain.windows import hours_between
from pricing_setup import START, total
from pricing_strategies import HOURS, agreements, usage

THROUGH = START + timedelta(hours=HOURS)
NEW = RatingState()


@st.composite
def cases(draw: st.DrawFn) -> tuple[AgreementTerms, list[MeteredHour]]:
    terms = draw(agreements())
    return terms, draw(usage(terms, THROUGH, signed=draw(st.booleans())))


def stored(state: RatingState) -> RatingState:
    """As it comes back from a store."""
    return RatingState.from_wire(json.loads(json.dumps(state.to_wire())))


@given(cases(), st.lists(st.integers(-5, HOURS), max_size=4))
@settings(max_examples=60)
def test_resumed_from_any_state_the_runs_equal_one_run(
    case: tuple[AgreementTerms, list[MeteredHour]], stops: list[int]
) -> None:
    terms, hours = case
    whole_state, whole = advance(terms, NEW, hours, through=THROUGH)
    state, found, done = NEW, [], START - timedelta(days=365)
    for stop in [*sorted(START + timedelta(hours=each) for each in stops), THROUGH]:
        part = [hour for hour in hours if done < hour.hour <= stop]
        state, rated = advance(terms, stored(state), part, through=stop)
        found += rated
        done = max(done, stop)
    assert found == whole
    assert state == whole_state
    assert stored(state) == state


@given(cases(), st.data())
@settings(max_examples=60)
def test_usage_that_comes_late_is_rated_as_if_it_had_come_in_time(
    case: tuple[AgreementTerms, list[MeteredHour]], data: st.DataObject
) -> None:
    terms, hours = case
    in_time = advance(terms, NEW, hours, through=THROUGH)
    arrival = data.draw(st.permutations(hours))
    checkpoints = [(START - timedelta(days=365), NEW)]
    for count, late in enumerate(arrival, start=1):
        # Forget every state that knew the hour to be empty; go on from the last one before it.
        checkpoints = [each for each in checkpoints if each[0] < late.hour]
        at, state = checkpoints[-1]
        known = sorted(arrival[:count], key=lambda each: each.hour)
        for stop in (late.hour - timedelta(hours=1), late.hour, THROUGH):
            part = [each for each in known if at < each.hour <= stop]
            state, _ = advance(terms, state, part, through=stop)
            at = stop
            checkpoints.append((at, state))
    final = checkpoints[-1][1] if hours else in_time[0]
    assert final == in_time[0]


@given(cases())
@settings(max_examples=20)
def test_hours_without_usage_may_be_left_out(
    case: tuple[AgreementTerms, list[MeteredHour]],
) -> None:
    terms, hours = case
    through = START + timedelta(days=35)
    hours = [each for each in hours if each.hour <= through]
    used = {each.hour: each for each in hours}
    end = min(terms.span.end_hour or THROUGH, through + timedelta(hours=1))
    every = [
        used.get(hour, MeteredHour(hour, {})) for hour in hours_between(terms.span.first_hour, end)
    ]
    assert advance(terms, NEW, every, through=through) == advance(
        terms, NEW, hours, through=through
    )


@given(cases())
@settings(max_examples=60)
def test_every_quantity_and_every_amount_is_in_one_place(
    case: tuple[AgreementTerms, list[MeteredHour]],
) -> None:
    terms, hours = case
    state, rated = advance(terms, NEW, hours, through=THROUGH)
    for code in ("api", "gpu", "pay"):
        given_quantity = exact_sum(
            quantity for hour in hours for quantity in hour.quantities.get(code, {}).values()
        )
        assert total(rated, "metered", code) == given_quantity
        counted = [
            total(rated, field, code) for field in ("included", "free_trial", "over_limit", "rated")
        ]
        assert exact_sum(counted) == given_quantity + total(rated, "adjusted", code)
    taken = ("trial_amount", "discounts", "credits", "over_cap", "net")
    assert exact_sum(total(rated, field) for field in taken) == total(rated, "list_charge")
    assert state.net == total(rated) == exact_sum(hour.net.amount for hour in rated)


@given(cases())
@settings(max_examples=60)
def test_credits_are_never_overdrawn_and_all_of_them_are_accounted_for(
    case: tuple[AgreementTerms, list[MeteredHour]],
) -> None:
    terms, hours = case
    state, rated = advance(terms, NEW, hours, through=THROUGH)
    granted: dict[str, Decimal] = defaultdict(Decimal)
    spent: dict[str, Decimal] = defaultdict(Decimal)
    for hour in rated:
        _move(hour, granted)
        for charge in hour.charges:
            for grant, amount in charge.credits.items():
                spent[grant] += amount
        assert all(granted[grant] - amount >= 0 for grant, amount in spent.items())
        assert all(amount >= 0 for amount in spent.values())
    balance = exact_sum(held.balance for held in state.grants)
    assert exact_sum(granted.values()) - exact_sum(spent.values()) == balance
    assert all(held.balance >= 0 for held in state.grants)


def _move(hour: RatedHour, granted: dict[str, Decimal]) -> None:
    for movement in hour.movements:
        assert movement.amount >= 0
        received = movement.kind is MovementKind.GRANTED
        granted[movement.grant_id] += movement.amount if received else -movement.amount


@given(cases())
@settings(max_examples=60)
def test_no_cycle_costs_more_than_its_spend_cap(
    case: tuple[AgreementTerms, list[MeteredHour]],
) -> None:
    terms, hours = case
    _, rated = advance(terms, NEW, hours, through=THROUGH)
    spend: dict[datetime, Decimal] = defaultdict(Decimal)
    for hour in rated:
        spend[hour.cycle.start] += hour.net.amount
        cap = terms.plan_of(hour.cycle).spend_cap
        assert cap is None or spend[hour.cycle.start] <= cap.amount


@given(cases())
@settings(max_examples=60)
def test_what_is_reported_in_currency_is_every_net_charge(
    case: tuple[AgreementTerms, list[MeteredHour]],
) -> None:
    terms, hours = case
    versions = []
    for version in terms.versions:
        codes = version.plan.codes()
        dimensions = [
            ReportedDimension(name, ReportingMode.CURRENCY, tuple(map(Source, part)))
            for name, part in (("even", codes[::2]), ("odd", codes[1::2]))
        ]
        plan = replace(
            version.plan, reporting=(ChannelReporting(Channel.AZURE, tuple(dimensions)),)
        )
        versions.append(replace(version, plan=plan))
    reported_terms = replace(terms, versions=tuple(versions))
    _, rated = advance(reported_terms, NEW, hours, through=THROUGH)
    reported = reported_quantities(reported_terms, Channel.AZURE, rated)
    assert exact_sum(q for by_hour in reported.values() for q in by_hour.values()) == total(rated)
