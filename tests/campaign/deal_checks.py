"""Is what a deal was rated to what it comes to by hand, period by period and to the last digit?"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from builders import GRACE
from campaign.by_hand.agreed import Bill
from campaign.by_hand.prices import ZERO
from campaign.by_hand.spans import HOUR, hour_of
from campaign.dealt import due_of
from campaign.oracle import Oracle
from meterbridge.application.rated_usage import read_rated_usage
from meterbridge.domain.charge_lines import ChargeLine
from meterbridge.domain.statement import Statement
from meterbridge.domain.windows import BillingPeriod

FIELDS = ("metered", "included", "free_trial", "over_limit", "rated")
AMOUNTS = ("list_charge", "trial_amount", "discounts", "credits", "over_cap", "net")


@dataclass(frozen=True)
class Due:
    """What is due of a reported dimension, in its own measure.

    Attributes:
        most: what it can have been at any time; None is not known.
        not_closed: what of it is of hours that are not closed yet.
    """

    amount: Decimal | Fraction
    most: Decimal | Fraction | None
    not_closed: Decimal | Fraction = ZERO


def check_deal(
    subject: str, world: Any, oracle: Oracle, statements: list[Statement]
) -> dict[str, Due]:
    """Compare all that was rated; what is due by reported dimension.

    Raises:
        AssertionError: a quantity, an amount or a balance differs.
    """
    now = world.clock.now()
    bill = oracle.bill(subject, hour_of(now))
    for statement in statements:
        check_charges(subject, statement, bill)
        for line in statement.lines:
            due = due_by_hand(bill, line.dimension.code, statement.period)
            what = f"{subject} {statement.period} {line.dimension.code}"
            assert line.rated == due, f"{what}: {line.rated} was rated, {float(due)} by hand"
    _check_wallet(subject, world, bill, now)
    ended = oracle.ends.get(subject)
    can_fall = oracle.dealt[subject].can_fall(ended=ended is not None)
    unsure = can_fall or subject in oracle.overtaken
    found = {}
    for line in statements[0].lines:
        code = line.dimension.code
        amount = due_by_hand(bill, code)
        flushed = ended is not None and now >= ended + GRACE
        rest = ZERO if flushed else due_by_hand(bill, code, since=_first_open(now))
        found[code] = Due(amount, None if unsure else amount, rest)
    return found


def _first_open(now: datetime) -> datetime:
    """The first hour that is not closed."""
    return hour_of(now - GRACE)


def due_by_hand(
    bill: Bill, code: str, period: BillingPeriod | None = None, since: datetime | None = None
) -> Fraction:
    return sum(
        (
            due_of(bill.plans[hour], entries).get(code, ZERO)
            for hour, entries in bill.hours.items()
            if (period is None or period.start <= hour < period.end)
            and (since is None or hour >= since)
        ),
        ZERO,
    )


def check_charges(subject: str, statement: Statement, bill: Bill) -> None:
    """Each line of the period, and each of its fields."""
    by_hand: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for hour, entries in bill.hours.items():
        if statement.period.start <= hour < statement.period.end:
            for entry in entries:
                for name in (*FIELDS, *AMOUNTS):
                    by_hand[entry.code, name] += getattr(entry, name)
    rated: dict[tuple[str, str], Fraction] = {}
    for line in statement.charge_lines:
        assert line.balanced, f"{subject} {statement.period} {line.code} is not balanced"
        rated |= {(line.code, name): _value(line, name) for name in (*FIELDS, *AMOUNTS)}
    for key in {*by_hand, *rated}:
        product, oracle = rated.get(key, ZERO), by_hand[key]
        what = f"{subject} {statement.period} {' '.join(key)}"
        assert product == oracle, f"{what}: {float(product)} was rated, {float(oracle)} by hand"


def _value(line: ChargeLine, name: str) -> Fraction:
    value = getattr(line, name)
    return Fraction(value if isinstance(value, Decimal) else value.amount)


def _check_wallet(subject: str, world: Any, bill: Bill, now: datetime) -> None:
    """What is left of each grant is the same, and never less than nothing."""
    end = hour_of(now) + HOUR
    read = read_rated_usage(
        world.agreement(subject),
        end - timedelta(hours=1),
        end,
        registry=world.real_registry,
        usage=world.usage,
        ledger=world.real_ledger,
        now=now,
    )
    held = read.states[end].grants
    assert all(each.balance >= 0 for each in held), f"{subject}: {held}"
    left = {each.id: Fraction(each.balance) for each in held if each.balance}
    by_hand = {name: amount for name, amount in bill.wallet.items() if amount}
    assert left == by_hand, f"{subject}: {left} is left of credits, {by_hand} by hand"
