"""Usage events as a gateway in front of language models sends them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

START = datetime(2026, 11, 24, 10, 20, tzinfo=UTC)
MODELS = ("gpt-4o", "gpt-4o-mini", "claude-sonnet-4", "llama-3.1-70b")


def llm_events(
    count: int = 1_000,
    *,
    customers: int = 100,
    start: datetime = START,
    seconds: float = 60.0,
    seed: int = 7,
) -> list[dict[str, Any]]:
    """CloudEvents in the order they occurred: random UUIDs, times to the microsecond, four data."""
    random = Random(seed)
    moments = sorted(random.uniform(0, seconds) for _ in range(count))
    return [
        {
            "specversion": "1.0",
            "id": str(UUID(int=random.getrandbits(128), version=4)),
            "source": "https://api.acme.example/gateway",
            "type": "llm.completion",
            "subject": f"cust_{random.randrange(customers):04d}",
            "time": _text(start + timedelta(seconds=moment)),
            "data": {
                "model": random.choice(MODELS),
                "context_tokens": int(random.lognormvariate(6.5, 1)),
                "generated_tokens": int(random.lognormvariate(5, 1)),
                "latency_ms": int(random.lognormvariate(6.5, 0.6)),
            },
        }
        for moment in moments
    ]


def llm_batch(count: int = 1_000, **changes: Any) -> bytes:
    """`llm_events` as the body of a request."""
    return json.dumps(llm_events(count, **changes), separators=(",", ":")).encode()


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
