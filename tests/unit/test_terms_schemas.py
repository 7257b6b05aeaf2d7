"""A plan's terms as they are sent: nothing is lost on the way in or out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import pricing_strategies
from manage.schemas_terms import Terms
from meterbridge.domain.channels import Channel, QuantityKind
from meterbridge.domain.pricing.channel_reporting import (
    ChannelReporting,
    ReportedDimension,
    ReportingMode,
    Source,
)
from meterbridge.domain.pricing.cycles import CycleKind
from meterbridge.domain.pricing.plan_terms import PlanTerms
from pricing_setup import D, plan

sources = st.builds(
    Source,
    st.sampled_from(pricing_strategies.CODES),
    st.sampled_from(["", "step0"]),
    st.sampled_from([None, (), ("a100",)]),
)
reported = st.builds(
    ReportedDimension,
    st.sampled_from(["usage", "cents"]),
    st.sampled_from(ReportingMode),
    st.lists(sources, min_size=1, max_size=3).map(tuple),
    st.sampled_from([D(1), D("0.01"), D(1000)]),
    st.sampled_from(QuantityKind),
)
reporting = st.builds(
    ChannelReporting,
    st.sampled_from(Channel),
    st.lists(reported, max_size=2).map(tuple),
    st.sampled_from([frozenset[str](), frozenset({"sub", "api"})]),
)


@st.composite
def any_terms(draw: st.DrawFn) -> PlanTerms:
    found = draw(st.sampled_from(CycleKind).flatmap(pricing_strategies.plans))
    channels = draw(st.lists(reporting, max_size=2))
    return plan(*found.dimensions, **_others(found), reporting=tuple(channels))


def _others(terms: PlanTerms) -> dict[str, Any]:
    names = set(PlanTerms.__dataclass_fields__) - {"currency", "dimensions", "reporting"}
    return {name: getattr(terms, name) for name in names}


@given(any_terms())
def test_terms_survive_being_answered_and_sent_again(terms: PlanTerms) -> None:
    answered = Terms.of(terms).model_dump_json()
    sent = Terms.model_validate_json(answered)
    assert sent.terms("USD") == terms
    assert sent.model_dump_json() == answered


def test_terms_of_a_word_have_the_defaults_of_the_domain() -> None:
    assert Terms.model_validate({}).terms("EUR") == PlanTerms("EUR")


def test_numbers_are_answered_as_plain_texts() -> None:
    price = {"model": "per_unit", "unit_price": "0.000000100", "per": 1000}
    terms = Terms.model_validate({"dimensions": [{"code": "a", "meter_id": "m", "price": price}]})
    shown = Terms.of(terms.terms("USD")).model_dump(mode="json")
    assert shown["dimensions"][0]["price"] == {
        "model": "per_unit",
        "unit_price": "0.0000001",
        "per": "1000",
    }


@pytest.mark.parametrize(
    ("dimension", "faults"),
    [
        ({"price": {"model": "flat"}}, [(("price", "amount"), "missing")]),
        ({"price": {"model": "none"}}, [(("price",), "union_tag_invalid")]),
        ({"price": {"unit_price": "1"}}, [(("price",), "union_tag_not_found")]),
        (
            {
                "price": {
                    "model": "graduated",
                    "graduated": 1,
                    "tiers": [{"unit_price": 0.5}, {"unit_price": "1", "up_to": "-1"}],
                }
            },
            [
                (("price", "tiers", 0, "unit_price"), "decimal_text"),
                (("price", "tiers", 1, "up_to"), "decimal_text"),
                (("price", "graduated"), "extra_forbidden"),
            ],
        ),
        (
            {
                "price": {
                    "model": "waterfall",
                    "steps": [{"name": "a", "model": {"model": "flat", "amount": None}}],
                }
            },
            [(("price", "steps", 0, "model", "amount"), "decimal_text")],
        ),
        (
            {
                "price": {
                    "model": "dimensional",
                    "prices": [],
                    "default": {"model": "waterfall", "steps": []},
                }
            },
            [(("price", "prices"), "too_short"), (("price", "default"), "union_tag_invalid")],
        ),
    ],
)
def test_a_fault_is_told_where_it_is_in_the_body(
    dimension: dict[str, Any], faults: list[tuple[tuple[Any, ...], str]]
) -> None:
    sent = {"dimensions": [{"code": "a", "meter_id": "m", **dimension}]}
    with pytest.raises(ValidationError) as caught:
        Terms.model_validate(sent)
    found = [(each["loc"], each["type"]) for each in caught.value.errors()]
    assert found == [(("dimensions", 0, *loc), code) for loc, code in faults]
