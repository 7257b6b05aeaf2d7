"""Usage events, and the segments and catalogs they are folded with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from builders import at
from meterbridge.application.ports import Catalog
from meterbridge.domain.events import EPOCH, UsageEvent
from meterbridge.domain.fold import FoldResult, PartitionFold
from meterbridge.domain.identities import Identities
from meterbridge.domain.meter_states import MeterState
from meterbridge.domain.meters import Aggregation, Meter
from meterbridge.domain.partitions import Partition, ShardPlan
from meterbridge.domain.usage_log import StoredSegment, pack_events

HOUR = at("2026-11-24T10")
PARTITION = Partition(HOUR, 0)
ONE_SHARD = ShardPlan(((EPOCH, 1),))


def usage_event(**changes: Any) -> UsageEvent:
    """An event; `minute` says when in the hour, other unknown names become its values."""
    minute = changes.pop("minute", 0)
    named: dict[str, Any] = {
        "product_id": "prd_llm",
        "source": "gateway",
        "id": "1",
        "type": "llm.request",
        "subject": "acme",
        "occurred_at": HOUR + timedelta(minutes=minute),
    }
    values = {name: changes.pop(name) for name in list(changes) if name not in named}
    return UsageEvent(**{**named, **changes}, values=values)


def meter(aggregation: Aggregation = Aggregation.SUM, **changes: Any) -> Meter:
    values: dict[str, Any] = {
        "id": "mtr",
        "product_id": "prd_llm",
        "name": "Tokens",
        "event_type": "llm.request",
        "aggregation": aggregation,
        "value_path": "" if aggregation is Aggregation.COUNT else "v",
    }
    return Meter(**{**values, **changes})


def segments(
    batches: Sequence[Sequence[UsageEvent]], received_at: datetime = HOUR
) -> list[StoredSegment]:
    """One segment for each batch; received a second apart."""
    stored = []
    for number, batch in enumerate(batches):
        (draft,) = pack_events(batch, ONE_SHARD)
        moment = received_at + timedelta(seconds=number)
        stored.append(StoredSegment(draft.partition, f"{number:06d}", moment, draft.body))
    return stored


def folded(
    stored: Sequence[StoredSegment],
    *meters: Meter,
    identities: Identities | None = None,
    resume_at: Sequence[int] = (),
) -> FoldResult:
    """Fold the segments; asks for a result in between after so many of them."""
    fold = PartitionFold(PARTITION, Catalog(1, meters), identities)
    for number, segment in enumerate(stored):
        if number in resume_at and number:
            fold.result(started_at=HOUR, folded_at=HOUR)
        fold.add(segment)
    return fold.result(started_at=HOUR, folded_at=HOUR)


def state_of(result: FoldResult, subject: str = "acme", group: tuple[str, ...] = ()) -> MeterState:
    """The state of one customer under meter() in a fold of segments."""
    (row,) = [row for row in result.rows if row.subject == subject]
    return row.meters["mtr"][group]
