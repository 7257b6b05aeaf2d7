"""What is policy rather than rule: quotas, windows, and answers that AWS's own texts disagree on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import timedelta
from typing import Any

from ..exchange import BadControlRequestError

_CHOICES = {
    "identical_resend": ("Success", "DuplicateRecord"),
    "throttle_clock": ("sandbox", "wall"),
    "mixed_styles": ("refuse", "accept"),
}


@dataclass(frozen=True)
class AwsSettings:
    """The sandbox's AWS policy (contracts.md §1.1.1, §1.1.3, §1.1.6, §1.1.8).

    Attributes:
        late_limit_seconds: A record this old is refused; AWS: 24 hours.
        month_end_grace_seconds: How long after the turn of the month the last one is open.
        future_skew_seconds: How far ahead a record may be. AWS publishes no figure.
        final_window_seconds: How long after its end an agreement takes its last usage.
        calls_per_second: Quota per account and region; 0 turns throttling off.
        throttle_clock: `sandbox` (repeatable under a frozen clock) or `wall`.
        identical_resend: Answer to the same quantity sent again. The service model says the
            resend is idempotent, AWS's agent skill that it may come back as DuplicateRecord.
        mixed_styles: `refuse` a call with both ProductCode and LicenseArn, as sellers saw it
            happen; `accept` reads such records as LicenseArn ones.
        max_body_bytes: A body must be smaller. "1 MB" is read as the smaller 1,000,000.
        max_records: Records in one call.
    """

    late_limit_seconds: int = 24 * 3600
    month_end_grace_seconds: int = 6 * 3600
    future_skew_seconds: int = 60
    final_window_seconds: int = 3600
    calls_per_second: int = 10
    throttle_clock: str = "sandbox"
    identical_resend: str = "Success"
    mixed_styles: str = "refuse"
    max_body_bytes: int = 1_000_000
    max_records: int = 25

    @property
    def late_limit(self) -> timedelta:
        """`late_limit_seconds` as a duration."""
        return timedelta(seconds=self.late_limit_seconds)

    @property
    def month_end_grace(self) -> timedelta:
        """`month_end_grace_seconds` as a duration."""
        return timedelta(seconds=self.month_end_grace_seconds)

    @property
    def future_skew(self) -> timedelta:
        """`future_skew_seconds` as a duration."""
        return timedelta(seconds=self.future_skew_seconds)

    @property
    def final_window(self) -> timedelta:
        """`final_window_seconds` as a duration."""
        return timedelta(seconds=self.final_window_seconds)

    def changed(self, values: Mapping[str, Any]) -> AwsSettings:
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
            if isinstance(value, int) and value < 0:
                raise BadControlRequestError(f"{name} must not be negative")
        return replace(self, **values)

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON."""
        return asdict(self)
