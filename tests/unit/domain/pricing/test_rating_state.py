"""The state between two runs, and what keeps a run from losing anything."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from builders import at
from meterbridge.domain.errors import InvariantError
from meterbridge.domain.pricing.advance import advance
from meterbridge.domain.pricing.agreement_terms import Grant
from meterbridge.domain.pricing.charges import Part, Rule
from meterbridge.domain.pricing.pools import newly_taken, spread, taken
from meterbridge.domain.pricing.rated import RatedCharge
from meterbridge.domain.pricing.rating_state import RatingState, usage_key
from pricing_setup import START, D, plan, terms, used


def test_a_state_is_written_as_text_and_read_back_exactly() -> None:
    given = terms(
        plan(), grants=(Grant("g", D("10.50"), START, codes=frozenset({"b", "a", "api"})),)
    )
    state, _ = advance(
        given, RatingState(), [used("2026-11-03T10", api="1E+1")], through=at("2026-11-04T00")
    )
    wire = state.to_wire()
    assert wire["format"] == 1
    written = wire["state"]
    assert written["rated_through"] == "2026-11-04T00:00:00Z"
    assert written["usage"]['["api"]']["rated"] == "10"
    assert written["grants"][0]["amount"] == "10.5"
    assert written["grants"][0]["codes"] == ["a", "api", "b"]
    assert RatingState.from_wire(json.loads(json.dumps(wire))) == state


@pytest.mark.parametrize(
    "wire", [{}, {"format": 2, "state": {}}, {"format": 1}, {"format": 1, "state": {"net": "x"}}]
)
def test_what_is_not_such_a_state_is_refused(wire: dict[str, object]) -> None:
    with pytest.raises(InvariantError):
        RatingState.from_wire(wire)


def test_no_two_groups_share_a_key() -> None:
    keys = [
        usage_key("a", ("b",)),
        usage_key("a", ("b", "")),
        usage_key('a","b', ()),
        usage_key("a", ()),
    ]
    assert len(set(keys)) == 4


def test_nothing_is_written_before_an_agreements_first_hour() -> None:
    state, rated = advance(terms(plan()), RatingState(), [], through=at("2026-10-31T23"))
    assert (state, rated) == (RatingState(), [])


@pytest.mark.parametrize(
    ("before", "change", "limit", "new"),
    [
        (0, 30, 100, 30),
        (90, 30, 100, 10),
        (120, -10, 100, 0),
        (120, -30, 100, -10),
        (0, -5, 100, 0),
        (-5, 10, 100, 5),
    ],
)
def test_a_pool_takes_up_to_its_limit_and_gives_back(
    before: int, change: int, limit: int, new: int
) -> None:
    assert newly_taken(D(before), D(change), D(limit)) == D(new)
    assert taken(D(before + change), D(limit)) - taken(D(before), D(limit)) == D(new)


@pytest.mark.parametrize(
    ("amount", "over", "shares"),
    [
        (7, [5, 5], [5, 2]),
        (5, [10, -5], [10, -5]),
        (5, [-5, 10, 10], [0, 5, 0]),
        (-3, [4, -2, -2], [0, -2, -1]),
        (0, [4, -2], [0, 0]),
    ],
)
def test_what_a_pool_takes_is_spread_in_order(
    amount: int, over: list[int], shares: list[int]
) -> None:
    assert spread(D(amount), [D(each) for each in over]) == [D(share) for share in shares]


def test_more_than_there_is_cannot_be_spread() -> None:
    with pytest.raises(InvariantError):
        spread(D(11), [D(5), D(5)])


@pytest.mark.parametrize(
    "lost",
    [
        {"incremented": Decimal(5), "rated": Decimal(4)},
        {"list_charge": Decimal(5), "parts": (Part(Rule.FLAT, Decimal(5)),), "net": Decimal(4)},
        {"list_charge": Decimal(5), "net": Decimal(5)},
    ],
    ids=["quantity", "money", "explanation"],
)
def test_a_charge_that_lost_something_cannot_be(lost: dict[str, object]) -> None:
    with pytest.raises(InvariantError):
        RatedCharge("api", **lost)  # type: ignore[arg-type]
