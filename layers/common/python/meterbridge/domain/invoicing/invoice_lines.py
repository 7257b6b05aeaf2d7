"""One line of an invoice or credit note: what, how much, at which price, by which rule."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from meterbridge.domain.money import ZERO
from meterbridge.domain.pricing.charges import Rule
from meterbridge.domain.usage import GroupKey


class LineKind(StrEnum):
    """What a line is.

    USAGE, FEE, TRUE_UP (minimum, commitment) and TOP_UP charge. INCLUDED, FREE_TRIAL and OVER_LIMIT
    tell of quantity that costs nothing. TRIAL_AMOUNT, DISCOUNT, CREDIT and OVER_CAP take off.
    ADJUSTMENT belongs to an earlier period. CREDITED is what a person gave back; COVERED is what
    that had given back of a correction already. ROUNDING makes the total whole minor units.
    """

    USAGE = "usage"
    INCLUDED = "included"
    FREE_TRIAL = "free_trial"
    OVER_LIMIT = "over_limit"
    FEE = "fee"
    TRUE_UP = "true_up"
    TOP_UP = "top_up"
    TRIAL_AMOUNT = "trial_amount"
    DISCOUNT = "discount"
    CREDIT = "credit"
    OVER_CAP = "over_cap"
    ADJUSTMENT = "adjustment"
    CREDITED = "credited"
    COVERED = "covered"
    ROUNDING = "rounding"


DEDUCTIONS = frozenset(
    {LineKind.TRIAL_AMOUNT, LineKind.DISCOUNT, LineKind.CREDIT, LineKind.OVER_CAP}
)
FREE = frozenset({LineKind.INCLUDED, LineKind.FREE_TRIAL, LineKind.OVER_LIMIT})


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """One line. amount = units × unit_price where there is a unit price; exact, never rounded.

    Attributes:
        number: from 1.
        description: for a person.
        code: what the plan charges for; "" where the line is of several.
        quantity: as used, in the meter's unit.
        units: what the price is for: the quantity itself, packages, events, a flat amount's 1.
        percent: whether the unit price is a share of the units.
        source: the discount, or grant of credits, that took the amount off.
        period_key, period_start, period_end: of an adjustment, the earlier period.
        since: of an adjustment, the moment up to which the earlier period was invoiced before.
        line_number: of what was credited, the line of the invoice.
    """

    kind: LineKind
    description: str
    amount: Decimal
    number: int = 0
    code: str = ""
    group: GroupKey = ()
    rule: Rule | None = None
    tier: int = 0
    tier_name: str = ""
    step: str = ""
    quantity: Decimal = ZERO
    units: Decimal = ZERO
    unit_price: Decimal | None = None
    percent: bool = False
    source: str = ""
    period_key: str = ""
    period_start: datetime | None = None
    period_end: datetime | None = None
    since: datetime | None = None
    line_number: int = 0
