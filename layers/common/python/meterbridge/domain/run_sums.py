"""Sums of packed whole numbers by customer, without making a Python number of each.

The rows of a group come in runs of one customer. A column is summed in 64 bits where it cannot
outgrow them, whatever numbers of its width it holds; otherwise there is no short cut to its sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meterbridge.domain.event_values import Number
from meterbridge.domain.int_columns import Ints, interleaved

Whole = NDArray[np.int64]
Mask = NDArray[np.bool_]

_LIMIT = 1 << 63
_ZERO = np.zeros(1, np.int64)
_SIZES = (1, 1, 2, 4, 4, 8, 8, 8, 8)
"""Bytes of a number that holds so many planes."""


class RunTotals(NamedTuple):
    """A total for each run of rows.

    Attributes:
        numbers: the customer of each run, by the caller's numbers; one may have several runs.
        totals: their sum is below `bound`, and so is the sum of the absolute values.
    """

    numbers: Whole
    totals: Whole
    bound: int


def whole_numbers(column: Ints, raw: bytes, size: int) -> tuple[Whole, int] | None:
    """The numbers of a column, and a bound that the sum of their absolute values is below.

    None where that may be beyond 64 bits, and for running sums.
    """
    largest = abs(column.base) + abs(column.unit) * (256**column.width - 1)
    bound = size * largest + 1
    if column.first is not None or bound > _LIMIT:
        return None
    if column.width == 0:
        return np.full(size, column.base, np.int64), bound
    width = _SIZES[column.width]
    records = raw if width == 1 else interleaved(raw, column.width, size, width)
    numbers = np.frombuffer(records, f"<u{width}").astype(np.int64)
    if column.base or column.unit != 1:
        numbers = column.base + column.unit * numbers
    return numbers, bound


class Runs:
    """The runs of a column of customers.

    Args:
        codes: where the number of each row's customer is in `slots`.
    """

    def __init__(self, codes: Whole, slots: Sequence[int]) -> None:
        changes = np.flatnonzero(codes[1:] != codes[:-1]) + 1
        self._starts = np.concatenate([_ZERO, changes])
        self._numbers = np.array(slots)[codes[self._starts]]
        lengths = np.diff(self._starts, append=len(codes))
        self.lengths = RunTotals(self._numbers, lengths, len(codes) + 1)

    def sums(self, values: Whole, bound: int) -> RunTotals:
        """The sum of the values of each run."""
        return RunTotals(self._numbers, np.add.reduceat(values, self._starts), bound)


class WholeTotals:
    """Totals by number, exact: in 64 bits as long as they are certain to fit, then as integers."""

    def __init__(self) -> None:
        self._exact: dict[int, Number] = {}
        self._whole = np.zeros(64, np.int64)
        self._present = np.zeros(64, np.bool_)
        self._bound = 0

    def add_runs(self, runs: RunTotals) -> None:
        """Add the totals of runs."""
        if self._bound + runs.bound > _LIMIT:
            self._carry()
        size = int(runs.numbers.max()) + 1
        if size > len(self._whole):
            self._whole = np.concatenate([self._whole, np.zeros(size, np.int64)])
            self._present = np.concatenate([self._present, np.zeros(size, np.bool_)])
        np.add.at(self._whole, runs.numbers, runs.totals)
        self._present[runs.numbers] = True
        self._bound += runs.bound

    def add(self, numbers: Sequence[int], totals: Mapping[int, Number]) -> None:
        """Add totals by code; `numbers[code]` is the number of a code."""
        exact = self._exact
        for code, total in totals.items():
            number = numbers[code]
            exact[number] = exact.get(number, 0) + total

    def by_number(self) -> Mapping[int, Number]:
        """Everything added so far."""
        self._carry()
        return self._exact

    def _carry(self) -> None:
        (numbers,) = np.nonzero(self._present)
        totals = self._whole[numbers].tolist()
        self.add(range(len(self._whole)), dict(zip(numbers.tolist(), totals, strict=True)))
        self._whole[:] = 0
        self._present[:] = False
        self._bound = 0
