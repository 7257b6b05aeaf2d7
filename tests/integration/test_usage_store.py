"""One contract, two usage stores: the fake that use cases are tested with, and DynamoDB."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

import pytest

from builders import NOON, at
from dynamodb import mocked_table
from fakes.usage_store import FakeUsageStore
from meterbridge.adapters.dynamodb.usage_store import MAX_PARTS, PART_BYTES, UsageStore
from meterbridge.application import ports
from meterbridge.domain.errors import InvariantError, StaleVersionError, StoreUnavailableError
from meterbridge.domain.meter_states import AverageState, CountState, SumState, UniqueState
from meterbridge.domain.usage import FoldHead, FoldPosition, HourlyUsage
from meterbridge.domain.usage_log import Partition

TEN = at("2026-11-24T10")


@pytest.fixture(params=["fake", "dynamodb"])
def store(request: pytest.FixtureRequest) -> Iterator[ports.UsageStore]:
    if request.param == "fake":
        yield FakeUsageStore()
        return
    with mocked_table("Usage") as name:
        yield UsageStore(name)


def usage(
    hour: datetime = TEN,
    segments: int = 1,
    catalog: int = 1,
    subject: str = "acme",
    total: str = "1",
) -> HourlyUsage:
    return HourlyUsage(
        product_id="prd_llm",
        subject=subject,
        hour=hour,
        meters={
            "mtr_tokens": {
                ("eu", ""): SumState(Decimal(total)),
                ("eu", 'größer, "als"'): AverageState(Decimal("0.1"), 3),
            },
            "mtr_requests": {(): CountState(12)},
        },
        position=FoldPosition(segments, catalog),
        fresh_through=NOON,
        folded_at=NOON + timedelta(microseconds=7),
    )


def fold_head(
    hour: datetime = TEN, shard: int = 0, segments: int = 1, catalog: int = 1
) -> FoldHead:
    return FoldHead(
        partition=Partition(hour, shard),
        position=FoldPosition(segments, catalog),
        last_segment="0190",
        started_at=NOON,
        fresh_through=NOON - timedelta(milliseconds=1),
        events=9,
        duplicates=2,
        conflicts=1,
        unmatched={"no_meter": 4},
    )


def unique_usage(values: int, seed: int = 1) -> HourlyUsage:
    digests = Random(seed).randbytes(16 * values)
    return replace(usage(), meters={"mtr_users": {(): UniqueState(digests)}})


def hourly(store: ports.UsageStore, start: str, end: str) -> list[HourlyUsage]:
    return store.hourly("prd_llm", "acme", at(start), at(end))


def test_nothing_is_known_of_a_partition_never_folded(store: ports.UsageStore) -> None:
    assert store.head(Partition(TEN, 0)) is None
    assert hourly(store, "2026-11-24T00", "2026-11-25T00") == []


def test_a_fold_comes_back_to_the_last_digit(store: ports.UsageStore) -> None:
    row = usage(total="12345678901234567890123456789.000000000000000001")
    store.advance(fold_head(), [row])
    assert store.head(Partition(TEN, 0)) == fold_head()
    assert hourly(store, "2026-11-24T10", "2026-11-24T11") == [row]


def test_a_row_without_meters_is_kept(store: ports.UsageStore) -> None:
    row = replace(usage(), meters={})
    store.advance(fold_head(), [row])
    assert hourly(store, "2026-11-24T10", "2026-11-24T11") == [row]


def test_hours_come_ascending_and_half_open(store: ports.UsageStore) -> None:
    rows = [usage(hour=at(f"2026-11-24T{hour:02d}")) for hour in (9, 10, 11)]
    for row in reversed(rows):
        store.advance(fold_head(row.hour), [row, replace(row, subject="other")])
    assert hourly(store, "2026-11-24T00", "2026-11-25T00") == rows
    assert hourly(store, "2026-11-24T09", "2026-11-24T11") == rows[:2]
    assert hourly(store, "2026-11-24T10", "2026-11-24T10") == []


@pytest.mark.parametrize(("segments", "catalog"), [(2, 1), (1, 2), (3, 3), (1, 1)])
def test_a_fold_that_knew_as_much_replaces(
    store: ports.UsageStore, segments: int, catalog: int
) -> None:
    store.advance(fold_head(), [usage()])
    store.advance(
        fold_head(segments=segments, catalog=catalog), [usage(TEN, segments, catalog, total="2")]
    )
    assert store.head(Partition(TEN, 0)) == fold_head(segments=segments, catalog=catalog)
    assert hourly(store, "2026-11-24T10", "2026-11-24T11") == [
        usage(TEN, segments, catalog, total="2")
    ]


@pytest.mark.parametrize(("segments", "catalog"), [(1, 2), (2, 1), (1, 1), (1, 9), (9, 1)])
def test_a_fold_that_knew_less_of_anything_is_refused(
    store: ports.UsageStore, segments: int, catalog: int
) -> None:
    store.advance(fold_head(segments=2, catalog=2), [usage(TEN, 2, 2)])
    behind = fold_head(segments=segments, catalog=catalog)
    with pytest.raises(StaleVersionError):
        store.advance(behind, [usage(TEN, segments, catalog, total="2")])
    with pytest.raises(StaleVersionError):
        store.advance(behind, [])
    assert store.head(Partition(TEN, 0)) == fold_head(segments=2, catalog=2)
    assert hourly(store, "2026-11-24T10", "2026-11-24T11") == [usage(TEN, 2, 2)]


def test_a_refused_row_leaves_the_head_where_it_was(store: ports.UsageStore) -> None:
    store.advance(fold_head(segments=1), [usage(TEN, 5, 5)])
    with pytest.raises(StaleVersionError):
        store.advance(fold_head(segments=4), [usage(TEN, 4, 5)])
    assert store.head(Partition(TEN, 0)) == fold_head(segments=1)


def test_a_fold_of_many_customers_is_stored_whole(store: ports.UsageStore) -> None:
    rows = [usage(subject=f"customer-{number}") for number in range(150)]
    store.advance(fold_head(), iter(rows))
    end = at("2026-11-24T11")
    assert [store.hourly("prd_llm", row.subject, TEN, end) for row in rows] == [
        [row] for row in rows
    ]


def test_heads_of_a_time_span_come_in_order(store: ports.UsageStore) -> None:
    heads = [
        fold_head(at(hour), shard)
        for hour in ("2026-11-23T22", "2026-11-23T23", "2026-11-24T00", "2026-11-25T00")
        for shard in (0, 1, 12)
    ]
    for head in reversed(heads):
        store.advance(head, [])
    assert list(store.heads(at("2026-11-23T23"), at("2026-11-25T00"))) == heads[3:9]
    assert list(store.heads(at("2026-11-23T22"), at("2026-11-25T01"))) == heads


def test_a_cursor_moves_only_from_where_it_was_seen(store: ports.UsageStore) -> None:
    assert store.cursor("sweep") == ""
    store.set_cursor("sweep", "a", expected="")
    with pytest.raises(StaleVersionError):
        store.set_cursor("sweep", "b", expected="")
    store.set_cursor("sweep", "b", expected="a")
    assert store.cursor("sweep") == "b"
    assert store.cursor("other") == ""


def test_a_cursor_can_be_set_back_to_the_start(store: ports.UsageStore) -> None:
    store.set_cursor("sweep", "a", expected="")
    store.set_cursor("sweep", "", expected="a")
    store.set_cursor("sweep", "c", expected="")
    assert store.cursor("sweep") == "c"


def test_a_row_too_large_for_an_item_comes_back_whole(store: ports.UsageStore) -> None:
    large, small = unique_usage(values=60_000), usage(at("2026-11-24T11"))
    store.advance(fold_head(), [large])
    store.advance(fold_head(at("2026-11-24T11")), [small])
    assert hourly(store, "2026-11-24T10", "2026-11-24T12") == [large, small]
    assert hourly(store, "2026-11-24T09", "2026-11-24T11") == [large]
    assert hourly(store, "2026-11-24T11", "2026-11-24T12") == [small]


def test_a_large_row_can_shrink_and_grow_again(store: ports.UsageStore) -> None:
    sizes = (60_000, 10, 40_000)
    for number, values in enumerate(sizes, start=1):
        row = replace(unique_usage(values, number), position=FoldPosition(number, 1))
        store.advance(fold_head(segments=number), [row])
        assert hourly(store, "2026-11-24T10", "2026-11-24T11") == [row]


def test_a_row_that_no_transaction_takes_is_a_defect() -> None:
    with mocked_table("Usage") as name:
        store = UsageStore(name)
        with pytest.raises(InvariantError, match="too many"):
            store.advance(fold_head(), [unique_usage(MAX_PARTS * PART_BYTES // 12)])
        assert store.head(Partition(TEN, 0)) is None


def test_parts_of_two_writes_are_never_joined() -> None:
    with mocked_table("Usage") as name:
        store = UsageStore(name)
        store.advance(fold_head(), [unique_usage(40_000)])
        store._items("usage#prd_llm#acme", "2026-11-24T10#01").delete()
        with pytest.raises(StoreUnavailableError, match="changed while"):
            hourly(store, "2026-11-24T10", "2026-11-24T11")


def test_a_missing_table_is_an_unavailable_store() -> None:
    with mocked_table("Other"):
        store = UsageStore("Usage")
        with pytest.raises(StoreUnavailableError, match="ResourceNotFoundException"):
            store.head(Partition(TEN, 0))
        with pytest.raises(StoreUnavailableError):
            store.advance(fold_head(), [usage()])
        with pytest.raises(StoreUnavailableError):
            hourly(store, "2026-11-24T10", "2026-11-24T11")
        with pytest.raises(StoreUnavailableError):
            store.cursor("sweep")
