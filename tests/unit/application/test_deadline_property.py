"""The clock never says more time than there is: settle and report just before it and at it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from builders import at
from deadline_setup import Watched
from meterbridge.domain.deadlines import ORDINARY_DELAY, WaitingUsage, WaitsFor, closes_at
from meterbridge.domain.metering_record import MeteringRecord, RecordKey, RecordState
from meterbridge.domain.offerings import Channel
from meterbridge.domain.windows import HOUR, hour_of

MONTH_END = at("2026-12-01T00:00:00")
SECOND = timedelta(seconds=1)
CHANNELS = (Channel.AWS, Channel.AZURE, Channel.GCP)


@dataclass(frozen=True)
class History:
    """What happened until now.

    Attributes:
        used: (hours before now, quantity), before the settlement.
        settled_after: hours before now of a settlement; None for none.
        reported: whether what was settled was reported too.
        used_since: as used, in hours that the settlement did not see.
        ended: minutes ago; negative ahead; None for never.
    """

    now: datetime
    used: list[tuple[int, int]]
    settled_after: int | None
    reported: bool
    used_since: list[tuple[int, int]]
    ended: int | None
    per_unit: int

    def play(self, channel: Channel) -> Watched:
        """The stores as this leaves them; the same each time."""
        setup = Watched(self.now, channel, per_unit=self.per_unit)
        for ago, quantity in self.used:
            setup.use(hour_of(self.now) - ago * HOUR, quantity)
        if self.settled_after is not None:
            setup.clock.set(self.now - self.settled_after * HOUR)
            setup.settle()
            if self.reported:
                setup.report()
            setup.clock.set(self.now)
            for ago, quantity in self.used_since:
                # Only what that settlement could not see: hours that were not closed then.
                if ago < self.settled_after - 1:
                    setup.use(hour_of(self.now) - ago * HOUR, quantity)
        if self.ended is not None:
            end = (self.now - timedelta(minutes=self.ended)).replace(second=0)
            setup.end(end)
        return setup


USED = st.lists(st.tuples(st.integers(0, 70), st.integers(1, 9)), max_size=5)
HISTORIES = st.builds(
    History,
    now=st.integers(-60 * 60, 60 * 60).map(lambda minutes: MONTH_END + minutes * 60 * SECOND),
    used=USED,
    settled_after=st.one_of(st.none(), st.integers(1, 6), st.integers(1, 6), st.integers(0, 60)),
    reported=st.booleans(),
    used_since=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9)), max_size=4),
    ended=st.none() | st.integers(-600, 100),
    per_unit=st.sampled_from([1, 1, 3]),
)


def settled_and_reported(setup: Watched, moment: datetime) -> None:
    setup.clock.set(moment)
    setup.settle()
    setup.report()


def record_of(setup: Watched, one: WaitingUsage) -> MeteringRecord | None:
    record: MeteringRecord | None = setup.ledger.record(RecordKey("agr_1", one.dimension, one.hour))
    return record


@pytest.mark.parametrize("channel", CHANNELS)
@settings(max_examples=100, deadline=None)
@given(history=HISTORIES)
def test_until_the_deadline_it_is_accepted_and_at_the_deadline_it_is_not(
    channel: Channel, history: History
) -> None:
    setup = history.play(channel)
    one = setup.status().clock.next
    assume(one is not None)
    assert one is not None
    event(f"{one.waits_for}")
    agreement = setup.registry.agreement("agr_1")
    if closes_at(agreement, one.hour, setup.grace) < one.deadline:
        settled_and_reported(setup, one.deadline - SECOND)
        before = record_of(setup, one)
        assert before is not None
        assert before.state is RecordState.ACCEPTED
        assert before.quantity >= one.quantity
    late = history.play(channel)
    known = record_of(late, one)
    settled_and_reported(late, one.deadline)
    after = record_of(late, one)
    if known is not None and known.deadline > one.deadline:
        # It was written before the agreement's end was known. Whoever enforces it is the marketplace.
        assert agreement.ends_at is not None
    else:
        assert after is None or after.state is RecordState.EXPIRED


@pytest.mark.parametrize("channel", CHANNELS)
@settings(max_examples=100, deadline=None)
@given(history=HISTORIES)
def test_what_is_behind_is_found_by_every_sweep_with_no_more_time_than_there_is(
    channel: Channel, history: History
) -> None:
    setup = history.play(channel)
    now = setup.clock.now()
    behind = [
        one.deadline
        for one in setup.status().clock.waiting
        if one.is_behind(now) and now < one.deadline and _overdue(setup, one, now)
    ]
    found = setup.waiting()
    if behind:
        assert found[0].behind_until is not None
        assert found[0].behind_until <= min(behind)
    assert [each.agreement.id for each in found] in ([], ["agr_1"])


def _overdue(setup: Watched, one: WaitingUsage, now: datetime) -> bool:
    """Also by the clock of a pipeline that runs, not only as its time would not suffice."""
    if one.waits_for is WaitsFor.MARKETPLACE:
        return now >= one.expected_at
    agreement = setup.registry.agreement("agr_1")
    return now >= closes_at(agreement, one.hour, setup.grace) + ORDINARY_DELAY


@pytest.mark.parametrize("channel", CHANNELS)
@settings(max_examples=60, deadline=None)
@given(history=HISTORIES)
def test_a_pipeline_that_has_just_run_is_never_behind(channel: Channel, history: History) -> None:
    setup = history.play(channel)
    settled_and_reported(setup, setup.clock.now())
    assert [each for each in setup.waiting() if each.behind_until is not None] == []
