"""A set of fingerprints that takes whole columns of them: exact, and fast where they are new.

A Bloom filter says of almost every new fingerprint that it is new. What the filter may know is
looked for in sorted runs of all that came; they are made only when there is something to look for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meterbridge.domain.run_sums import Mask

Marks = NDArray[np.uint64]

_FIRST_BITS = 10
_GROWTH_BITS = 2
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_ONE = np.uint64(1)
_LAST_BITS = np.uint64(63)
_PROBES = (np.uint64(20), np.uint64(26), np.uint64(32))
"""Where in a hash are the six bits for a bit of the filter's word; its top bits tell the word."""


class FingerprintSet:
    """Fingerprints that have come."""

    def __init__(self) -> None:
        self._filter = _Filter(_FIRST_BITS)
        self._size = 0
        self._runs: list[Marks] = []
        self._unsorted: list[Marks] = []

    def add(self, marks: Marks) -> Mask | None:
        """Take in a column, and keep it.

        Returns which of it had come, in an earlier column or further up in this one; None where
        all are new.
        """
        if self._size + len(marks) > self._filter.room:
            self._grow(len(marks))
        known = self._confirmed(marks, self._filter.add(marks))
        self._size += len(marks)
        self._unsorted.append(marks)
        ordered = np.sort(marks)
        if (ordered[1:] == ordered[:-1]).any():
            repeated = np.ones(len(marks), np.bool_)
            repeated[np.unique(marks, return_index=True)[1]] = False
            known |= repeated
        return known if known.any() else None

    def has(self, marks: Marks) -> Mask:
        """Which of a column have come."""
        return self._confirmed(marks, self._filter.has(marks))

    def _confirmed(self, marks: Marks, likely: Mask) -> Mask:
        """Of those that are likely to have come, those that have."""
        (rows,) = np.nonzero(likely)
        if len(rows):
            self._sort()
            sought = marks[rows]
            come = np.zeros(len(rows), np.bool_)
            for run in self._runs:
                come |= run.take(np.searchsorted(run, sought), mode="clip") == sought
            likely[rows] = come
        return likely

    def _sort(self) -> None:
        """Make a run of what is unsorted. A run is at least four times as long as the next."""
        if not self._unsorted:
            return
        run = np.sort(np.concatenate(self._unsorted))
        self._unsorted.clear()
        while self._runs and len(self._runs[-1]) < 4 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        self._runs.append(run)

    def _grow(self, more: int) -> None:
        bits = self._filter.bits
        while self._size + more > 1 << bits:
            bits += _GROWTH_BITS
        self._filter = _Filter(bits)
        for marks in [*self._runs, *self._unsorted]:
            self._filter.add(marks)


class _Filter:
    """A Bloom filter: three bits of one 64-bit word for each fingerprint.

    Attributes:
        room: how many it takes before it is wrong too often, which is for one in 2,000 new ones.
    """

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.room = 1 << bits
        self._words = np.zeros(self.room, np.uint64)
        self._shift = np.uint64(64 - bits)

    def add(self, marks: Marks) -> Mask:
        """Take in a column: which of it are likely to have come before."""
        places, wanted = self._places(marks)
        likely: Mask = self._words.take(places) & wanted == wanted
        np.bitwise_or.at(self._words, places, wanted)
        return likely

    def has(self, marks: Marks) -> Mask:
        """Which of a column are likely to have come."""
        places, wanted = self._places(marks)
        likely: Mask = self._words.take(places) & wanted == wanted
        return likely

    def _places(self, marks: Marks) -> tuple[NDArray[np.int64], Marks]:
        hashes = marks * _SPREAD
        first, second, third = (_ONE << (hashes >> probe & _LAST_BITS) for probe in _PROBES)
        return (hashes >> self._shift).view(np.int64), first | second | third
