"""Prepaid credits: what each grant was asked to pay so far decides what is left of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING

from campaign.by_hand.agreed import Agreed, Entry
from campaign.by_hand.prices import ZERO, F
from campaign.by_hand.spans import ceiling, cycles, hour_of, shared
from meterbridge.domain.pricing.plan_terms import Recurrence, Rollover
from meterbridge.domain.windows import hour_text

if TYPE_CHECKING:
    from campaign.by_hand.bill import Cycle

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass
class Credits:
    """Credits in the wallet. `root` is the grant whose credits they once were."""

    id: str
    root: str
    amount: Fraction
    priority: int
    since: datetime
    until: datetime | None
    codes: frozenset[str]
    rollover: Rollover | None
    asked: Fraction = ZERO

    @property
    def spent(self) -> Fraction:
        return min(max(self.asked, ZERO), self.amount)

    @property
    def left(self) -> Fraction:
        return self.amount - self.spent

    def ask(self, entries: list[Entry]) -> None:
        """Let it pay what it can of entries, or take back what they no longer need."""
        mine = [each for each in entries if not self.codes or each.code in self.codes]
        before = self.spent
        self.asked += sum((each.net for each in mine), ZERO)
        for entry, share in shared(mine, self.spent - before):
            entry.credits += share


class Wallet:
    """All credits of an agreement."""

    def __init__(self, agreed: Agreed) -> None:
        self.agreed = agreed
        self.held: list[Credits] = []
        self._known_rules: set[str] = set()

    def expiries(self) -> list[datetime]:
        return [ceiling(each.until) for each in self.held if each.until is not None]

    def open_hour(self, cycle: Cycle, hour: datetime) -> None:
        """Expire, roll over and receive."""
        if hour == cycle.first:
            self.held = [each for each in self.held if each.left > 0]
        gone = [each for each in self.held if each.until is not None and each.until <= hour]
        self.held = [each for each in self.held if each not in gone]
        for root in dict.fromkeys(each.root for each in gone):
            self._roll_over([each for each in gone if each.root == root], cycle, hour)
        if hour == cycle.first:
            self._receive_of_plan(cycle, hour)
        for grant in self.agreed.grants:
            if hour != max(hour_of(grant.effective_at), self.agreed.span.first):
                continue
            if grant.expires_at is None or grant.expires_at > hour:
                self.held.append(
                    Credits(
                        grant.id,
                        grant.id,
                        F(grant.amount),
                        grant.priority,
                        grant.effective_at,
                        grant.expires_at,
                        grant.codes,
                        grant.rollover,
                    )
                )

    def pay(self, entries: list[Entry]) -> None:
        for held in sorted(self.held, key=_order):
            held.ask(entries)

    def top_up(self, cycle: Cycle, hour: datetime, entries: list[Entry]) -> Entry | None:
        """Buy what is needed to pay for the hour and stay above the threshold."""
        rule, stop = cycle.plan.top_up, self.agreed.span.stop
        if rule is None or cycle.is_free(hour) or hour == (stop and stop - timedelta(hours=1)):
            return None
        owed = sum((each.net for each in entries), ZERO)
        amount, usable = F(rule.amount), sum((c.left for c in self.held if not c.codes), ZERO)
        missing = max(owed, ZERO) + F(rule.threshold) * amount - usable
        if missing < 0:
            return None
        count = floor(missing / amount) + 1
        if cycle.plan.spend_cap is not None:
            room = F(cycle.plan.spend_cap.amount) - cycle.spend - min(owed, ZERO)
            count = min(count, floor(max(room, ZERO) / amount))
        if count == 0:
            return None
        until = None if rule.lasts_days is None else hour + timedelta(days=rule.lasts_days)
        name = f"{rule.code}:{hour_text(hour)}"
        bought = Credits(name, name, count * amount, 0, hour, until, frozenset(), None)
        self.held.append(bought)
        bought.ask(entries)
        return Entry(rule.code, list_charge=count * amount)

    def balances(self) -> dict[str, Fraction]:
        return {each.id: each.left for each in self.held}

    def _roll_over(self, gone: list[Credits], cycle: Cycle, hour: datetime) -> None:
        rule = gone[0].rollover
        left = sum((each.left for each in gone), ZERO)
        kept = ZERO if rule is None else left if rule.cap is None else min(left, F(rule.cap))
        if rule is not None and kept:
            name = f"{gone[0].root}:rollover:{hour_text(hour)}"
            until = self._end_of(cycle, rule.cycles)
            self.held.append(replace(gone[0], id=name, amount=kept, until=until, asked=ZERO))

    def _receive_of_plan(self, cycle: Cycle, hour: datetime) -> None:
        for rule in cycle.plan.credits:
            each_cycle = rule.recurrence is Recurrence.CYCLE
            if each_cycle or rule.id not in self._known_rules:
                name = f"{rule.id}:{hour_text(hour)}" if each_cycle else rule.id
                until = self._end_of(cycle, rule.lasts_cycles) if rule.lasts_cycles else None
                self.held.append(
                    Credits(
                        name,
                        rule.id,
                        F(rule.amount),
                        rule.priority,
                        hour,
                        until,
                        rule.codes,
                        rule.rollover,
                    )
                )
        self._known_rules |= {rule.id for rule in cycle.plan.credits}

    def _end_of(self, cycle: Cycle, count: int) -> datetime:
        """The end of so many cycles, this one included."""
        far = cycle.start + timedelta(days=400 * count)
        forever = replace(self.agreed.span, end=None)
        ends = [
            end for start, end in cycles(cycle.plan.cycle, forever, far) if start >= cycle.start
        ]
        return ends[count - 1]


def _order(held: Credits) -> tuple[int, datetime, datetime, str]:
    return (held.priority, held.until or _NEVER, held.since, held.id)
