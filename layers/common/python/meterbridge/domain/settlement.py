"""Settlement: what we owe the marketplace is one subtraction.

    to report now = billable to date − committed to date

Everything here is a pure function of what was read: hourly billable quantities of the live billing
periods, the records written so far, and an opening balance for the time before. Nothing depends on
how often or in what order settlements ran.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from meterbridge.domain.agreements import Agreement, AgreementState, RecoveryPolicy
from meterbridge.domain.events import MAX_AGE
from meterbridge.domain.metering_record import MeteringRecord, RecordKey, RecordState
from meterbridge.domain.money import ZERO, exact_sum, multiply, subtract
from meterbridge.domain.offerings import Dimension
from meterbridge.domain.policy import MarketplacePolicy
from meterbridge.domain.rating import units_within
from meterbridge.domain.windows import HOUR, BillingPeriod, hour_of, hours_between, is_closed

Balances = Mapping[BillingPeriod, Decimal]
"""Metered quantity by billing period."""

MAX_NEW_RECORDS = 90
"""Records in one settlement: with the head and absorbed marks they must fit one transaction."""

MAX_ABSORBED = 9


@dataclass(frozen=True, slots=True)
class Position:
    """What a settlement found for one dimension and billing period, in metered quantity.

    Invariant: metered = committed + carried.
    """

    metered: Decimal
    committed: Decimal
    carried: Decimal


@dataclass(frozen=True, slots=True)
class LedgerHead:
    """An agreement's settlement: its version and what it found, by dimension and period.

    Attributes:
        settled_through: last closed hour that the agreement owns; nothing later is in positions.
        live_from: usage and records before this period are summed up in `opening` and never read
            again: no event that old is accepted any more.
        opening: metered − committed before `live_from`, where that is not zero.
        sealed: metered quantity of the periods before `live_from`, which no longer changes.
    """

    agreement_id: str
    version: int
    live_from: BillingPeriod
    settled_at: datetime
    settled_through: datetime | None
    opening: Mapping[str, Balances] = field(default_factory=dict)
    sealed: Mapping[str, Balances] = field(default_factory=dict)
    positions: Mapping[str, Mapping[BillingPeriod, Position]] = field(default_factory=dict)

    def position(self, dimension: str, period: BillingPeriod) -> Position:
        """What was found for a period; all zero where there was nothing."""
        known = self.positions.get(dimension, {}).get(period)
        if known is not None:
            return known
        metered = self.sealed.get(dimension, {}).get(period, ZERO)
        return Position(metered, metered, ZERO)


@dataclass(frozen=True, slots=True)
class SettlementInput:
    """Everything a settlement looks at.

    Attributes:
        billable: metered quantity to be billed by dimension code and hour, from `live_from` on,
            for hours the agreement owns.
        records: all records whose hour is in `live_from` or later.
        head: the settlement before this one.
        policy: the channel's reporting rules; None where it takes no records.
        grace: how long after its end an hour stays open for late events.
    """

    agreement: Agreement
    dimensions: Sequence[Dimension]
    billable: Mapping[str, Mapping[datetime, Decimal]]
    records: Sequence[MeteringRecord]
    head: LedgerHead | None
    policy: MarketplacePolicy | None
    now: datetime
    grace: timedelta


@dataclass(frozen=True, slots=True)
class Settlement:
    """What one settlement decided: written in a single transaction, or not at all.

    Attributes:
        complete: False when more records are due than fit; settle again at once.
        changed: False when there is nothing to write.
    """

    head: LedgerHead
    new_records: tuple[MeteringRecord, ...]
    absorbed: tuple[RecordKey, ...]
    complete: bool
    changed: bool


def live_from_at(now: datetime) -> BillingPeriod:
    """The oldest billing period whose usage can still change at a moment."""
    return BillingPeriod.of(now - MAX_AGE - timedelta(days=1))


def first_live_period(
    agreement: Agreement, head: LedgerHead | None, now: datetime
) -> BillingPeriod:
    """The billing period from which a settlement has to read."""
    if head is not None:
        return head.live_from
    return min(BillingPeriod.of(agreement.starts_at), live_from_at(now))


def owned_hours(agreement: Agreement, start: datetime, end: datetime) -> list[datetime]:
    """Hours in [start, end) that overlap the agreement's term, ascending."""
    first = max(start, hour_of(agreement.starts_at))
    last = end if agreement.ends_at is None else min(end, _hour_ceiling(agreement.ends_at))
    return list(hours_between(first, last))


def closed_hours(
    agreement: Agreement, start: datetime, now: datetime, grace: timedelta
) -> list[datetime]:
    """Owned hours from start that are complete, ascending.

    The hour in which an agreement ended is complete `grace` after that end, not after the hour:
    the marketplace takes the last usage only for a short time (contracts.md §1.1.8).
    """
    hours = owned_hours(agreement, start, hour_of(now) + HOUR)
    ends_at = agreement.ends_at
    flushed = ends_at is not None and now >= ends_at + grace
    return [hour for hour in hours if flushed or is_closed(hour, now, grace)]


def stays_committed(record: MeteringRecord, agreement: Agreement) -> bool:
    """Whether a record's quantity must not be billed again by itself."""
    held = (
        record.state is RecordState.EXPIRED and agreement.recovery is not RecoveryPolicy.AUTOMATIC
    )
    return record.committed or held


def settle(given: SettlementInput) -> Settlement:
    """Decide which records to write now, and what is carried.

    Raises:
        InvariantError: an allocation does not add up, a defect.
    """
    live_from = first_live_period(given.agreement, given.head, given.now)
    hours = closed_hours(given.agreement, live_from.start, given.now, given.grace)
    books = [_Book.open(given, dimension, hours) for dimension in given.dimensions]
    new_records: list[MeteringRecord] = []
    complete = True
    if given.policy is not None and given.agreement.state in (
        AgreementState.ACTIVE,
        AgreementState.ENDED,
    ):
        for hour, book, any_usage in _candidates(given, given.policy, hours, books):
            if len(new_records) == MAX_NEW_RECORDS:
                complete = False
                break
            record = book.record_for(hour, given, given.policy, any_usage=any_usage)
            if record is not None:
                new_records.append(record)
    released = [
        record.key
        for record in given.records
        if not stays_committed(record, given.agreement) and not record.absorbed
    ]
    absorbed = tuple(released[:MAX_ABSORBED])
    complete = complete and len(released) == len(absorbed)
    head = _next_head(given, live_from, hours, books, movable=complete)
    changed = bool(new_records or absorbed) or _differs(head, given.head)
    return Settlement(head, tuple(new_records), absorbed, complete, changed)


def _candidates(
    given: SettlementInput,
    policy: MarketplacePolicy,
    hours: Sequence[datetime],
    books: Sequence[_Book],
) -> Iterator[tuple[datetime, _Book, bool]]:
    """Hours that may still get a record, oldest first; and whether later usage may go there too.

    Usage goes into its own hour where that is still open, and otherwise into the next one. After
    an agreement's end no next one comes: what is left then goes into any hour still open.
    """
    agreement = given.agreement
    still_open = [
        hour
        for hour in hours
        if policy.deadline(wire_moment(agreement, hour), agreement.ends_at) > given.now
    ]
    for hour in still_open:
        yield from ((hour, book, False) for book in books if hour not in book.taken)
    if agreement.ends_at is not None and given.now >= agreement.ends_at:
        for hour in reversed(still_open):
            yield from ((hour, book, True) for book in books if hour not in book.taken)


def wire_moment(agreement: Agreement, hour: datetime) -> datetime:
    """The moment that a record of an hour carries: never before the agreement starts.

    contracts.md §1.1.6: a timestamp must not precede the start of the subscription.
    """
    return max(hour, agreement.starts_at)


class _Book:
    """One dimension while it is being settled."""

    def __init__(
        self,
        dimension: Dimension,
        metered: Mapping[datetime, Decimal],
        opening: Balances,
        sealed: Balances,
        committed: Mapping[datetime, Balances],
        taken: set[datetime],
    ) -> None:
        self.dimension = dimension
        self.metered = metered
        self.opening = opening
        self.sealed = sealed
        self.committed = dict(committed)
        self.taken = taken

    @classmethod
    def open(cls, given: SettlementInput, dimension: Dimension, hours: Sequence[datetime]) -> _Book:
        known = given.billable.get(dimension.code, {})
        own = [record for record in given.records if record.key.dimension == dimension.code]
        return cls(
            dimension=dimension,
            metered={hour: known[hour] for hour in hours if known.get(hour)},
            opening=given.head.opening.get(dimension.code, {}) if given.head else {},
            sealed=given.head.sealed.get(dimension.code, {}) if given.head else {},
            committed={
                record.key.hour: record.allocations
                for record in own
                if stays_committed(record, given.agreement)
            },
            taken={record.key.hour for record in own},
        )

    def outstanding(self, through: datetime | None = None) -> dict[BillingPeriod, Decimal]:
        """metered − committed, by period; only hours up to and including `through` when given."""
        parts: dict[BillingPeriod, list[Decimal]] = {
            period: [amount] for period, amount in self.opening.items()
        }
        for hour, quantity in self.metered.items():
            if through is None or hour <= through:
                parts.setdefault(BillingPeriod.of(hour), []).append(quantity)
        for hour, allocations in self.committed.items():
            if through is None or hour <= through:
                for period, quantity in allocations.items():
                    parts.setdefault(period, []).append(-quantity)
        return {period: exact_sum(amounts) for period, amounts in sorted(parts.items())}

    def record_for(
        self,
        hour: datetime,
        given: SettlementInput,
        policy: MarketplacePolicy,
        *,
        any_usage: bool,
    ) -> MeteringRecord | None:
        """The record due for an hour, taken into the book; None when there is nothing to send."""
        everything = self.outstanding()
        so_far = everything if any_usage else self.outstanding(through=hour)
        dimension = self.dimension
        due = min(exact_sum(everything.values()), exact_sum(so_far.values()))
        units = units_within(
            due, policy.step(dimension.quantity_kind), dimension.units_per_quantity
        )
        units = min(max(units, ZERO), policy.max_quantity[dimension.quantity_kind])
        if units == 0 and not (given.agreement.zero_records and policy.zero_allowed):
            return None
        allocations = _allocate(
            multiply(units, dimension.units_per_quantity),
            everything if exact_sum(so_far.values()) > due else so_far,
        )
        self.committed[hour] = allocations
        self.taken.add(hour)
        moment = wire_moment(given.agreement, hour)
        return MeteringRecord(
            key=RecordKey(given.agreement.id, dimension.code, hour),
            channel=given.agreement.channel,
            product_id=given.agreement.product_id,
            quantity=units,
            units_per_quantity=dimension.units_per_quantity,
            allocations=allocations,
            reported_hour_start=moment,
            deadline=policy.deadline(moment, given.agreement.ends_at),
            buyer=given.agreement.buyer_reference(),
            created_at=given.now,
        )


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


def _next_head(
    given: SettlementInput,
    live_from: BillingPeriod,
    hours: Sequence[datetime],
    books: Sequence[_Book],
    *,
    movable: bool,
) -> LedgerHead:
    opening = dict(given.head.opening) if given.head else {}
    sealed = dict(given.head.sealed) if given.head else {}
    target = live_from_at(given.now)
    if movable and target > live_from and _all_final(given.records, target):
        opening = {book.dimension.code: _open_balances(book, target) for book in books}
        sealed = {book.dimension.code: _sealed_before(book, target) for book in books}
        live_from = target
    return LedgerHead(
        agreement_id=given.agreement.id,
        version=(given.head.version if given.head else 0) + 1,
        live_from=live_from,
        settled_at=given.now,
        settled_through=hours[-1] if hours else None,
        opening=opening,
        sealed=sealed,
        positions={book.dimension.code: _positions(book) for book in books},
    )


def _positions(book: _Book) -> dict[BillingPeriod, Position]:
    """Of every period that is live or has something open."""
    metered = {**_metered_by_period(book), **book.sealed}
    positions = {}
    for period, carried in book.outstanding().items():
        total = metered.get(period, ZERO)
        positions[period] = Position(total, subtract(total, carried), carried)
    return positions


def _metered_by_period(book: _Book) -> dict[BillingPeriod, Decimal]:
    parts: dict[BillingPeriod, list[Decimal]] = {}
    for hour, quantity in book.metered.items():
        parts.setdefault(BillingPeriod.of(hour), []).append(quantity)
    return {period: exact_sum(amounts) for period, amounts in parts.items()}


def _sealed_before(book: _Book, target: BillingPeriod) -> dict[BillingPeriod, Decimal]:
    found = {
        period: amount for period, amount in _metered_by_period(book).items() if period < target
    }
    return {**found, **book.sealed}


def _open_balances(book: _Book, target: BillingPeriod) -> dict[BillingPeriod, Decimal]:
    through = target.start - HOUR
    return {period: amount for period, amount in book.outstanding(through).items() if amount != 0}


def _all_final(records: Iterable[MeteringRecord], target: BillingPeriod) -> bool:
    """Whether no record before a period can change any more."""
    return all(
        record.state not in (RecordState.PENDING, RecordState.SUBMITTED)
        for record in records
        if record.key.hour < target.start
    )


def _differs(head: LedgerHead, before: LedgerHead | None) -> bool:
    if before is None:
        return True
    return replace(head, version=0, settled_at=head.settled_at) != replace(
        before, version=0, settled_at=head.settled_at
    )


def _hour_ceiling(moment: datetime) -> datetime:
    hour = hour_of(moment)
    return hour if hour == moment else hour + HOUR
