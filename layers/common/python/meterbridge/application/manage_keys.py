"""API keys: made, renamed, revoked."""

from __future__ import annotations

from dataclasses import replace

from meterbridge.application.manage_catalog import Answering, changed
from meterbridge.application.ports import Clock
from meterbridge.application.refusals import Faults, ForbiddenError
from meterbridge.application.registry_admin import Page, RegistryAdmin, Versioned
from meterbridge.domain.api_keys import ApiKey, Caller
from meterbridge.domain.errors import NotFoundError


def create_api_key(
    key: ApiKey,
    *,
    caller: Caller,
    registry: RegistryAdmin,
    answering: Answering[ApiKey],
) -> ApiKey:
    """Store a key.

    Raises:
        ForbiddenError: it would see products that the caller's key does not.
        InvalidRequestError: it is bound to a product that does not exist.
    """
    if not caller.covers(key.products):
        raise ForbiddenError("a key cannot make a key that sees more than itself")
    faults = Faults()
    for product_id in sorted(key.products or ()):
        try:
            registry.product(product_id)
        except NotFoundError:
            faults.add("unknown_product", f"no product {product_id}", "/products")
    faults.refuse_any()
    registry.add_api_key(key, answering(key))
    return key


def visible_api_key(key_id: str, *, caller: Caller, registry: RegistryAdmin) -> Versioned[ApiKey]:
    """Raises NotFoundError, also for a key that sees more than the caller."""
    entry = registry.api_key(key_id)
    if not caller.covers(entry.value.products):
        raise NotFoundError(key_id)
    return entry


def visible_api_keys(
    after: str, limit: int, *, caller: Caller, registry: RegistryAdmin
) -> Page[ApiKey]:
    """A page of the keys that see no more than the caller; it may hold fewer than the limit."""
    page = registry.api_keys(after, limit)
    entries = tuple(each for each in page.entries if caller.covers(each.value.products))
    return Page(entries, page.next_after)


def revoke_api_key(
    key_id: str, *, caller: Caller, registry: RegistryAdmin, clock: Clock
) -> Versioned[ApiKey]:
    """Nothing opens with it any more, for ever. Revoking it again changes nothing."""

    def revoked(key: ApiKey) -> ApiKey:
        return key if key.revoked_at is not None else replace(key, revoked_at=clock.now())

    return changed(
        lambda: visible_api_key(key_id, caller=caller, registry=registry),
        registry.save_api_key,
        revoked,
        None,
    )
