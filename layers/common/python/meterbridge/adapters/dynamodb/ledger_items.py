"""The ledger table: its keys, and how settlement heads become items and back.

    pk          sk                          also
    agreement   head                        pending_pk, pending_sk while it waits for an hour
    agreement   record#<hour>#<dimension>   pending_pk, pending_sk while something is to be done
    agreement   decision#<id>               written once, never changed
    agreement   rating#<month>              where rating stood before it; written once

The sparse index `pending` lists what is to be sent under "pending#<channel>", earliest deadline first;
what is to be settled under "waiting", or at an hour without usage under "due"; and what only a person can go on with under "attention".
Decimals are texts. Records and decisions are in record_items.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model

from meterbridge.adapters.dynamodb.attributes import (
    MomentAttribute,
)
from meterbridge.domain.ledger_head import LedgerHead, Position
from meterbridge.domain.metering_record import RecordKey
from meterbridge.domain.money import plain
from meterbridge.domain.offerings import Channel
from meterbridge.domain.pricing.rating_state import RatingState
from meterbridge.domain.windows import BillingPeriod, hour_text

HEAD = "head"
WAITING = "waiting"
"""Partition of the index with what an agreement must be settled for when an hour closes."""

DUE = "due"
"""Partition of the index with agreements that are to be settled from an hour on, by that hour."""

ATTENTION = "attention"
"""Partition of the index with records in conflict of which no other figure was told."""

RECORDS = "record#"
DECISIONS = "decision#"
RATING = "rating#"

_Balances = dict[str, dict[str, str]]
_Positions = dict[str, dict[str, tuple[str, str, str]]]


class _Found(msgspec.Struct):
    opening: _Balances
    sealed: _Balances
    positions: _Positions
    rating: dict[str, Any] | None = None
    corrected: _Balances = {}


_FOUND = msgspec.json.Decoder(_Found)


class WaitingIndex(GlobalSecondaryIndex["HeadItem"]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "pending"
        projection = AllProjection()

    pending_pk = UnicodeAttribute(hash_key=True)
    pending_sk = UnicodeAttribute(range_key=True)


class HeadItem(Model):
    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    version = NumberAttribute()
    live_from = UnicodeAttribute()
    settled_at = MomentAttribute()
    settled_through = MomentAttribute(null=True)
    found = UnicodeAttribute()
    waiting = BooleanAttribute(default=False)
    due_at = MomentAttribute(null=True)
    pending_pk = UnicodeAttribute(null=True)
    pending_sk = UnicodeAttribute(null=True)
    waiting_index = WaitingIndex()


class RatingItem(Model):
    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    body = UnicodeAttribute()


def rating_to_text(state: RatingState) -> str:
    """Where rating stood, as it is stored."""
    return msgspec.json.encode(state.to_wire()).decode()


def rating_from_text(text: str) -> RatingState:
    """The reverse of rating_to_text."""
    return RatingState.from_wire(msgspec.json.decode(text))


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
        rating=head.rating.to_wire() if head.rating is not None else None,
        corrected=_balances_to_wire(head.corrected),
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
        due_at=head.due_at,
    )
    if head.waiting:
        item.pending_pk = WAITING
        item.pending_sk = f"{head.agreement_id}#{HEAD}"
    elif head.due_at is not None:
        item.pending_pk = DUE
        item.pending_sk = f"{hour_text(head.due_at)}#{head.agreement_id}"
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
        rating=RatingState.from_wire(found.rating) if found.rating is not None else None,
        due_at=item.due_at,
        corrected=_balances_from_wire(found.corrected),
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
