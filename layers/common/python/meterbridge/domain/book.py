"""One dimension of an agreement while it is being settled: metered, committed, outstanding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from meterbridge.domain.agreements import Agreement, RecoveryPolicy
from meterbridge.domain.ledger_head import Balances, LedgerHead, Position
from meterbridge.domain.metering_record import MeteringRecord, RecordKey, RecordState
from meterbridge.domain.money import ZERO, exact_sum, multiply, subtract
from meterbridge.domain.offerings import Dimension
from meterbridge.domain.policy import MarketplacePolicy
from meterbridge.domain.rating import units_within
from meterbridge.domain.term import wire_end, wire_moment
from meterbridge.domain.windows import HOUR, BillingPeriod


def is_held(record: MeteringRecord, agreement: Agreement) -> bool:
    """Whether an expired record's quantity must not be billed again by itself."""
    return (
        record.state is RecordState.EXPIRED
        and not record.absorbed
        and agreement.recovery is not RecoveryPolicy.AUTOMATIC
    )


class Book:
    """One dimension's metered and committed quantity, while records are added to it."""

    def __init__(
        self,
        agreement: Agreement,
        dimension: Dimension,
        *,
        metered: Mapping[datetime, Decimal],
        records: Iterable[MeteringRecord],
        head: LedgerHead | None,
        absorbing: frozenset[RecordKey],
    ) -> None:
        """Open a book.

        Args:
            metered: billable quantity by closed hour.
            records: those of any dimension; others than this one's are ignored.
            absorbing: unabsorbed records that are absorbed now.
        """
        own = [record for record in records if record.key.dimension == dimension.code]
        self.agreement = agreement
        self.dimension = dimension
        self.metered = metered
        self.opening: Balances = head.opening.get(dimension.code, {}) if head else {}
        self.sealed: Balances = head.sealed.get(dimension.code, {}) if head else {}
        self.corrected: Balances = head.corrected.get(dimension.code, {}) if head else {}
        self.taken = {record.key.hour for record in own}
        self.committed: dict[datetime, Balances] = {
            record.key.hour: record.counted(absorbed=record.absorbed or record.key in absorbing)
            for record in own
        }
        self._everything: Balances | None = None

    def outstanding(self, through: datetime | None = None) -> Balances:
        """metered − committed + corrected, by period.

        Args:
            through: only hours up to and including this one, and without what was corrected.
        """
        if through is not None:
            return self._outstanding(through)
        if self._everything is None:
            self._everything = self._outstanding(None)
        return self._everything

    def _outstanding(self, through: datetime | None) -> Balances:
        parts: dict[BillingPeriod, list[Decimal]] = {
            period: [amount] for period, amount in self.opening.items()
        }
        for hour, quantity in self.metered.items():
            if through is None or hour <= through:
                parts.setdefault(BillingPeriod.of(hour), []).append(quantity)
        for hour, allocations in self.committed.items():
            if through is None or hour <= through:
                for period, quantity in allocations.items():
                    parts.setdefault(period, []).append(quantity.copy_negate())
        if through is None:
            for period, quantity in self.corrected.items():
                parts.setdefault(period, []).append(quantity)
        return {period: exact_sum(amounts) for period, amounts in sorted(parts.items())}

    def write_record(
        self, hour: datetime, policy: MarketplacePolicy, now: datetime, *, any_usage: bool
    ) -> MeteringRecord | None:
        """The record due for an hour, entered as committed; None when there is nothing to send.

        Args:
            any_usage: whether usage of later hours may go into it.

        Raises:
            InvariantError: its allocations do not add up, a defect.
        """
        kind, per_unit = self.dimension.quantity_kind, self.dimension.units_per_quantity
        outstanding = self.outstanding()
        due = exact_sum(outstanding.values())
        if not any_usage and self.has_more(policy):
            due = min(due, self.due(hour))
        units = units_within(due, policy.step(kind), per_unit)
        units = min(max(units, ZERO), policy.max_quantity[kind])
        if units == 0 and not (self.agreement.zero_records and policy.zero_allowed):
            return None
        allocations = _allocate(multiply(units, per_unit), outstanding)
        self.committed[hour] = allocations
        self.taken.add(hour)
        self._everything = None
        moment = wire_moment(self.agreement, hour)
        return MeteringRecord(
            key=RecordKey(self.agreement.id, self.dimension.code, hour),
            channel=self.agreement.channel,
            product_id=self.agreement.product_id,
            quantity=units,
            units_per_quantity=per_unit,
            allocations=allocations,
            reported_hour_start=moment,
            deadline=policy.deadline(moment, self.agreement.ends_at),
            buyer=self.agreement.buyer_reference(),
            created_at=now,
            quantity_kind=kind,
            reported_hour_end=wire_end(self.agreement, hour),
        )

    def due(self, hour: datetime) -> Decimal:
        """What is due up to an hour and made up for nowhere.

        What an hour was over-reported by stands for the oldest usage that is not reported: were it
        billed again, the usage of newer hours would get into older ones.
        """
        changes = dict(self.metered)
        for reported, allocations in self.committed.items():
            change = subtract(changes.get(reported, ZERO), exact_sum(allocations.values()))
            changes[reported] = change
        due = [amount for amount in self.opening.values() if amount > 0]
        due += [change for at, change in changes.items() if change > 0 and at <= hour]
        made_up = [each for each in (*self.opening.values(), *changes.values()) if each < 0]
        return max(exact_sum((*due, *made_up, *self.corrected.values())), ZERO)

    def has_more(self, policy: MarketplacePolicy) -> bool:
        """Whether something whole is still to be billed."""
        due = exact_sum(self.outstanding().values())
        step = policy.step(self.dimension.quantity_kind)
        return units_within(due, step, self.dimension.units_per_quantity) > 0

    def positions(self) -> dict[BillingPeriod, Position]:
        """Of every period that is live or has something open."""
        metered = {**self._metered_by_period(), **self.sealed}
        positions = {}
        for period, carried in self.outstanding().items():
            total = metered.get(period, ZERO)
            positions[period] = Position(total, subtract(total, carried), carried)
        return positions

    def sealed_before(self, period: BillingPeriod) -> dict[BillingPeriod, Decimal]:
        """Metered quantity of each period before one."""
        found = {
            each: amount for each, amount in self._metered_by_period().items() if each < period
        }
        return {**found, **self.sealed}

    def open_before(self, period: BillingPeriod) -> dict[BillingPeriod, Decimal]:
        """metered − committed of the hours before a period's start, where that is not zero.

        Corrections stay by themselves: the head keeps them for good.
        """
        through = period.start - HOUR
        return {each: amount for each, amount in self.outstanding(through).items() if amount}

    def _metered_by_period(self) -> dict[BillingPeriod, Decimal]:
        parts: dict[BillingPeriod, list[Decimal]] = {}
        for hour, quantity in self.metered.items():
            parts.setdefault(BillingPeriod.of(hour), []).append(quantity)
        return {period: exact_sum(amounts) for period, amounts in parts.items()}


def _allocate(metered: Decimal, outstanding: Balances) -> dict[BillingPeriod, Decimal]:
    """Spread a record's metered quantity over periods: over-reports first, then oldest first."""
    if metered == 0:
        return {}
    allocations = {period: amount for period, amount in outstanding.items() if amount < 0}
    rest = subtract(metered, exact_sum(allocations.values()))
    for period, amount in sorted(outstanding.items()):
        if amount > 0 and rest > 0:
            allocations[period] = min(amount, rest)
            rest = subtract(rest, allocations[period])
    return allocations
