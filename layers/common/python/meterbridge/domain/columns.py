"""Columns of a segment: lists of one kind of value, as bytes that compress well and decode fast.

Everything here works on whole columns with C-speed operations. A column is a small description
(part of the segment's header) and its bytes.
"""

from __future__ import annotations

import re
from binascii import Error as Base16Error
from binascii import unhexlify
from collections.abc import Hashable, Sequence
from contextlib import suppress
from decimal import Context, Decimal
from struct import iter_unpack
from typing import Any, TypeVar

import msgspec

from meterbridge.domain.errors import CorruptSegmentError, InvalidInputError
from meterbridge.domain.int_columns import Ints, interleaved, pack_ints, unpack_ints

MAX_DEPTH = 32
"""Deepest nesting of event data, the data object itself being 1."""
MAX_EXPONENT = 100
"""Largest power of ten a number in event data may be near, up or down."""

_UUID_DASHES = (8, 13, 18, 23)
_UUID_DIGITS = [place for place in range(36) if place not in _UUID_DASHES]
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SCALE = Context(prec=40)
_MAX_SCALED_DIGITS = 18
_PLAIN_KINDS = frozenset({int, str, bool, type(None)})

_json_encoder = msgspec.json.Encoder(decimal_format="number")
_json_decoder = msgspec.json.Decoder(list[Any], float_hook=Decimal)

_T = TypeVar("_T", bound=Hashable)


class Scaled(msgspec.Struct, frozen=True, array_like=True, tag="s"):
    """Decimals that all have the same number of places."""

    places: int
    ints: Ints


class Uuids(msgspec.Struct, frozen=True, array_like=True, tag="u"):
    """Canonical lower-case UUIDs, 16 bytes each."""


class Texts(msgspec.Struct, frozen=True, array_like=True, tag="t"):
    """Strings without a line feed, joined by one."""

    size: int


class Json(msgspec.Struct, frozen=True, array_like=True, tag="j"):
    """Any JSON values, as one JSON array."""

    size: int


class Named(msgspec.Struct, frozen=True, array_like=True, tag="n"):
    """Repeating strings: the distinct ones in order of appearance, and a number for each row."""

    count: int
    names: Uuids | Texts | Json
    codes: Ints


TextColumn = Uuids | Texts | Json
Column = Ints | Scaled | Uuids | Texts | Json | Named


class Reader:
    """Takes consecutive pieces off a segment's bytes."""

    def __init__(self, body: bytes, at: int) -> None:
        self._body = body
        self._at = at

    def take(self, size: int) -> bytes:
        """The next `size` bytes.

        Raises:
            CorruptSegmentError: there are fewer.
        """
        piece = self._body[self._at : self._at + size]
        if size < 0 or len(piece) != size:
            raise CorruptSegmentError("a column reaches beyond its segment")
        self._at += size
        return piece

    def finish(self) -> None:
        """Raises CorruptSegmentError unless every byte was taken."""
        if self._at != len(self._body):
            raise CorruptSegmentError("bytes after the last column")


def size_of(column: Column, rows: int) -> int:
    """Bytes that a column of so many rows takes."""
    match column:
        case Ints():
            return column.width * (rows if column.first is None else rows - 1)
        case Scaled():
            return size_of(column.ints, rows)
        case Uuids():
            return 16 * rows
        case Texts() | Json():
            return column.size
        case Named():
            return size_of(column.names, column.count) + size_of(column.codes, rows)


# --- text ------------------------------------------------------------------------------------


def pack_texts(values: Sequence[str]) -> tuple[TextColumn, bytes]:
    """A column of strings that seldom repeat."""
    packed = _uuid_bytes(values)
    if packed is not None:
        return Uuids(), b"".join([packed[place::16] for place in range(16)])
    joined = "\n".join(values)
    if joined.count("\n") != len(values) - 1:
        raw = _json_encoder.encode(values)
        return Json(len(raw)), raw
    raw = joined.encode()
    return Texts(len(raw)), raw


def pack_named(values: Sequence[str]) -> tuple[Named, bytes]:
    """A column of strings that repeat."""
    if values.count(values[0]) == len(values):
        return pack_coded(values[:1], [0] * len(values))
    return pack_coded(*coded(values))


def coded(values: Sequence[_T]) -> tuple[list[_T], list[int]]:
    """The distinct values in order of appearance, and for each value which of them it is."""
    names = dict.fromkeys(values)
    number = dict(zip(names, range(len(names)), strict=True))
    return list(names), list(map(number.__getitem__, values))


def pack_coded(names: Sequence[str], codes: Sequence[int]) -> tuple[Named, bytes]:
    """`pack_named` for values that are coded. Every name must be in use."""
    column, name_bytes = pack_texts(names)
    if len(names) == 1:
        return Named(1, column, Ints(0)), name_bytes
    if len(names) <= 256:
        return Named(len(names), column, Ints(1)), name_bytes + bytes(codes)
    packed, code_bytes = pack_ints(codes)
    return Named(len(names), column, packed), name_bytes + code_bytes


def unpack_texts(column: TextColumn, raw: bytes, rows: int) -> list[str]:
    """The strings of a column."""
    match column:
        case Uuids():
            return _uuid_texts(raw, rows)
        case Texts():
            values = raw.decode().split("\n")
        case Json():
            values = _json_decoder.decode(raw)
    if len(values) != rows:
        raise CorruptSegmentError(f"{len(values)} strings for {rows} rows")
    return values


def unpack_names(column: Named, raw: bytes) -> tuple[list[str], bytes]:
    """The distinct strings of a column, and, packed, which of them each row has."""
    split = size_of(column.names, column.count)
    return unpack_texts(column.names, raw[:split], column.count), raw[split:]


def text_key(text: str) -> bytes:
    """Bytes equal exactly when two texts without NUL are equal; 16 bytes for a UUID."""
    if len(text) == 36 and _UUID.fullmatch(text):
        return bytes.fromhex(text.replace("-", ""))
    return text.encode().ljust(17, b"\0")


def text_keys(column: TextColumn, raw: bytes, rows: int) -> list[bytes]:
    """`text_key` of every string of a column, without making the strings where it can."""
    if isinstance(column, Uuids):
        return [key for (key,) in iter_unpack("16s", interleaved(raw, 16, rows))]
    return list(map(text_key, unpack_texts(column, raw, rows)))


def _uuid_bytes(values: Sequence[str]) -> bytes | None:
    """16 bytes each, or None unless all are canonical lower-case UUIDs."""
    rows = len(values)
    if set(map(len, values)) != {36}:
        return None
    text = "".join(values).encode()
    dashes = b"-" * rows
    if len(text) != 36 * rows or any(text[place::36] != dashes for place in _UUID_DASHES):
        return None
    digits = text.translate(None, b"-")
    if len(digits) != 32 * rows or digits != digits.lower():
        return None
    try:
        return unhexlify(digits)
    except Base16Error:
        return None


def _uuid_texts(raw: bytes, rows: int) -> list[str]:
    digits = interleaved(raw, 16, rows).hex().encode()
    lines = bytearray((b"-" * 36 + b"\n") * rows)
    for digit, place in enumerate(_UUID_DIGITS):
        lines[place::37] = digits[digit::32]
    return lines.decode().split("\n")[:-1]


# --- values of event data ----------------------------------------------------------------------


def pack_values(values: Sequence[Any]) -> tuple[Column, bytes]:
    """A column of JSON values, numbers being int or Decimal.

    Raises:
        InvalidInputError: a value is beyond the limits of `check_value`.
    """
    kinds = set(map(type, values))
    if kinds == {int}:
        with suppress(OverflowError):
            return pack_ints(values)
    elif kinds == {str}:
        names, codes = coded(values)
        return pack_coded(names, codes) if 2 * len(names) <= len(values) else pack_texts(values)
    elif not kinds <= _PLAIN_KINDS:
        for value in values:
            check_value(value)
        if kinds == {Decimal}:
            scaled = _pack_scaled(values)
            if scaled is not None:
                return scaled
    raw = _json_encoder.encode(values)
    return Json(len(raw)), raw


def check_value(value: Any, depth: int = 2) -> None:
    """Refuse what could not be decoded, or not be computed with, wherever the value is read.

    Raises:
        InvalidInputError: `number_out_of_range`, `data_too_deep`.
    """
    if isinstance(value, Decimal) and abs(value.adjusted()) > MAX_EXPONENT:
        raise InvalidInputError(
            "number_out_of_range", f"a number in data is beyond 1E±{MAX_EXPONENT}", "/data"
        )
    if isinstance(value, dict | list):
        if depth > MAX_DEPTH:
            raise InvalidInputError(
                "data_too_deep", f"data is nested deeper than {MAX_DEPTH}", "/data"
            )
        for inner in value.values() if isinstance(value, dict) else value:
            check_value(inner, depth + 1)


def unpack_values(column: Column, raw: bytes, rows: int) -> list[Any]:
    """The values of a column."""
    match column:
        case Ints():
            return unpack_ints(column, raw, rows)
        case Scaled():
            shift, places = Decimal.scaleb, -column.places
            return [
                shift(Decimal(value), places, _SCALE)
                for value in unpack_ints(column.ints, raw, rows)
            ]
        case Named():
            names, codes = unpack_names(column, raw)
            return list(map(names.__getitem__, unpack_ints(column.codes, codes, rows)))
        case _:
            return unpack_texts(column, raw, rows)


def _pack_scaled(values: Sequence[Decimal]) -> tuple[Scaled, bytes] | None:
    """None unless all have the same places and at most 18 digits."""
    texts = list(map(str, values))
    joined = "\n".join(texts)
    if "E" in joined or max(map(len, texts)) > _MAX_SCALED_DIGITS:
        return None
    places = {len(text) - text.find(".") - 1 for text in texts}
    if len(places) != 1 or joined.count(".") != len(texts) or "-0" in joined:
        return None
    ints, raw = pack_ints(list(map(int, joined.replace(".", "").split("\n"))))
    return Scaled(places.pop(), ints), raw
