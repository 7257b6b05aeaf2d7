"""Exact decimal arithmetic, Money, and the only rounding in the project.

The default decimal context rounds to 28 digits without a word. Everything here runs in a context
that raises instead, so that a sum is either exact or an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import (
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
)
from enum import StrEnum

from meterbridge.domain.currencies import CURRENCY_EXPONENTS as CURRENCY_EXPONENTS
from meterbridge.domain.errors import CurrencyMismatchError, InexactError

ZERO = Decimal(0)

_EXACT = Context(
    prec=100,
    Emax=999_999,
    Emin=-999_999,
    traps=[Inexact, InvalidOperation, Overflow, DivisionByZero],
)
_WORKING = Context(prec=100, Emax=999_999, Emin=-999_999, traps=[InvalidOperation, DivisionByZero])

QUOTIENT_PLACES = Decimal("1E-12")
"""Finest step of a quantity that came from a division (averages, time-weighted gauges)."""


class Rounding(StrEnum):
    """How a quantity is brought to a multiple of an increment. ROUND is half away from zero."""

    ROUND = "round"
    FLOOR = "floor"
    CEILING = "ceiling"


_MODES = {
    Rounding.ROUND: ROUND_HALF_UP,
    Rounding.FLOOR: ROUND_FLOOR,
    Rounding.CEILING: ROUND_CEILING,
}


def exact_sum(values: Iterable[Decimal]) -> Decimal:
    """The sum, to the last digit.

    Raises:
        InexactError: the sum needs more than 100 digits.
    """
    total, add_exactly = ZERO, _EXACT.add
    try:
        for value in values:
            total = add_exactly(total, value)
    except Inexact as exc:
        raise InexactError("sum needs more than 100 digits") from exc
    return total


def add(left: Decimal, right: Decimal) -> Decimal:
    """left + right, to the last digit.

    Raises:
        InexactError: the sum needs more than 100 digits.
    """
    try:
        return _EXACT.add(left, right)
    except Inexact as exc:
        raise InexactError(f"{left} + {right} needs more than 100 digits") from exc


def subtract(left: Decimal, right: Decimal) -> Decimal:
    """left − right, to the last digit.

    Raises:
        InexactError: the difference needs more than 100 digits.
    """
    try:
        return _EXACT.subtract(left, right)
    except Inexact as exc:
        raise InexactError(f"{left} - {right} needs more than 100 digits") from exc


def multiply(left: Decimal, right: Decimal) -> Decimal:
    """left × right, to the last digit.

    Raises:
        InexactError: the product needs more than 100 digits.
    """
    try:
        return _EXACT.multiply(left, right)
    except Inexact as exc:
        raise InexactError(f"{left} * {right} needs more than 100 digits") from exc


def quotient(numerator: Decimal, denominator: Decimal) -> Decimal:
    """numerator ÷ denominator, rounded toward minus infinity to 12 decimal places."""
    rough = _WORKING.divide(numerator, denominator)
    return rough.quantize(QUOTIENT_PLACES, rounding=ROUND_FLOOR, context=_WORKING)


def to_increment(quantity: Decimal, increment: Decimal, rounding: Rounding) -> Decimal:
    """The multiple of increment that quantity is brought to.

    Args:
        quantity: any finite decimal.
        increment: greater than zero.
        rounding: which neighbour is taken when quantity is not a multiple.
    """
    return multiply(_steps(quantity, increment, rounding), increment)


def whole_count(quantity: Decimal, step: Decimal) -> Decimal:
    """How many whole steps fit into a quantity: the greatest integer n with n × step ≤ quantity."""
    return _steps(quantity, step, Rounding.FLOOR)


def _steps(quantity: Decimal, step: Decimal, rounding: Rounding) -> Decimal:
    return _WORKING.divide(quantity, step).to_integral_value(_MODES[rounding], _WORKING)


def plain(value: Decimal) -> str:
    """Canonical text: no exponent, no trailing zeros, zero is "0" (so 17, 17.0, 1.7E+1 agree)."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount of one currency. Unrounded until `rounded` is asked for."""

    amount: Decimal
    currency: str

    def __add__(self, other: Money) -> Money:
        self._same_currency(other)
        return Money(exact_sum((self.amount, other.amount)), self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same_currency(other)
        return Money(subtract(self.amount, other.amount), self.currency)

    def times(self, quantity: Decimal) -> Money:
        """This amount per unit, for a quantity of units."""
        return Money(multiply(self.amount, quantity), self.currency)

    def rounded(self, rounding: Rounding = Rounding.ROUND) -> Money:
        """To the currency's minor unit.

        Raises:
            KeyError: a currency that is not in CURRENCY_EXPONENTS.
        """
        step = Decimal(1).scaleb(-CURRENCY_EXPONENTS[self.currency])
        return Money(to_increment(self.amount, step, rounding), self.currency)

    def _same_currency(self, other: Money) -> None:
        if self.currency != other.currency:
            raise CurrencyMismatchError(f"{self.currency} and {other.currency}")
