"""What is policy rather than rule: what Google does not promise, or says in two ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import timedelta
from typing import Any

from ..exchange import BadControlRequestError

_CHOICES = {
    "changed_resend": ("refuse", "ignore", "add"),
    "throttle_clock": ("sandbox", "wall"),
}


@dataclass(frozen=True)
class GcpSettings:
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
        calls_per_second: Quota of each service; 0 turns throttling off. Google publishes none.
        throttle_clock: `sandbox` (repeatable under a frozen clock) or `wall`.
        token_seconds: How long an access token is good, in real time.
        max_body_bytes: A body must be smaller. "1 MB" is read as the smaller 1,000,000.
    """

    deduplicates: bool = True
    memory_seconds: int = 0
    changed_resend: str = "refuse"
    duty_seconds: int = 3600
    late_limit_seconds: int = 0
    future_skew_seconds: int = 60
    final_window_seconds: int = 3600
    check_knows_end: bool = True
    invoice_grace_seconds: int = 3600
    calls_per_second: int = 0
    throttle_clock: str = "sandbox"
    token_seconds: int = 3600
    max_body_bytes: int = 1_000_000

    def seconds(self, name: str) -> timedelta:
        """The setting `<name>_seconds` as a duration."""
        return timedelta(seconds=getattr(self, f"{name}_seconds"))

    def changed(self, values: Mapping[str, Any]) -> GcpSettings:
        """These settings with some values replaced.

        Raises:
            BadControlRequestError: A name is unknown or a value is not allowed.
        """
        kinds = {known.name: type(known.default) for known in fields(self)}
        for name, value in values.items():
            if name not in kinds:
                raise BadControlRequestError(f"there is no setting {name!r}")
            if type(value) is not kinds[name]:
                raise BadControlRequestError(f"{name} must be of type {kinds[name].__name__}")
            if name in _CHOICES and value not in _CHOICES[name]:
                raise BadControlRequestError(f"{name} must be one of {_CHOICES[name]}")
            if type(value) is int and value < 0:
                raise BadControlRequestError(f"{name} must not be negative")
        return replace(self, **values)

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON."""
        return asdict(self)
