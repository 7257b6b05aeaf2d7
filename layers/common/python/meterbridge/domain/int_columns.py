"""Columns of whole numbers, as bytes that compress well and decode fast.

Multi-byte numbers are stored as byte planes (all first bytes, then all second bytes, …), because
the high bytes of neighbours are alike.
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

_TYPECODES = {1: "B", 2: "H", 4: "I", 8: "Q"}
_SAMPLE = 16


class Ints(msgspec.Struct, frozen=True, array_like=True, tag="i"):
    """Value = base + unit × stored number, or the running sum of that after `first`."""

    width: int
    base: int = 0
    unit: int = 1
    first: int | None = None


def pack_ints(values: Sequence[int]) -> tuple[Ints, bytes]:
    """A column of 64-bit integers."""
    return pack_bounded(values, min(values), max(values))


def pack_bounded(values: Sequence[int], low: int, high: int) -> tuple[Ints, bytes]:
    """`pack_ints` where the smallest and the largest are known."""
    base, unit, width = _frame(values, low, high)
    return Ints(width, base, unit), _planes(values, base, unit, width)


def pack_rising(values: Sequence[int]) -> tuple[Ints, bytes]:
    """A column of 64-bit integers that tend to rise from row to row, as times do."""
    steps = list(map(sub, values[1:], values))
    if not steps:
        return pack_ints(values)
    base, unit, width = _frame(steps, min(steps), max(steps))
    low, high = min(values), max(values)
    if width > _width(high - low):
        return pack_bounded(values, low, high)
    return Ints(width, base, unit, values[0]), _planes(steps, base, unit, width)


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


def _frame(values: Sequence[int], low: int, high: int) -> tuple[int, int, int]:
    """(base, unit, bytes per number) of the narrowest form; base 0 and unit 1 unless they help."""
    if low == high:
        return low, 1, 0
    plain = _width(high) if low >= 0 else 16
    unit = 1
    if plain > 1 and gcd(*[value - low for value in values[:_SAMPLE]]) != 1:
        unit = gcd(*[value - low for value in values])
    framed = _width((high - low) // unit)
    if framed < plain:
        return low, unit, framed
    return 0, 1, plain


def _width(highest: int) -> int:
    if highest < 1 << 8:
        return 1
    if highest < 1 << 16:
        return 2
    return 4 if highest < 1 << 32 else 8


def _planes(values: Sequence[int], base: int, unit: int, width: int) -> bytes:
    if width == 0:
        return b""
    if unit != 1:
        values = [(value - base) // unit for value in values]
    elif base:
        values = [value - base for value in values]
    if width == 1:
        return bytes(values)
    numbers = array(_TYPECODES[width], values)
    if sys.byteorder == "big":
        numbers.byteswap()
    raw = numbers.tobytes()
    return b"".join([raw[plane::width] for plane in range(width)])


def _from_planes(raw: bytes, width: int, rows: int) -> list[int]:
    if width == 1:
        return list(raw)
    if width not in _TYPECODES:
        raise CorruptSegmentError(f"integers of {width} bytes")
    numbers = array(_TYPECODES[width])
    numbers.frombytes(interleaved(raw, width, rows))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


def interleaved(raw: bytes, width: int, rows: int) -> bytes:
    """Records of `width` bytes from their byte planes."""
    records = bytearray(width * rows)
    for plane in range(width):
        records[plane::width] = raw[plane * rows : (plane + 1) * rows]
    return bytes(records)
