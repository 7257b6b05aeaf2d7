"""One contract, two usage logs: the fake that use cases are tested with, and DynamoDB."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest
from pynamodb.connection import Connection
from pynamodb.exceptions import PutError

from builders import NOON, at
from dynamodb import mocked_table
from fakes.usage_log import FakeUsageLog
from meterbridge.adapters.dynamodb.usage_log_store import UsageLogStore
from meterbridge.application import ports
from meterbridge.domain.errors import StoreUnavailableError
from meterbridge.domain.partitions import LOG_KEPT_FOR, Partition, segment_floor
from meterbridge.domain.usage_log import MAX_SEGMENT_BYTES, SegmentDraft

TEN = Partition(at("2026-11-24T10"), 0)
ELEVEN = Partition(at("2026-11-24T11"), 3)


@pytest.fixture(params=["fake", "dynamodb"])
def log(request: pytest.FixtureRequest) -> Iterator[ports.UsageLog]:
    if request.param == "fake":
        yield FakeUsageLog()
        return
    with mocked_table("UsageLog") as name:
        yield UsageLogStore(name)


@pytest.fixture
def table() -> Iterator[str]:
    with mocked_table("UsageLog") as name:
        yield name


def draft(body: bytes = b"body", partition: Partition = TEN) -> SegmentDraft:
    return SegmentDraft(partition, body, events=3)


def bodies(log: ports.UsageLog, partition: Partition = TEN, after: str = "") -> list[bytes]:
    return [segment.body for segment in log.read(partition, after)]


def everything(log: ports.UsageLog) -> list[tuple[datetime, Partition]]:
    return list(log.arrivals(at("2026-11-23T00"), at("2026-11-26T00")))


def test_a_segment_is_read_as_it_was_appended(log: ports.UsageLog) -> None:
    received_at = NOON + timedelta(microseconds=123_456)
    log.append([draft(bytes(range(256)))], received_at)
    (segment,) = log.read(TEN)
    assert segment.partition == TEN
    assert segment.body == bytes(range(256))
    assert segment.received_at == received_at


def test_segments_of_a_partition_are_read_in_order_of_their_keys(log: ports.UsageLog) -> None:
    for second in (3, 1, 2):
        log.append([draft(b"%d" % second)], NOON + timedelta(seconds=second))
    segments = list(log.read(TEN))
    assert [segment.body for segment in segments] == [b"1", b"2", b"3"]
    assert [segment.sk for segment in segments] == sorted(segment.sk for segment in segments)


def test_reading_goes_on_after_a_key(log: ports.UsageLog) -> None:
    for second in range(3):
        log.append([draft(b"%d" % second)], NOON + timedelta(seconds=second))
    first, second, third = log.read(TEN)
    assert bodies(log, after=first.sk) == [b"1", b"2"]
    assert bodies(log, after=segment_floor(NOON + timedelta(seconds=1))) == [b"1", b"2"]
    assert bodies(log, after=third.sk) == []
    assert second.sk != third.sk


def test_partitions_are_kept_apart(log: ports.UsageLog) -> None:
    log.append([draft(b"ten"), draft(b"eleven", ELEVEN)], NOON)
    assert bodies(log, TEN) == [b"ten"]
    assert bodies(log, ELEVEN) == [b"eleven"]
    assert bodies(log, Partition(at("2026-11-24T12"), 0)) == []


def test_repeating_a_call_appends_again(log: ports.UsageLog) -> None:
    for _ in range(2):
        log.append([draft(), draft()], NOON)
    assert bodies(log) == [b"body"] * 4


def test_more_segments_than_one_call_takes_are_all_stored(log: ports.UsageLog) -> None:
    drafts = [draft(b"%03d" % number) for number in range(60)]
    drafts += [draft(partition=Partition(at("2026-11-24T10"), shard)) for shard in range(1, 41)]
    log.append(drafts, NOON)
    assert sorted(bodies(log)) == [b"%03d" % number for number in range(60)]
    assert len(everything(log)) == 41


def test_segments_that_fill_several_pages_are_all_read(log: ports.UsageLog) -> None:
    large = [draft(bytes([number]) * MAX_SEGMENT_BYTES) for number in range(9)]
    log.append(large, NOON)
    assert sorted(body[0] for body in bodies(log)) == list(range(9))


def test_arrivals_name_each_partition_once_a_bucket(log: ports.UsageLog) -> None:
    log.append([draft(), draft(), draft(partition=ELEVEN)], at("2026-11-24T10:06"))
    log.append([draft()], at("2026-11-24T10:09"))
    log.append([draft()], at("2026-11-24T10:10"))
    assert everything(log) == [
        (at("2026-11-24T10:05"), TEN),
        (at("2026-11-24T10:05"), ELEVEN),
        (at("2026-11-24T10:10"), TEN),
    ]


def test_arrivals_are_read_by_the_start_of_their_bucket(log: ports.UsageLog) -> None:
    for minute in (0, 5, 10):
        log.append([draft()], at(f"2026-11-24T10:{minute:02d}"))

    def buckets(start: str, end: str) -> list[str]:
        found = log.arrivals(at(f"2026-11-24T{start}"), at(f"2026-11-24T{end}"))
        return [f"{bucket:%H:%M}" for bucket, _ in found]

    assert buckets("10:00", "10:10") == ["10:00", "10:05"]
    assert buckets("10:01", "10:11") == ["10:05", "10:10"]
    assert buckets("10:00", "10:00") == []


def test_arrivals_of_several_days_are_in_order(log: ports.UsageLog) -> None:
    moments = ["2026-11-24T23:55", "2026-11-23T12:00", "2026-11-25T00:00"]
    for moment in moments:
        log.append([draft()], at(moment))
    assert [bucket for bucket, _ in everything(log)] == sorted(map(at, moments))


def test_appending_nothing_writes_nothing(log: ports.UsageLog) -> None:
    log.append([], NOON)
    assert everything(log) == []


@contextmanager
def failing_after(calls: int) -> Iterator[None]:
    """Let so many batch writes through, then fail as DynamoDB does when it is overloaded."""
    left = calls
    write = Connection.batch_write_item

    def batch_write_item(connection: Connection, *args: Any, **kwargs: Any) -> Any:
        nonlocal left
        if left == 0:
            raise PutError("ProvisionedThroughputExceededException")
        left -= 1
        return write(connection, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "batch_write_item", batch_write_item)
        yield


def test_a_failure_before_the_segments_leaves_the_arrival_noted(table: str) -> None:
    store = UsageLogStore(table)
    with failing_after(calls=1), pytest.raises(StoreUnavailableError):
        store.append([draft()], NOON)
    assert bodies(store) == []
    assert everything(store) == [(NOON, TEN)]
    store.append([draft()], NOON)
    assert bodies(store) == [b"body"]


def test_a_failure_before_the_arrival_stores_no_segment_and_is_noted_the_next_time(
    table: str,
) -> None:
    store = UsageLogStore(table)
    with failing_after(calls=0), pytest.raises(StoreUnavailableError):
        store.append([draft()], NOON)
    assert (bodies(store), everything(store)) == ([], [])
    store.append([draft()], NOON)
    assert (bodies(store), everything(store)) == ([b"body"], [(NOON, TEN)])


def test_a_failure_between_segments_is_an_error_and_the_rest_comes_with_the_repeat(
    table: str,
) -> None:
    store = UsageLogStore(table)
    drafts = [draft(b"%02d" % number) for number in range(40)]
    with failing_after(calls=2), pytest.raises(StoreUnavailableError):
        store.append(drafts, NOON)
    assert 0 < len(bodies(store)) < 40
    store.append(drafts, NOON)
    assert set(bodies(store)) == {b"%02d" % number for number in range(40)}


def test_a_table_that_cannot_be_reached_is_an_error_of_the_store(table: str) -> None:
    store = UsageLogStore("NoSuchTable")
    with pytest.raises(StoreUnavailableError):
        store.append([draft()], NOON)
    with pytest.raises(StoreUnavailableError):
        list(store.read(TEN))
    with pytest.raises(StoreUnavailableError):
        everything(store)


def test_items_expire_after_every_event_of_theirs_was_settled(table: str) -> None:
    UsageLogStore(table).append([draft()], NOON)
    items = boto3.client("dynamodb", region_name="us-east-1").scan(TableName=table)["Items"]
    expected = str(int((NOON + LOG_KEPT_FOR).timestamp()))
    assert [item["expires_at"] for item in items] == [{"N": expected}] * 2


def test_a_warm_process_notes_a_partition_once_a_bucket(table: str) -> None:
    store = UsageLogStore(table)
    store.append([draft()], NOON)
    with failing_after(calls=1):
        store.append([draft()], NOON + timedelta(minutes=4))
    with failing_after(calls=1), pytest.raises(StoreUnavailableError):
        store.append([draft()], NOON + timedelta(minutes=5))
