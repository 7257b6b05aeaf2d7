"""Products, meters and customers: create, change, remove.

Every use case takes the caller: what belongs to a product that their key is not bound to does not
exist for them. `answering` makes the answer to be kept for an idempotency key from what is about to
be created, or None; both are stored in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from meterbridge.application.refusals import ForbiddenError, PreconditionError
from meterbridge.application.registry_admin import Answer, RegistryAdmin, Versioned
from meterbridge.domain.agreements import Customer
from meterbridge.domain.api_keys import Caller
from meterbridge.domain.errors import InvalidInputError, NotFoundError, StaleVersionError
from meterbridge.domain.meters import Meter
from meterbridge.domain.offerings import Offering, Product

T = TypeVar("T")
Answering = Callable[[T], Answer | None]

_ATTEMPTS = 5


def changed(
    read: Callable[[], Versioned[T]],
    save: Callable[[T, int], None],
    change: Callable[[T], T],
    expected_version: int | None,
) -> Versioned[T]:
    """Read, change, save; again from the start when somebody else wrote in between.

    Raises:
        PreconditionError: a version is expected and it is another.
    """
    for _ in range(_ATTEMPTS):
        entry = read()
        if expected_version is not None and entry.version != expected_version:
            raise PreconditionError(f"it is at version {entry.version}")
        value = change(entry.value)
        if value == entry.value:
            return entry
        try:
            save(value, entry.version)
        except StaleVersionError:
            continue
        return Versioned(value, entry.version + 1)
    raise StaleVersionError("it keeps being changed by others")


def visible_product(
    product_id: str, *, caller: Caller, registry: RegistryAdmin
) -> Versioned[Product]:
    """Raises NotFoundError."""
    require_visible(product_id, product_id, caller)
    return registry.product_entry(product_id)


def visible_meter(meter_id: str, *, caller: Caller, registry: RegistryAdmin) -> Versioned[Meter]:
    """Raises NotFoundError."""
    entry = registry.meter_entry(meter_id)
    require_visible(entry.value.product_id, meter_id, caller)
    return entry


def visible_offering(
    offering_id: str, *, caller: Caller, registry: RegistryAdmin
) -> Versioned[Offering]:
    """The newest version. Raises NotFoundError."""
    entry = registry.offering_entry(offering_id)
    require_visible(entry.value.product_id, offering_id, caller)
    return entry


def require_visible(product_id: str, name: str, caller: Caller) -> None:
    """Raises NotFoundError where the caller's key is not bound to the product."""
    if not caller.sees(product_id):
        raise NotFoundError(name)


def create_product(
    product: Product, *, caller: Caller, registry: RegistryAdmin, answering: Answering[Product]
) -> Product:
    """Raises ForbiddenError for a key that is bound to other products, AlreadyExistsError."""
    if not caller.sees(product.id):
        raise ForbiddenError("this key is bound to other products")
    registry.add_product(product, answering(product))
    return product


def create_meter(
    meter: Meter, *, caller: Caller, registry: RegistryAdmin, answering: Answering[Meter]
) -> Meter:
    """Raises InvalidInputError for an unknown product, AlreadyExistsError."""
    if not sees_product(meter.product_id, caller, registry):
        detail = f"no product {meter.product_id}"
        raise InvalidInputError("unknown_product", detail, "/product_id")
    registry.add_meter(meter, answering(meter))
    return meter


def create_customer(
    customer: Customer, *, registry: RegistryAdmin, answering: Answering[Customer]
) -> Customer:
    """Raises AlreadyExistsError."""
    registry.add_customer(customer, answering(customer))
    return customer


def sees_product(product_id: str, caller: Caller, registry: RegistryAdmin) -> bool:
    """Whether there is such a product, for this caller."""
    try:
        visible_product(product_id, caller=caller, registry=registry)
    except NotFoundError:
        return False
    return True
