"""The control side of every marketplace: what is registered, by kind, and its policy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from .clock import parse_instant
from .exchange import BadControlRequestError, Controlled, Json
from .journal import Fact
from .settings import Settings

_SETTINGS = "settings"


class Registrable(Protocol):
    """What a seller or a buyer registers with a marketplace."""

    def to_json(self) -> Json:
        """It as JSON."""


Policy = TypeVar("Policy", bound=Settings)
Thing = TypeVar("Thing", bound=Registrable)


class Governed(Protocol[Policy]):
    """Rules that go by a policy."""

    settings: Policy


@dataclass(frozen=True)
class Kind(Generic[Thing]):
    """A kind of thing that is registered under its plural, and replaced when registered again.

    Attributes:
        name: In the singular.
        read: From JSON; raises BadControlRequestError.
        key: What one is found by.
        registered: Where the rules look it up.
        check: Raises BadControlRequestError unless it may be registered now.
        listed: Whether it can be asked for; not when it holds a secret.
    """

    name: str
    read: Callable[[Mapping[str, Any]], Thing]
    key: Callable[[Thing], str]
    registered: MutableMapping[str, Thing]
    check: Callable[[Thing], None] = lambda _: None
    listed: bool = True

    @property
    def plural(self) -> str:
        """Its place in a path, and the name of a list of them."""
        return f"{self.name}s"

    def keep(self, value: Json) -> None:
        """Takes in what `to_json` wrote."""
        thing = self.read(value)
        self.registered[self.key(thing)] = thing

    def rows(self) -> list[Json]:
        """Everything of this kind, as JSON."""
        return [thing.to_json() for thing in self.registered.values()]


class Administration(ABC, Generic[Policy]):
    """Serves a marketplace's part of the control API over the state of its rules.

    Args:
        marketplace: Its name, as in the path.
        rules: Whose policy can be changed.
        kinds: What can be registered; one that names another comes after it.
    """

    def __init__(
        self, marketplace: str, rules: Governed[Policy], kinds: Sequence[Kind[Any]]
    ) -> None:
        self._marketplace = marketplace
        self._governed = rules
        self._kinds = {kind.name: kind for kind in kinds}
        self._by_plural = {kind.plural: kind for kind in kinds}

    def serve(self, method: str, path: Sequence[str], body: Json, now: datetime) -> Controlled:
        """Serves one request.

        Raises:
            BadControlRequestError: There is no such thing to do, or it cannot be done.
        """
        match tuple(path):
            case (only,) if only == _SETTINGS:
                controlled = self._serve_settings(method, body)
            case (plural,) if plural in self._by_plural:
                controlled = self._serve_kind(method, self._by_plural[plural], body)
            case _:
                controlled = self._serve_own(method, path, body, now)
        if controlled is None:
            wanted = f"{method} /_sandbox/{self._marketplace}/{'/'.join(path)}"
            raise BadControlRequestError(f"there is no {wanted}")
        return controlled

    def _serve_settings(self, method: str, body: Json) -> Controlled | None:
        settings = self._governed.settings
        if method == "GET":
            return Controlled(settings.to_json())
        if method == "PATCH":
            return self._carry_out(_fact(_SETTINGS, settings.changed(body).to_json()))
        return None

    def _serve_kind(self, method: str, kind: Kind[Any], body: Json) -> Controlled | None:
        if method == "POST":
            return self._register(kind.name, kind.read(body))
        if method == "GET" and kind.listed:
            return Controlled({kind.plural: kind.rows()})
        return None

    @abstractmethod
    def _serve_own(
        self, method: str, path: Sequence[str], body: Json, now: datetime
    ) -> Controlled | None:
        """Serves what only this marketplace has; None when there is no such thing to do."""

    def _register(self, kind: str, thing: Registrable) -> Controlled:
        self._kinds[kind].check(thing)
        return self._carry_out(_fact(kind, thing.to_json()))

    def _carry_out(self, fact: Fact) -> Controlled:
        self.replay(fact)
        return Controlled(fact["value"], (fact,))

    def knows(self, fact: Fact) -> bool:
        """Whether the fact is a registration or a setting."""
        return fact["kind"] == _SETTINGS or fact["kind"] in self._kinds

    def replay(self, fact: Fact) -> None:
        """Carries out a registration, now or when it is read back."""
        if fact["kind"] == _SETTINGS:
            self._governed.settings = self._governed.settings.changed(fact["value"])
        else:
            self._kinds[fact["kind"]].keep(fact["value"])

    def facts(self) -> list[Fact]:
        """Everything that is registered."""
        return [
            _fact(_SETTINGS, self._governed.settings.to_json()),
            *(_fact(kind.name, row) for kind in self._kinds.values() for row in kind.rows()),
        ]


def instant_of(body: Json, name: str, default: datetime) -> datetime:
    """The instant that a request names, or the default.

    Raises:
        BadControlRequestError: It is not an instant.
    """
    text = body.get(name)
    if not text:
        return default
    try:
        return parse_instant(str(text))
    except ValueError as exc:
        raise BadControlRequestError(f"not an instant: {text!r}") from exc


def _fact(kind: str, value: Json) -> Fact:
    return {"kind": kind, "value": value}
