"""What is policy rather than rule: windows, limits, and answers that Microsoft's texts disagree on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import timedelta
from typing import Any

from ..exchange import BadControlRequestError

_CHOICES: dict[str, tuple[int | str, ...]] = {
    "bad_token_status": (401, 403),
    "result_order": ("reversed", "sent"),
    "throttle_clock": ("sandbox", "wall"),
}


@dataclass(frozen=True)
class AzureSettings:
    """The sandbox's Azure policy (contracts.md §2.1.1, §2.1.3, §2.1.5).

    Attributes:
        late_limit_seconds: An event this old is expired; Azure: 24 hours.
        future_skew_seconds: How far ahead an event may be. Microsoft publishes no figure.
        calls_per_second: No quota is published, so 0: off.
        throttle_clock: `sandbox` (repeatable under a frozen clock) or `wall`.
        retry_after_seconds: The `Retry-After` of a 429; 0 leaves the header out.
        token_seconds: Life of a token, in real time.
        bad_token_status: 401 as the newer text has it, or 403 as the older.
        result_order: Order of a batch's results; none is promised, so they come back `reversed`.
        max_events: Events in one batch.
    """

    late_limit_seconds: int = 24 * 3600
    future_skew_seconds: int = 60
    calls_per_second: int = 0
    throttle_clock: str = "sandbox"
    retry_after_seconds: int = 0
    token_seconds: int = 3599
    bad_token_status: int = 401
    result_order: str = "reversed"
    max_events: int = 25

    def seconds(self, name: str) -> timedelta:
        """A setting in seconds as a duration."""
        return timedelta(seconds=getattr(self, f"{name}_seconds"))

    def changed(self, values: Mapping[str, Any]) -> AzureSettings:
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
