"""The conservation statement of one agreement and billing period, computed when asked for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from meterbridge.application.billing_terms import BillingTerms, read_billing_terms
from meterbridge.application.ports import Clock, Ledger, Registry, UsageLog, UsageStore
from meterbridge.application.rated_usage import RatedSpan, rate_rows, read_rated_usage
from meterbridge.domain.charge_lines import charge_lines
from meterbridge.domain.errors import InvalidInputError
from meterbridge.domain.partitions import ShardPlan
from meterbridge.domain.policy import LONGEST_LATENESS, reporting_policy
from meterbridge.domain.recount import customer_events, recount
from meterbridge.domain.statement import Logged, Statement, statement_of, total_in
from meterbridge.domain.usage import FoldPosition, HourlyUsage
from meterbridge.domain.windows import HOUR, BillingPeriod, hours_between

LOG_KEPT = timedelta(days=45)
"""How long raw events are kept; a period that began earlier cannot be recounted."""


def statement(
    agreement_id: str,
    period: BillingPeriod,
    *,
    registry: Registry,
    usage: UsageStore,
    ledger: Ledger,
    clock: Clock,
    log: UsageLog | None = None,
) -> Statement:
    """Add up a billing period of an agreement from strongly read usage, records and head.

    Args:
        log: to recount the metered quantity from the raw events as well.

    Raises:
        NotFoundError: no such agreement.
        InvalidInputError: code "log_expired": the period's raw events are not kept any more.
        StoreUnavailableError: nothing could be read.
    """
    agreement = registry.agreement(agreement_id)
    now = clock.now()
    if log is not None and period.start < now - LOG_KEPT:
        raise InvalidInputError(
            "log_expired", f"raw events are kept for {LOG_KEPT.days} days", "verify"
        )
    # Read before the records: a settlement in between shows as a difference, never as a balance.
    head = ledger.head(agreement_id)
    read = read_rated_usage(
        agreement,
        period.start,
        period.end,
        registry=registry,
        usage=usage,
        ledger=ledger,
        now=now,
        head=head,
    )
    return statement_of(
        agreement,
        period,
        dimensions=read.billing.reported,
        rated=read.by_dimension,
        records=ledger.records(agreement_id, start=period.start - LONGEST_LATENESS),
        head=head,
        policy=reporting_policy(agreement.channel, now),
        now=now,
        hours=read.hours,
        logged=None if log is None else _logged(read, period, registry, log, now),
    )


def _logged(
    read: RatedSpan,
    period: BillingPeriod,
    registry: Registry,
    log: UsageLog,
    now: datetime,
) -> Logged:
    """What was metered of a period, from the raw events."""
    start, end = period.start, read.billing.rows_to
    billing = read_billing_terms(read.billing.agreement, start, end, registry=registry)
    rows = list(_recounted(billing, registry.shard_plan(), log, now))
    again = rate_rows(billing, rows, start, end, begin=read.states[start])
    return Logged(
        by_dimension={
            code: total_in(period, rated.metered) for code, rated in again.by_dimension.items()
        },
        by_charge={line.code: line.metered for line in charge_lines(again.hours)},
    )


def _recounted(
    terms: BillingTerms, plan: ShardPlan, log: UsageLog, now: datetime
) -> Iterator[HourlyUsage]:
    for customer in terms.customers:
        yield from _recounted_of(customer.customer_id, terms, plan, log, now)


def _recounted_of(
    customer_id: str, terms: BillingTerms, plan: ShardPlan, log: UsageLog, now: datetime
) -> Iterator[HourlyUsage]:
    product_id = terms.agreement.product_id
    for hour in hours_between(terms.rows_from, min(terms.rows_to, now + HOUR)):
        partition = plan.partition_of(product_id, customer_id, hour)
        events = list(customer_events(log.read(partition), product_id, customer_id))
        if not events:
            continue
        states = {meter_id: recount(meter, events) for meter_id, meter in terms.meters.items()}
        yield HourlyUsage(
            product_id=product_id,
            subject=customer_id,
            hour=hour,
            meters={
                meter_id: {group: hours[hour] for group, hours in groups.items()}
                for meter_id, groups in states.items()
            },
            position=FoldPosition(0, 0),
            fresh_through=now,
            folded_at=now,
        )
