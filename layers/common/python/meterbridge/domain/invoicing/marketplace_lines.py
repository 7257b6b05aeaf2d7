"""What the marketplace's own bill says of an invoice's period, and why it says something else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from meterbridge.domain.channels import Channel
from meterbridge.domain.metering_record import MeteringRecord, RecordState
from meterbridge.domain.money import ZERO, exact_sum, multiply, subtract
from meterbridge.domain.offerings import Dimension
from meterbridge.domain.pricing.agreement_terms import AgreementTerms
from meterbridge.domain.pricing.channel_reporting import ReportedDimension
from meterbridge.domain.pricing.plan_terms import PlanTerms
from meterbridge.domain.pricing.rated import RatedHour
from meterbridge.domain.pricing.reported import reported_quantities
from meterbridge.domain.rating import charge_for


class DifferenceCause(StrEnum):
    """Why a marketplace's line is not what was rated for the period.

    IN_FLIGHT: in a record that is not answered yet. CONFLICTED: in a record whose outcome is in
    doubt. REFUSED: in a rejected or expired record, and not billed again yet. WRITTEN_OFF: by a
    person. CARRIED: in no record of the period: reported in a later hour, or made up for here where
    it is negative; a fraction that waits for a whole unit. PRICING: the marketplace's price per unit
    gives another amount than the plan's, and fractions of the twelfth place.
    """

    IN_FLIGHT = "in_flight"
    CONFLICTED = "conflicted"
    REFUSED = "refused"
    WRITTEN_OFF = "written_off"
    CARRIED = "carried"
    PRICING = "pricing"


@dataclass(frozen=True, slots=True)
class MarketplaceLine:
    """One dimension as the marketplace bills it: its records whose hour is in the period.

    expected_amount − accepted_amount = Σ differences, exactly.

    Attributes:
        quantity, unit_price, amount: of accepted records, in the marketplace's units.
        expected_amount: net charge of what the dimension reports.
        expected_quantity: metered quantity (money, in currency) that was to be reported.
        differences: amounts by cause; causes without any are left out.
        carried_quantity: metered quantity of CARRIED.
    """

    dimension: str
    name: str
    in_currency: bool
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal
    expected_quantity: Decimal
    expected_amount: Decimal
    records: int
    carried_quantity: Decimal = ZERO
    differences: Mapping[DifferenceCause, Decimal] = field(default_factory=dict)


def marketplace_lines(
    terms: AgreementTerms,
    channel: Channel,
    dimensions: Sequence[Dimension],
    hours: Sequence[RatedHour],
    records: Iterable[MeteringRecord],
    start: datetime,
    end: datetime,
) -> tuple[MarketplaceLine, ...]:
    """What the marketplace holds for [start, end), per reported dimension.

    Args:
        dimensions: as they are reported to the channel.
        hours: rated hours of the period.
        records: of the agreement; those of other hours are ignored.
    """
    if not dimensions:
        return ()
    reported = reported_quantities(terms, channel, hours)
    own = [record for record in records if start <= record.key.hour < end]
    return tuple(
        _line(
            dimension,
            exact_sum(reported.get(dimension.code, {}).values()),
            _net(terms, channel, dimension.code, hours),
            [record for record in own if record.key.dimension == dimension.code],
        )
        for dimension in dimensions
    )


def reported_codes(plan: PlanTerms, channel: Channel) -> frozenset[str]:
    """What of a plan is billed through the channel's metering."""
    return frozenset(
        source.code
        for reporting in plan.reporting
        if reporting.channel is channel
        for dimension in reporting.dimensions
        for source in dimension.sources
    )


def _line(
    dimension: Dimension,
    expected_quantity: Decimal,
    expected_amount: Decimal,
    records: Sequence[MeteringRecord],
) -> MarketplaceLine:
    accepted = exact_sum(_accepted_units(record) for record in records)
    amount = multiply(accepted, dimension.unit_price.amount)
    held: dict[DifferenceCause, Decimal] = {}
    for record in records:
        cause, metered = _held_back(record)
        if cause is not None and metered:
            held[cause] = exact_sum((held.get(cause, ZERO), metered))
    in_records = (multiply(accepted, dimension.units_per_quantity), *held.values())
    carried = subtract(expected_quantity, exact_sum(in_records))
    if carried:
        held[DifferenceCause.CARRIED] = carried
    differences = {
        cause: charge_for(dimension, metered).amount for cause, metered in sorted(held.items())
    }
    missing = subtract(expected_amount, exact_sum((amount, *differences.values())))
    if missing:
        differences[DifferenceCause.PRICING] = missing
    return MarketplaceLine(
        dimension=dimension.code,
        name=dimension.name,
        in_currency=dimension.in_currency,
        quantity=accepted,
        unit_price=dimension.unit_price.amount,
        amount=amount,
        expected_quantity=expected_quantity,
        expected_amount=expected_amount,
        records=sum(1 for record in records if _accepted_units(record)),
        carried_quantity=carried,
        differences=differences,
    )


def _accepted_units(record: MeteringRecord) -> Decimal:
    """What the marketplace bills of a record; its own figure where it told one."""
    told = record.accepted_quantity
    if record.state is RecordState.ACCEPTED:
        return record.quantity if told is None else told
    if record.state is RecordState.CONFLICTED and record.absorbed and told is not None:
        return told
    return ZERO


def _held_back(record: MeteringRecord) -> tuple[DifferenceCause | None, Decimal]:
    match record.state:
        case RecordState.PENDING | RecordState.SUBMITTED:
            return DifferenceCause.IN_FLIGHT, record.metered
        case RecordState.WRITTEN_OFF:
            return DifferenceCause.WRITTEN_OFF, record.metered
        case RecordState.CONFLICTED if not record.absorbed or record.accepted_quantity is None:
            return DifferenceCause.CONFLICTED, record.metered
        case RecordState.REJECTED | RecordState.EXPIRED if not record.absorbed:
            return DifferenceCause.REFUSED, record.metered
        case _:
            return None, ZERO


def _net(terms: AgreementTerms, channel: Channel, code: str, hours: Iterable[RatedHour]) -> Decimal:
    """Net charge of what a dimension reports; of a waterfall's step, what its own parts come to."""
    amounts: list[Decimal] = []
    for hour in hours:
        dimension = _reported(terms.plan_of(hour.cycle), channel, code)
        for source in dimension.sources if dimension is not None else ():
            for charge in hour.charges:
                if charge.code != source.code or source.group not in (None, charge.group):
                    continue
                if source.step:
                    parts = (part for part in charge.parts if part.step == source.step)
                    amounts += [part.amount for part in parts]
                else:
                    amounts.append(charge.net)
    return exact_sum(amounts)


def _reported(plan: PlanTerms, channel: Channel, code: str) -> ReportedDimension | None:
    for reporting in plan.reporting:
        if reporting.channel is channel:
            return next((each for each in reporting.dimensions if each.code == code), None)
    return None
