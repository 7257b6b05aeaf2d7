"""The caller of an HTTP request, as the authorizer tells the functions behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meterbridge.domain.api_keys import Caller, Scope

_ALL = "*"


def caller_to_context(caller: Caller) -> dict[str, str]:
    """Texts only: {"key_id", "scopes": "ingest read", "products": "*" or "prd_a prd_b"}."""
    products = _ALL if caller.products is None else " ".join(sorted(caller.products))
    return {
        "key_id": caller.key_id,
        "scopes": " ".join(sorted(caller.scopes)),
        "products": products,
    }


def caller_of(event: Mapping[str, Any]) -> Caller | None:
    """The reverse, from an HTTP API event; None where no authorizer has spoken."""
    authorizer = (event.get("requestContext") or {}).get("authorizer") or {}
    context = authorizer.get("lambda") or {}
    if not context.get("key_id"):
        return None
    products = context.get("products") or ""
    return Caller(
        key_id=context["key_id"],
        scopes=frozenset(Scope(scope) for scope in (context.get("scopes") or "").split()),
        products=None if products == _ALL else frozenset(products.split()),
    )
