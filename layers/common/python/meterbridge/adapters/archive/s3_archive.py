"""The archive in S3.

events/day=2026-11-24/hour=10/003-2026-11-24T12.parquet   a slice: shard 3, received before 12:00
usage/day=2026-11-24/hour=10/003.parquet                  the hour's quantities of shard 3

A put is all or nothing. Events are only put where nothing is; quantities only in place of the object
that was looked at, as a transaction would (https://docs.aws.amazon.com/AmazonS3/latest/userguide/
conditional-requests.html).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from meterbridge.adapters.archive.parquet import ParquetWriter
from meterbridge.domain.archive_rows import event_rows, usage_rows
from meterbridge.domain.archive_slices import ArchiveSlice
from meterbridge.domain.errors import StoreUnavailableError
from meterbridge.domain.events import EPOCH, MICROSECOND
from meterbridge.domain.partitions import Partition
from meterbridge.domain.usage import FoldPosition, HourlyUsage
from meterbridge.domain.usage_log import StoredSegment

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_SUFFIX = ".parquet"
_SEGMENTS, _CATALOG = "segments", "catalog-version"
_NOT_FOUND = frozenset({"404", "NoSuchKey", "NotFound"})
_WROTE_FIRST = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
_ATTEMPTS = 5


class S3UsageArchive:
    """The UsageArchive port on one bucket."""

    def __init__(
        self, bucket: str, *, client: S3Client | None = None, writer: ParquetWriter | None = None
    ) -> None:
        """Bind to a bucket; nothing is called yet.

        Args:
            bucket: its name.
            client: boto3's S3 client, which repeats failed calls by itself; by default a new one.
            writer: makes the files; by default one in the system's temporary folder.
        """
        self._bucket = bucket
        self._client = client or boto3.client("s3")
        self._writer = writer or ParquetWriter()

    def slices(self, hour: datetime) -> frozenset[ArchiveSlice]:
        """See UsageArchive in ports."""
        prefix = _folder("events", hour)
        pages = self._client.get_paginator("list_objects_v2")
        with _archive_errors(prefix):
            return frozenset(
                ArchiveSlice.named(hour, found["Key"].removeprefix(prefix).removesuffix(_SUFFIX))
                for page in pages.paginate(Bucket=self._bucket, Prefix=prefix)
                for found in page.get("Contents", ())
            )

    def store_events(self, piece: ArchiveSlice, segments: Iterable[StoredSegment]) -> int:
        """See UsageArchive in ports."""
        key = f"{_folder('events', piece.partition.hour)}{piece.name}{_SUFFIX}"
        start = (piece.start - EPOCH) // MICROSECOND
        with self._writer.events(event_rows(segments), start) as (file, written):
            if written:
                # Where it is there already, it was made of at least the same segments.
                self._put(key, file, IfNoneMatch="*")
            return written

    def store_usage(
        self, partition: Partition, position: FoldPosition, rows: Iterable[HourlyUsage]
    ) -> None:
        """See UsageArchive in ports."""
        key = f"{_folder('usage', partition.hour)}{partition.shard:03d}{_SUFFIX}"
        knows = {
            _SEGMENTS: str(position.segments),
            _CATALOG: str(position.catalog_version),
        }
        with self._writer.usage(usage_rows(rows)) as (file, _):
            for _attempt in range(_ATTEMPTS):
                condition, stored = self._stored_usage(key)
                if stored is not None and stored.covers(position):
                    return
                if self._put(key, file, Metadata=knows, **condition):
                    return
        raise StoreUnavailableError(f"{key} was overtaken {_ATTEMPTS} times")

    def _stored_usage(self, key: str) -> tuple[dict[str, str], FoldPosition | None]:
        """The condition under which an object may be replaced, and what it knows."""
        try:
            head = self._client.head_object(Bucket=self._bucket, Key=key)
        except ClientError as exc:
            if exc.response["Error"]["Code"] in _NOT_FOUND:
                return {"IfNoneMatch": "*"}, None
            raise StoreUnavailableError(f"{key}: {exc}") from exc
        except BotoCoreError as exc:
            raise StoreUnavailableError(f"{key}: {exc}") from exc
        known = head["Metadata"]
        position = FoldPosition(int(known[_SEGMENTS]), int(known[_CATALOG]))
        return {"IfMatch": head["ETag"]}, position

    def _put(self, key: str, file: Path, **arguments: Any) -> bool:
        """Put a file on a condition; False where somebody else wrote first."""
        try:
            with _archive_errors(key), file.open("rb") as body:
                self._client.put_object(Bucket=self._bucket, Key=key, Body=body, **arguments)
        except _WroteFirstError:
            return False
        return True


class _WroteFirstError(Exception):
    """The condition of a put did not hold."""


@contextmanager
def _archive_errors(what: str) -> Iterator[None]:
    try:
        yield
    except ClientError as exc:
        if exc.response["Error"]["Code"] in _WROTE_FIRST:
            raise _WroteFirstError(what) from exc
        raise StoreUnavailableError(f"{what}: {exc}") from exc
    except BotoCoreError as exc:
        raise StoreUnavailableError(f"{what}: {exc}") from exc


def _folder(kind: str, hour: datetime) -> str:
    return f"{kind}/day={hour:%Y-%m-%d}/hour={hour:%H}/"
