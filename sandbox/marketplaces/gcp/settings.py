"""What is policy rather than rule: what Google does not promise, or says in two ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..settings import Settings


@dataclass(frozen=True)
class GcpSettings(Settings):
    """The sandbox's Google policy (contracts.md §3.1.4, §3.1.5).

    Attributes:
        deduplicates: Whether an identical operation with a known operationId is counted once.
            Google hints at it and promises nothing; False shows what a resend would cost.
        memory_seconds: How long an operationId is remembered; 0 for ever. Google gives no figure.
        changed_resend: A known operationId with other content: `refuse` it (ALREADY_EXISTS),
            `ignore` it and keep the first, or `add` it.
        duty_seconds: Usage reported later than this after its end earns a warning.
        late_limit_seconds: Usage that ended longer ago is refused (OUT_OF_RANGE); 0 for never.
        future_skew_seconds: How far ahead of the clock usage may end. Google publishes no figure.
        final_window_seconds: How long after its end an entitlement takes its last usage.
        check_knows_end: Whether check refuses a cancelled consumer at once, even for usage
            before the end.
        invoice_grace_seconds: How long after the Pacific month end usage still makes its invoice.
        calls_per_second: Quota of each service. Google publishes none, so it is off.
        token_seconds: How long an access token is good, in real time.
        max_body_bytes: A body must be smaller. "1 MB" is read as the smaller 1,000,000.
    """

    deduplicates: bool = True
    memory_seconds: int = 0
    changed_resend: Literal["refuse", "ignore", "add"] = "refuse"
    duty_seconds: int = 3600
    late_limit_seconds: int = 0
    future_skew_seconds: int = 60
    final_window_seconds: int = 3600
    check_knows_end: bool = True
    invoice_grace_seconds: int = 3600
    token_seconds: int = 3600
    max_body_bytes: int = 1_000_000
