"""What a compiler makes of a plan: documents for a marketplace, and what they cannot hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

from meterbridge.domain.money import plain

Json: TypeAlias = "bool | int | str | Decimal | list[Json] | dict[str, Json] | None"


@dataclass(frozen=True, slots=True)
class Document:
    """One document as it is sent, or as a person enters it.

    Attributes:
        name: what it is, as `change_set`.
        call: the operation that takes it; "" where there is none.
        body: JSON, digit by digit as it is sent.
    """

    name: str
    call: str
    body: str

    @classmethod
    def of(cls, name: str, call: str, body: Json) -> Document:
        """A document; a decimal becomes a JSON number."""
        return cls(name, call, _text(body))


@dataclass(frozen=True, slots=True)
class Gap:
    """What the marketplace's listing cannot hold, or does not know yet.

    Attributes:
        pointer: JSON pointer into the plan's terms, or into the request from `/aws` and so on.
        code: stable snake_case code, part of the API.
        blocks: whether publishing regardless would charge, or list, something wrong.
    """

    pointer: str
    code: str
    detail: str
    blocks: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs from what was applied last; None where there is none."""

    pointer: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class LastApplied:
    """What is known of the publication that was applied last.

    Attributes:
        content: what it said, flat.
        entities: the marketplace's ids of what it made, by what it is: `product`, `offer`.
        prices_raised_at: when a price was last raised.
    """

    publication_id: str
    content: Mapping[str, str]
    entities: Mapping[str, str] = field(default_factory=dict)
    prices_raised_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Compiled:
    """A plan as one marketplace takes it.

    Attributes:
        content: what it says, as JSON texts by pointer; independent of how it is sent.
        steps: what is left to a person, in order.
        raises_prices: whether a price is higher than applied last.
        entities: the marketplace's ids of what is changed, by what it is.
    """

    documents: tuple[Document, ...]
    gaps: tuple[Gap, ...]
    steps: tuple[str, ...]
    content: Mapping[str, str]
    raises_prices: bool = False
    entities: Mapping[str, str] = field(default_factory=dict)


def flattened(content: Json, pointer: str = "") -> dict[str, str]:
    """Every leaf as JSON text, by JSON pointer; empty lists and objects are leaves too."""
    return dict(_leaves(content, pointer))


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Change, ...]:
    """What differs, in order of pointer."""
    return tuple(
        Change(pointer, before.get(pointer), after.get(pointer))
        for pointer in sorted(before.keys() | after.keys())
        if before.get(pointer) != after.get(pointer)
    )


def _leaves(value: Json, pointer: str) -> Iterator[tuple[str, str]]:
    children: Iterable[tuple[str, Json]] = ()
    if isinstance(value, dict):
        children = value.items()
    elif isinstance(value, list):
        children = ((str(index), child) for index, child in enumerate(value))
    empty = True
    for name, child in children:
        empty = False
        escaped = name.replace("~", "~0").replace("/", "~1")
        yield from _leaves(child, f"{pointer}/{escaped}")
    if empty:
        yield pointer, _text(value)


def _text(value: Json) -> str:
    return msgspec.json.encode(_written(value)).decode()


def _written(value: Json) -> Any:
    """With each decimal as a JSON number without an exponent."""
    if isinstance(value, dict):
        return {name: _written(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_written(child) for child in value]
    return msgspec.Raw(plain(value).encode()) if isinstance(value, Decimal) else value
