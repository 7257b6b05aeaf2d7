"""Judging events: every rule by name, and two ways of judging that never disagree."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import NOON
from meterbridge.domain.cloud_events import judge
from meterbridge.domain.errors import InvalidInputError
from meterbridge.domain.event_rules import (
    MAX_DATA_BYTES,
    MAX_EVENTS,
    MAX_NAME,
    JudgedBatch,
    judge_one_by_one,
)
from meterbridge.domain.events import EPOCH
from meterbridge.domain.usage_log import MAX_KEYS, ShardPlan, pack

ONE = frozenset({"prd_a"})
TWO = frozenset({"prd_a", "prd_b"})


def sent(**changes: Any) -> dict[str, Any]:
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": "evt-1",
        "source": "//gateway",
        "type": "call",
        "subject": "acme",
        "time": "2026-11-24T11:59:00.000001Z",
        "data": {"tokens": 17},
    }
    event.update(changes)
    return {name: value for name, value in event.items() if value is not ...}


def judged(*events: Any, products: frozenset[str] | None = ONE) -> JudgedBatch:
    body = json.dumps(list(events)).encode()
    strict = judge_one_by_one(body, products, NOON)
    quick = judge(body, products, NOON)
    try:
        pack(quick.events, ShardPlan())
    except InvalidInputError:
        assert strict.rejected
    else:
        assert quick == strict
    return strict


def moment(batch: JudgedBatch) -> datetime:
    (time,) = batch.events.times
    return EPOCH + timedelta(microseconds=time)


def test_an_event_is_taken_as_it_was_sent() -> None:
    batch = judged(sent(traceparent="00-ab", datacontenttype="application/json"))
    assert not batch.rejected
    assert batch.events.product_ids == ["prd_a"]
    assert batch.events.sources == ["//gateway"]
    assert batch.events.ids == ["evt-1"]
    assert batch.events.types == ["call"]
    assert batch.events.subjects == ["acme"]
    assert batch.events.values == [{"tokens": 17}]
    assert moment(batch) == datetime(2026, 11, 24, 11, 59, 0, 1, tzinfo=UTC)


def test_a_single_event_needs_no_array() -> None:
    body = b"\n" + json.dumps(sent()).encode()
    assert judge(body, ONE, NOON) == judge_one_by_one(body, ONE, NOON) == judged(sent())


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        *[
            ({name: absent}, "missing_attribute")
            for name in ("id", "source", "specversion", "type", "subject", "time", "data")
            for absent in (..., None)
            if (name, absent) != ("data", None)
        ],
        *[
            ({name: value}, "invalid_attribute")
            for name in ("id", "source", "type", "subject")
            for value in ("", "x" * (MAX_NAME + 1), "a\nb", "a\x00b", "a\x7fb", "a\x85b", 7, [1])
        ],
        ({"specversion": "0.3"}, "unsupported_specversion"),
        ({"specversion": 1.0}, "unsupported_specversion"),
        ({"time": 1795521600}, "invalid_time"),
        ({"time": "yesterday"}, "invalid_time"),
        ({"time": "2026-11-24T12:00:00"}, "invalid_time"),
        ({"time": "2026-11-24T12:00Z"}, "invalid_time"),
        ({"time": "2026-11-24"}, "invalid_time"),
        ({"time": "2026-02-30T12:00:00Z"}, "invalid_time"),
        ({"time": "2026-11-24T12:00:60Z"}, "invalid_time"),
        ({"time": "2026-10-20T11:59:59.999999Z"}, "too_old"),
        ({"time": "0001-01-01T00:00:00+14:00"}, "too_old"),
        ({"time": "9999-12-31T23:59:59-14:00"}, "too_far_ahead"),
        ({"time": "2026-11-24T12:15:00.000001Z"}, "too_far_ahead"),
        ({"data": None}, "invalid_data"),
        ({"data": [1]}, "invalid_data"),
        ({"data": "1"}, "invalid_data"),
        ({"data": {"note": "x" * MAX_DATA_BYTES}}, "event_too_large"),
        ({"data": {str(key): key for key in range(MAX_KEYS + 1)}}, "event_too_large"),
        ({"productid": "prd_b"}, "product_not_allowed"),
        ({"productid": "Not An Id"}, "invalid_attribute"),
        ({"productid": 5}, "invalid_attribute"),
        ({"productid": "prd_a\n"}, "invalid_attribute"),
    ],
)
def test_a_fault_is_refused_by_name_and_the_others_are_kept(
    changes: dict[str, Any], code: str
) -> None:
    batch = judged(sent(id="first"), sent(**changes), sent(id="last"))
    assert [(each.index, each.code) for each in batch.rejected] == [(1, code)]
    assert batch.events.ids == ["first", "last"]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("1e101", "number_out_of_range"),
        ("1e-101", "number_out_of_range"),
        ("1e99999999999999999999", "number_out_of_range"),
        ("9" * 5000, "number_out_of_range"),
        ('{"a":[1e400]}', "number_out_of_range"),
        ("[" * 40 + "]" * 40, "data_too_deep"),
        ("[" * 900 + "]" * 900, "data_too_deep"),
    ],
)
def test_data_that_cannot_be_read_back_are_refused(number: str, code: str) -> None:
    body = json.dumps([sent(), sent(data={"v": "?"})]).replace('"?"', number).encode()
    quick = judge(body, ONE, NOON)
    strict = judge_one_by_one(body, ONE, NOON)
    assert [(each.index, each.code) for each in strict.rejected] == [(1, code)]
    if not quick.rejected:
        with pytest.raises(InvalidInputError):
            pack(quick.events, ShardPlan())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.10", Decimal("1.10")),
        ("0.1", Decimal("0.1")),
        ("-0", 0),
        ("1E5", Decimal("1E+5")),
        ("12345678901234567.89", Decimal("12345678901234567.89")),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ('"\\ud83d\\ude00"', "😀"),
    ],
)
def test_numbers_are_exact_and_never_float(text: str, value: Any) -> None:
    body = json.dumps([sent(data={"v": "?"})]).replace('"?"', text).encode()
    for batch in (judge(body, ONE, NOON), judge_one_by_one(body, ONE, NOON)):
        (data,) = batch.events.values
        assert data == {"v": value}
        assert str(data["v"]) == str(value)
        assert type(data["v"]) is type(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-24T12:00:00Z", NOON),
        ("2026-11-24t12:00:00z", NOON),
        ("2026-11-24T17:30:00+05:30", NOON),
        ("2026-11-24T12:00:00-00:00", NOON),
        ("2026-10-20T12:00:00Z", NOON - timedelta(days=35)),
        ("2026-11-24T12:15:00Z", NOON + timedelta(minutes=15)),
        ("2026-11-24T11:59:59.9999994Z", NOON - timedelta(microseconds=1)),
        ("2026-11-24T11:59:59.9999999Z", NOON - timedelta(microseconds=1)),
        ("2026-11-24T11:59:59.999999999999Z", NOON - timedelta(microseconds=1)),
        ("2026-11-24T11:59:59.5Z", NOON - timedelta(milliseconds=500)),
    ],
)
def test_times_are_read_to_the_microsecond_and_never_move_into_the_next_hour(
    text: str, expected: datetime
) -> None:
    assert moment(judged(sent(time=text))) == expected


def test_an_event_of_a_full_second_is_not_doubted_for_another_of_many_nines() -> None:
    batch = judged(sent(time="2026-11-24T12:00:00Z"), sent(time="2026-11-24T11:59:59.9999999Z"))
    assert [time % 1_000_000 for time in batch.events.times] == [0, 999_999]


def test_a_key_for_all_products_needs_the_product_named() -> None:
    batch = judged(sent(), sent(productid="prd_x"), sent(productid=None), products=None)
    assert [each.code for each in batch.rejected] == ["product_required"] * 2
    assert batch.events.product_ids == ["prd_x"]


def test_a_key_for_two_products_needs_one_of_them_named() -> None:
    batch = judged(sent(), sent(productid="prd_b"), sent(productid="prd_c"), products=TWO)
    assert [each.code for each in batch.rejected] == ["product_required", "product_not_allowed"]
    assert batch.events.product_ids == ["prd_b"]


def test_a_key_for_no_product_takes_nothing() -> None:
    batch = judged(sent(), sent(productid="prd_a"), products=frozenset())
    assert [each.code for each in batch.rejected] == ["product_required", "product_not_allowed"]


def test_of_a_repeated_json_key_the_last_one_counts() -> None:
    body = json.dumps(sent(data={"a": 1})).replace('"a": 1', '"a": 1, "a": 2').encode()
    body = body.replace(b'"id": "evt-1"', b'"id": "evt-1", "id": "evt-2"')
    for batch in (judge(body, ONE, NOON), judge_one_by_one(body, ONE, NOON)):
        assert batch.events.values == [{"a": 2}]
        assert batch.events.ids == ["evt-2"]


@pytest.mark.parametrize("junk", [1, "text", None, [], [[]], True, 1.5])
def test_what_is_no_event_is_refused_alone(junk: Any) -> None:
    batch = judged(sent(), junk)
    assert [(each.index, each.id, each.code) for each in batch.rejected] == [
        (1, "", "not_an_event")
    ]
    assert batch.events.ids == ["evt-1"]


def test_a_rejection_names_the_event_by_its_id_where_it_can_be_read() -> None:
    batch = judged(sent(id="evt-9", time="never"), sent(id=9), sent(id="x" * 1000))
    assert [each.id for each in batch.rejected] == ["evt-9", "", "x" * MAX_NAME]


@pytest.mark.parametrize(
    ("body", "code", "detail"),
    [
        (b"", "malformed_json", "truncated"),
        (b"[", "malformed_json", "truncated"),
        (b'[{"id": nope}]', "malformed_json", "(byte 9)"),
        (b'{"id": "a"} {"id": "b"}', "malformed_json", "(byte 13)"),
        (b'{"id": "a"}, {"id": "b"}', "malformed_json", "(byte 12)"),
        (b'{"id": "\xff"}', "malformed_json", "(byte 8)"),
        (b'[{"id": "\\ud800 and on"}]', "malformed_json", "escape"),
        (b"[NaN]", "malformed_json", "(byte 1)"),
        (b"\xef\xbb\xbf[]", "malformed_json", "(byte 0)"),
        (b"[" * 100_000, "malformed_json", "nested"),
        (b"7", "not_an_event", "array"),
        (b"null", "not_an_event", "array"),
        (b'"text"', "not_an_event", "array"),
        (b"[" + b"1," * MAX_EVENTS + b"1]", "too_many_events", "10001"),
    ],
)
def test_a_body_that_is_no_batch_is_refused_as_a_whole(body: bytes, code: str, detail: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        judge(body, ONE, NOON)
    assert refusal.value.code == code
    assert detail in refusal.value.detail


def test_an_empty_batch_has_neither_events_nor_rejections() -> None:
    batch = judged()
    assert batch.events.ids == []
    assert batch.rejected == ()


attributes = st.fixed_dictionaries(
    {},
    optional={
        "specversion": st.just("1.0") | st.none() | st.text(max_size=3),
        "id": st.text(max_size=5) | st.integers() | st.none(),
        "source": st.sampled_from(["//a", "", "ü", "a\nb", "\x7f", "\x85"]),
        "type": st.sampled_from(["call", "", "x" * 300]),
        "subject": st.text(min_size=1, max_size=5),
        "time": st.sampled_from(
            ["2026-11-24T11:00:00Z", "2026-11-24T11:59:59.9999999Z", "2020-01-01T00:00:00Z", "?"]
        )
        | st.datetimes(datetime(2026, 10, 1), datetime(2026, 12, 1)).map(  # noqa: DTZ001
            lambda time: time.isoformat() + "Z"
        ),
        "data": st.dictionaries(
            st.text(max_size=3),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e9) | st.text(),
                lambda inner: st.lists(inner, max_size=2),
            ),
            max_size=3,
        )
        | st.lists(st.integers(), max_size=2),
        "productid": st.sampled_from(["prd_a", "prd_b", "", None]),
    },
)
mostly_right = st.builds(lambda changes: sent(**changes), attributes)


@settings(max_examples=400)
@given(
    st.lists(attributes | mostly_right | st.just(sent()), max_size=4),
    st.sampled_from([ONE, TWO, None]),
    st.booleans(),
)
def test_judging_at_a_glance_and_one_by_one_agree(
    batch: list[Any], products: frozenset[str] | None, ascii_only: bool
) -> None:
    body = json.dumps(batch).encode() if ascii_only else msgspec.json.encode(batch)
    strict = judge_one_by_one(body, products, NOON)
    quick = judge(body, products, NOON)
    pack(strict.events, ShardPlan())
    try:
        pack(quick.events, ShardPlan())
    except InvalidInputError:
        # What a glance does not see, packing finds; then ingest judges one by one.
        quick = strict
    assert quick == strict
    assert len(strict.events.ids) + len(strict.rejected) == len(batch)
