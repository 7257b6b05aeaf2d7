"""What every marketplace's policy has in common: the quota, and how a setting is changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import timedelta
from typing import Any, Literal, Self, get_args, get_type_hints

from .exchange import BadControlRequestError


@dataclass(frozen=True)
class Settings:
    """Policy rather than rule; a marketplace adds its own.

    The default tells a setting's type; one that takes only some values is a `Literal` of them.

    Attributes:
        calls_per_second: The quota; 0 turns throttling off.
        throttle_clock: `sandbox` (repeatable under a frozen clock) or `wall`.
    """

    calls_per_second: int = 0
    throttle_clock: Literal["sandbox", "wall"] = "sandbox"

    def seconds(self, name: str) -> timedelta:
        """The setting `<name>_seconds` as a duration."""
        return timedelta(seconds=getattr(self, f"{name}_seconds"))

    def changed(self, values: Mapping[str, Any]) -> Self:
        """These settings with some values replaced.

        Raises:
            BadControlRequestError: A name is unknown or a value is not allowed.
        """
        kinds = {known.name: type(known.default) for known in fields(self)}
        choices = {name: get_args(hint) for name, hint in get_type_hints(type(self)).items()}
        for name, value in values.items():
            if name not in kinds:
                raise BadControlRequestError(f"there is no setting {name!r}")
            if type(value) is not kinds[name]:
                raise BadControlRequestError(f"{name} must be of type {kinds[name].__name__}")
            if choices[name] and value not in choices[name]:
                raise BadControlRequestError(f"{name} must be one of {choices[name]}")
            if type(value) is int and value < 0:
                raise BadControlRequestError(f"{name} must not be negative")
        return replace(self, **values)

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON."""
        return asdict(self)
