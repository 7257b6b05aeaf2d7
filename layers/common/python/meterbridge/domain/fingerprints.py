"""A number for every event of a group, equal where the identities are equal.

It need not be unique, only seldom shared, and above all cheap: an id that is a UUID is folded
together from its bytes, a whole column at a time, without making a string of it. 60 bits are what
a small integer object holds.
"""

from __future__ import annotations

import sys
from array import array

from meterbridge.domain.int_columns import interleaved
from meterbridge.domain.segments import EventGroup

_MASK = (1 << 60) - 1
_LOW_NIBBLE = bytes(byte & 0x0F for byte in range(256))


def fingerprints(group: EventGroup) -> array[int]:
    """For each event of a group, in order.

    A UUID stands for itself, whatever subject and source it comes with. Any other id, which may
    just be a number, is hashed together with them, differently in every process.
    """
    rows = len(group)
    planes = group.uuid_planes
    if planes is None:
        keys = zip(group.subjects, group.sources, group.id_keys, strict=True)
        return array("Q", [_fingerprint(*key) for key in keys])
    first, second = planes[: 8 * rows], planes[8 * rows :]
    folded = int.from_bytes(first, "big") ^ int.from_bytes(second, "big")
    xored = folded.to_bytes(8 * rows, "big")
    marks = array("Q")
    marks.frombytes(interleaved(xored[:rows].translate(_LOW_NIBBLE) + xored[rows:], 8, rows))
    if sys.byteorder == "little":
        marks.byteswap()
    return marks


def _fingerprint(subject: str, source: str, id_key: bytes) -> int:
    if len(id_key) != 16:
        return hash((subject, source, id_key)) & _MASK
    return (int.from_bytes(id_key[:8], "big") ^ int.from_bytes(id_key[8:], "big")) & _MASK
