"""Real usage of a production LLM service, moved into the last closed hours.

Azure LLM inference trace 2023 (CC-BY 4.0; Patel et al., Splitwise, ISCA 2024): each row is a
request with its context and generated tokens. The trace names no customers, so rows are dealt out.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

TRACE = Path(__file__).resolve().parents[1] / "data" / "azure_llm_inference_code.csv"
CUSTOMERS = 20
BIG_CUSTOMERS = 5
QUIET_BEFORE_CLOSED_HOUR = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Request:
    """One row of the trace, with its customer and its new time."""

    row: int
    customer: int
    occurred_at: datetime
    context_tokens: int
    generated_tokens: int

    def event(self) -> dict[str, object]:
        """As a CloudEvent. Its id names the row, so the same fact always has the same id."""
        return {
            "specversion": "1.0",
            "id": f"azure-llm-2023-{self.row:05d}",
            "source": "demo/inference",
            "type": "llm.request",
            "subject": customer_id(self.customer),
            "time": self.occurred_at.isoformat().replace("+00:00", "Z"),
            "data": {
                "context_tokens": self.context_tokens,
                "generated_tokens": self.generated_tokens,
            },
        }


def customer_id(number: int) -> str:
    """The seller's own id of a customer."""
    return f"customer-{number:02d}"


def customer_of(row: int) -> int:
    """Every third request belongs to one of the big customers, the rest is spread over all."""
    return (row // 3) % BIG_CUSTOMERS if row % 3 == 0 else row % CUSTOMERS


def read_trace(last_closed_hour: datetime) -> list[Request]:
    """The whole trace, ending shortly before the last closed hour.

    That hour stays without usage, so that what arrives late has an hour to be billed in.
    """
    with TRACE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    times = [_moment(row["TIMESTAMP"]) for row in rows]
    shift = last_closed_hour - QUIET_BEFORE_CLOSED_HOUR - max(times)
    return [
        Request(
            row=number,
            customer=customer_of(number),
            occurred_at=moment + shift,
            context_tokens=int(row["ContextTokens"]),
            generated_tokens=int(row["GeneratedTokens"]),
        )
        for number, (row, moment) in enumerate(zip(rows, times, strict=True))
    ]


def hours_of(requests: Sequence[Request]) -> tuple[datetime, datetime]:
    """First and last hour with usage."""
    times = [request.occurred_at for request in requests]
    floor = [
        moment.replace(minute=0, second=0, microsecond=0) for moment in (min(times), max(times))
    ]
    return floor[0], floor[1]


def _moment(text: str) -> datetime:
    # The trace has seven digits after the second; the last is always zero in microseconds.
    return datetime.fromisoformat(text[:26]).replace(tzinfo=UTC)
