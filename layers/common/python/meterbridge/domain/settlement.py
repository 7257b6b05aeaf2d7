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
from itertools import islice

from meterbridge.domain.agreements import Agreement, AgreementState
from meterbridge.domain.book import Book, is_held
from meterbridge.domain.ledger_head import LedgerHead, first_live_period, live_from_at
from meterbridge.domain.metering_record import OPEN_STATES, MeteringRecord, RecordKey
from meterbridge.domain.offerings import Dimension
from meterbridge.domain.policy import MarketplacePolicy
from meterbridge.domain.pricing.rating_state import RatingState
from meterbridge.domain.term import closed_hours, wire_moment
from meterbridge.domain.windows import BillingPeriod

MAX_NEW_RECORDS = 90
"""Records in one settlement: with the head and absorbed marks they must fit one transaction."""

MAX_ABSORBED = 9

_PROBE_EVERY = timedelta(hours=6)


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
        rating_states: where rating stands before each month from `live_from` on that has begun.
        due_at: the next hour after the closed ones in which something happens without usage.
    """

    agreement: Agreement
    dimensions: Sequence[Dimension]
    billable: Mapping[str, Mapping[datetime, Decimal]]
    records: Sequence[MeteringRecord]
    head: LedgerHead | None
    policy: MarketplacePolicy | None
    now: datetime
    grace: timedelta
    rating_states: Mapping[BillingPeriod, RatingState] = field(default_factory=dict)
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """What one settlement decided: written in a single transaction, or not at all.

    Attributes:
        rating_states: by month, of those that the head now begins after.
        complete: False when more records are due than fit; settle again at once.
        changed: False when there is nothing to write.
    """

    head: LedgerHead
    new_records: tuple[MeteringRecord, ...]
    absorbed: tuple[RecordKey, ...]
    complete: bool
    changed: bool
    rating_states: Mapping[BillingPeriod, RatingState] = field(default_factory=dict)


def settle(given: SettlementInput) -> Settlement:
    """Decide which records to write now, and what is carried.

    Raises:
        InvariantError: an allocation does not add up, a defect.
    """
    agreement, head = given.agreement, given.head
    live_from = first_live_period(agreement, head, given.now)
    hours = closed_hours(agreement, live_from.start, given.now, given.grace)
    unabsorbed = [
        record.key
        for record in given.records
        if record.unabsorbed and not is_held(record, agreement)
    ]
    absorbed = tuple(unabsorbed[:MAX_ABSORBED])
    books = [
        Book(
            agreement,
            dimension,
            metered=_within(given.billable.get(dimension.code, {}), hours),
            records=given.records,
            head=head,
            absorbing=frozenset(absorbed),
        )
        for dimension in given.dimensions
    ]
    new_records = tuple(islice(_due_records(given, hours, books), MAX_NEW_RECORDS))
    complete = len(new_records) < MAX_NEW_RECORDS and len(unabsorbed) == len(absorbed)
    written = len(new_records) + len(absorbed) + len(given.rating_states)
    # What a pending agreement would owe is not summed up: its start and its terms can still move.
    pending = agreement.state is AgreementState.PENDING
    movable = complete and not pending and written <= MAX_NEW_RECORDS + MAX_ABSORBED
    next_head = _next_head(given, live_from, hours, books, movable=movable)
    changed = bool(new_records or absorbed) or _differs(next_head, head)
    sealed_now = {
        period: state
        for period, state in given.rating_states.items()
        if live_from < period <= next_head.live_from
    }
    return Settlement(next_head, new_records, absorbed, complete, changed, sealed_now)


def _within(
    billable: Mapping[datetime, Decimal], hours: Sequence[datetime]
) -> dict[datetime, Decimal]:
    return {hour: billable[hour] for hour in hours if billable.get(hour)}


def _due_records(
    given: SettlementInput, hours: Sequence[datetime], books: Sequence[Book]
) -> Iterator[MeteringRecord]:
    if given.policy is None or not given.agreement.is_billed:
        return
    if given.agreement.stopped_by_marketplace:
        yield from _probe(given, given.policy, hours, books)
        return
    for hour, book, any_usage in _candidates(given, given.policy, hours, books):
        record = book.write_record(hour, given.policy, given.now, any_usage=any_usage)
        if record is not None:
            yield record


def _candidates(
    given: SettlementInput,
    policy: MarketplacePolicy,
    hours: Sequence[datetime],
    books: Sequence[Book],
) -> Iterator[tuple[datetime, Book, bool]]:
    """Hours that may still get a record, oldest first; and whether later usage may go there too.

    Usage goes into its own hour where that is still open, and otherwise into the next one. After
    an agreement's end no next one comes: what is left then goes into any hour still open.
    """
    agreement = given.agreement
    still_open = _still_open(given, policy, hours)
    for hour in still_open:
        yield from ((hour, book, False) for book in books if hour not in book.taken)
    if agreement.ends_at is not None and given.now >= agreement.ends_at:
        for hour in reversed(still_open):
            yield from ((hour, book, True) for book in books if hour not in book.taken)


def _still_open(
    given: SettlementInput, policy: MarketplacePolicy, hours: Sequence[datetime]
) -> list[datetime]:
    """Hours of which the marketplace still takes a record."""
    agreement = given.agreement
    return [
        hour
        for hour in hours
        if policy.deadline(wire_moment(agreement, hour), agreement.ends_at) > given.now
    ]


def _probe(
    given: SettlementInput,
    policy: MarketplacePolicy,
    hours: Sequence[datetime],
    books: Sequence[Book],
) -> Iterator[MeteringRecord]:
    """The one record by which a stopped agreement finds out that it is billed again.

    It is of the newest hour: usage from the time without entitlement may never be taken. Older
    probes stay, so few are written; what else is owed is carried.
    """
    open_hours = [record.key.hour for record in given.records if record.state in OPEN_STATES]
    since = max(open_hours) + _PROBE_EVERY if open_hours else None
    owing = sorted(books, key=lambda book: not book.has_more(policy))
    for hour in reversed(_still_open(given, policy, hours)):
        if since is not None and hour < since:
            return
        for book in owing:
            if hour not in book.taken:
                record = book.write_record(hour, policy, given.now, any_usage=True)
                if record is not None:
                    yield record
                    return


def _next_head(
    given: SettlementInput,
    live_from: BillingPeriod,
    hours: Sequence[datetime],
    books: Sequence[Book],
    *,
    movable: bool,
) -> LedgerHead:
    opening = dict(given.head.opening) if given.head else {}
    sealed = dict(given.head.sealed) if given.head else {}
    target = live_from_at(given.now)
    if movable and target > live_from and _all_final(given.records, target):
        opening = {book.dimension.code: book.open_before(target) for book in books}
        sealed = {book.dimension.code: book.sealed_before(target) for book in books}
        live_from = target
    return LedgerHead(
        agreement_id=given.agreement.id,
        version=(given.head.version if given.head else 0) + 1,
        live_from=live_from,
        settled_at=given.now,
        settled_through=hours[-1] if hours else None,
        opening=opening,
        sealed=sealed,
        positions={book.dimension.code: book.positions() for book in books},
        waiting=_is_waiting(given, books),
        rating=given.rating_states.get(live_from, given.head.rating if given.head else None),
        due_at=given.due_at,
        corrected=given.head.corrected if given.head else {},
    )


def _is_waiting(given: SettlementInput, books: Sequence[Book]) -> bool:
    policy, ends_at = given.policy, given.agreement.ends_at
    if policy is None or not given.agreement.is_billed:
        return False
    over = ends_at is not None and given.now >= ends_at + policy.flush_window
    return not over and any(book.has_more(policy) for book in books)


def _all_final(records: Iterable[MeteringRecord], target: BillingPeriod) -> bool:
    """Whether no record before a period can change any more."""
    return all(
        record.state not in OPEN_STATES for record in records if record.key.hour < target.start
    )


def _differs(head: LedgerHead, before: LedgerHead | None) -> bool:
    if before is None:
        return True
    return replace(head, version=0, settled_at=head.settled_at) != replace(
        before, version=0, settled_at=head.settled_at
    )
