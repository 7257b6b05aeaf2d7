"""How the reporting of one agreement stands: its deadline clock, and how fresh its usage is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from meterbridge.application.ports import Clock, Ledger, Registry, UsageLog, UsageStore
from meterbridge.application.settle_agreements import read_for_settlement
from meterbridge.application.usage_freshness import UsageFreshness, usage_freshness
from meterbridge.domain.agreements import Agreement
from meterbridge.domain.deadline_clock import deadline_clock
from meterbridge.domain.deadlines import DeadlineClock
from meterbridge.domain.ledger_head import LedgerHead
from meterbridge.domain.metering_record import MeteringRecord, RecordState


@dataclass(frozen=True, slots=True)
class ReportingStatus:
    """What was used, settled and accepted, and what waits.

    Attributes:
        usage_through: newest `received_at` of the customer's usage that is counted; None without
            usage in the periods that can still change.
        freshness: of all customers' usage.
        last_accepted: the newest accepted record of the periods that can still change.
    """

    agreement: Agreement
    clock: DeadlineClock
    usage_through: datetime | None
    freshness: UsageFreshness
    head: LedgerHead | None
    last_accepted: MeteringRecord | None


def reporting_status(
    agreement_id: str,
    *,
    registry: Registry,
    usage: UsageStore,
    ledger: Ledger,
    log: UsageLog,
    clock: Clock,
    grace: timedelta,
) -> ReportingStatus:
    """How an agreement stands now.

    Raises:
        NotFoundError: no such agreement, or it names what does not exist.
        StoreUnavailableError: something could not be read.
    """
    now = clock.now()
    head = ledger.head(agreement_id)
    given, read, _ = read_for_settlement(agreement_id, head, registry, usage, ledger, now, grace)
    accepted = [record for record in given.records if record.state is RecordState.ACCEPTED]
    return ReportingStatus(
        agreement=given.agreement,
        clock=deadline_clock(given),
        usage_through=read.fresh_through,
        freshness=usage_freshness(log=log, usage=usage, now=now),
        head=head,
        last_accepted=max(
            accepted, key=lambda record: (record.key.hour, record.key.dimension), default=None
        ),
    )
