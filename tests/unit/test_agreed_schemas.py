"""What is agreed with a buyer as it is sent: nothing is lost on the way in or out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from manage.schemas_agreed import Grant, Overrides, PlanChange, Seats
from meterbridge.domain import agreements
from meterbridge.domain.pricing.overrides import DimensionOverride
from meterbridge.domain.pricing.overrides import Overrides as DomainOverrides
from meterbridge.domain.pricing.plan_terms import SpendCap
from pricing_strategies import (
    CODES,
    amounts,
    discounts,
    grants,
    moments,
    simple_models,
    waterfalls,
)

overrides = st.builds(
    DomainOverrides,
    st.lists(
        st.builds(
            DimensionOverride,
            st.sampled_from(CODES),
            st.none() | simple_models | waterfalls(),
            st.none() | amounts(),
        ),
        max_size=2,
    ).map(tuple),
    discounts(st.none() | moments),
    st.none() | st.builds(SpendCap, amounts()),
)
plan_changes = st.builds(
    agreements.PlanChange, moments, st.integers(1, 99), st.sampled_from(["std", "pro"]), overrides
)
seats = st.builds(agreements.SeatsInForce, st.just("seats"), moments, amounts())


@given(overrides, plan_changes, seats, grants())
def test_what_is_agreed_survives_being_answered_and_sent_again(
    differing: DomainOverrides,
    change: agreements.PlanChange,
    seated: agreements.SeatsInForce,
    granted: tuple[object, ...],
) -> None:
    answered = Overrides.of(differing).model_dump_json()
    assert Overrides.model_validate_json(answered).overrides() == differing
    answered = PlanChange.of(change).model_dump_json()
    assert PlanChange.model_validate_json(answered).plan_change() == change
    answered = Seats.of(seated).model_dump_json()
    assert Seats.model_validate_json(answered).seats_in_force() == seated
    for each in granted:
        answered = Grant.of(each).model_dump_json()  # type: ignore[arg-type]
        assert Grant.model_validate_json(answered).grant() == each
