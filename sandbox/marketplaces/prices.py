"""Prices as the control API is told them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from .exchange import BadControlRequestError


def price_of(row: Mapping[str, Any]) -> Decimal | None:
    """The `unit_price` of what is charged by the unit; None where none is given.

    Raises:
        BadControlRequestError: It is not a finite decimal.
    """
    price = row.get("unit_price")
    if price is None:
        return None
    try:
        exactly = Decimal(str(price))
    except InvalidOperation as exc:
        raise BadControlRequestError("a price must be a finite decimal") from exc
    if not exactly.is_finite():
        raise BadControlRequestError("a price must be a finite decimal")
    return exactly
