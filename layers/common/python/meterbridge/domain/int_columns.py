"""Columns of whole numbers, as bytes that compress well and decode fast.

Numbers are stored as byte planes (all lowest bytes, then all second bytes, …), because the high
bytes of neighbours are alike; planes that would hold only zeros are left out.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from itertools import accumulate
from math import gcd
from operator import sub

import msgspec

from meterbridge.domain.errors import CorruptSegmentError

_SAMPLE = 16
_LARGEST = 2**64 - 1
_SMALLEST = -(2**63)


class Ints(msgspec.Struct, frozen=True, array_like=True, tag="i"):
    """Value = base + unit × stored number, or the running sum of that after `first`.

    Attributes:
        width: byte planes stored.
    """

    width: int
    base: int = 0
    unit: int = 1
    first: int | None = None


def pack_ints(values: Sequence[int]) -> tuple[Ints, bytes]:
    """A column of integers.

    Raises:
        OverflowError: they do not fit into 64 bits.
    """
    first = values[0]
    if values.count(first) == len(values) and _SMALLEST <= first <= _LARGEST:
        return Ints(0, first), b""
    try:
        planes = _planes(values)
    except OverflowError:  # negative, or too large
        return _framed(values)
    if len(planes) > 1 and gcd(*[value - first for value in values[:_SAMPLE]]) != 1:
        framed = _framed(values)
        if framed[0].width < len(planes):
            return framed
    return Ints(len(planes)), b"".join(planes)


def pack_rising(values: Sequence[int]) -> tuple[Ints, bytes]:
    """A column of 64-bit integers that tend to rise from row to row, as times do."""
    steps = list(map(sub, values[1:], values))
    if not steps:
        return pack_ints(values)
    packed, raw = pack_ints(steps)
    if packed.base < 0:
        plain, plain_raw = pack_ints(values)
        if plain.width < packed.width:
            return plain, plain_raw
    return Ints(packed.width, packed.base, packed.unit, values[0]), raw


def unpack_ints(column: Ints, raw: bytes, rows: int) -> list[int]:
    """The integers of a column."""
    stored = rows if column.first is None else rows - 1
    base, unit = column.base, column.unit
    if column.width == 0:
        values = [base] * stored
    else:
        values = _from_planes(raw, column.width, stored)
        if unit != 1:
            values = [base + unit * value for value in values]
        elif base:
            values = [base + value for value in values]
    return values if column.first is None else list(accumulate(values, initial=column.first))


def interleaved(raw: bytes, width: int, rows: int, size: int = 0) -> bytes:
    """Records of `size` (or `width`) bytes, of which the first `width` come from byte planes."""
    size = size or width
    records = bytearray(size * rows)
    for plane in range(width):
        records[plane::size] = raw[plane * rows : (plane + 1) * rows]
    return bytes(records)


def _framed(values: Sequence[int]) -> tuple[Ints, bytes]:
    """The column as multiples of the largest common unit above the smallest value."""
    base, largest = min(values), max(values)
    if base < _SMALLEST or largest > _LARGEST:
        raise OverflowError("beyond 64 bits")
    unit = gcd(*[value - base for value in values]) or 1
    planes = _planes([(value - base) // unit for value in values])
    return Ints(len(planes), base, unit), b"".join(planes)


def _planes(values: Sequence[int]) -> list[bytes]:
    numbers = array("Q", values)
    if sys.byteorder == "big":
        numbers.byteswap()
    raw = numbers.tobytes()
    planes = [raw[plane::8] for plane in range(8)]
    while len(planes) > 1 and planes[-1].count(0) == len(values):
        planes.pop()
    return planes


def _from_planes(raw: bytes, width: int, rows: int) -> list[int]:
    if width == 1:
        return list(raw)
    if not 1 < width <= 8:
        raise CorruptSegmentError(f"integers of {width} bytes")
    typecode, size = ("H", 2) if width == 2 else ("I", 4) if width <= 4 else ("Q", 8)
    numbers = array(typecode)
    numbers.frombytes(interleaved(raw, width, rows, size))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()
