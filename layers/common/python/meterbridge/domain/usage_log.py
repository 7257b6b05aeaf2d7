"""The usage log: events packed into columnar segments, one stored block per partition and batch.

The format of a segment's body is described in `segments`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
    drafts = []
    for partition, groups in sorted(_grouped(events, plan).items(), key=_partition):
        drafts += _drafts(partition, groups, events)
    return drafts


_GroupKey = tuple[str, str, tuple[str, ...]]
_Groups = dict[_GroupKey, list[int]]


def _partition(entry: tuple[Partition, _Groups]) -> Partition:
    return entry[0]


def _grouped(events: EventColumns, plan: ShardPlan) -> dict[Partition, _Groups]:
    """Row numbers by partition and group."""
    partitions: dict[Partition, _Groups] = {}
    rows_of: dict[tuple[int, str, str, str, tuple[str, ...]], list[int]] = {}
    hours = [time // _HOUR_MICROSECONDS for time in events.times]
    keys = map(tuple, events.values)
    for row, place in enumerate(
        zip(hours, events.product_ids, events.subjects, events.types, keys, strict=True)
    ):
        rows = rows_of.get(place)
        if rows is None:
            hour, product_id, subject, kind, names = place
            partition = plan.partition_of(product_id, subject, EPOCH + hour * HOUR)
            groups = partitions.setdefault(partition, {})
            rows = rows_of[place] = groups.setdefault((product_id, kind, names), [])
        rows.append(row)
    return partitions


def _drafts(partition: Partition, groups: _Groups, events: EventColumns) -> list[SegmentDraft]:
    body = _body(groups, events)
    count = sum(map(len, groups.values()))
    if len(body) <= MAX_SEGMENT_BYTES:
        return [SegmentDraft(partition, body, count)]
    if count == 1:
        raise InvariantError(f"an event of {len(body)} packed bytes does not fit into a segment")
    first, second = _halves(groups, count // 2)
    return _drafts(partition, first, events) + _drafts(partition, second, events)


def _halves(groups: _Groups, size: int) -> tuple[_Groups, _Groups]:
    first: _Groups = {}
    second: _Groups = {}
    for key, rows in groups.items():
        if size:
            first[key] = rows[:size]
        if len(rows) > size:
            second[key] = rows[size:]
        size = max(0, size - len(rows))
    return first, second


def _body(groups: _Groups, events: EventColumns) -> bytes:
    order = [row for rows in groups.values() for row in rows]
    subjects, subject_bytes = pack_named(_taken(events.subjects, order))
    sources, source_bytes = pack_named(_taken(events.sources, order))
    times, time_bytes = pack_rising(_taken(events.times, order))
    pieces = [subject_bytes, source_bytes, time_bytes]
    headers = []
    for (product_id, kind, keys), rows in groups.items():
        ids, id_bytes = pack_texts(_taken(events.ids, rows))
        pieces.append(id_bytes)
        values = _taken(events.values, rows)
        columns = []
        for key in keys:
            column, column_bytes = pack_values([value[key] for value in values])
            columns.append(column)
            pieces.append(column_bytes)
        headers.append(GroupHeader(product_id, kind, len(rows), keys, ids, tuple(columns)))
    header = _header_encoder.encode(Header(len(order), subjects, sources, times, tuple(headers)))
    content = b"".join([len(header).to_bytes(4, "big"), header, *pieces])
    frame = zstandard.ZstdCompressor(level=_COMPRESSION_LEVEL).compress(content)
    return MAGIC + crc32(frame).to_bytes(4, "big") + frame


def _taken(column: Sequence[Any], rows: Sequence[int]) -> list[Any]:
    return list(map(column.__getitem__, rows))
