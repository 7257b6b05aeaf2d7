"""Paths into an event's values, and conditions on what is found there."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from meterbridge.domain.errors import InvalidInputError
from meterbridge.domain.event_values import MISSING, Number, Reason, number_of

MAX_FILTER_VALUES = 100
MAX_PATH_LENGTH = 256
MAX_PATH_DEPTH = 8
_KEY = r"[^\s.\[\]\"'$*@]+"
_PATH = re.compile(rf"(?:\$\.)?({_KEY}(?:\.{_KEY})*)")


class FilterOperator(StrEnum):
    """Comparison of an event's value with the filter's.

    A missing value satisfies only NE, and EXISTS with False; null is not missing here. Numbers are equal as exact decimals
    (17 = 17.0) and never equal a text or a boolean. GT, GTE, LT, LTE take numbers and decimal texts.
    """

    EQ = "eq"
    NE = "ne"
    IN = "in"
    EXISTS = "exists"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"


ORDERINGS = frozenset(
    {FilterOperator.GT, FilterOperator.GTE, FilterOperator.LT, FilterOperator.LTE}
)

Scalar = str | int | Decimal | bool | None


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on an event's values; IN holds a tuple of scalars."""

    path: str
    op: FilterOperator
    value: Scalar | tuple[Scalar, ...] = True

    def check(self, pointer: str) -> None:
        """Refuse a condition that could never have been meant.

        Args:
            pointer: JSON pointer of this filter, for the error.

        Raises:
            InvalidInputError: code "invalid_path" or "invalid_filter".
        """
        path_keys(self.path, f"{pointer}/path")
        at, value = f"{pointer}/value", self.value
        if self.op is FilterOperator.IN:
            if not isinstance(value, tuple) or not 1 <= len(value) <= MAX_FILTER_VALUES:
                raise InvalidInputError(
                    "invalid_filter", f"in takes 1 to {MAX_FILTER_VALUES} values", at
                )
            for index, member in enumerate(value):
                _check_scalar(member, f"{at}/{index}")
            return
        _check_scalar(value, at)
        if self.op is FilterOperator.EXISTS and not isinstance(value, bool):
            raise InvalidInputError("invalid_filter", "exists takes true or false", at)
        if self.op in ORDERINGS and (
            isinstance(value, bool) or not isinstance(value, int | Decimal)
        ):
            raise InvalidInputError("invalid_filter", f"{self.op} takes a number", at)


def path_keys(path: str, pointer: str = "") -> tuple[str, ...]:
    """The object keys that a path such as "$.usage.tokens" or "usage.tokens" walks through.

    Raises:
        InvalidInputError: code "invalid_path".
    """
    match = _PATH.fullmatch(path) if len(path) <= MAX_PATH_LENGTH else None
    keys = tuple(match.group(1).split(".")) if match else ()
    if not 1 <= len(keys) <= MAX_PATH_DEPTH:
        raise InvalidInputError(
            "invalid_path", f"{path[:80]!r} is not a path such as $.usage.tokens", pointer
        )
    return keys


def _check_scalar(value: Any, pointer: str) -> None:
    if value is not None and not isinstance(value, str | int | Decimal):
        raise InvalidInputError("invalid_filter", "neither text, exact number nor boolean", pointer)
    if isinstance(value, Decimal) and not value.is_finite():
        raise InvalidInputError("invalid_filter", "not a finite number", pointer)


def predicate(condition: Filter) -> Callable[[Any], bool]:
    """The condition as a test of the value at its path (MISSING where there is none)."""
    wanted: Any = condition.value
    match condition.op:
        case FilterOperator.EQ:
            return _member_of((wanted,))
        case FilterOperator.NE:
            equal = _member_of((wanted,))
            return lambda value: not equal(value)
        case FilterOperator.IN:
            return _member_of(wanted)
        case FilterOperator.EXISTS:
            return lambda value: (value is not MISSING) is wanted
        case FilterOperator.GT:
            return _ordered(lambda number: number > wanted)
        case FilterOperator.GTE:
            return _ordered(lambda number: number >= wanted)
        case FilterOperator.LT:
            return _ordered(lambda number: number < wanted)
        case FilterOperator.LTE:
            return _ordered(lambda number: number <= wanted)


def _member_of(members: Collection[Scalar]) -> Callable[[Any], bool]:
    singles = {member for member in members if isinstance(member, bool) or member is None}
    others = {member for member in members if type(member) in (str, int, Decimal)}

    def matches(value: Any) -> bool:
        # True == 1 in Python, and a list has no hash.
        kind = type(value)
        if kind is str or kind is int or kind is Decimal:
            return value in others
        return (kind is bool or value is None) and value in singles

    return matches


def _ordered(compare: Callable[[Number], bool]) -> Callable[[Any], bool]:
    def holds(value: Any) -> bool:
        number = number_of(value)
        return not isinstance(number, Reason) and compare(number)

    return holds
