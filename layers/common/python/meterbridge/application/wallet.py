"""An agreement's prepaid credits: what was granted, spent, lost, and is left; and what set off events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from meterbridge.application.ports import Registry, UsageStore
from meterbridge.application.rated_usage import RatedSpan, RatingStates, read_rated_usage
from meterbridge.domain.agreements import Agreement
from meterbridge.domain.errors import InvalidInputError
from meterbridge.domain.money import ZERO, exact_sum
from meterbridge.domain.pricing.agreement_terms import Grant
from meterbridge.domain.pricing.credit_history import (
    Movement,
    WalletGrant,
    credit_movements,
    wallet_grants,
)
from meterbridge.domain.pricing.rating_state import HeldGrant
from meterbridge.domain.windows import HOUR, hour_of

MAX_SPAN = timedelta(days=400)
"""Longest range that is rated for an answer."""


@dataclass(frozen=True, slots=True)
class Wallet:
    """The wallet over [start, end).

    Attributes:
        grants: those held at the start, and those that came within.
    """

    start: datetime
    end: datetime
    currency: str
    grants: tuple[WalletGrant, ...]
    movements: tuple[Movement, ...]

    @property
    def balance(self) -> Decimal:
        """What is left at the end."""
        return exact_sum(grant.balance for grant in self.grants)


class GrantStanding(StrEnum):
    """Whether credits are still to come, can be spent, or are over."""

    SCHEDULED = "scheduled"
    HELD = "held"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class GrantBalance:
    """A grant of the agreement, with what is left of it and of what it rolled over into."""

    grant: Grant
    standing: GrantStanding
    balance: Decimal


def wallet(
    agreement: Agreement,
    start: datetime | None,
    end: datetime | None,
    *,
    registry: Registry,
    usage: UsageStore,
    ledger: RatingStates,
    now: datetime,
) -> Wallet:
    """An agreement's wallet over a range: by default its life until now, at most MAX_SPAN of it.

    Raises:
        InvalidInputError: the range is empty or too long.
    """
    until = hour_of(now) + HOUR if end is None else end
    earliest = hour_of(agreement.starts_at)
    since = start if start is not None else min(max(earliest, until - MAX_SPAN), until - HOUR)
    read, since, until = read_range(
        agreement, since, until, registry=registry, usage=usage, ledger=ledger, now=now
    )
    before = read.states[since].grants
    after = {held.id: held for held in read.states[until].grants}
    movements = tuple(credit_movements(read.hours))
    return Wallet(
        start=since,
        end=until,
        currency=read.billing.terms.versions[0].plan.currency,
        grants=tuple(wallet_grants(before, after, movements)),
        movements=movements,
    )


def grant_balances(
    agreement: Agreement,
    *,
    registry: Registry,
    usage: UsageStore,
    ledger: RatingStates,
    now: datetime,
) -> list[GrantBalance]:
    """The grants of an agreement, not those of its plan, as they stand now."""
    hour = hour_of(now)
    read, _, until = read_range(
        agreement, hour, hour + HOUR, registry=registry, usage=usage, ledger=ledger, now=now
    )
    held, first = read.states[until].grants, read.billing.terms.span.first_hour
    return [
        _balance(grant, held, max(hour_of(grant.effective_at), first) >= until)
        for grant in agreement.grants
    ]


def read_range(
    agreement: Agreement,
    start: datetime,
    end: datetime,
    *,
    registry: Registry,
    usage: UsageStore,
    ledger: RatingStates,
    now: datetime,
) -> tuple[RatedSpan, datetime, datetime]:
    """A range, rated as far as its hours have begun, with its start and its end.

    Raises:
        InvalidInputError: it is empty or longer than MAX_SPAN.
    """
    if not timedelta(0) < end - start <= MAX_SPAN:
        detail = f"start is before end, by at most {MAX_SPAN.days} days"
        raise InvalidInputError("invalid_range", detail, "start")
    until = max(min(end, hour_of(now) + HOUR), start)
    read = read_rated_usage(
        agreement, start, until, registry=registry, usage=usage, ledger=ledger, now=now
    )
    return read, start, until


def _balance(grant: Grant, held: Iterable[HeldGrant], to_come: bool) -> GrantBalance:
    family = [each for each in held if each.family == grant.id]
    if family:
        left = exact_sum(each.balance for each in family)
        return GrantBalance(grant, GrantStanding.HELD, left)
    if to_come:
        return GrantBalance(grant, GrantStanding.SCHEDULED, grant.amount)
    return GrantBalance(grant, GrantStanding.OVER, ZERO)
