from __future__ import annotations

from typing import Any

import pytest

from integration.sandbox.seller import Seller, usage

INVALID_ALLOCATIONS = "InvalidUsageAllocationsException"


def part(quantity: str | int, **tags: str) -> dict[str, Any]:
    kind = (
        "AllocatedUsageQuantity" if isinstance(quantity, int) else "AllocatedUsageQuantityAsDecimal"
    )
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    return {kind: quantity, **({"Tags": listed} if listed else {})}


def split(*parts: dict[str, Any], quantity: str = "12.5") -> dict[str, Any]:
    return usage(quantity, UsageAllocations=list(parts))


def test_allocations_that_add_up_are_accepted_with_one_untagged_bucket(seller: Seller) -> None:
    record = split(part("10.5", team="search"), part("2"))
    (result,) = seller.send(record)["Results"]
    assert result["Status"] == "Success"
    assert result["UsageRecord"] == record
    assert seller.billed()[0][3] == "12.5"


def test_whole_allocations_go_with_a_whole_quantity(seller: Seller) -> None:
    record = usage(None, Quantity=5, UsageAllocations=[part(3, team="a"), part(2, team="b")])
    assert seller.statuses(record) == ["Success"]


@pytest.mark.parametrize(
    "parts",
    [
        [part("10.5", team="search"), part("2.000001")],
        [part("10.5", team="search")],
    ],
)
def test_allocations_that_do_not_add_up_fail_whole(
    seller: Seller, parts: list[dict[str, Any]]
) -> None:
    assert seller.refused(usage(Dimension="tokens"), split(*parts)) == INVALID_ALLOCATIONS


def test_allocations_of_the_other_kind_of_quantity_fail_whole(seller: Seller) -> None:
    assert seller.refused(split(part(5), quantity="5")) == INVALID_ALLOCATIONS
    whole = usage(None, Quantity=5, UsageAllocations=[part("5")])
    assert seller.refused(whole) == INVALID_ALLOCATIONS


def test_an_allocation_has_exactly_one_quantity(seller: Seller) -> None:
    both = {"AllocatedUsageQuantity": 5, "AllocatedUsageQuantityAsDecimal": "5"}
    assert seller.refused(split(both, quantity="5")) == INVALID_ALLOCATIONS
    neither = {"Tags": [{"Key": "team", "Value": "a"}]}
    assert seller.refused(split(neither, quantity="0")) == INVALID_ALLOCATIONS


def test_an_allocation_outside_the_decimal_pattern_fails_whole(seller: Seller) -> None:
    assert seller.refused(split(part("05"), quantity="5")) == "ValidationException"


def test_two_allocations_with_the_same_tags_fail_whole(seller: Seller) -> None:
    same = split(part("1", team="a", env="p"), part("1", env="p", team="a"), quantity="2")
    assert seller.refused(same) == INVALID_ALLOCATIONS
    assert seller.refused(split(part("1"), part("1"), quantity="2")) == INVALID_ALLOCATIONS


def test_more_than_five_tags_in_one_allocation_fail_whole(seller: Seller) -> None:
    assert seller.refused(split(part("12.5", **dict.fromkeys("abcdef", "x")))) == (
        "InvalidTagException"
    )
    assert seller.statuses(split(part("12.5", **dict.fromkeys("abcde", "x")))) == ["Success"]


def test_more_than_five_tags_across_all_allocations_fail_whole(seller: Seller) -> None:
    record = split(part("12", a="1", b="1", c="1"), part("0.5", d="1", e="1", f="1"))
    assert seller.refused(record) == "InvalidTagException"


@pytest.mark.parametrize(
    ("key", "value"),
    [("k" * 101, "v"), ("k", "v" * 257), ("ké", "v"), ("k", "tab\t"), ("k{}", "v")],
)
def test_a_tag_outside_its_pattern_or_length_fails_whole(
    seller: Seller, key: str, value: str
) -> None:
    assert seller.refused(split(part("12.5", **{key: value}))) == "InvalidTagException"


def test_a_tag_takes_everything_the_service_models_pattern_takes(seller: Seller) -> None:
    record = split(part("12.5", **{"a:/+-=._@ b(1)": "x" * 256}))
    assert seller.statuses(record) == ["Success"]


def test_a_tag_key_twice_in_one_allocation_fails_whole(seller: Seller) -> None:
    twice = part("12.5") | {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}
    assert seller.refused(split(twice)) == "InvalidTagException"


def test_at_most_2500_allocations_are_taken(seller: Seller) -> None:
    parts = [part("1", team=str(number)) for number in range(2501)]
    assert seller.refused(split(*parts, quantity="2501")) == "ValidationException"
    assert seller.statuses(split(*parts[:2500], quantity="2500")) == ["Success"]
