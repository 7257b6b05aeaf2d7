"""Metering records and decisions as items of the ledger table, and back. Its keys: ledger_items.py."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec
from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model

from meterbridge.adapters.dynamodb.attributes import (
    DecimalAttribute,
    MomentAttribute,
    TextsAttribute,
    moment_text,
)
from meterbridge.adapters.dynamodb.ledger_items import ATTENTION, WAITING, pending_key, sort_key
from meterbridge.domain.decisions import Decision
from meterbridge.domain.metering_record import OPEN_STATES, MeteringRecord, RecordKey, RecordState
from meterbridge.domain.money import plain
from meterbridge.domain.offerings import Channel, QuantityKind
from meterbridge.domain.windows import BillingPeriod, hour_text, parse_hour

_DECISION = msgspec.json.Decoder(Decision)


class PendingIndex(GlobalSecondaryIndex["RecordItem"]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "pending"
        projection = AllProjection()

    pending_pk = UnicodeAttribute(hash_key=True)
    pending_sk = UnicodeAttribute(range_key=True)


class RecordItem(Model):
    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    pending_pk = UnicodeAttribute(null=True)
    pending_sk = UnicodeAttribute(null=True)
    pending = PendingIndex()
    dimension = UnicodeAttribute()
    hour = UnicodeAttribute()
    channel = UnicodeAttribute()
    product_id = UnicodeAttribute()
    quantity = DecimalAttribute()
    units_per_quantity = DecimalAttribute()
    allocations = TextsAttribute()
    reported_hour_start = MomentAttribute()
    deadline = MomentAttribute()
    buyer = TextsAttribute()
    created_at = MomentAttribute()
    state = UnicodeAttribute()
    reason = UnicodeAttribute(null=True)
    attempts = NumberAttribute()
    absorbed = BooleanAttribute()
    receipt = UnicodeAttribute(null=True)
    request_id = UnicodeAttribute(null=True)
    submission = TextsAttribute(null=True)
    accepted_quantity = DecimalAttribute(null=True)
    submitted_at = MomentAttribute(null=True)
    finished_at = MomentAttribute(null=True)
    resend_until = MomentAttribute(null=True)
    quantity_kind = UnicodeAttribute(default=QuantityKind.INTEGER.value)
    reported_hour_end = MomentAttribute(null=True)
    re_dated_from = UnicodeAttribute(null=True)
    decision = UnicodeAttribute(null=True)
    refused_at = MomentAttribute(null=True)


class DecisionItem(Model):
    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    body = UnicodeAttribute()


def record_to_item(record: MeteringRecord, model: type[RecordItem]) -> RecordItem:
    """A record as an item of a bound model."""
    key = record.key
    item = model(
        key.agreement_id,
        sort_key(key),
        dimension=key.dimension,
        hour=hour_text(key.hour),
        channel=record.channel.value,
        product_id=record.product_id,
        quantity=record.quantity,
        units_per_quantity=record.units_per_quantity,
        allocations={str(period): plain(q) for period, q in record.allocations.items()},
        reported_hour_start=record.reported_hour_start,
        deadline=record.deadline,
        buyer=record.buyer,
        created_at=record.created_at,
        state=record.state.value,
        reason=record.reason or None,
        attempts=record.attempts,
        absorbed=record.absorbed,
        receipt=record.receipt or None,
        request_id=record.request_id or None,
        submission=record.submission or None,
        accepted_quantity=record.accepted_quantity,
        submitted_at=record.submitted_at,
        finished_at=record.finished_at,
        resend_until=record.resend_until,
        quantity_kind=record.quantity_kind.value,
        reported_hour_end=record.reported_hour_end,
        re_dated_from=hour_text(record.re_dated_from) if record.re_dated_from else None,
        decision=decision_to_text(record.decision) if record.decision else None,
        refused_at=record.refused_at,
    )
    if record.state in OPEN_STATES:
        item.pending_pk = pending_key(record.channel)
        item.pending_sk = "#".join(
            (
                moment_text(record.open_until),
                key.agreement_id,
                key.dimension,
                hour_text(key.hour),
            )
        )
    elif record.unabsorbed:
        item.pending_pk = WAITING
        item.pending_sk = f"{key.agreement_id}#{sort_key(key)}"
    elif record.state is RecordState.CONFLICTED and not record.absorbed:
        item.pending_pk = ATTENTION
        item.pending_sk = f"{key.agreement_id}#{sort_key(key)}"
    return item


def record_from_item(item: RecordItem) -> MeteringRecord:
    """The reverse of record_to_item."""
    allocations: Mapping[BillingPeriod, Decimal] = {
        BillingPeriod.parse(period): Decimal(quantity)
        for period, quantity in item.allocations.items()
    }
    return MeteringRecord(
        key=RecordKey(item.pk, item.dimension, parse_hour(item.hour)),
        channel=Channel(item.channel),
        product_id=item.product_id,
        quantity=item.quantity,
        units_per_quantity=item.units_per_quantity,
        allocations=allocations,
        reported_hour_start=item.reported_hour_start,
        deadline=item.deadline,
        buyer=item.buyer,
        created_at=item.created_at,
        state=RecordState(item.state),
        reason=item.reason or "",
        attempts=int(item.attempts),
        absorbed=item.absorbed,
        receipt=item.receipt or "",
        request_id=item.request_id or "",
        submission=item.submission or {},
        accepted_quantity=item.accepted_quantity,
        submitted_at=item.submitted_at,
        finished_at=item.finished_at,
        resend_until=item.resend_until,
        quantity_kind=QuantityKind(item.quantity_kind),
        reported_hour_end=item.reported_hour_end,
        re_dated_from=parse_hour(item.re_dated_from) if item.re_dated_from else None,
        decision=decision_from_text(item.decision) if item.decision else None,
        refused_at=item.refused_at,
    )


def decision_to_text(decision: Decision) -> str:
    """A decision, as kept by itself and with its record; decimals as texts."""
    return msgspec.json.encode(decision).decode()


def decision_from_text(text: str) -> Decision:
    """The reverse of decision_to_text."""
    return _DECISION.decode(text)
