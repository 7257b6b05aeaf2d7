"""Settle an agreement: read its usage and records, and write what is due in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from meterbridge.application.ports import Clock, Ledger, Registry, UsageStore
from meterbridge.application.rated_usage import RatedSpan, read_rated_usage
from meterbridge.domain.errors import StaleVersionError, StoreUnavailableError
from meterbridge.domain.ledger_head import LedgerHead, first_live_period
from meterbridge.domain.metering_record import MeteringRecord
from meterbridge.domain.policy import LONGEST_LATENESS, reporting_policy
from meterbridge.domain.pricing.advance import next_due
from meterbridge.domain.settlement import Settlement, SettlementInput, settle
from meterbridge.domain.statement import Statement, statement_of
from meterbridge.domain.term import closed_hours
from meterbridge.domain.windows import HOUR, BillingPeriod, hour_of

MAX_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class SettlementSummary:
    """What settling an agreement did.

    Attributes:
        statements: of the billing periods that can still change, after the settlement.
    """

    agreement_id: str
    new_records: int
    statements: tuple[Statement, ...]


def settle_agreement(
    agreement_id: str,
    *,
    registry: Registry,
    usage: UsageStore,
    ledger: Ledger,
    clock: Clock,
    grace: timedelta,
) -> SettlementSummary:
    """Bring an agreement's records up to date. Safe to repeat, to kill, and to run twice at once.

    Raises:
        NotFoundError: no such agreement, or it names what does not exist.
        StoreUnavailableError: a store failed, or others kept settling the same agreement.
    """
    written = 0
    for _ in range(MAX_ATTEMPTS):
        # The head is read first: whatever is committed after that makes our own commit fail.
        head = ledger.head(agreement_id)
        given, read, earlier = read_for_settlement(
            agreement_id, head, registry, usage, ledger, clock.now(), grace
        )
        settlement = settle(given)
        if not settlement.changed:
            return SettlementSummary(agreement_id, written, _statements(given, read, earlier))
        try:
            ledger.commit(
                settlement.head,
                expected_version=head.version if head else 0,
                new_records=settlement.new_records,
                absorbed=settlement.absorbed,
                rating_states=settlement.rating_states,
            )
        except StaleVersionError:
            continue
        written += len(settlement.new_records)
        if settlement.complete:
            after = _after(given, settlement)
            return SettlementSummary(agreement_id, written, _statements(after, read, earlier))
    raise StoreUnavailableError(f"{agreement_id} was not settled in {MAX_ATTEMPTS} attempts")


def read_for_settlement(
    agreement_id: str,
    head: LedgerHead | None,
    registry: Registry,
    usage: UsageStore,
    ledger: Ledger,
    now: datetime,
    grace: timedelta,
) -> tuple[SettlementInput, RatedSpan, list[MeteringRecord]]:
    """What a settlement on top of a head looks at, and the usage it comes from.

    Returns:
        Also older records, which only statements may need.

    Raises:
        NotFoundError: no such agreement, or it names what does not exist.
        StoreUnavailableError: something could not be read.
    """
    agreement = registry.agreement(agreement_id)
    start = first_live_period(agreement, head, now).start
    closed = closed_hours(agreement, start, now, grace)
    closed_before = closed[-1] + HOUR if closed else start
    read = read_rated_usage(
        agreement,
        start,
        hour_of(now) + HOUR,
        registry=registry,
        usage=usage,
        ledger=ledger,
        now=now,
        head=head,
        states_at={closed_before},
    )
    records = ledger.records(agreement_id, start=start - LONGEST_LATENESS)
    given = SettlementInput(
        agreement=agreement,
        dimensions=read.billing.reported,
        billable={code: rated.billable for code, rated in read.by_dimension.items()},
        records=[record for record in records if record.key.hour >= start],
        head=head,
        policy=reporting_policy(agreement.channel, now),
        now=now,
        grace=grace,
        rating_states=read.states_before_months,
        due_at=next_due(read.billing.terms, read.states[closed_before]),
    )
    return given, read, [record for record in records if record.key.hour < start]


def _after(given: SettlementInput, settlement: Settlement) -> SettlementInput:
    """What a settlement of the same would find once this one is committed."""
    taken_back = set(settlement.absorbed)
    before = [
        replace(record, absorbed=True) if record.key in taken_back else record
        for record in given.records
    ]
    return replace(given, head=settlement.head, records=[*before, *settlement.new_records])


def _statements(
    given: SettlementInput, read: RatedSpan, earlier: list[MeteringRecord]
) -> tuple[Statement, ...]:
    if given.head is None:
        return ()
    periods = []
    period = given.head.live_from
    while period <= BillingPeriod.of(given.now):
        periods.append(period)
        period = period.next
    return tuple(
        statement_of(
            given.agreement,
            each,
            dimensions=given.dimensions,
            rated=read.by_dimension,
            records=[*earlier, *given.records],
            head=given.head,
            policy=given.policy,
            now=given.now,
            hours=read.hours,
        )
        for each in periods
    )
