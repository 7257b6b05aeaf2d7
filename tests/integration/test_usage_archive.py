"""The archive in S3: what a query engine reads is what was sent, to the last digit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from os import environ
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from builders import at
from meterbridge.adapters.archive.parquet import ParquetWriter
from meterbridge.adapters.archive.s3_archive import S3UsageArchive
from meterbridge.domain.archive_rows import event_rows
from meterbridge.domain.archive_slices import ArchiveSlice
from meterbridge.domain.errors import CorruptSegmentError, StoreUnavailableError
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.meters import Aggregation
from meterbridge.domain.usage import FoldPosition
from meterbridge.domain.usage_log import StoredSegment
from usage_events import HOUR, PARTITION, folded, meter, segments, usage_event

BUCKET = "archive"
FIRST = ArchiveSlice.of(PARTITION, HOUR)
ON_DISK = {"AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture
def archive() -> Iterator[S3UsageArchive]:
    with patch.dict(environ, ON_DISK), mock_aws():
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        yield S3UsageArchive(BUCKET)


def keys() -> list[str]:
    found = boto3.client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return [each["Key"] for each in found]


def read(folder: Path, columns: str, kind: str = "events") -> list[tuple[Any, ...]]:
    """Download what is archived and query it as its users do."""
    for key in keys():
        file = folder / key
        file.parent.mkdir(parents=True, exist_ok=True)
        boto3.client("s3").download_file(BUCKET, key, str(file))
    with duckdb.connect() as database:
        return database.execute(
            f"SELECT {columns} FROM read_parquet('{folder}/{kind}/*/*/*.parquet', "
            "hive_partitioning = true) ORDER BY ALL"
        ).fetchall()


def test_an_event_is_read_as_it_was_sent(archive: S3UsageArchive, tmp_path: Path) -> None:
    exact = Decimal("0.1234567890123456789012345678901234567890")
    event = usage_event(
        id='a"b\\ü',
        minute=59,
        tokens=10**40,
        usage={"cost": exact, "deep": {"n": Decimal("-1.50")}},
        note="x\x00\n",
        flag=True,
        list=[1, None],
    )
    assert archive.store_events(FIRST, segments([[event]])) == 1
    assert keys() == ["events/day=2026-11-24/hour=10/000-2026-11-24T12.parquet"]
    ((day, hour, id_, occurred, received, data, numbers, standing),) = read(
        tmp_path, "day, hour, id, occurred_at, received_at, data, numbers, standing"
    )
    assert (str(day), int(hour), id_, standing) == ("2026-11-24", 10, event.id, "first")
    assert (occurred, received) == (
        event.occurred_at.replace(tzinfo=None),
        HOUR.replace(tzinfo=None),
    )
    assert json.loads(data, parse_float=Decimal) == dict(event.values)
    assert numbers == {
        "tokens": f"1{'0' * 40}",
        "usage.cost": "0.123456789012345678901234567890123456789",
        "usage.deep.n": "-1.5",
    }


def test_repeats_are_told_from_conflicts_and_counted_ones(
    archive: S3UsageArchive, tmp_path: Path
) -> None:
    batches = [
        [usage_event(id="1", v=1, w=2), usage_event(id="2", v=1)],
        [usage_event(id="1", w=Decimal("2.0"), v=1), usage_event(id="2", v=2)],
        [usage_event(id="1", v=1, w=2, minute=1), usage_event(id="1", subject="other", v=9)],
    ]
    assert archive.store_events(FIRST, segments(batches)) == 6
    assert read(tmp_path, "segment, subject, id, standing") == [
        ("000000", "acme", "1", "first"),
        ("000000", "acme", "2", "first"),
        ("000001", "acme", "1", "duplicate"),
        ("000001", "acme", "2", "conflict"),
        ("000002", "acme", "1", "conflict"),
        ("000002", "other", "1", "first"),
    ]


def test_a_late_slice_holds_what_came_late_and_knows_what_came_before(
    archive: S3UsageArchive, tmp_path: Path
) -> None:
    early = segments([[usage_event(id="1", v=1)]])
    late_at = HOUR + timedelta(days=3)
    (late,) = segments([[usage_event(id="1", v=1), usage_event(id="2", v=1)]], late_at)
    late = StoredSegment(PARTITION, "9", late.received_at, late.body)
    archive.store_events(FIRST, early)
    second = ArchiveSlice.of(PARTITION, late_at)
    assert archive.store_events(second, [*early, late]) == 2
    assert archive.slices(HOUR) == {FIRST, second}
    assert archive.slices(HOUR + timedelta(hours=1)) == frozenset()
    assert read(tmp_path, "segment, id, standing") == [
        ("000000", "1", "first"),
        ("9", "1", "duplicate"),
        ("9", "2", "first"),
    ]


def test_a_slice_that_is_stored_stays_as_it_is(archive: S3UsageArchive, tmp_path: Path) -> None:
    archive.store_events(FIRST, segments([[usage_event(id="1")], [usage_event(id="2")]]))
    archive.store_events(FIRST, segments([[usage_event(id="2")]]))
    assert read(tmp_path, "id") == [("1",), ("2",)]


def test_a_slice_that_is_empty_or_unreadable_is_not_stored(archive: S3UsageArchive) -> None:
    assert archive.store_events(FIRST, []) == 0
    (fine, broken) = segments([[usage_event(id="1")], [usage_event(id="2")]])
    broken = StoredSegment(PARTITION, broken.sk, HOUR, broken.body[:-1])
    with pytest.raises(CorruptSegmentError):
        archive.store_events(FIRST, [fine, broken])
    assert keys() == []


def test_quantities_are_exact_and_a_gauge_shows_its_state(
    archive: S3UsageArchive, tmp_path: Path
) -> None:
    stored = segments([[usage_event(id=str(n), v=Decimal("0.1"), minute=n) for n in range(3)]])
    result = folded(
        stored, meter(), meter(Aggregation.TIME_WEIGHTED, id="mtr_gauge"), meter(id="mtr_2")
    )
    archive.store_usage(PARTITION, result.head.position, result.rows)
    assert keys() == ["usage/day=2026-11-24/hour=10/000.parquet"]
    rows = read(
        tmp_path, "meter_id, subject, aggregation, quantity, group_values, segments", "usage"
    )
    assert rows == [
        ("mtr", "acme", "sum", "0.3", [], 1),
        ("mtr_2", "acme", "sum", "0.3", [], 1),
        ("mtr_gauge", "acme", "time_weighted", None, [], 1),
    ]
    ((state,),) = [
        row[1:] for row in read(tmp_path, "meter_id, state", "usage") if row[0] == "mtr_gauge"
    ]
    assert json.loads(state)["last_value"] == "0.1"


@pytest.mark.parametrize("newest_first", [False, True])
def test_quantities_are_never_replaced_by_ones_that_knew_less(
    archive: S3UsageArchive, tmp_path: Path, newest_first: bool
) -> None:
    stored = segments([[usage_event(id="1", v=1)], [usage_event(id="2", v=1)]])
    results = [folded(stored[:1], meter()), folded(stored, meter())]
    for result in reversed(results) if newest_first else results:
        archive.store_usage(PARTITION, result.head.position, result.rows)
    assert read(tmp_path, "quantity, segments", "usage") == [("2", 2)]


def test_a_writer_that_looked_before_another_wrote_looks_again(
    archive: S3UsageArchive, tmp_path: Path
) -> None:
    stored = segments([[usage_event(id="1", v=1)], [usage_event(id="2", v=1)]])
    old, new = folded(stored[:1], meter()), folded(stored, meter())
    client = boto3.client("s3")
    put = client.put_object

    def overtaken(**arguments: Any) -> Any:
        archive.store_usage(PARTITION, new.head.position, new.rows)
        return put(**arguments)

    with patch.object(client, "put_object", overtaken):
        slow = S3UsageArchive(BUCKET, client=client)
        slow.store_usage(PARTITION, old.head.position, old.rows)
    assert read(tmp_path, "quantity, segments", "usage") == [("2", 2)]


def test_a_bucket_that_fails_is_said_to_be_unavailable(archive: S3UsageArchive) -> None:
    lost = S3UsageArchive("no-such-bucket")
    with pytest.raises(StoreUnavailableError):
        lost.slices(HOUR)
    with pytest.raises(StoreUnavailableError):
        lost.store_events(FIRST, segments([[usage_event()]]))
    with pytest.raises(StoreUnavailableError):
        lost.store_usage(PARTITION, FoldPosition(1, 1), [])


def test_nothing_is_left_on_disk(tmp_path: Path) -> None:
    writer = ParquetWriter(folder=tmp_path)
    with writer.events(event_rows(segments([[usage_event()]])), 0) as (file, written):
        assert (file.exists(), written) == (True, 1)
    with pytest.raises(CorruptSegmentError), writer.events(_broken(), 0):
        pass
    assert list(tmp_path.iterdir()) == []


def _broken() -> Iterator[Any]:
    yield from event_rows(segments([[usage_event()]]))
    raise CorruptSegmentError("half-way")


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.lists(
            st.tuples(
                st.sampled_from("abc"), st.sampled_from(("1", "1.0", "2")), st.integers(0, 1)
            ),
            min_size=1,
            max_size=4,
        ),
        min_size=1,
        max_size=4,
    )
)
def test_the_standings_add_up_to_what_the_fold_counted(
    batches: list[list[tuple[str, str, int]]],
) -> None:
    stored = segments(
        [
            [usage_event(id=id_, v=Decimal(v), minute=minute) for id_, v, minute in batch]
            for batch in batches
        ]
    )
    head = folded(stored, meter()).head
    with ParquetWriter().events(event_rows(stored), 0) as (file, written), duckdb.connect() as db:
        standings = dict(
            db.execute(f"SELECT standing, count(*) FROM '{file}' GROUP BY 1").fetchall()
        )
    assert written == sum(map(len, batches))
    assert standings == {
        name: count
        for name, count in (
            ("first", head.events),
            ("duplicate", head.duplicates),
            ("conflict", head.conflicts),
        )
        if count
    }


def test_the_columns_are_those_the_manual_names(archive: S3UsageArchive, tmp_path: Path) -> None:
    archive.store_events(
        FIRST, segments([[UsageEvent("p", "s", "1", "t", "c", at(HOUR.isoformat()[:19]), {})]])
    )
    (file,) = (read(tmp_path, "1"), list(tmp_path.rglob("*.parquet")))[1]
    with duckdb.connect() as database:
        found = database.execute(f"DESCRIBE SELECT * FROM read_parquet('{file}')").fetchall()
    assert {name: kind for name, kind, *_ in found} == {
        "product_id": "VARCHAR",
        "subject": "VARCHAR",
        "source": "VARCHAR",
        "id": "VARCHAR",
        "type": "VARCHAR",
        "occurred_at": "TIMESTAMP",
        "received_at": "TIMESTAMP",
        "data": "VARCHAR",
        "numbers": "MAP(VARCHAR, VARCHAR)",
        "standing": "VARCHAR",
        "segment": "VARCHAR",
        "segment_row": "INTEGER",
        "day": "DATE",
        "hour": "BIGINT",
    }
