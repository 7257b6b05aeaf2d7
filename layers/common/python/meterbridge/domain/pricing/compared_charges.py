"""Two ratings of the same usage, line by line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from meterbridge.domain.money import ZERO, exact_sum, subtract
from meterbridge.domain.pricing.charge_totals import total_charges
from meterbridge.domain.pricing.rated import RatedCharge, RatedHour
from meterbridge.domain.usage import GroupKey


@dataclass(frozen=True, slots=True)
class ComparedCharge:
    """What one code and group came to before, and comes to after.

    Attributes:
        before, after: None where the terms charge for no such thing.
    """

    code: str
    group: GroupKey
    before: RatedCharge | None
    after: RatedCharge | None

    @property
    def difference(self) -> Decimal:
        """In net charge; positive costs more."""
        return subtract(_net(self.after), _net(self.before))


def compared_charges(
    before: Sequence[RatedHour], after: Sequence[RatedHour]
) -> tuple[ComparedCharge, ...]:
    """The lines of both, in the order of the first; then what only the second has."""
    old = {(each.code, each.group): each for each in total_charges(before)}
    new = {(each.code, each.group): each for each in total_charges(after)}
    return tuple(
        ComparedCharge(code, group, old.get((code, group)), new.get((code, group)))
        for code, group in dict.fromkeys([*old, *new])
    )


def total_net(hours: Sequence[RatedHour]) -> Decimal:
    """The net charges of hours of one currency."""
    return exact_sum(charge.net for hour in hours for charge in hour.charges)


def _net(charge: RatedCharge | None) -> Decimal:
    return ZERO if charge is None else charge.net
