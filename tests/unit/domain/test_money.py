"""Exact decimals, and the only rounding."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterbridge.domain.currencies import CURRENCY_EXPONENTS
from meterbridge.domain.errors import CurrencyMismatchError, InexactError
from meterbridge.domain.money import (
    Money,
    Rounding,
    exact_sum,
    multiply,
    plain,
    quotient,
    subtract,
    to_increment,
    whole_count,
)

amounts = st.decimals(-(10**12), 10**12, allow_nan=False, allow_infinity=False, places=12)
steps = st.decimals("0.000001", 1000, places=6)


def test_a_sum_keeps_what_the_default_context_would_round_away() -> None:
    big, small = Decimal("1E+20"), Decimal("1E-18")
    assert big + small != exact_sum((big, small))
    assert exact_sum((big, small)) == Decimal("100000000000000000000.000000000000000001")


def test_what_does_not_fit_is_an_error_and_never_rounded() -> None:
    with pytest.raises(InexactError):
        exact_sum((Decimal("1E+60"), Decimal("1E-60")))
    with pytest.raises(InexactError):
        subtract(Decimal("1E+60"), Decimal("1E-60"))
    with pytest.raises(InexactError):
        multiply(Decimal(3**120), Decimal(7**60))


@pytest.mark.parametrize(
    ("value", "floor", "half", "ceiling"),
    [
        ("2.5", "2", "3", "3"),
        ("-2.5", "-3", "-3", "-2"),
        ("2.4", "2", "2", "3"),
        ("-0.019", "-1", "0", "0"),
        ("7", "7", "7", "7"),
    ],
)
def test_rounding_goes_where_its_name_says(value: str, floor: str, half: str, ceiling: str) -> None:
    found = [
        to_increment(Decimal(value), Decimal(1), mode)
        for mode in (Rounding.FLOOR, Rounding.ROUND, Rounding.CEILING)
    ]
    assert found == [Decimal(floor), Decimal(half), Decimal(ceiling)]


@given(amounts, steps)
def test_whole_steps_leave_less_than_a_step(quantity: Decimal, step: Decimal) -> None:
    whole = multiply(whole_count(quantity, step), step)
    assert 0 <= subtract(quantity, whole) < step


@given(amounts, steps)
def test_a_quotient_is_off_by_less_than_its_last_place(left: Decimal, right: Decimal) -> None:
    found = quotient(left, right)
    assert multiply(found, right) <= left
    assert left < multiply(exact_sum((found, Decimal("1E-12"))), right)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("17.00", "17"),
        ("1.7E+1", "17"),
        ("0E-9", "0"),
        ("-0.0", "0"),
        ("0.10", "0.1"),
        ("100", "100"),
    ],
)
def test_equal_numbers_have_one_text(value: str, text: str) -> None:
    assert plain(Decimal(value)) == text


def test_currencies_do_not_mix() -> None:
    with pytest.raises(CurrencyMismatchError):
        Money(Decimal(1), "USD") + Money(Decimal(1), "EUR")


@pytest.mark.parametrize(
    ("currency", "rounded"),
    [
        ("USD", "12.35"),
        ("CHF", "12.35"),
        ("JPY", "12"),
        ("XAF", "12"),
        ("KWD", "12.345"),
        ("TND", "12.345"),
    ],
)
def test_money_rounds_to_the_minor_unit_of_its_currency(currency: str, rounded: str) -> None:
    assert Money(Decimal("12.345"), currency).rounded() == Money(Decimal(rounded), currency)


def test_currencies_are_those_of_iso_4217_that_people_pay_in() -> None:
    assert len(CURRENCY_EXPONENTS) == 156
    assert all(len(code) == 3 and code.isupper() for code in CURRENCY_EXPONENTS)
    assert Counter(CURRENCY_EXPONENTS.values()) == {0: 16, 2: 133, 3: 7}
