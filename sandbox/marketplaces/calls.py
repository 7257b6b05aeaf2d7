"""The log of every call a marketplace received, and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .clock import format_instant


@dataclass(frozen=True)
class LoggedCall:
    """One call.

    Attributes:
        number: Counted from 1 for each marketplace since the last reset.
        at: The sandbox's time.
        outcome: `Success`, or the marketplace's error code; what was decided, even if not told.
        acknowledged: False when the answer never reached the caller as it was decided.
        faults: Kinds of the injected faults that had a part in it.
        records: One mapping per usage record, with its `status` when the call went through.
    """

    marketplace: str
    number: int
    at: datetime
    operation: str
    status: int
    outcome: str
    acknowledged: bool
    faults: tuple[str, ...]
    records: tuple[Mapping[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """The call as JSON."""
        return {
            "marketplace": self.marketplace,
            "number": self.number,
            "at": format_instant(self.at),
            "operation": self.operation,
            "status": self.status,
            "outcome": self.outcome,
            "acknowledged": self.acknowledged,
            "faults": list(self.faults),
            "records": [dict(record) for record in self.records],
        }


class CallLog:
    """Keeps calls in order and counts them."""

    def __init__(self) -> None:
        self._calls: list[LoggedCall] = []
        self._numbers: Counter[str] = Counter()

    def next_number(self, marketplace: str) -> int:
        """The number of the call that arrives now."""
        self._numbers[marketplace] += 1
        return self._numbers[marketplace]

    def add(self, call: LoggedCall) -> None:
        """Notes a finished call."""
        self._calls.append(call)

    def all(self) -> list[LoggedCall]:
        """Every call since the last reset, oldest first."""
        return list(self._calls)

    def summary(self) -> dict[str, Any]:
        """How many calls there were, per outcome, and how many records got which status."""
        return {
            "total": len(self._calls),
            "unacknowledged": sum(not call.acknowledged for call in self._calls),
            "outcomes": dict(Counter(call.outcome for call in self._calls)),
            "statuses": dict(
                Counter(
                    record["status"]
                    for call in self._calls
                    for record in call.records
                    if "status" in record
                )
            ),
        }

    def reset(self) -> None:
        """Forgets every call and counts from 1 again."""
        self._calls.clear()
        self._numbers.clear()
