"""Offerings with terms, as a seller sends them."""

from __future__ import annotations

from typing import Any

from api_setup import METER, PRODUCT
from http_api import Client

CALLS_METER = {
    "id": "mtr_calls",
    "product_id": "prd_llm",
    "name": "Calls",
    "event_type": "completion",
    "aggregation": "count",
    "group_by": [{"name": "model", "path": "$.model"}],
}
PEAK_METER = {**METER, "id": "mtr_peak", "aggregation": "max", "group_by": []}
TOKENS = {
    "code": "tokens",
    "meter_id": "mtr_tokens",
    "price": {
        "model": "graduated",
        "tiers": [{"up_to": "1000", "unit_price": "0.02"}, {"unit_price": "0.01"}],
    },
}
TERMS: dict[str, Any] = {"dimensions": [TOKENS]}
NATIVE_TERMS = {
    "dimensions": [
        {
            "code": "tokens",
            "meter_id": "mtr_tokens",
            "price": {"model": "per_unit", "unit_price": "2", "per": "1000"},
        }
    ]
}


def offering(terms: dict[str, Any] = TERMS, **changes: Any) -> dict[str, Any]:
    """An offering of one plan, `std`, with these terms."""
    body = {"id": "off_terms", "product_id": "prd_llm", "name": "Tiers"}
    return {**body, "plans": [{"code": "std", "terms": terms}], **changes}


def create_catalog(call: Client) -> None:
    """A product with three meters: tokens and calls by model, and a peak."""
    for path, body in (
        ("products", PRODUCT),
        ("meters", METER),
        ("meters", CALLS_METER),
        ("meters", PEAK_METER),
    ):
        answer = call("POST", f"/v1/{path}", body)
        if answer.status != 201:
            raise AssertionError(f"{path}: {answer}")
