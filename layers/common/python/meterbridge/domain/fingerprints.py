"""A number for every event of a group, equal where the identities are equal.

It need not be unique, only seldom shared, and above all cheap: an id that is a UUID is folded
together from its bytes, a whole column at a time, without making a string of it. They are numbers
of 60 bits.
"""

from __future__ import annotations

from array import array

import numpy as np

from meterbridge.domain.segments import EventGroup

_MASK = (1 << 60) - 1


def fingerprints(group: EventGroup) -> array[int]:
    """For each event of a group, in order.

    A UUID stands for itself, whatever subject and source it comes with. Any other id, which may
    just be a number, is hashed together with them, differently in every process.
    """
    planes = group.uuid_planes
    if planes is None:
        keys = zip(group.subjects, group.sources, group.id_keys, strict=True)
        return array("Q", [_fingerprint(*key) for key in keys])
    halves = np.frombuffer(planes, np.uint8).reshape(2, 8, len(group))
    folded = np.ascontiguousarray((halves[0] ^ halves[1]).T).view(">u8")
    marks = array("Q")
    marks.frombytes((folded.ravel() & np.uint64(_MASK)).astype(np.uint64).tobytes())
    return marks


def _fingerprint(subject: str, source: str, id_key: bytes) -> int:
    if len(id_key) != 16:
        return hash((subject, source, id_key)) & _MASK
    return (int.from_bytes(id_key[:8], "big") ^ int.from_bytes(id_key[8:], "big")) & _MASK
