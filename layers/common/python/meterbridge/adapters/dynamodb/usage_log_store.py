"""The usage log in DynamoDB: segments, and a journal of what arrived when.

Keys: segments pk = the partition, sk = `segment_key`; arrivals pk = "arrivals#<day>", sk =
"<bucket>#<partition>", so that the arrivals of days are read with a query for each day.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from pynamodb.attributes import BinaryAttribute, NumberAttribute, TTLAttribute, UnicodeAttribute
from pynamodb.models import Model

from meterbridge.adapters.dynamodb.tables import bind, store_errors
from meterbridge.domain.events import EPOCH, MICROSECOND
from meterbridge.domain.partitions import (
    ARRIVAL_BUCKET,
    LOG_KEPT_FOR,
    Partition,
    bucket_of,
    segment_key,
)
from meterbridge.domain.usage_log import SegmentDraft, StoredSegment

_BUCKET_FORMAT = "%Y-%m-%dT%H:%M"
_UNIQUE_BYTES = 10


class _LogItem(Model):
    """A segment, or an arrival (which has no body). `received_at` is in µs since the epoch."""

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    body = BinaryAttribute(legacy_encoding=False, null=True)
    received_at = NumberAttribute(null=True)
    events = NumberAttribute(null=True)
    expires_at = TTLAttribute()


class UsageLogStore:
    """The UsageLog port on one DynamoDB table.

    It remembers which arrivals it has noted: a warm process notes a partition once in five minutes.
    """

    def __init__(self, table_name: str) -> None:
        """Bind to a table; nothing is called yet."""
        self._items = bind(_LogItem, table_name)
        self._noted: tuple[datetime, set[Partition]] = (EPOCH, set())

    def append(self, drafts: Sequence[SegmentDraft], received_at: datetime) -> None:
        """See UsageLog in ports."""
        expires_at = received_at + LOG_KEPT_FOR
        self._note({draft.partition for draft in drafts}, received_at)
        self._write(
            "segments",
            [
                self._items(
                    str(draft.partition),
                    segment_key(received_at, os.urandom(_UNIQUE_BYTES)),
                    body=draft.body,
                    received_at=(received_at - EPOCH) // MICROSECOND,
                    events=draft.events,
                    expires_at=expires_at,
                )
                for draft in drafts
            ],
        )

    def read(self, partition: Partition, after: str = "") -> Iterator[StoredSegment]:
        """See UsageLog in ports."""
        with store_errors(f"segments of {partition}"):
            for item in self._items.query(
                str(partition),
                range_key_condition=self._items.sk > after if after else None,
                consistent_read=True,
            ):
                yield StoredSegment(
                    partition=partition,
                    sk=item.sk,
                    received_at=EPOCH + int(item.received_at) * MICROSECOND,
                    body=item.body,
                )

    def arrivals(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, Partition]]:
        """See UsageLog in ports."""
        first, last = _bucket_text(_bucket_from(start)), _bucket_text(_bucket_from(end))
        day = start.replace(hour=0, minute=0, second=0, microsecond=0)
        while day < end:
            with store_errors(f"arrivals of {day:%Y-%m-%d}"):
                for item in self._items.query(
                    _arrivals_key(day),
                    range_key_condition=self._items.sk.between(first, last),
                    consistent_read=True,
                ):
                    bucket, _, partition = item.sk.partition("#")
                    yield _bucket(bucket), Partition.parse(partition)
            day += timedelta(days=1)

    def _note(self, partitions: set[Partition], received_at: datetime) -> None:
        bucket = bucket_of(received_at)
        known = self._noted[1] if self._noted[0] == bucket else set()
        fresh = sorted(partitions - known)
        self._write(
            "arrivals",
            [
                self._items(
                    _arrivals_key(bucket),
                    f"{_bucket_text(bucket)}#{partition}",
                    expires_at=received_at + LOG_KEPT_FOR,
                )
                for partition in fresh
            ],
        )
        self._noted = bucket, known | partitions

    def _write(self, what: str, items: Iterable[_LogItem]) -> None:
        with store_errors(what), self._items.batch_write() as batch:
            for item in items:
                batch.save(item)


def _arrivals_key(moment: datetime) -> str:
    return f"arrivals#{moment:%Y-%m-%d}"


def _bucket_text(bucket: datetime) -> str:
    return bucket.strftime(_BUCKET_FORMAT)


def _bucket(text: str) -> datetime:
    return datetime.strptime(text, _BUCKET_FORMAT).replace(tzinfo=EPOCH.tzinfo)


def _bucket_from(moment: datetime) -> datetime:
    """The first bucket that starts at a moment or later."""
    bucket = bucket_of(moment)
    return bucket if bucket == moment else bucket + ARRIVAL_BUCKET
