"""From a cent to the events: line → rule → hours → meter and group → metering records → event ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from meterbridge.application.billing_terms import BillingTerms
from meterbridge.application.event_paging import MAX_HOURS
from meterbridge.application.list_events import ListedEvent, list_events
from meterbridge.application.ports import UsageLog
from meterbridge.application.rated_usage import read_rated_usage
from meterbridge.application.read_invoices import InvoiceSources
from meterbridge.domain.attribution import context_start
from meterbridge.domain.errors import NotFoundError
from meterbridge.domain.events import Standing
from meterbridge.domain.invoicing.billing_documents import BillingDocument
from meterbridge.domain.invoicing.invoice_lines import InvoiceLine, LineKind
from meterbridge.domain.invoicing.line_trace import HourShare, hours_of_line, traced_amount
from meterbridge.domain.meter_states import GaugeState, MeterState
from meterbridge.domain.metering_record import MeteringRecord
from meterbridge.domain.meters import Meter
from meterbridge.domain.money import ZERO, subtract
from meterbridge.domain.partitions import LOG_KEPT_FOR
from meterbridge.domain.pricing.models import Dimensional
from meterbridge.domain.pricing.plan_terms import PlanTerms, PricedDimension
from meterbridge.domain.pricing.reported import reporting_of
from meterbridge.domain.recount import recount
from meterbridge.domain.usage import GroupKey
from meterbridge.domain.windows import HOUR, hour_of

_NO_HOURS = frozenset({LineKind.ROUNDING, LineKind.COVERED})


@dataclass(frozen=True, slots=True)
class ExplainedEvent:
    """A usage event that a line's meter counted.

    Attributes:
        group: its values of the meter's group-by.
        quantity: what it adds by itself; of a maximum or a count of different values, what it would.
    """

    source: str
    id: str
    occurred_at: datetime
    received_at: datetime
    group: GroupKey
    quantity: Decimal
    meter_id: str


@dataclass(frozen=True, slots=True)
class LineExplanation:
    """How a line came about, as far as it is known now.

    Attributes:
        traced: of a line that a person credited, the invoice's line; otherwise the line itself.
        dimension: what is priced, with its price; None where a line is of fees or several charges.
        shares: by hour.
        amount_now: what the hours come to now.
        changed: what that is more than the line: late usage, which a later document has.
        records: those of the hours, of the dimensions that report what is charged.
        events: a page of those that its meters counted.
        events_from: events received before are in the archive only, not in this list.
    """

    document: BillingDocument
    line: InvoiceLine
    traced: InvoiceLine
    dimension: PricedDimension | None
    meters: tuple[Meter, ...]
    shares: tuple[HourShare, ...]
    amount_now: Decimal
    changed: Decimal
    records: tuple[MeteringRecord, ...]
    events: tuple[ExplainedEvent, ...]
    events_from: datetime
    events_complete: bool
    next_cursor: str


def explain_line(
    document: BillingDocument,
    number: int,
    *,
    sources: InvoiceSources,
    log: UsageLog,
    now: datetime,
    limit: int,
    cursor: str,
) -> LineExplanation:
    """Trace a line of a document, draft or final.

    Args:
        limit: most events that are looked at; a page may show fewer, and the cursor goes on.
        cursor: "" or the `next_cursor` of the page before.

    Raises:
        NotFoundError: it has no such line.
        InvalidInputError: `invalid_cursor` or `invalid_limit`.
    """
    line = document.line(number)
    if line is None:
        raise NotFoundError(f"{document.id} has no line {number}")
    traced, start, end = _traced(document, line, sources)
    agreement = sources.registry.agreement(document.subject.agreement_id)
    span = read_rated_usage(
        agreement,
        start,
        end,
        registry=sources.registry,
        usage=sources.usage,
        ledger=sources.ledger,
        now=now,
    )
    own = [hour for hour in span.hours if start <= hour.hour < end]
    shares = hours_of_line(traced, own) if traced.kind not in _NO_HOURS else []
    plan = span.billing.terms.plan_of(span.billing.terms.cycle(start))
    dimension = next((each for each in plan.dimensions if each.code == traced.code), None)
    meters = _meters(dimension, span.billing)
    events_from = hour_of(now - LOG_KEPT_FOR) + HOUR
    page, next_cursor = _events(
        document, traced, dimension, meters, shares, log, sources, events_from, limit, cursor
    )
    adjusted = traced.kind is LineKind.ADJUSTMENT
    amount = traced_amount(shares)
    return LineExplanation(
        document=document,
        line=line,
        traced=traced,
        dimension=dimension,
        meters=meters,
        shares=tuple(shares),
        amount_now=amount,
        changed=ZERO if adjusted or not shares else subtract(amount, traced.amount),
        records=_records(document, plan, shares, start, end, sources),
        events=page,
        events_from=events_from,
        events_complete=not shares or shares[0].hour >= events_from,
        next_cursor=next_cursor,
    )


def _traced(
    document: BillingDocument, line: InvoiceLine, sources: InvoiceSources
) -> tuple[InvoiceLine, datetime, datetime]:
    """The line that hours made, and its period."""
    if line.kind is LineKind.CREDITED and document.refers_to is not None:
        invoice = sources.invoices.document(document.refers_to.id)
        credited = invoice.line(line.line_number)
        if credited is None:
            raise NotFoundError(f"{invoice.id} has no line {line.line_number}")
        return _traced(invoice, credited, sources)
    if line.period_start is not None and line.period_end is not None:
        return line, line.period_start, line.period_end
    return line, document.period_start, document.period_end


def _meters(dimension: PricedDimension | None, billing: BillingTerms) -> tuple[Meter, ...]:
    if dimension is None:
        return ()
    ids = [each for each in (dimension.meter_id, dimension.event_meter_id) if each]
    return tuple(billing.meters[each] for each in dict.fromkeys(ids))


def _records(
    document: BillingDocument,
    plan: PlanTerms,
    shares: Sequence[HourShare],
    start: datetime,
    end: datetime,
    sources: InvoiceSources,
) -> tuple[MeteringRecord, ...]:
    channel = document.subject.channel
    if not shares or all(each.channel is not channel for each in plan.reporting):
        return ()
    codes = {share.code for share in shares}
    dimensions = {
        dimension.code
        for dimension in reporting_of(plan, channel).dimensions
        if any(source.code in codes for source in dimension.sources)
    }
    hours = {share.hour for share in shares}
    records = sources.ledger.records(document.subject.agreement_id, start, end)
    return tuple(
        each for each in records if each.key.dimension in dimensions and each.key.hour in hours
    )


def _events(
    document: BillingDocument,
    line: InvoiceLine,
    dimension: PricedDimension | None,
    meters: Sequence[Meter],
    shares: Sequence[HourShare],
    log: UsageLog,
    sources: InvoiceSources,
    events_from: datetime,
    limit: int,
    cursor: str,
) -> tuple[tuple[ExplainedEvent, ...], str]:
    if dimension is None or not meters or not shares:
        return (), ""
    hours = {share.hour for share in shares}
    end = max(hours) + HOUR
    first = min(context_start(meter, min(hours)) for meter in meters)
    start = max(first, events_from, end - MAX_HOURS * HOUR)
    if start >= end:
        return (), ""
    page = list_events(
        product_id=document.subject.product_id,
        customer_id=document.buyer.customer_id,
        start=start,
        end=end,
        limit=limit,
        cursor=cursor,
        log=log,
        plan=sources.registry.shard_plan(),
    )
    found = [
        event
        for listed in page.events
        for meter in meters
        if (event := _counted(listed, meter, dimension, line, hours)) is not None
    ]
    return tuple(found), page.next_cursor


def _counted(
    listed: ListedEvent,
    meter: Meter,
    dimension: PricedDimension,
    line: InvoiceLine,
    hours: set[datetime],
) -> ExplainedEvent | None:
    """The event, if it counts for the line."""
    event = listed.event
    late = line.since is None or listed.received_at >= line.since
    if listed.standing is not Standing.FIRST or not late:
        return None
    hour = hour_of(event.occurred_at)
    if not any(context_start(meter, each) <= hour <= each for each in hours):
        return None
    for group, states in recount(meter, [event]).items():
        if meter.selects(group, _wanted(meter, dimension)) and _priced_here(dimension, group, line):
            return ExplainedEvent(
                source=event.source,
                id=event.id,
                occurred_at=event.occurred_at,
                received_at=listed.received_at,
                group=group,
                quantity=_quantity(states[hour]),
                meter_id=meter.id,
            )
    return None


def _priced_here(dimension: PricedDimension, group: GroupKey, line: InvoiceLine) -> bool:
    """Whether a group's quantity is on this line, where groups have prices of their own."""
    if not isinstance(dimension.price, Dimensional) or line.kind is LineKind.ADJUSTMENT:
        return True
    return dimension.price.named(group) == line.group


def _quantity(state: MeterState) -> Decimal:
    """Of a gauge, the level that it states."""
    return state.last_value if isinstance(state, GaugeState) else state.quantity


def _wanted(meter: Meter, dimension: PricedDimension) -> dict[str, str]:
    """What a dimension selects of a meter; the meter of events may know fewer groups."""
    names = {each.name for each in meter.group_by}
    if meter.id == dimension.meter_id:
        return dict(dimension.group)
    return {name: value for name, value in dimension.group.items() if name in names}
