"""The conservation statement of one agreement and billing period, computed when asked for."""

from __future__ import annotations

from meterbridge.application.billable_usage import read_billable_usage
from meterbridge.application.ports import Clock, Ledger, Registry, UsageStore
from meterbridge.domain.policy import reporting_policy
from meterbridge.domain.statement import Statement, statement_of
from meterbridge.domain.windows import BillingPeriod


def statement(
    agreement_id: str,
    period: BillingPeriod,
    *,
    registry: Registry,
    usage: UsageStore,
    ledger: Ledger,
    clock: Clock,
) -> Statement:
    """Add up a billing period of an agreement from strongly read usage, records and head.

    Raises:
        NotFoundError: no such agreement.
        StoreUnavailableError: nothing could be read.
    """
    agreement = registry.agreement(agreement_id)
    # Read before the records: a settlement in between shows as a difference, never as a balance.
    head = ledger.head(agreement_id)
    read = read_billable_usage(agreement, period.start, period.end, registry=registry, usage=usage)
    now = clock.now()
    return statement_of(
        agreement,
        period,
        dimensions=read.dimensions,
        rated=read.rated,
        records=ledger.records(agreement_id, start=period.start),
        head=head,
        policy=reporting_policy(agreement.channel, now),
        now=now,
    )
