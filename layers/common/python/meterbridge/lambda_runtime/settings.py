"""A function's settings: environment variables → one frozen dataclass, all faults at once.

@dataclass(frozen=True, slots=True)
class Settings:
    usage_table: str = variable("USAGE_TABLE")
    grace: timedelta = variable("GRACE_MINUTES", minutes, default=timedelta(minutes=15))

SETTINGS = load(Settings, os.environ)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, field, fields
from datetime import timedelta
from typing import Any, TypeVar

from meterbridge.domain.errors import SettingsError

_SettingsT = TypeVar("_SettingsT")
_NAME, _PARSE = "variable", "parse"


def variable(name: str, parse: Callable[[str], Any] = str, *, default: Any = MISSING) -> Any:
    """A field that is read from an environment variable.

    Args:
        name: of the variable.
        parse: text to value; raises ValueError with what is wrong.
        default: the value when the variable is missing or empty; without one it is required.
    """
    metadata = {_NAME: name, _PARSE: parse}
    if default is MISSING:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


def load(settings: type[_SettingsT], environ: Mapping[str, str]) -> _SettingsT:
    """The settings, read from an environment.

    Args:
        settings: a dataclass whose fields were all made by `variable`.
        environ: name to text.

    Raises:
        SettingsError: variables are missing or wrong; the message names every one.
    """
    values: dict[str, Any] = {}
    faults = []
    for each in fields(settings):  # type: ignore[arg-type]
        name, parse = each.metadata[_NAME], each.metadata[_PARSE]
        text = environ.get(name, "").strip()
        if text:
            try:
                values[each.name] = parse(text)
            except ValueError as exc:
                faults.append(f"{name} {exc}")
        elif each.default is MISSING:
            faults.append(f"{name} is missing")
    if faults:
        raise SettingsError("; ".join(faults))
    return settings(**values)


def minutes(text: str) -> timedelta:
    """A whole number of minutes, 0 or more.

    Raises:
        ValueError: anything else.
    """
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"must be a whole number of minutes, not {text!r}")
    return timedelta(minutes=int(text))


def days(text: str) -> timedelta:
    """A whole number of days, 0 or more.

    Raises:
        ValueError: anything else.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise ValueError(f"must be a whole number of days, not {text!r}")
    return timedelta(days=int(text))


def one_of(*choices: str) -> Callable[[str], str]:
    """A parser for one of a few words."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}, not {text!r}")
        return text

    return parse
