"""Usage events: raw facts from the seller's product, as CloudEvents 1.0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

MAX_AGE = timedelta(days=35)
MAX_AHEAD = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class UsageEvent:
    """One fact. Unique by (source, id) among the events of a product's customer.

    Attributes:
        product_id: whose meters apply; from the key it was sent with.
        subject: the seller's customer id.
        occurred_at: CloudEvents `time`: when it was used, aware UTC.
        values: CloudEvents `data`; numbers are int or Decimal, never float.
    """

    product_id: str
    source: str
    id: str
    type: str
    subject: str
    occurred_at: datetime
    values: Mapping[str, Any]
