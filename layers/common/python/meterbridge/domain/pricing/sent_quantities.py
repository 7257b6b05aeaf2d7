"""What a marketplace is sent of what a dimension has to report, hour by hour, and what is carried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from meterbridge.domain.money import ZERO, exact_sum, multiply, subtract
from meterbridge.domain.offerings import Dimension
from meterbridge.domain.policy import MarketplacePolicy
from meterbridge.domain.rating import units_within


class CarriedBecause(StrEnum):
    """Why something was not sent: it makes no whole step, the record is full, or it is negative."""

    FRACTION = "fraction"
    MAXIMUM = "maximum"
    NEGATIVE = "negative"


@dataclass(frozen=True, slots=True)
class SentQuantities:
    """One dimension's records.

    Attributes:
        to_report: metered quantity, or money where the dimension is in currency.
        records: units by hour, ascending; none of them is zero.
        held_back: hours with something to report in which nothing could be sent.
        carried: what of to_report is in no record; negative was sent too much.
        because: why; None where nothing is carried.
        billed: what the marketplace charges for the records.
    """

    dimension: Dimension
    to_report: Decimal
    records: Mapping[datetime, Decimal]
    held_back: int
    carried: Decimal
    because: CarriedBecause | None
    billed: Decimal

    @property
    def units(self) -> Decimal:
        """Units in all records."""
        return exact_sum(self.records.values())


def sent_quantities(
    dimension: Dimension,
    quantities: Mapping[datetime, Decimal],
    policy: MarketplacePolicy,
    free_until: datetime | None,
) -> SentQuantities:
    """Report each hour what is due by then and was not sent, as settlements do.

    Args:
        quantities: what the dimension has to report, by hour.
        free_until: records of hours before are invoiced at 0: the marketplace's own trial.
    """
    step, per = policy.step(dimension.quantity_kind), dimension.units_per_quantity
    most = policy.max_quantity[dimension.quantity_kind]
    due, records, held_back = ZERO, {}, 0
    for hour in sorted(quantities):
        due = exact_sum((due, quantities[hour]))
        units = min(max(units_within(due, step, per), ZERO), most)
        if units:
            records[hour] = units
            due = subtract(due, multiply(units, per))
        else:
            held_back += 1
    charged = [units for hour, units in records.items() if free_until is None or hour >= free_until]
    return SentQuantities(
        dimension=dimension,
        to_report=exact_sum(quantities.values()),
        records=records,
        held_back=held_back,
        carried=due,
        because=_because(due, multiply(step, per)),
        billed=multiply(exact_sum(charged), dimension.unit_price.amount),
    )


def _because(carried: Decimal, least: Decimal) -> CarriedBecause | None:
    if not carried:
        return None
    if carried < 0:
        return CarriedBecause.NEGATIVE
    return CarriedBecause.FRACTION if carried < least else CarriedBecause.MAXIMUM
