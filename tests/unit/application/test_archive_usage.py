"""The archive: every event once for each time it came, whatever is killed, repeated or late."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest

from builders import GRACE, at
from fakes.usage_archive import FakeUsageArchive
from killing import Fuse, Fused, Killed
from meterbridge.application.archive_usage import EVENTS, ArchiveSummary, archive_usage
from meterbridge.domain.archive_slices import ArchiveSlice
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.partitions import Partition
from meterbridge.domain.usage_log import StoredSegment
from meterbridge.domain.windows import hour_of
from world import World

NOON = at("2026-11-24T12:20:00")
LATER = timedelta(days=2)


def usage_event(number: int, moment: str, subject: str = "acme") -> UsageEvent:
    return UsageEvent(
        "prd_llm", "app", f"event-{number}", "llm.request", subject, at(moment), {"tokens": number}
    )


class Archiving:
    """A world whose usage is archived, with a fuse around every call of the archive's function."""

    def __init__(self) -> None:
        self.world = World(NOON)
        self.archive = FakeUsageArchive()
        self.fuse = Fuse()

    def run(self, may_go_on: Callable[[], bool] = lambda: True) -> ArchiveSummary:
        world, fuse = self.world, self.fuse
        return archive_usage(
            log=Fused(world.real_log, fuse, "arrivals", "read"),
            usage=Fused(world.usage, fuse, "cursor", "set_cursor", "heads", "hourly"),
            archive=Fused(self.archive, fuse, "slices", "store_events", "store_usage"),
            clock=world.clock,
            grace=GRACE,
            may_go_on=may_go_on,
        )

    def run_interrupted(self, half_step: int, interrupt: Callable[[], None] | None) -> None:
        """A run that is killed, or overtaken by a whole other one, at a half-step; then another."""
        self.fuse.arm(half_step, interrupt) if interrupt else self.fuse.arm(half_step)
        with suppress(Killed):
            self.run()
        self.fuse.arm(None)
        self.run()

    def quantities(self) -> dict[tuple[str, str, str], str | None]:
        return {
            (str(partition.hour.hour), row.subject, row.meter_id): row.quantity
            for partition, (_, rows) in self.archive.usage.items()
            for row in rows
        }


def test_the_events_of_an_hour_are_archived_an_hour_after_it_and_its_quantities_at_once() -> None:
    here = Archiving()
    here.world.send([usage_event(7, "2026-11-24T11:30:00")])
    here.world.cycle()
    here.run()
    assert here.archive.ids() == []
    assert here.quantities() == {
        ("11", "acme", "mtr_requests"): "1",
        ("11", "acme", "mtr_tokens"): "7",
    }
    here.world.clock.set(at("2026-11-24T13:02:00"))
    assert here.run().events == 1
    assert here.archive.ids() == ["event-7"]


def test_a_late_event_is_in_a_slice_of_its_own_and_the_quantities_are_replaced() -> None:
    here = Archiving()
    here.world.send([usage_event(1, "2026-11-24T09:30:00")])
    here.world.cycle()
    here.world.clock.advance(LATER)
    here.run()
    here.world.send([usage_event(2, "2026-11-24T09:40:00")])
    here.world.cycle()
    assert here.run().events == 0
    here.world.clock.advance(timedelta(days=1))
    assert here.run().events == 1
    assert here.archive.ids() == ["event-1", "event-2"]
    assert sorted(piece.end for piece in here.archive.events) == [
        at("2026-11-25T00"),
        at("2026-11-27T00"),
    ]
    assert here.quantities()["9", "acme", "mtr_tokens"] == "3"


def test_what_came_twice_is_archived_twice() -> None:
    here = Archiving()
    for _ in range(2):
        here.world.send([usage_event(1, "2026-11-24T11:30:00")])
    here.world.cycle()
    here.world.clock.advance(LATER)
    here.run()
    assert here.archive.ids() == ["event-1", "event-1"]
    assert here.quantities()["11", "acme", "mtr_requests"] == "1"


@pytest.mark.parametrize("overtaken", [False, True], ids=["killed", "overtaken"])
@pytest.mark.parametrize("half_step", range(80))
def test_a_run_interrupted_anywhere_loses_and_doubles_nothing(
    half_step: int, overtaken: bool
) -> None:
    here = Archiving()
    for number, moment in enumerate(("2026-11-24T09:30:00", "2026-11-24T11:30:00")):
        here.world.send([usage_event(number, moment), usage_event(number + 5, moment, "globex")])
    here.world.cycle()
    here.world.clock.advance(LATER)
    here.run_interrupted(half_step, (lambda: here.run() and None) if overtaken else None)
    assert here.archive.ids() == ["event-0", "event-1", "event-5", "event-6"]
    assert here.quantities()["9", "globex", "mtr_tokens"] == "5"
    assert here.quantities()["11", "acme", "mtr_tokens"] == "1"
    assert len(here.quantities()) == 8
    assert here.world.usage.cursor(EVENTS) == "2026-11-26T12:15:00+00:00"


def test_a_run_out_of_time_is_gone_on_with_by_the_next() -> None:
    here = Archiving()
    for number, moment in enumerate(("2026-11-24T08:30:00", "2026-11-24T09:30:00")):
        here.world.send([usage_event(number, moment)])
        here.world.clock.advance(timedelta(minutes=10))
    here.world.cycle()
    here.world.clock.advance(LATER)
    answers = iter([True, False])
    summary = here.run(lambda: next(answers, False))
    assert (summary.finished, summary.slices, summary.archived_through) == (
        False,
        1,
        at("2026-11-24T08"),
    )
    assert here.run().finished
    assert here.archive.ids() == ["event-0", "event-1"]


def test_what_cannot_be_read_holds_up_nothing_else_and_shows_as_lag_until_it_can() -> None:
    here = Archiving()
    here.world.send([usage_event(1, "2026-11-24T11:30:00", "acme")])
    here.world.send([usage_event(2, "2026-11-24T11:30:00", "globex")])
    plan = here.world.real_registry.shard_plan()
    broken = plan.partition_of("prd_llm", "acme", at("2026-11-24T11:30:00"))
    segments = here.world.real_log._segments[broken]
    whole = dict(segments)
    for sk, segment in whole.items():
        segments[sk] = StoredSegment(broken, sk, segment.received_at, segment.body[:-1])
    here.world.clock.advance(timedelta(days=30))
    for _ in range(2):
        summary = here.run()
        assert list(summary.unreadable) == [broken]
        assert summary.archived_through == NOON
        assert here.archive.ids() == ["event-2"]
    segments.update(whole)
    assert here.run().archived_through == here.world.clock.now() - timedelta(minutes=5)
    assert here.archive.ids() == ["event-1", "event-2"]


def test_a_lost_position_has_everything_looked_at_again_and_nothing_archived_again() -> None:
    here = Archiving()
    here.world.send([usage_event(1, "2026-11-24T11:30:00")])
    here.world.cycle()
    here.world.clock.advance(LATER)
    here.run()
    here.world.usage._cursors.clear()
    summary = here.run()
    assert (summary.slices, here.archive.ids()) == (0, ["event-1"])


@pytest.mark.parametrize(
    ("received", "start", "end"),
    [
        ("2026-11-24T21:50:00", "1970-01-01T00", "2026-11-25T00"),
        ("2026-11-24T23:59:59", "1970-01-01T00", "2026-11-25T00"),
        ("2026-11-25T00:00:00", "2026-11-25T00", "2026-11-26T00"),
        ("2026-12-29T23:00:00", "2026-12-29T00", "2026-12-30T00"),
    ],
)
def test_a_slice_ends_an_hour_after_its_hour_or_with_a_day(
    received: str, start: str, end: str
) -> None:
    piece = ArchiveSlice.of(Partition(at("2026-11-24T22"), 3), at(received))
    assert (piece.start, piece.end) == (at(start), at(end))
    assert ArchiveSlice.named(piece.partition.hour, piece.name) == piece
    assert not piece.is_final(piece.end + timedelta(seconds=119))
    assert piece.is_final(piece.end + timedelta(seconds=120))


def test_the_first_late_slice_of_an_hour_before_midnight_begins_where_the_first_ends() -> None:
    partition = Partition(at("2026-11-24T23"), 0)
    first = ArchiveSlice.of(partition, at("2026-11-25T00:59:59"))
    second = ArchiveSlice.of(partition, first.end)
    assert (first.end, second.start, second.end) == (
        at("2026-11-25T01"),
        at("2026-11-25T01"),
        at("2026-11-26T00"),
    )
    assert hour_of(first.end) == first.end
