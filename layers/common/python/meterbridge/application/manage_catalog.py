"""Products, meters, offerings and customers: create, change, remove.

Every use case takes the caller: what belongs to a product that their key is not bound to does not
exist for them. `answering` makes the answer to be kept for an idempotency key from what is about to
be created, or None; both are stored in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from meterbridge.application.refusals import Faults, ForbiddenError, PreconditionError
from meterbridge.application.registry_admin import (
    MAX_METERS_PER_OFFERING,
    Answer,
    RegistryAdmin,
    Versioned,
)
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
    _require_product(meter.product_id, caller, registry)
    registry.add_meter(meter, answering(meter))
    return meter


def publish_offering(
    offering: Offering, *, caller: Caller, registry: RegistryAdmin, answering: Answering[Offering]
) -> Offering:
    """Store version 1 of an offering, or the version after its newest.

    Raises:
        InvalidRequestError: it does not fit the product's meters; names all faults.
        AlreadyExistsError: version 1 of an offering that exists.
        StaleVersionError: another version was published, or a meter changed, at the same moment.
    """
    _require_product(offering.product_id, caller, registry)
    meters = _fitting_meters(offering, registry)
    registry.add_offering(offering, meters, answering(offering))
    return offering


def create_customer(
    customer: Customer, *, registry: RegistryAdmin, answering: Answering[Customer]
) -> Customer:
    """Raises AlreadyExistsError."""
    registry.add_customer(customer, answering(customer))
    return customer


def _require_product(product_id: str, caller: Caller, registry: RegistryAdmin) -> None:
    try:
        visible_product(product_id, caller=caller, registry=registry)
    except NotFoundError as exc:
        raise InvalidInputError(
            "unknown_product", f"no product {product_id}", "/product_id"
        ) from exc


def _fitting_meters(offering: Offering, registry: RegistryAdmin) -> dict[str, int]:
    """The versions of the meters that an offering refers to, if everything in it fits."""
    faults = Faults()
    found: dict[str, Versioned[Meter] | None] = {}
    for at, plan in enumerate(offering.plans):
        pointer = f"/plans/{at}"
        if plan.code in [other.code for other in offering.plans[:at]]:
            faults.add("repeated_code", f"plan {plan.code} is there twice", f"{pointer}/code")
        for nr, dimension in enumerate(plan.dimensions):
            where = f"{pointer}/dimensions/{nr}"
            if dimension.code in [other.code for other in plan.dimensions[:nr]]:
                faults.add("repeated_code", f"{dimension.code} is there twice", f"{where}/code")
            if dimension.meter_id not in found:
                found[dimension.meter_id] = _meter_or_none(dimension.meter_id, registry)
            entry = found[dimension.meter_id]
            if entry is None or entry.value.product_id != offering.product_id:
                detail = f"product {offering.product_id} has no meter {dimension.meter_id}"
                faults.add("unknown_meter", detail, f"{where}/meter_id")
                continue
            if entry.value.archived_at is not None:
                faults.add("archived_meter", "the meter is archived", f"{where}/meter_id")
            unknown = dimension.group.keys() - {each.name for each in entry.value.group_by}
            for name in sorted(unknown):
                faults.add("unknown_group", f"the meter has no group {name}", f"{where}/group")
    if len(found) > MAX_METERS_PER_OFFERING:
        faults.add("too_many_meters", f"more than {MAX_METERS_PER_OFFERING}", "/plans")
    faults.refuse_any()
    return {meter_id: entry.version for meter_id, entry in found.items() if entry is not None}


def _meter_or_none(meter_id: str, registry: RegistryAdmin) -> Versioned[Meter] | None:
    try:
        return registry.meter_entry(meter_id)
    except NotFoundError:
        return None
