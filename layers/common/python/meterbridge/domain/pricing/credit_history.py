"""What happened to prepaid credits over some rated hours, grant by grant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from meterbridge.domain.money import ZERO, exact_sum
from meterbridge.domain.pricing.rated import MovementKind, RatedHour
from meterbridge.domain.pricing.rating_state import HeldGrant


class CreditFlow(StrEnum):
    """What happens to credits. What rolls over leaves one grant, and comes as another."""

    GRANTED = "granted"
    SPENT = "spent"
    EXPIRED = "expired"
    ROLLED_OVER = "rolled_over"


@dataclass(frozen=True, slots=True)
class Movement:
    """Credits that came into the wallet, or left it, with an hour.

    Attributes:
        code: what they paid for; "" where they were not spent.
        amount: negative where a charge gave credits back.
    """

    hour: datetime
    flow: CreditFlow
    grant_id: str
    amount: Decimal
    code: str = ""


@dataclass(frozen=True, slots=True)
class WalletGrant:
    """A grant of the wallet: granted = spent + expired + rolled_over + balance.

    Attributes:
        held: as it stands at the end of the range; None once it is over.
    """

    id: str
    granted: Decimal
    spent: Decimal
    expired: Decimal
    rolled_over: Decimal
    held: HeldGrant | None

    @property
    def balance(self) -> Decimal:
        """What is left of it; never negative."""
        return ZERO if self.held is None else self.held.balance


def credit_movements(hours: Iterable[RatedHour]) -> Iterator[Movement]:
    """What moved credits in some hours, in the order in which it happened."""
    for hour in hours:
        granted = [each for each in hour.movements if each.kind is MovementKind.GRANTED]
        ended = [each for each in hour.movements if each.kind is not MovementKind.GRANTED]
        for each in (*ended, *granted):
            yield Movement(hour.hour, CreditFlow(each.kind.value), each.grant_id, each.amount)
        for charge in hour.charges:
            for grant_id, amount in charge.credits.items():
                yield Movement(hour.hour, CreditFlow.SPENT, grant_id, amount, charge.code)


def wallet_grants(
    before: Iterable[HeldGrant], after: Mapping[str, HeldGrant], movements: Iterable[Movement]
) -> Iterator[WalletGrant]:
    """Every grant held before some hours, or come in them.

    Args:
        before: held before the first of them.
        after: held after the last, by id.
        movements: of all of them.
    """
    flows: dict[str, dict[CreditFlow, Decimal]] = {
        held.id: {CreditFlow.GRANTED: held.amount, CreditFlow.SPENT: held.spent} for held in before
    }
    for each in movements:
        of = flows.setdefault(each.grant_id, {})
        of[each.flow] = exact_sum((of.get(each.flow, ZERO), each.amount))
    for grant_id, of in flows.items():
        yield WalletGrant(
            id=grant_id,
            granted=of.get(CreditFlow.GRANTED, ZERO),
            spent=of.get(CreditFlow.SPENT, ZERO),
            expired=of.get(CreditFlow.EXPIRED, ZERO),
            rolled_over=of.get(CreditFlow.ROLLED_OVER, ZERO),
            held=after.get(grant_id),
        )
