"""The working copy of a rating state, and an hour's charges while things are taken off them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from meterbridge.domain.money import ZERO, add, exact_sum, multiply, plain, subtract
from meterbridge.domain.pricing.charges import NOTHING, Charge
from meterbridge.domain.pricing.pools import spread
from meterbridge.domain.pricing.rated import (
    CreditMovement,
    RatedCharge,
    ThresholdPassed,
    Watched,
)
from meterbridge.domain.pricing.rating_state import FeeState, HeldGrant, RatingState, UsageState
from meterbridge.domain.usage import GroupKey

HUNDRED = Decimal(100)


@dataclass(slots=True)
class Line:
    """One charge of an hour while trial, discounts, credits and cap take from what is left of it."""

    code: str
    charge: Charge
    group: GroupKey = ()
    metered: Decimal = ZERO
    incremented: Decimal = ZERO
    included: Decimal = ZERO
    free_trial: Decimal = ZERO
    over_limit: Decimal = ZERO
    rated: Decimal = ZERO
    trial_amount: Decimal = ZERO
    discounts: dict[str, Decimal] = field(default_factory=dict)
    credits: dict[str, Decimal] = field(default_factory=dict)
    over_cap: Decimal = ZERO
    left: Decimal = ZERO

    def __post_init__(self) -> None:
        self.left = self.charge.amount

    def cover(self, amount: Decimal) -> None:
        """The trial takes an amount."""
        self.trial_amount = add(self.trial_amount, amount)
        self.left = subtract(self.left, amount)

    def finished(self) -> RatedCharge:
        """As it came out."""
        return RatedCharge(
            code=self.code,
            group=self.group,
            metered=self.metered,
            incremented=self.incremented,
            included=self.included,
            free_trial=self.free_trial,
            over_limit=self.over_limit,
            rated=self.rated,
            list_charge=self.charge.amount,
            parts=self.charge.parts,
            trial_amount=self.trial_amount,
            discounts=self.discounts,
            credits=self.credits,
            over_cap=self.over_cap,
            net=self.left,
        )


def left_of(lines: Sequence[Line]) -> Decimal:
    """What is left of lines, together."""
    return exact_sum(line.left for line in lines)


def take(lines: Sequence[Line], amount: Decimal, note: Callable[[Line, Decimal], None]) -> None:
    """Take an amount from what is left of lines, in their order.

    Args:
        note: enters a line's share where it belongs.
    """
    if not amount:
        return
    for line, share in zip(lines, spread(amount, [line.left for line in lines]), strict=True):
        if share:
            note(line, share)
            line.left = subtract(line.left, share)


class Progress:
    """A rating state that hours are added to."""

    def __init__(self, state: RatingState) -> None:
        """Begin where a state stands."""
        self.rated_through = state.rated_through
        self.cycle_start = state.cycle_start
        self.usage = dict(state.usage)
        self.fees = dict(state.fees)
        self.trial_offered = dict(state.trial_offered)
        self.discounted = dict(state.discounted)
        self.cycle_charge = state.cycle_charge
        self.committed = state.committed
        self.grants: list[HeldGrant] = list(state.grants)
        self.spend = state.spend
        self.net = state.net
        self.movements: list[CreditMovement] = []
        self.passed: list[ThresholdPassed] = []
        self._told = set(state.thresholds)
        self._charges: dict[str, Charge] = {}

    def open_cycle(self, start: datetime) -> None:
        """Let everything begin anew that is counted by cycle; credits used up are let go."""
        self.cycle_start = start
        self.usage, self.fees, self.discounted = {}, {}, {}
        self.cycle_charge = self.spend = ZERO
        self.grants = [grant for grant in self.grants if grant.balance > 0]
        self._told = {key for key in self._told if key.startswith(Watched.CREDITS)}
        self._charges = {}

    def charge_before(
        self, key: str, before: UsageState | None, model: Callable[[Decimal, Decimal], Charge]
    ) -> Charge:
        """The cycle's charge so far of a dimension's group."""
        if before is None:
            return NOTHING
        if key not in self._charges:
            self._charges[key] = model(before.rated, before.events)
        return self._charges[key]

    def enter_usage(self, key: str, state: UsageState, charge: Charge) -> None:
        """What a dimension's group has come to."""
        self.usage[key] = state
        self._charges[key] = charge

    def fee(self, code: str) -> FeeState:
        """What was charged of a fee in this cycle."""
        return self.fees.get(code, FeeState())

    def watch(
        self,
        watched: Watched,
        code: str,
        percents: Sequence[Decimal],
        used: Decimal,
        limit: Decimal,
    ) -> None:
        """Tell of the thresholds that `used` has reached and that were not told of yet."""
        hundredfold = multiply(used, HUNDRED)
        for percent in percents:
            if hundredfold < multiply(percent, limit):
                continue
            key = f"{watched}/{plain(percent)}/{code}"
            if key not in self._told:
                self._told.add(key)
                self.passed.append(ThresholdPassed(watched, code, percent, used, limit))

    def forget(self, watched: Watched) -> None:
        """Let thresholds be told again."""
        self._told = {key for key in self._told if not key.startswith(watched)}

    def state(self) -> RatingState:
        """Where it stands now."""
        return RatingState(
            rated_through=self.rated_through,
            cycle_start=self.cycle_start,
            usage=self.usage,
            fees=self.fees,
            trial_offered=self.trial_offered,
            discounted=self.discounted,
            cycle_charge=self.cycle_charge,
            committed=self.committed,
            grants=tuple(self.grants),
            spend=self.spend,
            thresholds=tuple(sorted(self._told)),
            net=self.net,
        )
