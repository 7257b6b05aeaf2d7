"""Packing and decoding: whatever goes in comes out, and damage never passes for data."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOON, at
from meterbridge.domain.columns import MAX_DEPTH, MAX_EXPONENT, text_key
from meterbridge.domain.errors import CorruptSegmentError, InvalidInputError
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.usage_log import (
    MAX_KEYS,
    MAX_SEGMENT_BYTES,
    SegmentDraft,
    ShardPlan,
    decode,
    pack_events,
)

PLAN = ShardPlan()

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
decimals = st.decimals(-(10**20), 10**20, places=6) | st.from_regex(
    r"-?[0-9]{1,20}\.[0-9]{1,20}([eE][+-]?[0-7]?[0-9])?", fullmatch=True
).map(Decimal)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.integers(0, 300)
    | decimals
    | texts
)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)
names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
ids = names | st.uuids().map(str) | st.uuids().map(lambda value: str(value).upper())
events = st.builds(
    UsageEvent,
    product_id=st.sampled_from(["prd_a", "prd_b"]),
    source=st.sampled_from(["//a", "//ü"]) | names,
    id=ids,
    type=st.sampled_from(["call", "tokens"]),
    subject=st.sampled_from(["acme", "größer"]) | names,
    occurred_at=st.timedeltas(timedelta(hours=-3), timedelta(hours=3)).map(lambda by: NOON + by),
    values=st.dictionaries(st.sampled_from(["a", "b", "ключ"]), json_values, max_size=3)
    | st.fixed_dictionaries({"tokens": st.integers(0, 2**40), "model": texts}),
)


def unpacked(drafts: list[SegmentDraft]) -> list[UsageEvent]:
    found = []
    for draft in drafts:
        segment = decode(draft.body)
        assert len(segment) == draft.events == sum(map(len, segment.groups))
        found += [group.event(row) for group in segment.groups for row in range(len(group))]
    return found


def sort_key(event: UsageEvent) -> tuple[str, str]:
    return repr(event.occurred_at), repr(event)


def usage(number: int = 0, values: dict[str, Any] | None = None, **changes: Any) -> UsageEvent:
    fields: dict[str, Any] = {
        "product_id": "prd_a",
        "source": "//gateway",
        "id": str(UUID(int=number)),
        "type": "call",
        "subject": "acme",
        "occurred_at": NOON + timedelta(milliseconds=number),
        "values": {"tokens": number} if values is None else values,
    }
    return UsageEvent(**{**fields, **changes})


def column(values: list[Any]) -> list[Any]:
    (draft,) = pack_events([usage(row, {"v": value}) for row, value in enumerate(values)], PLAN)
    (group,) = decode(draft.body).groups
    assert group.column("v") is group.column("v")
    return group.column("v")


@given(st.lists(events, max_size=20))
def test_every_event_comes_out_as_it_went_in(batch: list[UsageEvent]) -> None:
    found = unpacked(pack_events(batch, PLAN))
    assert sorted(found, key=sort_key) == sorted(batch, key=sort_key)


@given(st.lists(events, max_size=20))
def test_each_event_lies_in_the_partition_the_plan_names(batch: list[UsageEvent]) -> None:
    for draft in pack_events(batch, PLAN):
        for event in unpacked([draft]):
            assert draft.partition == PLAN.partition_of(
                event.product_id, event.subject, event.occurred_at
            )


@given(st.lists(json_values, min_size=1, max_size=30))
def test_a_column_of_any_json_values_keeps_them_and_their_types(values: list[Any]) -> None:
    found = column(values)
    assert found == values
    assert list(map(type, found)) == list(map(type, values))


@given(st.lists(st.integers(-(2**66), 2**66) | st.integers(-5, 5), min_size=1, max_size=50))
def test_a_column_of_integers_of_any_size_is_exact(values: list[int]) -> None:
    assert column(values) == values


@given(
    st.integers(-(2**63), 2**62),
    st.integers(1, 10**9),
    st.lists(st.integers(0, 2**30), min_size=1, max_size=40),
)
def test_integers_with_an_offset_and_a_common_unit_are_exact(
    base: int, unit: int, steps: list[int]
) -> None:
    values = [base + unit * step for step in steps]
    assert column(values) == values


@given(st.integers(0, 9), st.lists(st.integers(-(10**15), 10**15), min_size=1, max_size=40))
def test_decimals_with_the_same_places_keep_their_zeros(places: int, units: list[int]) -> None:
    values = [Decimal(unit).scaleb(-places) for unit in units]
    found = column(values)
    assert found == values
    assert list(map(str, found)) == list(map(str, values))


@pytest.mark.parametrize(
    "text", ["1.10", "0.000", "-0.5", "1E+5", "1E-7", "123456789012345678901234567890.1"]
)
def test_a_decimal_is_kept_to_the_last_digit(text: str) -> None:
    assert [str(value) for value in column([Decimal(text)] * 3)] == [text] * 3


def test_true_is_not_one_and_one_is_not_one_point_zero() -> None:
    found = column([True, 1, Decimal("1.0"), "1", None])
    assert list(map(type, found)) == [bool, int, Decimal, str, type(None)]


def test_rows_of_a_group_are_in_order_of_arrival() -> None:
    batch = [usage(number, occurred_at=NOON) for number in (5, 3, 9, 1)]
    (draft,) = pack_events(batch, PLAN)
    (group,) = decode(draft.body).groups
    assert group.column("tokens") == [5, 3, 9, 1]
    assert group.times == [1795521600000000] * 4


def test_groups_differ_in_product_type_or_keys_whatever_their_order() -> None:
    batch = [
        usage(1, {"a": 1, "b": 2}),
        usage(2, {"b": 4, "a": 3}),
        usage(3, {"a": 5, "c": 6}),
        usage(4, {}),
        usage(5, {"a": 7, "b": 8}, type="other"),
    ]
    (draft,) = pack_events(batch, PLAN)
    groups = decode(draft.body).groups
    assert [(group.type, set(group.keys), len(group)) for group in groups] == [
        ("call", {"a", "b"}, 2),
        ("call", {"a", "c"}, 1),
        ("call", set(), 1),
        ("other", {"a", "b"}, 1),
    ]
    assert groups[0].column("a") == [1, 3]


@given(st.lists(ids, min_size=1, max_size=20))
def test_id_keys_are_equal_exactly_when_ids_are_whatever_else_is_in_the_segment(
    batch_ids: list[str],
) -> None:
    batch = [usage(row, id=each) for row, each in enumerate(batch_ids)]
    (draft,) = pack_events(batch, PLAN)
    (group,) = decode(draft.body).groups
    assert group.ids == batch_ids
    assert group.id_keys == list(map(text_key, batch_ids))
    assert len(set(group.id_keys)) == len(set(batch_ids))


def test_text_of_the_length_of_a_key_is_not_taken_for_a_uuid() -> None:
    uuid = "61626364-6566-6768-696a-6b6c6d6e6f70"
    assert text_key(uuid) == b"abcdefghijklmnop"
    assert text_key("abcdefghijklmnop") != text_key(uuid)


def test_a_large_batch_is_split_so_that_every_segment_fits_into_an_item() -> None:
    noise = Random(1)
    batch = [usage(number, {"note": noise.randbytes(30).hex()}) for number in range(10_000)]
    drafts = pack_events(batch, ShardPlan(((at("2026-01-01T00"), 1),)))
    assert len(drafts) > 1
    assert all(len(draft.body) <= MAX_SEGMENT_BYTES + 6 for draft in drafts)
    assert unpacked(drafts) == batch


def test_splitting_keeps_groups_apart() -> None:
    noise = Random(1)
    batch = [
        usage(number, {"note" if number % 3 else "text": noise.randbytes(30).hex()})
        for number in range(10_000)
    ]
    drafts = pack_events(batch, PLAN)
    assert len(drafts) > 1
    assert sorted(unpacked(drafts), key=sort_key) == sorted(batch, key=sort_key)


@given(st.data())
def test_any_damage_is_an_error(data: st.DataObject) -> None:
    (draft,) = pack_events([usage(number) for number in range(50)], PLAN)
    body = bytearray(draft.body)
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place] ^= data.draw(st.integers(1, 255))
    else:
        del body[data.draw(st.integers(0, len(body) - 1)) :]
    with pytest.raises(CorruptSegmentError):
        decode(bytes(body))


@given(st.binary(max_size=200))
def test_bytes_that_are_no_segment_are_an_error(body: bytes) -> None:
    for candidate in (body, b"\xeb\x01" + body):
        with pytest.raises(CorruptSegmentError):
            decode(candidate)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (nested(MAX_DEPTH), "data_too_deep"),
        (Decimal(f"1E+{MAX_EXPONENT + 1}"), "number_out_of_range"),
        (Decimal(f"0E-{MAX_EXPONENT + 1}"), "number_out_of_range"),
        ([{"deep": Decimal(f"1E-{MAX_EXPONENT + 1}")}], "number_out_of_range"),
    ],
)
def test_what_a_reader_could_not_handle_is_never_packed(value: Any, code: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        pack_events([usage(0, {"v": 1}), usage(1, {"v": value})], PLAN)
    assert refusal.value.code == code


def test_limits_are_inclusive() -> None:
    values = [nested(MAX_DEPTH - 1), Decimal(f"9E+{MAX_EXPONENT}"), Decimal(f"0E-{MAX_EXPONENT}")]
    assert column(values) == values
    widest = usage(0, {str(key): key for key in range(MAX_KEYS)})
    assert unpacked(pack_events([widest], PLAN)) == [widest]
    with pytest.raises(InvalidInputError):
        pack_events([usage(0, {str(key): key for key in range(MAX_KEYS + 1)})], PLAN)


def test_no_events_make_no_segments() -> None:
    assert pack_events([], PLAN) == []
