"""The ledger table: its items and how records and heads become items and back.

    pk          sk                          also
    agreement   head
    agreement   record#<hour>#<dimension>   pending_pk, pending_sk while it has to be sent

A record that has to be sent is in the sparse index `pending` under "pending#<channel>", earliest
deadline first; its final state takes it out. Decimals are texts.
"""

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
from meterbridge.domain.ledger_head import LedgerHead, Position
from meterbridge.domain.metering_record import OPEN_STATES, MeteringRecord, RecordKey, RecordState
from meterbridge.domain.money import plain
from meterbridge.domain.offerings import Channel, QuantityKind
from meterbridge.domain.windows import BillingPeriod, hour_text, parse_hour

HEAD = "head"
WAITING = "waiting"
"""Partition of the index with what an agreement must be settled for when an hour closes."""

RECORDS = "record#"

_Balances = dict[str, dict[str, str]]
_Positions = dict[str, dict[str, tuple[str, str, str]]]


class _Found(msgspec.Struct):
    opening: _Balances
    sealed: _Balances
    positions: _Positions


_FOUND = msgspec.json.Decoder(_Found)


class WaitingIndex(GlobalSecondaryIndex["HeadItem"]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "pending"
        projection = AllProjection()

    pending_pk = UnicodeAttribute(hash_key=True)
    pending_sk = UnicodeAttribute(range_key=True)


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
    refused_at = MomentAttribute(null=True)


class HeadItem(Model):
    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    version = NumberAttribute()
    live_from = UnicodeAttribute()
    settled_at = MomentAttribute()
    settled_through = MomentAttribute(null=True)
    found = UnicodeAttribute()
    waiting = BooleanAttribute(default=False)
    pending_pk = UnicodeAttribute(null=True)
    pending_sk = UnicodeAttribute(null=True)
    waiting_index = WaitingIndex()


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
        refused_at=item.refused_at,
    )


def head_to_item(head: LedgerHead, model: type[HeadItem]) -> HeadItem:
    """A head as an item of a bound model."""
    found = _Found(
        opening=_balances_to_wire(head.opening),
        sealed=_balances_to_wire(head.sealed),
        positions={
            dimension: {
                str(period): (plain(it.metered), plain(it.committed), plain(it.carried))
                for period, it in by_period.items()
            }
            for dimension, by_period in head.positions.items()
        },
    )
    item = model(
        head.agreement_id,
        HEAD,
        version=head.version,
        live_from=str(head.live_from),
        settled_at=head.settled_at,
        settled_through=head.settled_through,
        found=msgspec.json.encode(found).decode(),
        waiting=head.waiting,
    )
    if head.waiting:
        item.pending_pk = WAITING
        item.pending_sk = f"{head.agreement_id}#{HEAD}"
    return item


def head_from_item(item: HeadItem) -> LedgerHead:
    """The reverse of head_to_item."""
    found = _FOUND.decode(item.found)
    return LedgerHead(
        agreement_id=item.pk,
        version=int(item.version),
        live_from=BillingPeriod.parse(item.live_from),
        settled_at=item.settled_at,
        settled_through=item.settled_through,
        opening=_balances_from_wire(found.opening),
        sealed=_balances_from_wire(found.sealed),
        positions={
            dimension: {
                BillingPeriod.parse(period): Position(*map(Decimal, amounts))
                for period, amounts in by_period.items()
            }
            for dimension, by_period in found.positions.items()
        },
        waiting=bool(item.waiting),
    )


def sort_key(key: RecordKey) -> str:
    """Where a record is among the items of its agreement."""
    return f"{RECORDS}{hour_text(key.hour)}#{key.dimension}"


def pending_key(channel: Channel) -> str:
    """Where what has to be sent through a channel is listed."""
    return f"pending#{channel.value}"


def _balances_to_wire(balances: Mapping[str, Mapping[BillingPeriod, Decimal]]) -> _Balances:
    return {
        dimension: {str(period): plain(amount) for period, amount in by_period.items()}
        for dimension, by_period in balances.items()
    }


def _balances_from_wire(wire: _Balances) -> dict[str, dict[BillingPeriod, Decimal]]:
    return {
        dimension: {BillingPeriod.parse(p): Decimal(amount) for p, amount in by_period.items()}
        for dimension, by_period in wire.items()
    }
