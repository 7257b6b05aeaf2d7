"""What a span of rated hours comes to, by what was charged for: quantities and money, conserved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from meterbridge.domain.money import ZERO, Money, exact_sum
from meterbridge.domain.pricing.rated import RatedCharge, RatedHour


@dataclass(frozen=True, slots=True)
class ChargeLine:
    """One dimension or fee over some hours.

    metered + adjusted = included + free_trial + over_limit + rated, in quantity; and in money
    list_charge = trial_amount + discounts + credits + over_cap + net.

    Attributes:
        adjusted: what rounding to increments added to the metered quantity, or took from it.
        net: the charge that is left.
        logged: the metered quantity recounted from the usage log, where that was asked for.
    """

    code: str
    metered: Decimal
    adjusted: Decimal
    included: Decimal
    free_trial: Decimal
    over_limit: Decimal
    rated: Decimal
    list_charge: Money
    trial_amount: Money
    discounts: Money
    credits: Money
    over_cap: Money
    net: Money
    logged: Decimal | None = None

    @property
    def balanced(self) -> bool:
        """Whether every unit and every amount is in one place, and the usage log says the same."""
        quantity = exact_sum((self.included, self.free_trial, self.over_limit, self.rated))
        taken = (self.trial_amount, self.discounts, self.credits, self.over_cap, self.net)
        return (
            exact_sum((self.metered, self.adjusted)) == quantity
            and self.list_charge.amount == exact_sum(each.amount for each in taken)
            and self.logged in (None, self.metered)
        )


def charge_lines(
    hours: Iterable[RatedHour], logged: Mapping[str, Decimal] | None = None
) -> tuple[ChargeLine, ...]:
    """One line for each code and currency, in the order of a bill.

    Args:
        logged: metered quantity by code, recounted; what is missing there was not logged.
    """
    found: dict[tuple[str, str], list[RatedCharge]] = {}
    for hour in hours:
        for charge in hour.charges:
            found.setdefault((charge.code, hour.currency), []).append(charge)
    return tuple(
        _line(code, currency, charges, None if logged is None else logged.get(code, ZERO))
        for (code, currency), charges in found.items()
    )


def _line(
    code: str, currency: str, charges: list[RatedCharge], logged: Decimal | None
) -> ChargeLine:
    def money(amounts: Iterable[Decimal]) -> Money:
        return Money(exact_sum(amounts), currency)

    return ChargeLine(
        code=code,
        metered=exact_sum(each.metered for each in charges),
        adjusted=exact_sum(each.adjusted for each in charges),
        included=exact_sum(each.included for each in charges),
        free_trial=exact_sum(each.free_trial for each in charges),
        over_limit=exact_sum(each.over_limit for each in charges),
        rated=exact_sum(each.rated for each in charges),
        list_charge=money(each.list_charge for each in charges),
        trial_amount=money(each.trial_amount for each in charges),
        discounts=money(amount for each in charges for amount in each.discounts.values()),
        credits=money(amount for each in charges for amount in each.credits.values()),
        over_cap=money(each.over_cap for each in charges),
        net=money(each.net for each in charges),
        logged=logged,
    )
