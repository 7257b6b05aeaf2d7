"""A filled registry, and keys and answers; a test overrides only what it is about."""

from __future__ import annotations

from typing import Any

from builders import NOON, offering, product
from meterbridge.application.registry_admin import Answer, Page, RegistryAdmin
from meterbridge.domain.agreements import Customer
from meterbridge.domain.api_keys import ApiKey, Scope
from meterbridge.domain.meters import Aggregation, Meter


def meter(**changes: Any) -> Meter:
    values: dict[str, Any] = {
        "id": "mtr_requests",
        "product_id": "prd_llm",
        "name": "Requests",
        "event_type": "request",
        "aggregation": Aggregation.COUNT,
    }
    return Meter(**{**values, **changes})


def api_key(**changes: Any) -> ApiKey:
    values: dict[str, Any] = {
        "id": "key_1",
        "name": "ingest",
        "scopes": frozenset({Scope.INGEST, Scope.READ}),
        "products": frozenset({"prd_llm"}),
        "digest": "ab" * 32,
        "last4": "wxyz",
        "created_at": NOON,
    }
    return ApiKey(**{**values, **changes})


def answer(**changes: Any) -> Answer:
    values: dict[str, Any] = {
        "caller": "key_1",
        "idempotency_key": "retry-1",
        "request_hash": "hash",
        "status": 201,
        "body": '{"id":"prd_llm"}',
        "given_at": NOON,
    }
    return Answer(**{**values, **changes})


def set_up(registry: RegistryAdmin) -> None:
    """A product with a meter, an offering and a customer."""
    registry.add_product(product())
    registry.add_meter(meter())
    registry.add_offering(offering(), {"mtr_requests": 1})
    registry.add_customer(Customer("acme", "Acme", NOON))


def ids(page: Page[Any]) -> list[str]:
    """Ids on a page."""
    return [entry.value.id for entry in page.entries]
