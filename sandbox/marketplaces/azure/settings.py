"""What is policy rather than rule: windows, limits, and answers that Microsoft's texts disagree on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..settings import Settings


@dataclass(frozen=True)
class AzureSettings(Settings):
    """The sandbox's Azure policy (contracts.md §2.1.1, §2.1.3, §2.1.5).

    Attributes:
        late_limit_seconds: An event this old is expired; Azure: 24 hours.
        future_skew_seconds: How far ahead an event may be. Microsoft publishes no figure.
        calls_per_second: No quota is published, so it is off.
        retry_after_seconds: The `Retry-After` of a 429; 0 leaves the header out.
        token_seconds: Life of a token, in real time.
        bad_token_status: 401 as the newer text has it, or 403 as the older.
        result_order: Order of a batch's results; none is promised, so they come back `reversed`.
        max_events: Events in one batch.
        configure_seconds: How long a configure job of product ingestion is carried out.
    """

    late_limit_seconds: int = 24 * 3600
    future_skew_seconds: int = 60
    retry_after_seconds: int = 0
    token_seconds: int = 3599
    bad_token_status: Literal[401, 403] = 401
    result_order: Literal["reversed", "sent"] = "reversed"
    max_events: int = 25
    configure_seconds: int = 120
