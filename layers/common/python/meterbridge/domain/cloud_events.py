"""CloudEvents 1.0 in JSON: reading a batch and judging each event alone.

A batch is first judged at a glance, with C-speed operations over all events at once. Only if
anything looks out of order is it judged one by one, which names the faults. Both ways accept the
same events with the same content.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import chain
from typing import Any, Literal

import msgspec

from meterbridge.domain.event_rules import (
    CONTROL,
    MAX_DATA_BYTES,
    MAX_EVENTS,
    JudgedBatch,
    Name,
    ProductId,
    Time,
    is_object,
    judge_one_by_one,
)
from meterbridge.domain.events import EPOCH, MAX_AGE, MAX_AHEAD, EventColumns


class _Event(msgspec.Struct, gc=False):
    id: Name
    source: Name
    specversion: Literal["1.0"]
    type: Name
    subject: Name
    time: Time
    data: msgspec.Raw
    productid: ProductId | None = None


_one = msgspec.json.Decoder(_Event)
_many = msgspec.json.Decoder(list[_Event])
_data_many = msgspec.json.Decoder(list[dict[str, Any]], float_hook=Decimal)


def judge(body: bytes, products: Collection[str] | None, now: datetime) -> JudgedBatch:
    """Judge each event of a JSON array of CloudEvents, or a single one.

    Args:
        body: JSON text in UTF-8.
        products: ids of the products the sender may report usage of; None for any.
        now: decides which times are too old or too far ahead.

    Returns:
        Where nothing is wrong at a glance, data may still be beyond the limits of a segment, which
        `pack` finds out.

    Raises:
        InvalidInputError: the body as a whole: `malformed_json`, `not_an_event`,
            `too_many_events`.
    """
    events = _at_a_glance(body, products, now)
    return judge_one_by_one(body, products, now) if events is None else JudgedBatch(events)


def _at_a_glance(
    body: bytes, products: Collection[str] | None, now: datetime
) -> EventColumns | None:
    """The events of a batch in which nothing is wrong; None when in doubt."""
    try:
        events = [_one.decode(body)] if is_object(body) else _many.decode(body)
        data = [event.data for event in events]
        if len(events) > MAX_EVENTS or not events or max(map(len, data)) > MAX_DATA_BYTES:
            return None
        values = _data_many.decode(b"[" + b",".join(data) + b"]")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidOperation):
        return None
    ages = [event.time - EPOCH for event in events]
    parts = [age.microseconds for age in ages]
    columns = EventColumns(
        product_ids=_product_ids([event.productid for event in events], products),
        sources=[event.source for event in events],
        ids=[event.id for event in events],
        types=[event.type for event in events],
        subjects=[event.subject for event in events],
        times=[
            (age.days * 86_400 + age.seconds) * 1_000_000 + part
            for age, part in zip(ages, parts, strict=True)
        ],
        values=values,
    )
    in_order = (
        len(columns.product_ids) == len(events)
        and now - MAX_AGE - EPOCH <= min(ages)
        and max(ages) <= now + MAX_AHEAD - EPOCH
        and _without_control_characters(body, columns)
        # The parser may have rounded such a time up into another second, as it should not.
        and not (0 in parts and b".999999" in body)
    )
    return columns if in_order else None


def _product_ids(named: list[str | None], products: Collection[str] | None) -> list[str]:
    """The product of each event; fewer if one has none or one that is not allowed."""
    if products is not None and len(products) == 1:
        (only,) = products
        return [only] * len(named) if set(named) <= {None, only} else []
    return [name for name in named if name is not None and (products is None or name in products)]


def _without_control_characters(body: bytes, columns: EventColumns) -> bool:
    # A control character can only come escaped, as DEL, or (U+0080 to U+009F) as two bytes.
    if b"\\" not in body and b"\x7f" not in body and body.isascii():
        return True
    names = chain(columns.ids, set(columns.sources), set(columns.types), set(columns.subjects))
    return CONTROL.search("".join(names)) is None
