"""The rows of the archive: a usage event as it was received, and an hourly quantity.

Every number is kept as decimal text, because query engines read numbers in JSON as floats.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from meterbridge.domain.event_values import same
from meterbridge.domain.events import EPOCH, MICROSECOND, Standing
from meterbridge.domain.meter_states import GaugeState, MeterState
from meterbridge.domain.money import plain
from meterbridge.domain.usage import HourlyUsage
from meterbridge.domain.usage_log import StoredSegment, decode

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


class EventRow(msgspec.Struct, frozen=True):
    """One event as it was received.

    Attributes:
        position: its number among the events of its partition, in the order of the fold.
        segment, segment_row: where the usage log held it.
        occurred_at, received_at: in microseconds since the epoch.
        data: the event's data as JSON.
        numbers: the numbers in it by path, as meters name it ("usage.tokens"), in plain digits.
    """

    position: int
    segment: str
    segment_row: int
    product_id: str
    subject: str
    source: str
    id: str
    type: str
    occurred_at: int
    received_at: int
    data: str
    numbers: dict[str, str]


class UsageRow(msgspec.Struct, frozen=True):
    """What one meter has of one customer, group and hour.

    Attributes:
        group_values: the values of the meter's group-by keys, in its order.
        aggregation: the kind of `state`.
        quantity: plain digits; None for a gauge, which has none without what it held before.
        state: the whole of what the meter knows, as JSON; its numbers are texts.
        segments, catalog_version: how much the fold knew.
        fresh_through, folded_at: in microseconds since the epoch.
    """

    product_id: str
    subject: str
    meter_id: str
    group_values: tuple[str, ...]
    aggregation: str
    quantity: str | None
    state: str
    segments: int
    catalog_version: int
    fresh_through: int
    folded_at: int


def event_rows(segments: Iterable[StoredSegment]) -> Iterator[EventRow]:
    """The events of a partition.

    Args:
        segments: from the first on, in order.

    Raises:
        CorruptSegmentError: a segment cannot be read.
    """
    before = 0
    for stored in segments:
        segment = decode(stored.body)
        received_at = _microseconds(stored.received_at)
        for group in segment.groups:
            columns = [group.column(key) for key in group.keys]
            named = zip(group.subjects, group.sources, group.ids, group.times, strict=True)
            for place, (subject, source, id_, time) in enumerate(named):
                values = {
                    key: column[place] for key, column in zip(group.keys, columns, strict=True)
                }
                row = group.rows.start + place
                yield EventRow(
                    position=before + row,
                    segment=stored.sk,
                    segment_row=row,
                    product_id=group.product_id,
                    subject=subject,
                    source=source,
                    id=id_,
                    type=group.type,
                    occurred_at=time,
                    received_at=received_at,
                    data=_encoder.encode(values).decode(),
                    numbers=dict(_numbers(values)),
                )
        before += len(segment)


def usage_rows(rows: Iterable[HourlyUsage]) -> Iterator[UsageRow]:
    """The quantities in hourly usage, one by one."""
    for row in rows:
        for meter_id, groups in row.meters.items():
            for group, state in groups.items():
                yield UsageRow(
                    product_id=row.product_id,
                    subject=row.subject,
                    meter_id=meter_id,
                    group_values=group,
                    aggregation=state.aggregation,
                    quantity=_quantity(state),
                    state=_encoder.encode(state.to_wire()).decode(),
                    segments=row.position.segments,
                    catalog_version=row.position.catalog_version,
                    fresh_through=_microseconds(row.fresh_through),
                    folded_at=_microseconds(row.folded_at),
                )


def customers_of(segments: Iterable[StoredSegment]) -> set[tuple[str, str]]:
    """Whose events a partition holds: (product, subject).

    Raises:
        CorruptSegmentError: a segment cannot be read.
    """
    return {
        (group.product_id, segment.subject_names[code])
        for segment in (decode(stored.body) for stored in segments)
        for group in segment.groups
        for code in set(group.subject_codes)
    }


def repeat_standing(type_: str, time: int, data: str, first: tuple[str, int, str]) -> Standing:
    """What an event is whose identity had come before, as the event `first`.

    Args:
        type_: of the event, as `time` and `data` are in `EventRow`.
        first: the same three of the first event.
    """
    alike = (type_, time) == first[:2] and (
        data == first[2] or same(_decoder.decode(data), _decoder.decode(first[2]))
    )
    return Standing.DUPLICATE if alike else Standing.CONFLICT


def _quantity(state: MeterState) -> str | None:
    return None if isinstance(state, GaugeState) else plain(state.quantity)


def _numbers(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{key}.")
        elif isinstance(value, int | Decimal) and not isinstance(value, bool):
            yield f"{prefix}{key}", plain(Decimal(value))


def _microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND
