"""Decoding of packed segments.

A segment is one stored block of events of one partition. Its body is

    magic (2 bytes, the second is the version) · CRC-32 of the rest · zstd frame of
        header size (4 bytes) · header (MessagePack) · columns

The rows of a segment are ordered by group (product, type, data keys), inside a group by subject, and
then by arrival. Subjects, sources and times are columns of the segment, ids and data are columns of a group.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any
from zlib import crc32

import msgspec
import zstandard

from meterbridge.domain.columns import (
    Column,
    Json,
    Named,
    Reader,
    Texts,
    Uuids,
    size_of,
    text_keys,
    unpack_names,
    unpack_texts,
    unpack_values,
)
from meterbridge.domain.errors import CorruptSegmentError
from meterbridge.domain.events import EPOCH, MICROSECOND, UsageEvent
from meterbridge.domain.int_columns import Ints, unpack_ints

MAGIC = b"\xeb\x01"

_MAX_DECODED_BYTES = 64 << 20


class GroupHeader(msgspec.Struct, frozen=True, array_like=True):
    """A group: what its rows share, and its columns."""

    product: str
    type: str
    rows: int
    keys: tuple[str, ...]
    ids: Uuids | Texts | Json
    columns: tuple[Column, ...]


class Header(msgspec.Struct, frozen=True, array_like=True):
    """What the columns of a segment are, in the order of their bytes."""

    rows: int
    subjects: Named
    sources: Named
    times: Ints
    groups: tuple[GroupHeader, ...]


_header_decoder = msgspec.msgpack.Decoder(Header)


class _Shared:
    """The columns that run through all groups of a segment."""

    def __init__(self, header: Header, reader: Reader) -> None:
        self.size = header.rows
        self.subject_names, self.packed_subject_codes = _named(header.subjects, reader, self.size)
        self.source_names, self._packed_source_codes = _named(header.sources, reader, self.size)
        self._times = header.times, reader.take(size_of(header.times, header.rows))

    @cached_property
    def subject_codes(self) -> list[int]:
        return unpack_ints(*self.packed_subject_codes)

    @cached_property
    def source_codes(self) -> list[int]:
        return unpack_ints(*self._packed_source_codes)

    @cached_property
    def times(self) -> list[int]:
        return unpack_ints(*self._times, self.size)


class Segment:
    """A decoded segment. Columns are decoded when they are first asked for.

    Its groups do not refer back to it: a segment is gone as soon as nobody holds it, without the
    garbage collector, which would let thousands of columns lie about.

    Attributes:
        groups: in row order.
        subject_names, source_names: the distinct subjects and sources.
    """

    def __init__(self, header: Header, reader: Reader) -> None:
        shared = _Shared(header, reader)
        self._rows = header.rows
        self.subject_names = shared.subject_names
        self.source_names = shared.source_names
        groups = []
        start = 0
        for group in header.groups:
            groups.append(EventGroup(shared, group, start, reader))
            start += group.rows
        reader.finish()
        if start != header.rows:
            raise CorruptSegmentError(f"groups of {start} rows in a segment of {header.rows}")
        self.groups = tuple(groups)

    def __len__(self) -> int:
        return self._rows


class EventGroup:
    """The events of a segment that share product, type and top-level data keys.

    Attributes:
        keys: the data keys.
        rows: where these rows lie among the rows of the segment.
    """

    def __init__(self, shared: _Shared, header: GroupHeader, start: int, reader: Reader) -> None:
        if len(header.keys) != len(header.columns) or header.rows < 1:
            raise CorruptSegmentError("a group without rows, or keys without columns")
        self.product_id = header.product
        self.type = header.type
        self.keys = header.keys
        self.rows = slice(start, start + header.rows)
        self._shared = shared
        self._size = header.rows
        self._ids = header.ids, reader.take(size_of(header.ids, header.rows))
        self._packed = {
            key: (column, reader.take(size_of(column, header.rows)))
            for key, column in zip(header.keys, header.columns, strict=True)
        }
        self._columns: dict[str, list[Any]] = {}

    def __len__(self) -> int:
        return self._size

    @cached_property
    def subject_codes(self) -> list[int]:
        """For each event, where its subject is in the segment's `subject_names`."""
        return self._shared.subject_codes[self.rows]

    @cached_property
    def subjects(self) -> list[str]:
        """The subject of each event."""
        return list(map(self._shared.subject_names.__getitem__, self.subject_codes))

    @cached_property
    def source_codes(self) -> list[int]:
        """For each event, where its source is in the segment's `source_names`."""
        return self._shared.source_codes[self.rows]

    @cached_property
    def sources(self) -> list[str]:
        """The source of each event."""
        return list(map(self._shared.source_names.__getitem__, self.source_codes))

    @cached_property
    def ids(self) -> list[str]:
        """The id of each event."""
        return unpack_texts(*self._ids, self._size)

    @cached_property
    def id_keys(self) -> list[bytes]:
        """Bytes for each event that are equal exactly when the ids are: cheaper than `ids`."""
        return text_keys(*self._ids, self._size)

    @property
    def uuid_planes(self) -> bytes | None:
        """Where all ids are UUIDs: their first bytes, then their second bytes, and so on."""
        column, raw = self._ids
        return raw if isinstance(column, Uuids) else None

    @property
    def packed_subject_codes(self) -> tuple[Ints, bytes, int]:
        """`subject_codes` of the whole segment, packed, and how many they are."""
        return self._shared.packed_subject_codes

    def is_whole(self, key: str) -> bool:
        """Whether all values under a top-level data key are known to be 64-bit integers."""
        return isinstance(self._packed[key][0], Ints)

    def packed_whole(self, key: str) -> tuple[Ints, bytes] | None:
        """The values under a top-level data key, packed; None where `is_whole` is not so."""
        column, raw = self._packed.get(key, (None, b""))
        return (column, raw) if isinstance(column, Ints) else None

    @cached_property
    def times(self) -> list[int]:
        """When each event occurred, in microseconds since the epoch."""
        return self._shared.times[self.rows]

    def column(self, key: str) -> list[Any]:
        """The values under one top-level data key. Numbers are int or Decimal.

        Raises:
            KeyError: the events of this group do not have the key.
        """
        values = self._columns.get(key)
        if values is None:
            values = self._columns[key] = unpack_values(*self._packed[key], self._size)
        return values

    def event(self, row: int) -> UsageEvent:
        """One event."""
        return UsageEvent(
            product_id=self.product_id,
            source=self.sources[row],
            id=self.ids[row],
            type=self.type,
            subject=self.subjects[row],
            occurred_at=EPOCH + self.times[row] * MICROSECOND,
            values={key: self.column(key)[row] for key in self.keys},
        )


def decode(body: bytes, decompressor: zstandard.ZstdDecompressor | None = None) -> Segment:
    """The events of a segment.

    Args:
        decompressor: one to use again, by the caller's thread only: making one costs more than
            using it.

    Raises:
        CorruptSegmentError: the body is damaged, or of a version this code does not know.
    """
    if body[:2] != MAGIC:
        raise CorruptSegmentError(f"unknown segment format {body[:2].hex()}")
    frame = body[6:]
    if crc32(frame) != int.from_bytes(body[2:6], "big"):
        raise CorruptSegmentError("checksum mismatch")
    try:
        content = (decompressor or zstandard.ZstdDecompressor()).decompress(
            frame, _MAX_DECODED_BYTES
        )
        end = 4 + int.from_bytes(content[:4], "big")
        return Segment(_header_decoder.decode(content[4:end]), Reader(content, end))
    except (zstandard.ZstdError, msgspec.MsgspecError) as exc:
        raise CorruptSegmentError(f"damaged segment: {exc}") from exc


def _named(column: Named, reader: Reader, rows: int) -> tuple[list[str], tuple[Ints, bytes, int]]:
    names, codes = unpack_names(column, reader.take(size_of(column, rows)))
    return names, (column.codes, codes, rows)
