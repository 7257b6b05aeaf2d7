"""Whatever columns come, the set says of each fingerprint exactly whether it had come."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterbridge.domain.fingerprint_set import FingerprintSet

COLUMNS = st.lists(
    st.lists(st.integers(0, 40) | st.integers(0, 2**64 - 1), min_size=1, max_size=30), max_size=12
)


def column(marks: list[int]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.array(marks, np.uint64)


def came_before(columns: list[list[int]]) -> list[list[bool]]:
    seen: set[int] = set()
    answers = []
    for marks in columns:
        answers.append([])
        for mark in marks:
            answers[-1].append(mark in seen)
            seen.add(mark)
    return answers


def answers_of(columns: list[list[int]]) -> list[list[bool]]:
    marks = FingerprintSet()
    answers = []
    for each in columns:
        known = marks.add(column(each))
        assert known is None or known.any()
        answers.append([False] * len(each) if known is None else known.tolist())
    return answers


@given(columns=COLUMNS)
def test_what_came_before_is_known_and_nothing_else(columns: list[list[int]]) -> None:
    assert answers_of(columns) == came_before(columns)


@given(columns=COLUMNS, asked=st.lists(st.integers(0, 60), min_size=1))
def test_asking_adds_nothing(columns: list[list[int]], asked: list[int]) -> None:
    marks = FingerprintSet()
    for each in columns:
        marks.add(column(each))
    seen = {mark for each in columns for mark in each}
    for _ in range(2):
        assert marks.has(column(asked)).tolist() == [mark in seen for mark in asked]


@pytest.mark.parametrize("kind", ["random", "counted"])
def test_many_with_scattered_repeats_are_told_apart(kind: str) -> None:
    random = Random(7)
    columns: list[list[int]] = []
    new = iter([random.getrandbits(60) if kind == "random" else n for n in range(90_000)])
    earlier: list[int] = []
    for number in range(300):
        fresh = [next(new) for _ in range(300)]
        repeats = random.sample(earlier, 3) if number % 3 == 1 else []
        columns.append([*fresh[:150], *repeats, *fresh[150:]])
        earlier += fresh
    assert answers_of(columns) == came_before(columns)


def test_what_the_filter_takes_for_known_is_still_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("meterbridge.domain.fingerprint_set._SPREAD", np.uint64(0))
    random = Random(3)
    columns = [[random.randrange(2_000) for _ in range(20)] for _ in range(100)]
    assert answers_of(columns) == came_before(columns)
