"""Cycles: by what tiers and included quantities begin anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import at
from meterbridge.domain.errors import InvariantError
from meterbridge.domain.pricing.cycles import BilledSpan, CycleKind, cycle_at, cycle_of, prorated
from meterbridge.domain.windows import HOUR

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
starts = st.integers(438_000, 525_000).map(lambda hours: EPOCH + timedelta(minutes=60 * hours + 17))


@pytest.mark.parametrize(
    ("kind", "start", "moment", "index", "first", "end"),
    [
        ("calendar_month", "2026-11-24T10", "2026-11-24T10", 0, "2026-11-01T00", "2026-12-01T00"),
        ("calendar_month", "2026-11-24T10", "2027-01-01T00", 2, "2027-01-01T00", "2027-02-01T00"),
        (
            "anniversary",
            "2026-11-24T10:30:00",
            "2026-11-24T10",
            0,
            "2026-11-24T10",
            "2026-12-24T10",
        ),
        (
            "anniversary",
            "2026-11-24T10:30:00",
            "2026-12-24T09",
            0,
            "2026-11-24T10",
            "2026-12-24T10",
        ),
        (
            "anniversary",
            "2026-11-24T10:30:00",
            "2026-12-24T10",
            1,
            "2026-12-24T10",
            "2027-01-24T10",
        ),
        ("anniversary", "2026-01-31T08", "2026-02-28T07", 0, "2026-01-31T08", "2026-02-28T08"),
        ("anniversary", "2026-01-31T08", "2026-02-28T08", 1, "2026-02-28T08", "2026-03-31T08"),
        ("anniversary", "2026-01-31T08", "2026-04-30T08", 3, "2026-04-30T08", "2026-05-31T08"),
        ("annual", "2024-02-29T00", "2025-02-27T23", 0, "2024-02-29T00", "2025-02-28T00"),
        ("annual", "2024-02-29T00", "2028-02-29T00", 4, "2028-02-29T00", "2029-02-28T00"),
    ],
)
def test_a_moment_lies_in_one_cycle(
    kind: str, start: str, moment: str, index: int, first: str, end: str
) -> None:
    found = cycle_of(CycleKind(kind), at(start), at(moment))
    assert (found.index, found.start, found.end) == (index, at(first), at(end))


@given(st.sampled_from(CycleKind), starts, st.integers(0, 60))
def test_cycles_follow_one_another_without_gap_and_hold_their_hours(
    kind: CycleKind, start: datetime, index: int
) -> None:
    cycle, later = cycle_at(kind, start, index), cycle_at(kind, start, index + 1)
    assert cycle.end == later.start
    assert cycle_of(kind, start, cycle.end) == later
    for moment in (
        max(cycle.start, start),
        cycle.end - HOUR,
        cycle.end - timedelta(microseconds=1),
    ):
        if moment >= start:
            assert cycle_of(kind, start, moment) == cycle


def test_before_the_agreement_there_is_no_cycle() -> None:
    with pytest.raises(InvariantError):
        cycle_of(CycleKind.ANNIVERSARY, at("2026-11-24T10"), at("2026-11-24T09"))


def test_an_agreement_bills_its_own_part_of_a_cycle() -> None:
    span = BilledSpan.since(at("2026-11-24T10:30:00"), at("2026-11-25T00"))
    november = cycle_of(CycleKind.CALENDAR_MONTH, span.starts_at, span.starts_at)
    assert (span.first_of(november), span.last_of(november)) == (
        at("2026-11-24T10"),
        at("2026-11-24T23"),
    )
    assert november.hours == 720
    assert span.is_last(at("2026-11-24T23"))
    assert not span.is_last(at("2026-11-24T22"))


@pytest.mark.parametrize(
    ("amount", "hours", "of_hours", "share"),
    [
        ("30", 720, 720, "30"),
        ("30", 360, 720, "15"),
        ("100", 1, 744, "0.134408602150"),  # 0.13440860215053…, down at the 12th place
        ("30", 0, 720, "0"),
    ],
)
def test_a_share_is_by_hours(amount: str, hours: int, of_hours: int, share: str) -> None:
    assert prorated(Decimal(amount), hours, of_hours) == Decimal(share)
