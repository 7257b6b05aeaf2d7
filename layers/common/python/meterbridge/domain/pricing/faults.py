"""Faults of terms, collected so that all are told at once, each with where it is."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from meterbridge.domain.money import QUOTIENT_PLACES, ZERO, Rounding, plain, to_increment

_FINEST_PERCENT = Decimal("1E-6")
"""Several percentages of one charge stay exact within the digits that money has."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with terms.

    Attributes:
        pointer: JSON pointer (RFC 6901) into the terms.
        code: stable snake_case code, part of the API.
        detail: for a person.
    """

    pointer: str
    code: str
    detail: str


def decimal_places(value: Decimal) -> int:
    """Digits after the point, trailing zeros left out."""
    _, _, fraction = plain(value).partition(".")
    return len(fraction)


def price_faults(pointer: str, price: Decimal | None) -> Iterator[Fault]:
    """A price or amount that is negative, or finer than an exact share can be."""
    if price is not None and price < 0:
        yield Fault(pointer, "negative", f"{price} is negative")
    if price is not None and to_increment(price, QUOTIENT_PLACES, Rounding.FLOOR) != price:
        yield Fault(pointer, "too_fine", f"{price} has more than 12 decimal places")


def amount_faults(pointer: str, amount: Decimal | None) -> Iterator[Fault]:
    """An amount that has to be more than zero."""
    yield from price_faults(pointer, amount)
    if amount == 0:
        yield Fault(pointer, "not_positive", "it must be greater than zero")


def count_faults(pointer: str, count: int | None) -> Iterator[Fault]:
    """A number of days or cycles that has to be at least one."""
    if count is not None and count < 1:
        yield Fault(pointer, "not_positive", f"{count} is less than 1")


def percent_faults(pointer: str, percent: Decimal | None) -> Iterator[Fault]:
    """A percentage below 0 or above 100."""
    if percent is not None and not ZERO <= percent <= 100:
        yield Fault(pointer, "not_a_percentage", f"{percent} is not between 0 and 100")
    elif percent is not None and to_increment(percent, _FINEST_PERCENT, Rounding.FLOOR) != percent:
        yield Fault(pointer, "too_fine", f"{percent} has more than 6 decimal places")


def threshold_faults(pointer: str, percents: Sequence[Decimal]) -> Iterator[Fault]:
    """Thresholds that are not positive and ascending."""
    if any(percent <= 0 for percent in percents) or list(percents) != sorted(set(percents)):
        yield Fault(pointer, "thresholds_order", "thresholds must be positive and ascending")


def code_faults(pointer: str, codes: Iterable[str], known: Iterable[str]) -> Iterator[Fault]:
    """Codes of nothing that the plan charges for."""
    for code in sorted(set(codes) - set(known)):
        yield Fault(pointer, "unknown_code", f"the plan charges for no {code!r}")


def repeat_faults(pointers: Iterable[tuple[str, str]], what: str) -> Iterator[Fault]:
    """Names given twice, at the second of them, or not given. Takes (pointer, name)."""
    seen: set[str] = set()
    for pointer, name in pointers:
        if not name:
            yield Fault(pointer, "missing", f"a {what} is needed")
        elif name in seen:
            yield Fault(pointer, "repeated", f"the {what} {name!r} is taken")
        seen.add(name)


def grant_id_faults(pointer: str, grant_id: str, taken: Container[str]) -> Iterator[Fault]:
    """An id that could be mistaken for another grant's: rating makes ids with a colon."""
    if ":" in grant_id:
        yield Fault(pointer, "colon", "an id must not hold a colon")
    if grant_id in taken:
        yield Fault(pointer, "repeated", f"the id {grant_id!r} is taken")
