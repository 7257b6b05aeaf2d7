"""In which hours of a cycle something was used never changes what the cycle comes to."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from meterbridge.domain.money import exact_sum
from meterbridge.domain.pricing.advance import advance
from meterbridge.domain.pricing.agreement_terms import AgreementTerms
from meterbridge.domain.pricing.models import model_of
from meterbridge.domain.pricing.rated import MeteredHour, RatedHour
from meterbridge.domain.pricing.rating_state import RatingState
from meterbridge.domain.usage import GroupKey
from pricing_setup import START, total
from pricing_strategies import CODES, GROUPS, undated_agreements

FIELDS = ("included", "free_trial", "over_limit", "rated", "list_charge")
DEDUCTIONS = ("trial_amount", "discounts", "credits", "over_cap", "net")
CYCLE_HOURS = 720
"""November; both kinds of cycle begin on its 1st."""

Share = tuple[int, str, GroupKey, Decimal]
"""An hour of a cycle, a dimension's code, a group, and a quantity."""

shares = st.lists(
    st.tuples(
        st.integers(0, CYCLE_HOURS - 1),
        st.sampled_from(CODES),
        st.sampled_from(GROUPS),
        st.decimals(0, 150, places=3, allow_nan=False),
    ),
    max_size=8,
)


@st.composite
def resplit(draw: st.DrawFn, given_shares: list[Share]) -> list[Share]:
    """The same quantities by code and group, cut and put into other hours."""
    found: list[Share] = []
    for _, code, group, quantity in given_shares:
        cut = draw(st.integers(0, 4)) * quantity / 4
        for part in (cut, quantity - cut):
            found.append((draw(st.integers(0, CYCLE_HOURS - 1)), code, group, part))
    return found


def metered(start: datetime, given_shares: list[Share]) -> list[MeteredHour]:
    by_hour: dict[int, dict[str, dict[GroupKey, Decimal]]] = defaultdict(lambda: defaultdict(dict))
    for hour, code, group, quantity in given_shares:
        found = by_hour[hour][code]
        found[group] = exact_sum((found.get(group, Decimal(0)), quantity))
    return [
        MeteredHour(start + timedelta(hours=hour), by_hour[hour], by_hour[hour])
        for hour in sorted(by_hour)
    ]


def by_cycle(rated: list[RatedHour]) -> dict[datetime, dict[str, Decimal]]:
    cycles: dict[datetime, list[RatedHour]] = defaultdict(list)
    for hour in rated:
        cycles[hour.cycle.start].append(hour)
    return {
        start: {
            **{
                f"{field} of {code}": total(hours, field, code)
                for field in FIELDS
                for code in CODES
            },
            **{field: total(hours, field) for field in DEDUCTIONS},
        }
        for start, hours in cycles.items()
    }


@given(undated_agreements(), shares, shares, st.data())
@settings(max_examples=100)
def test_splitting_usage_over_hours_in_any_way_gives_the_same_cycles(
    terms: AgreementTerms, november: list[Share], december: list[Share], data: st.DataObject
) -> None:
    starts = (START, START + timedelta(hours=CYCLE_HOURS))
    found = []
    for first, second in (
        (november, december),
        (data.draw(resplit(november)), data.draw(resplit(december))),
    ):
        hours = [*metered(starts[0], first), *metered(starts[1], second)]
        _, rated = advance(
            terms, RatingState(), hours, through=starts[1] + timedelta(hours=31 * 24)
        )
        found.append(by_cycle(rated))
    assert found[0] == found[1]


@given(undated_agreements(), shares)
@settings(max_examples=100)
def test_the_hours_of_a_cycle_add_up_to_the_charge_for_all_of_it_at_once(
    terms: AgreementTerms, november: list[Share]
) -> None:
    hours = metered(START, november)
    state, rated = advance(
        terms, RatingState(), hours, through=START + timedelta(hours=CYCLE_HOURS - 1)
    )
    for dimension in terms.versions[0].plan.dimensions:
        expected = exact_sum(
            model_of(dimension.price, group).charge(usage.rated, usage.events).amount
            for key, usage in state.usage.items()
            for group in GROUPS
            if key == _key(dimension.code, group)
        )
        assert total(rated, "list_charge", dimension.code) == expected


def _key(code: str, group: GroupKey) -> str:
    return "[" + ",".join(f'"{each}"' for each in (code, *group)) + "]"
