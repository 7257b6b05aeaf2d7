"""Reading the values of events: exact numbers, group names and distinct values, or what is wrong.

Each rule is about one value. The functions on whole columns give the same answers several times as
fast where a column is uniform; they look at types and extremes once instead of at every value.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow, localcontext
from enum import StrEnum
from hashlib import blake2b
from typing import Any

from meterbridge.domain.meter_states import DIGEST_SIZE
from meterbridge.domain.money import plain

EXACT = Context(prec=100, Emax=999_999, Emin=-999_999, traps=[Inexact, InvalidOperation, Overflow])
"""Arithmetic in this context is exact, or an error."""

INTEGER_DIGITS = 30
DECIMAL_PLACES = 18
MAX_GROUP_TEXT = 256
OTHER_GROUP = "…other"
"""Group of whatever cannot have a group of its own: objects, lists, texts longer than
MAX_GROUP_TEXT, and what comes after the greatest number of groups."""

_LIMIT = 10**INTEGER_DIGITS
_NUMERAL = r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,4})?"
_ONE_NUMERAL = re.compile(_NUMERAL)
_NUMERAL_LINES = re.compile(rf"{_NUMERAL}(?:\n{_NUMERAL})*")

Number = int | Decimal


class Reason(StrEnum):
    """Why an event is listed as unmatched."""

    NO_METER = "no_meter"
    FILTERED = "filtered"
    MISSING_VALUE = "missing_value"
    NOT_A_NUMBER = "not_a_number"
    OUT_OF_RANGE = "out_of_range"
    NOT_A_SCALAR = "not_a_scalar"
    UNKNOWN_CUSTOMER = "unknown_customer"


class Missing:
    """What is at a path where an event has nothing; null is treated alike when it is metered."""


MISSING = Missing()


def number_of(value: Any) -> Number | Reason:
    """A JSON number or decimal text as an exact number, or the reason why it is none.

    At most INTEGER_DIGITS before the point and DECIMAL_PLACES after it, not counting zeros at the
    end, so that no sum of events can outgrow exact arithmetic.
    """
    kind = type(value)
    if kind is int:
        return value if -_LIMIT < value < _LIMIT else Reason.OUT_OF_RANGE
    if kind is str:
        if not _ONE_NUMERAL.fullmatch(value):
            return Reason.NOT_A_NUMBER
        value = Decimal(value)
    elif kind is not Decimal:
        absent = value is None or value is MISSING
        return Reason.MISSING_VALUE if absent else Reason.NOT_A_NUMBER
    return value if _in_range(value) else Reason.OUT_OF_RANGE


def numbers_of(column: Sequence[Any]) -> tuple[Sequence[Number], dict[int, Reason]]:
    """The numbers of a column and, by row, why the other rows have none.

    The first part leaves those other rows out.
    """
    kinds = set(map(type, column))
    if kinds == {int} and min(column) > -_LIMIT and max(column) < _LIMIT:
        return column, {}
    if kinds == {str}:
        lines = "\n".join(column)
        if _NUMERAL_LINES.fullmatch(lines) and lines.count("\n") == len(column) - 1:
            column, kinds = list(map(Decimal, column)), {Decimal}
    if kinds == {Decimal} and _all_in_range(column):
        return column, {}
    found = list(map(number_of, column))
    faults = {row: number for row, number in enumerate(found) if isinstance(number, Reason)}
    return [number for number in found if not isinstance(number, Reason)], faults


def _in_range(value: Decimal) -> bool:
    if not value:
        return True
    if value.adjusted() >= INTEGER_DIGITS:
        return False
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        return False
    zeros = 0
    while exponent + zeros < -DECIMAL_PLACES and digits[-1 - zeros] == 0:
        zeros += 1
    return exponent + zeros >= -DECIMAL_PLACES


def _all_in_range(column: Sequence[Decimal]) -> bool:
    """True only if all are; False means that it has to be looked at one by one.

    An exact sum has the smallest exponent of its terms, and so tells the longest fraction.
    """
    try:
        with localcontext(EXACT):
            total = sum(column, start=Decimal(0))
    except (Inexact, InvalidOperation, Overflow):
        return False
    exponent = total.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -DECIMAL_PLACES:
        return False
    return all(-_LIMIT < extreme < _LIMIT for extreme in (min(column), max(column)))


def group_text(value: Any) -> str:
    """The name of the group that a value belongs to; "" where there is none."""
    if value is None or value is MISSING:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if len(value) <= MAX_GROUP_TEXT else OTHER_GROUP
    if isinstance(value, int):
        return plain(Decimal(value)) if abs(value) < 10**MAX_GROUP_TEXT else OTHER_GROUP
    if isinstance(value, Decimal) and abs(value.adjusted()) < MAX_GROUP_TEXT:
        text = plain(value)
        return text if len(text) <= MAX_GROUP_TEXT else OTHER_GROUP
    return OTHER_GROUP


def group_texts(column: Sequence[Any]) -> Sequence[str]:
    """`group_text` of a column."""
    if set(map(type, column)) == {str} and max(map(len, column)) <= MAX_GROUP_TEXT:
        return column
    return list(map(group_text, column))


def digest_of(value: str | Number | bool) -> bytes:
    """Digest that equal values share: 17 and 17.0 are equal; 17, "17" and true are not."""
    if isinstance(value, str):
        text = "s" + value
    elif isinstance(value, bool):
        text = f"b{value}"
    else:
        text = f"n{_canonical(Decimal(value))}"
    return blake2b(text.encode(errors="surrogatepass"), digest_size=DIGEST_SIZE).digest()


def digests_of(column: Sequence[Any]) -> tuple[Sequence[bytes], dict[int, Reason]]:
    """The digests of a column and, by row, why the other rows have none."""
    kinds = set(map(type, column))
    if kinds == {str} or kinds == {int}:
        known = {value: digest_of(value) for value in set(column)}
        return list(map(known.__getitem__, column)), {}
    faults = {}
    for row, value in enumerate(column):
        if value is None or value is MISSING:
            faults[row] = Reason.MISSING_VALUE
        elif not isinstance(value, str | int | Decimal):
            faults[row] = Reason.NOT_A_SCALAR
    return [digest_of(value) for row, value in enumerate(column) if row not in faults], faults


def same(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal, numbers as exact decimals."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def _canonical(number: Decimal) -> str:
    """The same text for equal numbers, as short as the number's digits whatever its exponent."""
    if not number:
        return "0"
    sign, digits, exponent = number.as_tuple()
    text = "".join(map(str, digits))
    kept = text.rstrip("0")
    return f"{'-' if sign else ''}{kept}e{int(exponent) + len(text) - len(kept)}"
