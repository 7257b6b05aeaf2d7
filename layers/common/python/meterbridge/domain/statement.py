"""The conservation statement: where every metered unit of an agreement's period is.

    metered = included + free trial + taken off + rated
    rated   = Σ buckets

For a dimension that is reported in currency all of these are money, and `metered` is the list charge.
What was charged for, in quantity and in money, is in the charge lines; each of them is conserved.

The buckets come from different places and are never computed from one another: metered from hourly
usage, records from the ledger, carried from the last settlement. If they do not add up, units were
lost or made up, and the statement says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from meterbridge.domain.agreements import Agreement, RecoveryPolicy
from meterbridge.domain.book import is_held
from meterbridge.domain.charge_lines import ChargeLine, charge_lines
from meterbridge.domain.ledger_head import LedgerHead, Position
from meterbridge.domain.metering_record import MeteringRecord, RecordState
from meterbridge.domain.money import ZERO, Money, exact_sum, subtract
from meterbridge.domain.offerings import Dimension
from meterbridge.domain.policy import MarketplacePolicy
from meterbridge.domain.pricing.rated import RatedHour
from meterbridge.domain.rating import RatedUsage, charge_for
from meterbridge.domain.windows import BillingPeriod


class Bucket(StrEnum):
    """Where a rated unit can be.

    ACCEPTED by the marketplace, as reported or by its own figure. IN_FLIGHT: in a record that is
    pending or submitted. CONFLICTED: in a record whose outcome needs a person, or the next
    settlement where the marketplace told its figure. RELEASED: in a rejected or expired record, to be
    billed again by the next settlement. EXPIRED: in an expired record that waits for a person's
    decision. WRITTEN_OFF: by a person, or expired and the agreement says never to bill it. CARRIED:
    to be billed later, because the marketplace cannot take it now or a person has just released it.
    CORRECTED: given back to the buyer by an approved correction, so below zero.
    UNBILLABLE: carried, or in a record that was surely not booked, but the agreement is not active yet,
    suspended or over. UNSETTLED: used since the last settlement.
    """

    ACCEPTED = "accepted"
    IN_FLIGHT = "in_flight"
    CONFLICTED = "conflicted"
    RELEASED = "released"
    EXPIRED = "expired"
    WRITTEN_OFF = "written_off"
    CARRIED = "carried"
    UNBILLABLE = "unbillable"
    UNSETTLED = "unsettled"
    CORRECTED = "corrected"


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One dimension in one period.

    Attributes:
        metered, included, free_trial, taken_off, rated: metered quantity, or money where the
            dimension is in currency (see rating.py).
        buckets: where the rated quantity is; all buckets, in order.
        difference: rated − Σ buckets, and what is metered and in no part; anything but zero is a
            defect.
        charges: unrounded price of the rated quantity and of each bucket.
        units: what the marketplace accepted for this period, in its own units.
    """

    dimension: Dimension
    metered: Decimal
    included: Decimal
    free_trial: Decimal
    taken_off: Decimal
    rated: Decimal
    buckets: Mapping[Bucket, Decimal]
    difference: Decimal
    charge: Money
    charges: Mapping[Bucket, Money]
    logged: Decimal | None = None
    """The same quantity recounted from the usage log, where that was asked for."""

    @property
    def balanced(self) -> bool:
        """Whether every unit is in exactly one bucket, and the usage log says the same."""
        return self.difference == 0 and self.logged in (None, self.metered)


@dataclass(frozen=True, slots=True)
class Logged:
    """What was metered of a period, recounted from the usage log.

    Attributes:
        by_dimension: by the code of what is reported, in its own measure.
        by_charge: metered quantity by the code of what is charged for.
    """

    by_dimension: Mapping[str, Decimal]
    by_charge: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Statement:
    """An agreement's books for one billing period."""

    agreement_id: str
    period: BillingPeriod
    lines: tuple[StatementLine, ...]
    settled_at: datetime | None
    unbillable_reason: str
    charge_lines: tuple[ChargeLine, ...] = ()

    @property
    def balanced(self) -> bool:
        """Whether all lines are."""
        charged = all(line.balanced for line in self.charge_lines)
        return charged and all(line.balanced for line in self.lines)


def statement_of(
    agreement: Agreement,
    period: BillingPeriod,
    *,
    dimensions: Sequence[Dimension],
    rated: Mapping[str, RatedUsage],
    records: Iterable[MeteringRecord],
    head: LedgerHead | None,
    policy: MarketplacePolicy | None,
    now: datetime,
    hours: Iterable[RatedHour] = (),
    logged: Logged | None = None,
) -> Statement:
    """Add up one period.

    Args:
        rated: usage by dimension code; hours outside the period are ignored.
        records: all records that may hold a quantity of the period.
        hours: rated hours, from which charge lines are made; those outside the period are ignored.
        logged: what was metered, recounted from the usage log.
    """
    known = list(records)
    reason = _unbillable_reason(agreement, policy, now)
    lines = tuple(
        _line(
            agreement,
            period,
            dimension,
            rated[dimension.code],
            [record for record in known if record.key.dimension == dimension.code],
            head.position(dimension.code, period) if head else Position(ZERO, ZERO, ZERO),
            head.corrected.get(dimension.code, {}).get(period, ZERO) if head else ZERO,
            unbillable=bool(reason),
            logged=logged.by_dimension[dimension.code] if logged is not None else None,
        )
        for dimension in dimensions
    )
    within = [hour for hour in hours if period.start <= hour.hour < period.end]
    charged = charge_lines(within, logged.by_charge if logged is not None else None)
    settled_at = head.settled_at if head is not None else None
    return Statement(agreement.id, period, lines, settled_at, reason, charged)


def _line(
    agreement: Agreement,
    period: BillingPeriod,
    dimension: Dimension,
    rated: RatedUsage,
    records: Sequence[MeteringRecord],
    position: Position,
    corrected: Decimal,
    *,
    unbillable: bool,
    logged: Decimal | None,
) -> StatementLine:
    buckets = dict.fromkeys(Bucket, ZERO)
    for record in records:
        bucket = _bucket_of(record, agreement)
        if unbillable and record.state is RecordState.PENDING:
            bucket = Bucket.UNBILLABLE
        if bucket is not None:
            counted = record.counted(absorbed=record.absorbed).get(period, ZERO)
            buckets[bucket] = exact_sum((buckets[bucket], counted))
    billable = total_in(period, rated.billable)
    carried = Bucket.UNBILLABLE if unbillable else Bucket.CARRIED
    buckets[carried] = exact_sum((buckets[carried], position.carried))
    buckets[Bucket.UNSETTLED] = subtract(billable, position.metered)
    metered, included, free_trial, taken_off = (
        total_in(period, part)
        for part in (rated.metered, rated.included, rated.free_trial, rated.taken_off)
    )
    nowhere = subtract(metered, exact_sum((included, free_trial, taken_off, billable)))
    buckets[Bucket.CORRECTED] = subtract(ZERO, corrected)
    return StatementLine(
        dimension=dimension,
        metered=metered,
        included=included,
        free_trial=free_trial,
        taken_off=taken_off,
        rated=billable,
        buckets=buckets,
        difference=exact_sum((subtract(billable, exact_sum(buckets.values())), nowhere)),
        charge=charge_for(dimension, billable),
        charges={bucket: charge_for(dimension, amount) for bucket, amount in buckets.items()},
        logged=logged,
    )


def _bucket_of(record: MeteringRecord, agreement: Agreement) -> Bucket | None:
    """The bucket a record's quantity is in; None when a settlement took it back already."""
    if record.state is RecordState.ACCEPTED:
        return Bucket.ACCEPTED
    if record.state in (RecordState.PENDING, RecordState.SUBMITTED):
        return Bucket.IN_FLIGHT
    if record.state is RecordState.CONFLICTED:
        return Bucket.ACCEPTED if record.absorbed else Bucket.CONFLICTED
    if record.state is RecordState.WRITTEN_OFF:
        return Bucket.WRITTEN_OFF
    if is_held(record, agreement):
        never = agreement.recovery is RecoveryPolicy.NEVER
        return Bucket.WRITTEN_OFF if never else Bucket.EXPIRED
    return None if record.absorbed else Bucket.RELEASED


def total_in(period: BillingPeriod, hours: Mapping[datetime, Decimal]) -> Decimal:
    """The quantity of a period's hours."""
    start, end = period.start, period.end
    return exact_sum(quantity for hour, quantity in hours.items() if start <= hour < end)


def _unbillable_reason(
    agreement: Agreement, policy: MarketplacePolicy | None, now: datetime
) -> str:
    if agreement.why_not_reported:
        return agreement.why_not_reported
    if policy is None:
        return f"channel {agreement.channel} takes no metering records"
    if agreement.ends_at is not None and now >= agreement.ends_at + policy.flush_window:
        return "agreement has ended and the marketplace takes nothing more for it"
    return ""
