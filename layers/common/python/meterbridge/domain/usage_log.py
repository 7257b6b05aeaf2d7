"""The usage log: events packed into columnar segments, one stored block per partition and batch.

The format of a segment's body is described in `segments`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zlib import crc32

import msgspec
import zstandard

from meterbridge.domain.columns import pack_named, pack_texts, pack_values
from meterbridge.domain.errors import InvariantError
from meterbridge.domain.events import EPOCH, EventColumns, UsageEvent
from meterbridge.domain.int_columns import pack_rising
from meterbridge.domain.partitions import Partition, ShardPlan
from meterbridge.domain.segments import MAGIC, EventGroup, GroupHeader, Header, Segment, decode
from meterbridge.domain.windows import HOUR

__all__ = [
    "EventGroup",
    "Partition",
    "Segment",
    "SegmentDraft",
    "ShardPlan",
    "StoredSegment",
    "decode",
    "pack",
    "pack_events",
]

MAX_SEGMENT_BYTES = 300_000
"""A DynamoDB item holds 400 KB with its names; larger segments are split."""

_HOUR_MICROSECONDS = 3_600_000_000
_COMPRESSION_LEVEL = 3

_header_encoder = msgspec.msgpack.Encoder()


@dataclass(frozen=True, slots=True)
class SegmentDraft:
    """A segment that is not stored yet."""

    partition: Partition
    body: bytes
    events: int


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """A segment as the log holds it; `sk` orders the segments of a partition."""

    partition: Partition
    sk: str
    received_at: datetime
    body: bytes


def pack_events(events: Sequence[UsageEvent], plan: ShardPlan) -> list[SegmentDraft]:
    """`pack` for events as objects."""
    return pack(EventColumns.of(events), plan)


def pack(events: EventColumns, plan: ShardPlan) -> list[SegmentDraft]:
    """The segments of a batch of events, in order of partition.

    Raises:
        InvariantError: one event alone does not fit into a segment.
    """
    compressor = zstandard.ZstdCompressor(level=_COMPRESSION_LEVEL)
    partitions = sorted(_partitioned(events, plan).items(), key=lambda entry: entry[0])
    return [
        draft
        for partition, groups in partitions
        for draft in _drafts(partition, groups, events, compressor)
    ]


@dataclass(frozen=True, slots=True)
class _Group:
    """Rows of a batch that share product, type and data keys, and their data by key."""

    product_id: str
    type: str
    rows: list[int]
    keys: tuple[str, ...]
    columns: list[list[Any]]


def _partitioned(events: EventColumns, plan: ShardPlan) -> dict[Partition, list[_Group]]:
    """The groups of each partition."""
    partitions: dict[Partition, dict[tuple[str, str, int], list[int]]] = {}
    rows_of: dict[tuple[int, str, str, str, int], list[int]] = {}
    hours = [time // _HOUR_MICROSECONDS for time in events.times]
    places = zip(
        hours,
        events.product_ids,
        events.subjects,
        events.types,
        map(len, events.values),
        strict=True,
    )
    for row, place in enumerate(places):
        try:
            rows_of[place].append(row)
        except KeyError:
            hour, product_id, subject, kind, width = place
            partition = plan.partition_of(product_id, subject, EPOCH + hour * HOUR)
            groups = partitions.setdefault(partition, {})
            rows = rows_of[place] = groups.setdefault((product_id, kind, width), [])
            rows.append(row)
    return {
        partition: [
            group
            for (product_id, kind, _), rows in groups.items()
            for group in _uniform(product_id, kind, rows, events)
        ]
        for partition, groups in partitions.items()
    }


def _uniform(product_id: str, kind: str, rows: list[int], events: EventColumns) -> Iterator[_Group]:
    """Groups of rows whose data have equally many keys: one, unless they are other keys."""
    values = _taken(events.values, rows)
    keys = tuple(values[0])
    try:
        columns = [[value[key] for value in values] for key in keys]
    except KeyError:
        by_keys: dict[frozenset[str], list[int]] = {}
        for row, value in zip(rows, values, strict=True):
            by_keys.setdefault(frozenset(value), []).append(row)
        for same in by_keys.values():
            yield from _uniform(product_id, kind, same, events)
    else:
        yield _Group(product_id, kind, rows, keys, columns)


def _drafts(
    partition: Partition,
    groups: list[_Group],
    events: EventColumns,
    compressor: zstandard.ZstdCompressor,
) -> Iterator[SegmentDraft]:
    frame = compressor.compress(_content(groups, events))
    count = sum(len(group.rows) for group in groups)
    if len(frame) <= MAX_SEGMENT_BYTES:
        yield SegmentDraft(partition, MAGIC + crc32(frame).to_bytes(4, "big") + frame, count)
        return
    if count == 1:
        raise InvariantError(f"an event of {len(frame)} packed bytes does not fit into a segment")
    for half in _halves(groups, count // 2):
        yield from _drafts(partition, half, events, compressor)


def _halves(groups: list[_Group], size: int) -> tuple[list[_Group], list[_Group]]:
    """The first `size` rows, and the rest."""
    first, second = [], []
    for group in groups:
        if size > 0:
            first.append(_part(group, slice(size)))
        if len(group.rows) > size:
            second.append(_part(group, slice(max(size, 0), None)))
        size -= len(group.rows)
    return first, second


def _part(group: _Group, part: slice) -> _Group:
    return replace(group, rows=group.rows[part], columns=[column[part] for column in group.columns])


def _content(groups: list[_Group], events: EventColumns) -> bytes:
    order = [row for group in groups for row in group.rows]
    subjects, subject_bytes = pack_named(_taken(events.subjects, order))
    sources, source_bytes = pack_named(_taken(events.sources, order))
    times, time_bytes = pack_rising(_taken(events.times, order))
    pieces = [subject_bytes, source_bytes, time_bytes]
    headers = []
    for group in groups:
        ids, id_bytes = pack_texts(_taken(events.ids, group.rows))
        packed = [pack_values(column) for column in group.columns]
        pieces += [id_bytes, *[column_bytes for _, column_bytes in packed]]
        columns = tuple([column for column, _ in packed])
        headers.append(
            GroupHeader(group.product_id, group.type, len(group.rows), group.keys, ids, columns)
        )
    header = _header_encoder.encode(Header(len(order), subjects, sources, times, tuple(headers)))
    return b"".join([len(header).to_bytes(4, "big"), header, *pieces])


def _taken(column: Sequence[Any], rows: Sequence[int]) -> list[Any]:
    return list(map(column.__getitem__, rows))
