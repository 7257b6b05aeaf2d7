"""The usage log: events packed into columnar segments, one stored block per partition and batch.

The format of a segment's body is described in `segments`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zlib import crc32

import msgspec
import zstandard

from meterbridge.domain.columns import coded, pack_coded, pack_named, pack_texts, pack_values
from meterbridge.domain.errors import InvalidInputError, InvariantError
from meterbridge.domain.events import EPOCH, EventColumns, UsageEvent
from meterbridge.domain.int_columns import pack_ints, pack_rising
from meterbridge.domain.partitions import Partition, ShardPlan, shard_number
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

MAX_KEYS = 256
"""Most top-level keys of an event's data: each is a column."""

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
        InvalidInputError: an event's data have more than MAX_KEYS keys or a value beyond
            the limits of `columns.check_value`.
        InvariantError: one event alone does not fit into a segment.
    """
    if not events.ids:
        return []
    if max(map(len, events.values)) > MAX_KEYS:
        raise InvalidInputError("event_too_large", f"data has more than {MAX_KEYS} keys", "/data")
    compressor = zstandard.ZstdCompressor(level=_COMPRESSION_LEVEL)
    batch = _Batch(events, *coded(events.subjects))
    return [
        draft
        for partition, groups in _partitioned(batch, plan).items()
        for draft in _drafts(partition, groups, batch, compressor)
    ]


@dataclass(frozen=True, slots=True)
class _Group:
    """Rows of a batch that share product, type and data keys, and their data by key."""

    product_id: str
    type: str
    rows: list[int]
    keys: tuple[str, ...]
    columns: list[list[Any]]


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch, with its subjects coded."""

    events: EventColumns
    subject_names: list[str]
    subject_codes: list[int]


def _partitioned(batch: _Batch, plan: ShardPlan) -> dict[Partition, list[_Group]]:
    """The groups of each partition, in order of partition."""
    events = batch.events
    hours = [time // _HOUR_MICROSECONDS for time in events.times]
    widths = list(map(len, events.values))
    shards = {hour: plan.shards(EPOCH + hour * HOUR) for hour in set(hours)}
    found: dict[tuple[int, int], dict[tuple[str, str, int], dict[int, list[int]]]] = {}
    rows_of: dict[Any, list[int]] = {}
    columns: tuple[Sequence[Any], ...] = (hours, widths, events.product_ids, events.types)
    varying = [column for column in columns if column.count(column[0]) != len(column)]
    codes = batch.subject_codes
    places: Iterable[Any] = zip(codes, *varying, strict=True) if varying else codes
    for row, place in enumerate(places):
        try:
            rows_of[place].append(row)
        except KeyError:
            product_id, hour = events.product_ids[row], hours[row]
            shard = shard_number(product_id, events.subjects[row], shards[hour])
            groups = found.setdefault((hour, shard), {})
            kind = product_id, events.types[row], widths[row]
            rows_of[place] = groups.setdefault(kind, {})[codes[row]] = [row]
    return {
        Partition(EPOCH + hour * HOUR, shard): [
            group
            for (product_id, kind, _), by_subject in groups.items()
            for group in _uniform(product_id, kind, _ordered(by_subject), events)
        ]
        for (hour, shard), groups in sorted(found.items())
    }


def _ordered(by_subject: dict[int, list[int]]) -> list[int]:
    return [row for _, rows in sorted(by_subject.items()) for row in rows]


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
    batch: _Batch,
    compressor: zstandard.ZstdCompressor,
) -> Iterator[SegmentDraft]:
    frame = compressor.compress(_content(groups, batch))
    count = sum(len(group.rows) for group in groups)
    if len(frame) <= MAX_SEGMENT_BYTES:
        yield SegmentDraft(partition, MAGIC + crc32(frame).to_bytes(4, "big") + frame, count)
        return
    if count == 1:
        raise InvariantError(f"an event of {len(frame)} packed bytes does not fit into a segment")
    for half in _halves(groups, count // 2):
        yield from _drafts(partition, half, batch, compressor)


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


def _content(groups: list[_Group], batch: _Batch) -> bytes:
    events = batch.events
    order = [row for group in groups for row in group.rows]
    own_codes = _taken(batch.subject_codes, order)
    present = sorted(set(own_codes))
    number = dict(zip(present, range(len(present)), strict=True))
    codes = list(map(number.__getitem__, own_codes))
    subjects, subject_bytes = pack_coded(_taken(batch.subject_names, present), codes)
    sources, source_bytes = pack_named(_taken(events.sources, order))
    # Times rise from row to row within a subject only.
    pack_times = pack_rising if len(present) == 1 else pack_ints
    times, time_bytes = pack_times(_taken(events.times, order))
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
