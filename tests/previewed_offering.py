"""An offering of three plans: of tiers and fees, of a unit price, and priced by group."""

from __future__ import annotations

from typing import Any

from http_api import Client
from offering_terms import NATIVE_TERMS, TERMS, create_catalog, offering

CALLS = {
    "code": "calls",
    "meter_id": "mtr_calls",
    "price": {"model": "per_unit", "unit_price": "0.01"},
    "entitlement": {"quantity": "100"},
    "group": {"model": "large"},
}
MIXED: dict[str, Any] = {
    **TERMS,
    "dimensions": [*TERMS["dimensions"], CALLS],
    "fees": [
        {"kind": "subscription", "code": "base", "price": "99"},
        {"kind": "seats", "code": "seats", "price": "5"},
    ],
}
BY_MODEL: dict[str, Any] = {
    "dimensions": [
        {
            "code": "tokens",
            "meter_id": "mtr_tokens",
            "price": {
                "model": "dimensional",
                "prices": [{"group": ["large"], "model": {"model": "per_unit", "unit_price": "2"}}],
                "default": {"model": "per_unit", "unit_price": "1"},
            },
        }
    ]
}
PLANS = [
    {"code": "std", "terms": MIXED},
    {"code": "native", "terms": NATIVE_TERMS},
    {"code": "by_model", "terms": BY_MODEL},
]


def sell_plans(call: Client) -> Client:
    """The offering, published."""
    create_catalog(call)
    answer = call("POST", "/v1/offerings", offering(plans=PLANS))
    if answer.status != 201:
        raise AssertionError(str(answer))
    return call
