"""From a line back to the hours that made it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from meterbridge.domain.invoicing.invoice_lines import DEDUCTIONS, FREE, InvoiceLine, LineKind
from meterbridge.domain.invoicing.line_building import (
    free_quantity,
    line_identity,
    part_identity,
    taken_off,
)
from meterbridge.domain.money import ZERO, exact_sum
from meterbridge.domain.pricing.rated import RatedCharge, RatedHour


@dataclass(frozen=True, slots=True)
class HourShare:
    """What one hour and charge put into a line.

    Attributes:
        code: what was charged for; of a deduction, what it was taken off.
        quantity: in the meter's unit; amount as on the line, a deduction's negative.
    """

    hour: datetime
    code: str
    quantity: Decimal
    amount: Decimal


def hours_of_line(line: InvoiceLine, hours: Iterable[RatedHour]) -> list[HourShare]:
    """The shares that make a line, ascending; of an adjustment, all that its code has come to.

    Args:
        hours: rated hours of the line's period.
    """
    return [
        HourShare(hour.hour, charge.code, quantity, amount)
        for hour in hours
        for charge in hour.charges
        for quantity, amount in _shares(line, charge)
        if quantity or amount
    ]


def traced_amount(shares: Iterable[HourShare]) -> Decimal:
    """What shares come to."""
    return exact_sum(share.amount for share in shares)


def _shares(line: InvoiceLine, charge: RatedCharge) -> Iterator[tuple[Decimal, Decimal]]:
    if line.kind in DEDUCTIONS:
        for kind, source, amount in taken_off(charge):
            if (kind, source) == (line.kind, line.source):
                yield ZERO, amount.copy_negate()
    elif line.kind in FREE:
        if (charge.code, charge.group) == (line.code, line.group):
            yield free_quantity(charge, line.kind), ZERO
    elif line.kind is LineKind.ADJUSTMENT:
        if charge.code == line.code:
            yield charge.rated, charge.net
    else:
        wanted = line_identity(line)
        for part in charge.parts:
            if part_identity(charge.code, charge.group, part) == wanted:
                yield part.quantity, part.amount
