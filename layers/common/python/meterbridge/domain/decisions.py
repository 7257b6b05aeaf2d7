"""What a person decided about one metering record, for the audit trail: written once, never edited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class DecisionAction(StrEnum):
    """What a person can do with a record that waits for one.

    RETRY: the marketplace did not book it; bill it again. CONFIRM: the marketplace booked this
    quantity. WRITE_OFF: never bill it. RE_DATE: bill it in another hour.
    """

    RETRY = "retry"
    CONFIRM = "confirm"
    WRITE_OFF = "write_off"
    RE_DATE = "re_date"


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision.

    Attributes:
        id: in the order of time, by itself unique.
        agreement_id, dimension, hour: the record's key.
        reason: why, in the person's words.
        decided_by: id of the API key that was used.
        decided_by_name: the key's name at that moment; "" where it had none.
        state_before: the record's.
        accepted_quantity: what the marketplace booked, where that was confirmed; in its units.
        new_hour: where the quantity is billed instead, where it was re-dated.
    """

    id: str
    agreement_id: str
    dimension: str
    hour: datetime
    action: DecisionAction
    reason: str
    decided_by: str
    decided_by_name: str
    decided_at: datetime
    state_before: str
    accepted_quantity: Decimal | None = None
    new_hour: datetime | None = None
