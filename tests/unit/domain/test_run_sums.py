"""Sums of packed numbers are exact up to the last number that fits, and beyond it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterbridge.domain.int_columns import pack_ints, pack_rising
from meterbridge.domain.run_sums import Runs, RunTotals, WholeTotals, whole_numbers

NUMBERS = st.integers(0, 255) | st.integers(-(10**6), 10**6) | st.integers(-(2**62), 2**62)
ROWS = st.lists(st.tuples(st.integers(0, 3), NUMBERS), min_size=1, max_size=40)


def runs_of(codes: list[int], slots: list[int]) -> Runs:
    return Runs(np.array(codes, np.int64), slots)


@given(rows=ROWS)
def test_numbers_are_what_was_packed_or_have_no_short_cut(rows: list[tuple[int, int]]) -> None:
    values = [value for _, value in rows]
    found = whole_numbers(*pack_ints(values), len(values))
    if found is None:
        assert len(values) * max(map(abs, values)) >= 2**45
    else:
        numbers, bound = found
        assert numbers.tolist() == values
        assert sum(map(abs, values)) < bound <= 2**63


@given(batches=st.lists(ROWS, max_size=6))
def test_totals_are_the_sums_of_all_batches(batches: list[list[tuple[int, int]]]) -> None:
    slots = [7, 0, 300, 2]
    sums, events = WholeTotals(), WholeTotals()
    expected: Counter[int] = Counter()
    counted: Counter[int] = Counter()
    for rows in batches:
        codes, values = [code for code, _ in rows], [value for _, value in rows]
        runs = runs_of(codes, slots)
        events.add_runs(runs.lengths)
        found = whole_numbers(*pack_ints(values), len(values))
        if found is not None:
            sums.add_runs(runs.sums(*found))
            for code, value in rows:
                expected[slots[code]] += value
        counted.update(slots[code] for code in codes)
    assert sums.by_number() == expected
    assert events.by_number() == counted


@pytest.mark.parametrize("sign", [1, -1])
def test_totals_go_on_beyond_64_bits(sign: int) -> None:
    totals = WholeTotals()
    most = 2**63 - 1
    for _ in range(5):
        totals.add_runs(RunTotals(np.array([3]), np.array([sign * most]), most + 1))
    totals.add([3, 4], {0: sign, 1: 0})
    assert totals.by_number() == {3: sign * (5 * most + 1), 4: 0}


def test_a_customer_whose_numbers_add_up_to_nothing_has_a_total() -> None:
    totals = WholeTotals()
    values = whole_numbers(*pack_ints([5, -5]), 2)
    assert values is not None
    totals.add_runs(runs_of([0, 0], [9]).sums(*values))
    assert totals.by_number() == {9: 0}


@pytest.mark.parametrize(
    "values", [[2**63, 1], [2**62, 2**62], [-(2**63), -(2**63)], [2**64 - 1] * 2]
)
def test_what_may_not_fit_has_no_short_cut(values: list[int]) -> None:
    assert whole_numbers(*pack_ints(values), len(values)) is None


def test_running_sums_have_no_short_cut() -> None:
    assert whole_numbers(*pack_rising([1, 5, 9, 20]), 4) is None
