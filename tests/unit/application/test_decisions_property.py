"""Any sequence of usage, settlements, reports and decisions: balanced, and no unit committed twice.

The marketplace of this test knows what it booked; a person who asks it decides by that.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import at
from decision_setup import Books, conflicted, refused
from meterbridge.domain.agreements import RecoveryPolicy
from meterbridge.domain.decisions import DecisionAction
from meterbridge.domain.errors import InvalidInputError, RefusedDecisionError
from meterbridge.domain.metering_record import (
    OPEN_STATES,
    MeteringRecord,
    RecordKey,
    RecordState,
)
from meterbridge.domain.money import exact_sum
from meterbridge.domain.statement import Bucket
from meterbridge.domain.windows import HOUR, BillingPeriod, hour_of

START = "2026-11-29T20:20"
RESULTS = ("accepted", "rejected", "expired", "lost", "never arrived", "taken", "taken and told")

USE = st.tuples(st.just("use"), st.integers(1, 9), st.integers(0, 40))
REPORT = st.tuples(st.just("report"), st.sampled_from(RESULTS), st.integers(0, 9))
DECIDE = st.tuples(
    st.just("decide"), st.sampled_from(list(DecisionAction)), st.integers(0, 9), st.integers(0, 30)
)
STEPS = st.one_of(
    USE,
    REPORT,
    REPORT,
    DECIDE,
    DECIDE,
    st.tuples(st.just("settle")),
    st.tuples(st.just("wait"), st.sampled_from([1, 3, 30, 24 * 40])),
    st.tuples(st.just("recovery"), st.sampled_from(list(RecoveryPolicy))),
)


class Market(Books):
    """Books, and what the marketplace truly booked of them."""

    def __init__(self, recovery: RecoveryPolicy) -> None:
        super().__init__({}, now=START, recovery=recovery, starts_at=at("2026-10-01T00"))
        self.booked: dict[RecordKey, Decimal] = {}
        self.used = Decimal(0)

    def use(self, quantity: int, hours_ago: int) -> None:
        """Usage of a closed hour, perhaps late; not before the first live period."""
        hour = hour_of(self.clock.now()) - HOUR * (hours_ago + 2)
        self.usage[hour] = self.usage.get(hour, Decimal(0)) + quantity
        self.used += quantity

    def report(self, result: str, amount: int) -> None:
        """One of the open records gets a result."""
        open_ones = [each for each in self.ledger.records("agr_1") if each.state in OPEN_STATES]
        if not open_ones:
            return
        record = open_ones[amount % len(open_ones)]
        key, quantity = record.key, record.quantity
        after = {
            "accepted": lambda: record.finished(RecordState.ACCEPTED, at=record.deadline),
            "rejected": lambda: refused(record, RecordState.REJECTED),
            "expired": lambda: refused(record, RecordState.EXPIRED),
            "taken and told": lambda: conflicted(record, str(amount)),
        }.get(result, lambda: conflicted(record))()
        booked = {"accepted": quantity, "lost": quantity, "never arrived": Decimal(0)}
        self.booked[key] = booked.get(result, Decimal(amount if "taken" in result else 0))
        self.finish(after)

    def decide_truly(self, action: DecisionAction, number: int, hours_ago: int) -> None:
        """Decide about any record, open or long gone, by what the marketplace says of it."""
        records = self.ledger.records("agr_1")
        if not records:
            return
        record = records[number % len(records)]
        booked = self.booked.get(record.key, Decimal(0))
        if action is DecisionAction.RETRY and booked:
            action = DecisionAction.CONFIRM
        more: dict[str, object] = {}
        if action is DecisionAction.CONFIRM:
            more["accepted_quantity"] = booked
        if action is DecisionAction.RE_DATE:
            more["new_hour"] = hour_of(self.clock.now()) - HOUR * hours_ago
        before, head = self.ledger.record(record.key), self.ledger.head("agr_1")
        try:
            self.decide(record, action, **more)
        except (RefusedDecisionError, InvalidInputError):
            assert (self.ledger.record(record.key), self.ledger.head("agr_1")) == (before, head)

    def totals(self) -> dict[Bucket, Decimal]:
        """By bucket over all months; every month balances."""
        period, totals = BillingPeriod(2026, 10), dict.fromkeys(Bucket, Decimal(0))
        while period <= BillingPeriod.of(self.clock.now()):
            for bucket, amount in self.buckets(period).items():
                totals[bucket] += amount
            period = period.next
        return totals

    def check(self) -> None:
        """Every unit is in one place, and what is said to be billed is what was booked."""
        totals = self.totals()
        assert exact_sum(totals.values()) == self.used
        records = self.ledger.records("agr_1")
        known = [each for each in records if each.state is RecordState.ACCEPTED or each.absorbed]
        assert totals[Bucket.ACCEPTED] == exact_sum(self.booked[each.key] for each in known)
        committed = exact_sum(
            exact_sum(each.counted(absorbed=each.absorbed).values()) for each in records
        )
        carried = totals[Bucket.CARRIED] + totals[Bucket.UNSETTLED]
        assert committed + carried == self.used
        decided = [each.decision for each in records if each.decision is not None]
        assert sorted(each.id for each in decided) == [
            each.id for each in self.ledger.decisions("agr_1", "", 1000)
        ]


def take(market: Market, step: tuple[object, ...]) -> None:
    match step:
        case ("use", int(quantity), int(hours_ago)):
            market.use(quantity, hours_ago)
        case ("report", str(result), int(amount)):
            market.report(result, amount)
        case ("decide", DecisionAction() as action, int(number), int(hours_ago)):
            market.decide_truly(action, number, hours_ago)
        case ("settle",):
            market.settle()
        case ("wait", int(hours)):
            market.clock.advance(timedelta(hours=hours))
        case ("recovery", RecoveryPolicy() as recovery):
            market.change(recovery=recovery)
        case _:
            raise AssertionError(step)


LONG_AFTER: list[tuple[object, ...]] = [("wait", 24 * 70), ("settle",)]
"""Until no settlement reads what was before."""


@given(
    st.sampled_from(list(RecoveryPolicy)),
    st.lists(STEPS, min_size=5, max_size=25),
    st.sampled_from([[], LONG_AFTER]),
    st.lists(st.one_of(DECIDE, USE, st.tuples(st.just("settle"))), max_size=15),
)
@settings(max_examples=300, deadline=None)
def test_whatever_happens_and_is_decided_every_unit_is_in_one_place(
    recovery: RecoveryPolicy,
    history: list[tuple[object, ...]],
    pause: list[tuple[object, ...]],
    decisions: list[tuple[object, ...]],
) -> None:
    market = Market(recovery)
    market.use(5, 3)
    market.settle()
    for step in [*history, *pause, *decisions, ("settle",)]:
        take(market, step)
        market.check()


@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.sampled_from(RESULTS), st.sampled_from(DecisionAction)),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from([RecoveryPolicy.MANUAL, RecoveryPolicy.NEVER]),
)
@settings(max_examples=200, deadline=None)
def test_once_a_person_has_decided_about_everything_all_is_billed_or_written_off(
    hours: list[tuple[int, str, DecisionAction]], recovery: RecoveryPolicy
) -> None:
    market = Market(recovery)
    for used, result, _ in hours:
        market.use(used, 0)
        market.settle()
        market.report(result, used)
        market.clock.advance(HOUR)
    for record, (_, _, action) in zip(market.ledger.records("agr_1"), hours, strict=False):
        decide_somehow(market, record, action)
    for _ in range(12):
        market.clock.advance(HOUR)
        market.settle()
        while any(each.state in OPEN_STATES for each in market.ledger.records("agr_1")):
            market.report("accepted", 0)
    totals = market.totals()
    market.check()
    assert totals[Bucket.CONFLICTED] == totals[Bucket.EXPIRED] == totals[Bucket.RELEASED] == 0
    assert totals[Bucket.CARRIED] <= 0
    assert totals[Bucket.ACCEPTED] + totals[Bucket.WRITTEN_OFF] + totals[Bucket.CARRIED] == (
        market.used
    )


def decide_somehow(market: Market, record: MeteringRecord, action: DecisionAction) -> None:
    """As asked, or the next that fits."""
    for each in (action, DecisionAction.RETRY, DecisionAction.WRITE_OFF):
        known = market.record(record.key)
        if known.decision is None:
            market.decide_truly(each, market.ledger.records("agr_1").index(known), 2)
