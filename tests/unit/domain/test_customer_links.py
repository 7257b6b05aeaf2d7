"""Whose usage is billed with whose, hour by hour, and how links may change."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import agreement, at
from meterbridge.domain.agreements import Agreement
from meterbridge.domain.customer_links import (
    BilledTogether,
    CustomerLink,
    ParentBilling,
    check_depth,
    ended,
    linked,
    owner_for_child,
    stretches_of_child,
)
from meterbridge.domain.errors import InvalidInputError
from meterbridge.domain.windows import HOUR, hours_between

TOGETHER, APART = ParentBilling.AGGREGATED, ParentBilling.SEPARATE
START = at("2026-11-24T00")


def link(
    since: int,
    until: int | None = None,
    *,
    child: str = "eu",
    parent: str = "acme",
    billing: ParentBilling = TOGETHER,
) -> CustomerLink:
    end = None if until is None else START + until * HOUR
    return CustomerLink(child, parent, billing, START + since * HOUR, end)


def of(customer: str, first: int, last: int | None = None, name: str = "") -> Agreement:
    return agreement(
        id=name or f"agr_{customer}",
        customer_id=customer,
        starts_at=START + first * HOUR,
        ends_at=None if last is None else START + last * HOUR,
        aws=None,
        channel="manual",
    )


def hours(*numbers: int) -> list[datetime]:
    return [START + number * HOUR for number in numbers]


def refused(code: str) -> pytest.RaisesExc[InvalidInputError]:
    return pytest.raises(InvalidInputError, match=f"^{code}:")


def test_a_child_without_an_agreement_is_billed_by_the_parents() -> None:
    parent = of("acme", 0)
    owners = [
        owner_for_child(hour, own=[], links=[link(2, 5)], parents=[parent])
        for hour in hours(0, 1, 2, 4, 5)
    ]
    assert owners == [None, None, parent, parent, None]


def test_an_agreement_of_its_own_comes_first() -> None:
    own, parent = of("eu", 3, 4), of("acme", 0)
    owners = [
        owner_for_child(hour, own=[own], links=[link(0)], parents=[parent])
        for hour in hours(2, 3, 4)
    ]
    assert owners == [parent, own, parent]


def test_a_child_that_is_billed_apart_is_nobodys_where_it_has_no_agreement() -> None:
    apart = link(0, billing=APART)
    assert owner_for_child(START, own=[], links=[apart], parents=[of("acme", 0)]) is None


def test_only_the_parent_of_the_hour_counts() -> None:
    first, second = of("acme", 0), of("globex", 0)
    links = [link(0, 2), link(2, parent="globex")]
    owners = [
        owner_for_child(hour, own=[], links=links, parents=[first, second]) for hour in hours(1, 2)
    ]
    assert owners == [first, second]


def test_stretches_end_where_something_else_begins() -> None:
    parent = of("acme", 1, 12)
    found = stretches_of_child(
        parent,
        START,
        START + 20 * HOUR,
        own=[of("eu", 4, 6)],
        links=[link(0, 9), link(10)],
        siblings=[parent],
    )
    assert [(list(each.hours), each.until) for each in found] == [
        (hours(1, 2, 3), START + 4 * HOUR),
        (hours(6, 7, 8), START + 9 * HOUR),
        (hours(10, 11), START + 12 * HOUR),
    ]


def test_a_stretch_that_goes_on_after_the_range_has_no_end() -> None:
    parent = of("acme", 0)
    (found,) = stretches_of_child(
        parent, START, START + 3 * HOUR, own=[], links=[link(0)], siblings=[parent]
    )
    assert (list(found.hours), found.until) == (hours(0, 1, 2), None)
    (found,) = stretches_of_child(
        parent, START, START + 3 * HOUR, own=[], links=[link(0, 3)], siblings=[parent]
    )
    assert found.until == START + 3 * HOUR


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), max_size=3),
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)), max_size=3),
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 20), st.sampled_from("ab")), max_size=4),
    st.integers(0, 20),
    st.integers(1, 20),
)
def test_every_hour_of_a_child_is_billed_once_and_cut_into_stretches_the_same_way(
    own_spans: list[tuple[int, int]],
    parent_spans: list[tuple[int, int]],
    link_spans: list[tuple[int, int, str]],
    first: int,
    length: int,
) -> None:
    own = [of("eu", begin, begin + n, f"own{i}") for i, (begin, n) in enumerate(own_spans)]
    parents = {
        name: [
            of(name, begin, begin + n, f"{name}{i}") for i, (begin, n) in enumerate(parent_spans)
        ]
        for name in "ab"
    }
    links: tuple[CustomerLink, ...] = ()
    for begin, n, name in sorted(link_spans):
        links = linked(links, link(begin, parent=name), earliest=START)
        if n < 12:
            links = ended(links, START + (begin + n) * HOUR, earliest=START)
    start, end = START + first * HOUR, START + (first + length) * HOUR
    everyone = [each for group in parents.values() for each in group]
    expected = {
        hour: owner.id
        for hour in hours_between(start, end)
        if (owner := owner_for_child(hour, own=own, links=links, parents=everyone)) is not None
        and owner not in own
    }
    found: dict[datetime, str] = {}
    for name, siblings in parents.items():
        mine = [each for each in links if each.parent_id == name]
        for parent in siblings:
            for stretch in stretches_of_child(
                parent, start, end, own=own, links=mine, siblings=siblings
            ):
                assert list(stretch.hours) == list(
                    hours_between(stretch.hours[0], stretch.hours[-1] + HOUR)
                )
                assert stretch.until in (None, stretch.hours[-1] + HOUR)
                assert not found.keys() & set(stretch.hours), "billed twice"
                found.update(dict.fromkeys(stretch.hours, parent.id))
    assert found == expected


def test_a_new_link_ends_the_one_before_and_replaces_what_was_to_come() -> None:
    known = (link(0, 5), link(5, 9, parent="globex"), link(20))
    new = link(7, parent="initech")
    assert linked(known, new, earliest=START + 6 * HOUR) == (
        link(0, 5),
        link(5, 7, parent="globex"),
        new,
    )


def test_the_same_link_again_changes_nothing() -> None:
    known = (link(0),)
    assert linked(known, link(6), earliest=START + 6 * HOUR) == known
    assert linked(known, link(0), earliest=START + 6 * HOUR) == known
    assert linked(known, link(6, billing=APART), earliest=START + 6 * HOUR) == (
        link(0, 6),
        link(6, billing=APART),
    )


def test_what_ends_in_the_hour_in_which_it_began_was_never_there() -> None:
    known = (link(0, 2), link(4))
    assert ended(known, START + 4 * HOUR, earliest=START) == (link(0, 2),)
    assert ended(known, START + 6 * HOUR, earliest=START) == (link(0, 2), link(4, 6))
    assert ended((), START, earliest=START) == ()


def test_past_hours_stay() -> None:
    with refused("past_hour"):
        linked((), link(2), earliest=START + 3 * HOUR)
    with refused("past_hour"):
        ended((link(0),), START + 2 * HOUR, earliest=START + 3 * HOUR)


def test_links_are_one_level_deep_at_any_time() -> None:
    above = [link(0, 10, child="acme", parent="holding")]
    with refused("parent_is_child"):
        check_depth(link(9), links_of_parent=above, children_of_child=[])
    check_depth(link(10), links_of_parent=above, children_of_child=[])
    below = [link(20, child="team", parent="eu", billing=APART)]
    with refused("child_is_parent"):
        check_depth(link(5), links_of_parent=[], children_of_child=below)


def test_a_link_is_of_full_hours_and_of_two_customers() -> None:
    with refused("same_customer"):
        link(0, parent="eu")
    with refused("full_hour"):
        CustomerLink("eu", "acme", TOGETHER, START + timedelta(minutes=1))
    with refused("empty_link"):
        link(3, 3)


def test_who_is_billed_together_are_those_of_links_that_aggregate_and_last() -> None:
    links = [
        link(0, 5, child="old"),
        link(0, child="eu"),
        link(0, child="us", billing=APART),
        link(0, child="asia"),
    ]
    together = BilledTogether(links, since=START + 5 * HOUR)
    assert together.children_of("acme") == ["asia", "eu"]
    assert together.children_of("eu") == []
    assert together.parents_of("eu") == ["acme"]
    assert together.parents_of("old") == together.parents_of("us") == []
    assert BilledTogether(links, since=START + 4 * HOUR).parents_of("old") == ["acme"]
