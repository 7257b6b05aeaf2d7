"""Calls keep a marketplace's rate from any number of threads, and back off when told to."""

from __future__ import annotations

from threading import Thread

import pytest

from meterbridge.adapters.marketplaces.pacing import Backoff, CallPacer


class Timeline:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def paced(timeline: Timeline, rate: float = 10, jitter: float = 0.0) -> CallPacer:
    return CallPacer(
        rate, monotonic=timeline.monotonic, sleep=timeline.sleep, jitter=lambda: jitter
    )


def starts(timeline: Timeline, pacer: CallPacer, calls: int) -> list[float]:
    found = []
    for _ in range(calls):
        pacer.wait()
        found.append(round(timeline.now - 100, 3))
    return found


def test_calls_start_evenly_a_little_under_the_limit() -> None:
    timeline = Timeline()
    assert starts(timeline, paced(timeline), 4) == [0.0, 0.102, 0.204, 0.306]


def test_time_that_was_not_used_is_not_made_up_for() -> None:
    timeline = Timeline()
    pacer = paced(timeline)
    pacer.wait()
    timeline.now += 5
    assert starts(timeline, pacer, 2) == [5.0, 5.102]


def test_a_throttled_call_moves_all_later_ones_twice_as_far_each_time() -> None:
    timeline = Timeline()
    pacer = paced(timeline, jitter=1.0)
    pauses = []
    for _ in range(8):
        pacer.throttled()
        before = timeline.now
        pacer.wait()
        pauses.append(round(timeline.now - before, 3))
    assert pauses == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


@pytest.mark.parametrize(("asked", "pause"), [(0, 0.25), (7, 7.0), (600, 30.0)])
def test_the_pause_that_the_marketplace_asks_for_is_kept_within_reason(
    asked: int, pause: float
) -> None:
    timeline = Timeline()
    pacer = paced(timeline, jitter=1.0)
    pacer.throttled(asked)
    pacer.wait()
    assert timeline.slept == [pytest.approx(pause)]


def test_an_answer_ends_the_row_of_throttled_calls() -> None:
    timeline = Timeline()
    pacer = paced(timeline, jitter=1.0)
    pacer.throttled()
    pacer.throttled()
    pacer.answered()
    timeline.now += 100
    pacer.throttled()
    before = timeline.now
    pacer.wait()
    assert timeline.now - before == pytest.approx(0.25)


def test_jitter_halves_a_pause_at_most() -> None:
    timeline = Timeline()
    pacer = paced(timeline, jitter=0.0)
    pacer.throttled()
    pacer.wait()
    assert timeline.slept == [pytest.approx(0.125)]


def test_threads_share_one_rate() -> None:
    waits: list[float] = []
    pacer = CallPacer(10, monotonic=lambda: 0.0, sleep=waits.append, jitter=lambda: 0.0)
    threads = [Thread(target=pacer.wait) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    interval = 1 / 9.8
    assert sorted(waits) == pytest.approx([interval * number for number in range(1, 20)])


def test_rounds_of_resends_wait_twice_as_long_each_time() -> None:
    slept: list[float] = []
    backoff = Backoff(sleep=slept.append, jitter=lambda: 1.0)
    for round_number in (1, 2, 3, 9):
        backoff(round_number)
    assert slept == [0.5, 1.0, 2.0, 8.0]
