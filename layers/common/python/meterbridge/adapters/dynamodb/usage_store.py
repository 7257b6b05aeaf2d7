"""Hourly usage in DynamoDB: rows, how far each partition is folded, and cursors.

Keys: rows pk = "usage#<product>#<subject>", sk = "<hour>", and "<hour>#nn" for the parts of a row too
large for one item, written in one transaction with it; heads pk = "heads#<day>", sk = the partition;
cursors pk = "cursor", sk = the name. Rows and heads move forward only: a fold replaces another if it
knew at least as many segments and as new a catalog.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import islice
from typing import cast

import msgspec
import zstandard
from pynamodb.attributes import BinaryAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.expressions.condition import Condition
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from meterbridge.adapters.dynamodb.attributes import moment_text, parse_moment
from meterbridge.adapters.dynamodb.tables import bind, first_hour, store_errors
from meterbridge.domain.errors import InvariantError, StoreUnavailableError
from meterbridge.domain.meter_states import AnyState, MeterState
from meterbridge.domain.usage import FoldHead, FoldPosition, GroupKey, HourlyUsage
from meterbridge.domain.usage_log import Partition
from meterbridge.domain.windows import hour_text, parse_hour

PART_BYTES = 300_000
"""DynamoDB takes items up to 400 KB, keys and names included."""
MAX_PARTS = 13
"""DynamoDB takes transactions up to 4 MB."""

_WORKERS = 8
_CHUNK = 64
_TORN_READS = 3


class _RowBody(msgspec.Struct, array_like=True):
    product_id: str
    subject: str
    fresh_through: str
    folded_at: str
    meters: dict[str, list[tuple[GroupKey, AnyState]]]


class _HeadBody(msgspec.Struct):
    last_segment: str
    started_at: str
    fresh_through: str
    events: int
    duplicates: int
    conflicts: int
    unmatched: dict[str, int]


_ROW = msgspec.json.Decoder(_RowBody)
_HEAD = msgspec.json.Decoder(_HeadBody)


class _UsageItem(Model):
    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    segments = NumberAttribute()
    catalog_version = NumberAttribute()
    parts = NumberAttribute(null=True)
    digest = BinaryAttribute(legacy_encoding=False, null=True)
    body = BinaryAttribute(legacy_encoding=False)


class _CursorItem(Model):
    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    position = UnicodeAttribute()


class UsageStore:
    """The UsageStore port on one DynamoDB table."""

    def __init__(self, table_name: str) -> None:
        """Bind to a table; nothing is called yet."""
        self._items = bind(_UsageItem, table_name, connections=_WORKERS)
        self._cursors = bind(_CursorItem, table_name)
        self._transactions = Connection(max_pool_connections=_WORKERS)

    def head(self, partition: Partition) -> FoldHead | None:
        """See UsageStore in ports."""
        with store_errors(f"fold head {partition}"):
            try:
                item = self._items.get(
                    _heads_key(partition.hour), str(partition), consistent_read=True
                )
            except self._items.DoesNotExist:
                return None
        return _head_from_item(item)

    def heads(self, start: datetime, end: datetime) -> Iterator[FoldHead]:
        """See UsageStore in ports."""
        day = start.replace(hour=0, minute=0, second=0, microsecond=0)
        while day < end:
            with store_errors(f"fold heads of {day:%Y-%m-%d}"):
                found = [
                    _head_from_item(item)
                    for item in self._items.query(_heads_key(day), consistent_read=True)
                ]
            found.sort(key=lambda head: head.partition)
            yield from (head for head in found if start <= head.partition.hour < end)
            day += timedelta(days=1)

    def advance(self, head: FoldHead, rows: Iterable[HourlyUsage]) -> None:
        """See UsageStore in ports. Rows are written several at a time, the head after all of them."""
        waiting = iter(rows)
        with ThreadPoolExecutor(_WORKERS) as pool:
            while chunk := list(islice(waiting, _CHUNK)):
                for _ in pool.map(self._put_row, chunk):
                    pass
        body = _HeadBody(
            last_segment=head.last_segment,
            started_at=moment_text(head.started_at),
            fresh_through=moment_text(head.fresh_through),
            events=head.events,
            duplicates=head.duplicates,
            conflicts=head.conflicts,
            unmatched=dict(head.unmatched),
        )
        item = self._item(
            _heads_key(head.partition.hour),
            str(head.partition),
            head.position,
            msgspec.json.encode(body),
        )
        with store_errors(f"fold head {head.partition}"):
            item.save(_forward(head.position))

    def hourly(
        self, product_id: str, subject: str, start: datetime, end: datetime
    ) -> list[HourlyUsage]:
        """See UsageStore in ports."""
        pk = _usage_key(product_id, subject)
        low, high = first_hour(start), first_hour(end)
        if low >= high:
            return []
        # `high` itself may exist, as the row of the hour `end`: it is read and left out.
        for _ in range(_TORN_READS):
            with store_errors(f"usage of {product_id}/{subject}"):
                items = list(
                    self._items.query(pk, _UsageItem.sk.between(low, high), consistent_read=True)
                )
            rows = _rows_from_items([item for item in items if item.sk[: len(high)] < high])
            if rows is not None:
                return rows
        raise StoreUnavailableError(f"{product_id}/{subject}: rows changed while they were read")

    def cursor(self, name: str) -> str:
        """See UsageStore in ports."""
        with store_errors(f"cursor {name}"):
            try:
                return self._cursors.get("cursor", name, consistent_read=True).position
            except self._cursors.DoesNotExist:
                return ""

    def set_cursor(self, name: str, value: str, expected: str) -> None:
        """See UsageStore in ports."""
        at_expected: Condition = _CursorItem.position == expected
        if not expected:
            at_expected = _CursorItem.pk.does_not_exist() | at_expected
        with store_errors(f"cursor {name}"):
            self._cursors("cursor", name, position=value).save(at_expected)

    def _put_row(self, row: HourlyUsage) -> None:
        pk, sk = _usage_key(row.product_id, row.subject), hour_text(row.hour)
        body = zstandard.compress(_row_to_wire(row))
        parts = [body[at : at + PART_BYTES] for at in range(0, len(body), PART_BYTES)]
        if len(parts) > MAX_PARTS:
            raise InvariantError(f"{pk} {sk}: {len(body)} bytes are too many for one row")
        first = self._item(pk, sk, row.position, parts[0])
        with store_errors(f"usage of {row.product_id}/{row.subject} in {sk}"):
            if len(parts) == 1:
                first.save(_forward(row.position))
                return
            first.parts = len(parts)
            first.digest = blake2b(body, digest_size=16).digest()
            with TransactWrite(connection=self._transactions) as transaction:
                transaction.save(first, condition=_forward(row.position))
                for number, part in enumerate(parts[1:], start=1):
                    item = self._item(pk, f"{sk}#{number:02d}", row.position, part)
                    item.digest = first.digest
                    transaction.save(item)

    def _item(self, pk: str, sk: str, position: FoldPosition, body: bytes) -> _UsageItem:
        return self._items(
            pk,
            sk,
            segments=position.segments,
            catalog_version=position.catalog_version,
            body=body,
        )


def _forward(position: FoldPosition) -> Condition:
    """Nothing is stored yet, or a fold that knew no more than this one."""
    knew_no_more: Condition = (_UsageItem.segments <= position.segments) & (
        _UsageItem.catalog_version <= position.catalog_version
    )
    forward: Condition = _UsageItem.pk.does_not_exist() | knew_no_more
    return forward


def _position_of(item: _UsageItem) -> FoldPosition:
    return FoldPosition(int(item.segments), int(item.catalog_version))


def _row_to_wire(row: HourlyUsage) -> bytes:
    return msgspec.json.encode(
        _RowBody(
            product_id=row.product_id,
            subject=row.subject,
            fresh_through=moment_text(row.fresh_through),
            folded_at=moment_text(row.folded_at),
            meters={
                # The wire form of a state is the struct's own, so it is encoded in one go.
                meter_id: cast(list[tuple[GroupKey, AnyState]], list(groups.items()))
                for meter_id, groups in row.meters.items()
            },
        )
    )


def _rows_from_items(items: list[_UsageItem]) -> list[HourlyUsage] | None:
    """Rows of items in key order; None when some part belongs to another write than its row."""
    bodies = {item.sk: item for item in items}
    rows = []
    for item in items:
        if "#" in item.sk:
            continue
        body = item.body
        for number in range(1, int(item.parts or 1)):
            part = bodies.get(f"{item.sk}#{number:02d}")
            if part is None or part.digest != item.digest:
                return None
            body += part.body
        rows.append(_row_from_wire(item.sk, _position_of(item), body))
    return rows


def _row_from_wire(sk: str, position: FoldPosition, body: bytes) -> HourlyUsage:
    wire = _ROW.decode(zstandard.decompress(body))
    meters: Mapping[str, Mapping[GroupKey, MeterState]] = {
        meter_id: dict(groups) for meter_id, groups in wire.meters.items()
    }
    return HourlyUsage(
        product_id=wire.product_id,
        subject=wire.subject,
        hour=parse_hour(sk),
        meters=meters,
        position=position,
        fresh_through=parse_moment(wire.fresh_through),
        folded_at=parse_moment(wire.folded_at),
    )


def _head_from_item(item: _UsageItem) -> FoldHead:
    body = _HEAD.decode(item.body)
    return FoldHead(
        partition=Partition.parse(item.sk),
        position=_position_of(item),
        last_segment=body.last_segment,
        started_at=parse_moment(body.started_at),
        fresh_through=parse_moment(body.fresh_through),
        events=body.events,
        duplicates=body.duplicates,
        conflicts=body.conflicts,
        unmatched=body.unmatched,
    )


def _usage_key(product_id: str, subject: str) -> str:
    return f"usage#{product_id}#{subject}"


def _heads_key(hour: datetime) -> str:
    return f"heads#{hour:%Y-%m-%d}"
