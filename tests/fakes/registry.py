"""An in-memory registry."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from threading import RLock
from typing import Any

from meterbridge.application.ports import Catalog
from meterbridge.application.registry_admin import (
    AlreadyExistsError,
    Answer,
    AnsweredError,
    OverlapError,
    Page,
    Versioned,
)
from meterbridge.domain.agreements import Agreement, AgreementState, Customer
from meterbridge.domain.api_keys import ApiKey
from meterbridge.domain.customer_links import CustomerLink
from meterbridge.domain.errors import InUseError, NotFoundError, StaleVersionError
from meterbridge.domain.meters import Meter
from meterbridge.domain.offerings import Offering, Product
from meterbridge.domain.plan_meters import meters_of
from meterbridge.domain.usage_log import ShardPlan

Shelf = dict[str, Versioned[Any]]


class FakeRegistry:
    """Objects in dicts, references looked up instead of counted; every method is atomic."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._catalog_version = 0
        self._products: Shelf = {}
        self._meters: Shelf = {}
        self._offerings: dict[str, list[Offering]] = {}
        self._customers: Shelf = {}
        self._agreements: dict[str, Agreement] = {}
        self._links: dict[str, Versioned[Sequence[CustomerLink]]] = {}
        self._keys: Shelf = {}
        self._answers: dict[tuple[str, str], Answer] = {}
        self._shard_plan = Versioned(ShardPlan(), 0)

    def catalog(self) -> Catalog:
        with self._lock:
            meters = tuple(entry.value for _, entry in sorted(self._meters.items()))
            return Catalog(self._catalog_version, meters)

    def shard_plan(self) -> ShardPlan:
        return self._shard_plan.value

    def shard_plan_entry(self) -> Versioned[ShardPlan]:
        return self._shard_plan

    def set_shard_plan(self, plan: ShardPlan, expected_version: int) -> None:
        with self._lock:
            if self._shard_plan.version != expected_version:
                raise StaleVersionError("shard plan")
            self._shard_plan = Versioned(plan, expected_version + 1)

    def answer(self, caller: str, idempotency_key: str, now: datetime) -> Answer | None:
        answer = self._answers.get((caller, idempotency_key))
        return answer if answer is not None and answer.expires_at > now else None

    def product(self, product_id: str) -> Product:
        return self.product_entry(product_id).value

    def product_entry(self, product_id: str) -> Versioned[Product]:
        return _get(self._products, product_id)

    def products(
        self, after: str, limit: int, among: Collection[str] | None = None
    ) -> Page[Product]:
        return _page(
            self._products, after, limit, lambda entry: among is None or entry.value.id in among
        )

    def add_product(self, product: Product, answer: Answer | None = None) -> None:
        with self.answering(answer):
            _add(self._products, product.id, product)

    def save_product(self, product: Product, expected_version: int) -> None:
        with self._lock:
            _save(self._products, product.id, product, expected_version)

    def remove_product(self, product_id: str) -> None:
        with self._lock:
            self.product_entry(product_id)
            owned: list[Any] = [entry.value for entry in self._meters.values()]
            owned += [versions[-1] for versions in self._offerings.values()]
            owned += self._agreements.values()
            _refuse(product_id, (each.product_id == product_id for each in owned))
            del self._products[product_id]

    def meter(self, meter_id: str) -> Meter:
        return self.meter_entry(meter_id).value

    def meter_entry(self, meter_id: str) -> Versioned[Meter]:
        return _get(self._meters, meter_id)

    def meters(
        self, after: str, limit: int, products: Collection[str] | None = None
    ) -> Page[Meter]:
        return _page(self._meters, after, limit, _of_products(products))

    def add_meter(self, meter: Meter, answer: Answer | None = None) -> None:
        with self.answering(answer):
            self.product(meter.product_id)
            _add(self._meters, meter.id, meter)
            self._catalog_version += 1

    def save_meter(self, meter: Meter, expected_version: int) -> None:
        with self._lock:
            stored = self.meter_entry(meter.id)
            if stored.version != expected_version:
                raise StaleVersionError(meter.id)
            if stored.value.is_remade(meter):
                self._refuse_used_meter(meter.id)
            _save(self._meters, meter.id, meter, expected_version)
            self._catalog_version += 1

    def remove_meter(self, meter_id: str) -> None:
        with self._lock:
            self.meter_entry(meter_id)
            self._refuse_used_meter(meter_id)
            del self._meters[meter_id]
            self._catalog_version += 1

    def offering(self, offering_id: str, version: int) -> Offering:
        versions = self._offerings.get(offering_id, [])
        if not 1 <= version <= len(versions):
            raise NotFoundError(f"{offering_id} version {version}")
        return versions[version - 1]

    def offering_entry(self, offering_id: str) -> Versioned[Offering]:
        if offering_id not in self._offerings:
            raise NotFoundError(offering_id)
        newest = self._offerings[offering_id][-1]
        return Versioned(newest, newest.version)

    def offerings(
        self, after: str, limit: int, products: Collection[str] | None = None
    ) -> Page[Offering]:
        newest = {each: self.offering_entry(each) for each in self._offerings}
        return _page(newest, after, limit, _of_products(products))

    def offering_versions(self, offering_id: str, after: int, limit: int) -> Page[Offering]:
        self.offering_entry(offering_id)
        found = self._offerings[offering_id][after:]
        shown = tuple(Versioned(each, each.version) for each in found[:limit])
        return Page(shown, str(shown[-1].version) if len(found) > limit else "")

    def add_offering(
        self, offering: Offering, meters: Mapping[str, int], answer: Answer | None = None
    ) -> None:
        with self.answering(answer):
            self.product(offering.product_id)
            versions = self._offerings.get(offering.id, [])
            if offering.version == 1 and versions:
                raise AlreadyExistsError(offering.id)
            if offering.version != len(versions) + 1:
                raise StaleVersionError(offering.id)
            for meter_id, version in meters.items():
                if meter_id not in self._meters or self._meters[meter_id].version != version:
                    raise StaleVersionError(meter_id)
            self._offerings[offering.id] = [*versions, offering]

    def remove_offering(self, offering_id: str) -> None:
        with self._lock:
            self.offering_entry(offering_id)
            agreements = self._agreements.values()
            _refuse(offering_id, (each.offering_id == offering_id for each in agreements))
            del self._offerings[offering_id]

    def customers(self, ids: Iterable[str]) -> dict[str, Customer]:
        return {each: self._customers[each].value for each in ids if each in self._customers}

    def customer_entry(self, customer_id: str) -> Versioned[Customer]:
        return _get(self._customers, customer_id)

    def customer_page(self, after: str, limit: int) -> Page[Customer]:
        return _page(self._customers, after, limit, lambda _: True)

    def add_customer(self, customer: Customer, answer: Answer | None = None) -> None:
        with self.answering(answer):
            _add(self._customers, customer.id, customer)

    def save_customer(self, customer: Customer, expected_version: int) -> None:
        with self._lock:
            _save(self._customers, customer.id, customer, expected_version)

    def remove_customer(self, customer_id: str) -> None:
        with self._lock:
            self.customer_entry(customer_id)
            agreements = self._agreements.values()
            _refuse(customer_id, (each.customer_id == customer_id for each in agreements))
            links = self.customer_links()
            _refuse(customer_id, (customer_id in (each.child_id, each.parent_id) for each in links))
            del self._customers[customer_id]

    def customer_links(self) -> Iterator[CustomerLink]:
        with self._lock:
            return iter([link for _, entry in sorted(self._links.items()) for link in entry.value])

    def links_of(self, child_id: str) -> Sequence[CustomerLink]:
        return self.links_entry(child_id).value

    def children_of(self, parent_id: str) -> list[CustomerLink]:
        return [link for link in self.customer_links() if link.parent_id == parent_id]

    def links_entry(self, child_id: str) -> Versioned[Sequence[CustomerLink]]:
        with self._lock:
            return self._links.get(child_id, Versioned((), 0))

    def save_links(
        self,
        child_id: str,
        links: Sequence[CustomerLink],
        *,
        expected_version: int,
        guarded: Mapping[str, int],
    ) -> None:
        with self._lock:
            for name, version in {child_id: expected_version, **guarded}.items():
                if self.links_entry(name).version != version:
                    raise StaleVersionError(name)
            for name in {child_id, *(link.parent_id for link in links)}:
                self.customer_entry(name)
            for name, version in guarded.items():
                self._links[name] = Versioned(self.links_of(name), version + 1)
            self._links[child_id] = Versioned(tuple(links), expected_version + 1)

    def agreement(self, agreement_id: str) -> Agreement:
        if agreement_id not in self._agreements:
            raise NotFoundError(agreement_id)
        return self._agreements[agreement_id]

    def agreements(self) -> Iterator[Agreement]:
        with self._lock:
            return iter([each for _, each in sorted(self._agreements.items())])

    def agreements_of(self, product_id: str, customer_id: str) -> list[Agreement]:
        found = [
            each
            for each in self.agreements()
            if (each.product_id, each.customer_id) == (product_id, customer_id)
        ]
        return sorted(found, key=lambda each: (each.starts_at, each.id))

    def agreement_page(
        self, after: str, limit: int, products: Collection[str] | None = None
    ) -> Page[Agreement]:
        entries = {each.id: Versioned(each, each.version) for each in self.agreements()}
        return _page(entries, after, limit, _of_products(products))

    def add_agreement(self, agreement: Agreement, answer: Answer | None = None) -> None:
        with self.answering(answer):
            self.product(agreement.product_id)
            self.customer_entry(agreement.customer_id)
            self.offering(agreement.offering_id, agreement.offering_version)
            if agreement.id in self._agreements:
                raise AlreadyExistsError(agreement.id)
            self._refuse_overlap(agreement)
            self._agreements[agreement.id] = agreement

    def save_agreement(self, agreement: Agreement, answer: Answer | None = None) -> None:
        with self.answering(answer):
            if self.agreement(agreement.id).version != agreement.version - 1:
                raise StaleVersionError(agreement.id)
            self._refuse_overlap(agreement)
            self._agreements[agreement.id] = agreement

    def remove_agreement(self, agreement_id: str) -> None:
        with self._lock:
            agreement = self.agreement(agreement_id)
            _refuse(agreement_id, [agreement.state is not AgreementState.PENDING])
            del self._agreements[agreement_id]

    def suspend(self, agreement_id: str, reason: str) -> None:
        with self._lock:
            self._agreements[agreement_id] = self.agreement(agreement_id).stopped(reason)

    def resume(self, agreement_id: str) -> None:
        with self._lock:
            self._agreements[agreement_id] = self.agreement(agreement_id).resumed()

    def api_key(self, key_id: str) -> Versioned[ApiKey]:
        return _get(self._keys, key_id)

    def api_keys(self, after: str, limit: int) -> Page[ApiKey]:
        return _page(self._keys, after, limit, lambda _: True)

    def api_key_by_digest(self, digest: str) -> ApiKey:
        for entry in self._keys.values():
            if entry.value.digest == digest:
                key: ApiKey = entry.value
                return key
        raise NotFoundError("API key")

    def add_api_key(self, key: ApiKey, answer: Answer | None = None) -> None:
        with self.answering(answer):
            _add(self._keys, key.id, key)

    def save_api_key(self, key: ApiKey, expected_version: int) -> None:
        with self._lock:
            _save(self._keys, key.id, key, expected_version)

    def answering(self, answer: Answer | None) -> AbstractContextManager[None]:
        """Keeps an answer unless what is done within fails, or there is one."""
        return _Answering(self._lock, self._answers, answer)

    def _refuse_used_meter(self, meter_id: str) -> None:
        _refuse(
            meter_id,
            (
                meter_id in meters_of(offering.plans)
                for versions in self._offerings.values()
                for offering in versions
            ),
        )

    def _refuse_overlap(self, agreement: Agreement) -> None:
        for other in self.agreements():
            same_buyer = bool(_charged(agreement) & _charged(other))
            same_customer = (other.product_id, other.customer_id) == (
                agreement.product_id,
                agreement.customer_id,
            )
            if other.id != agreement.id and (same_buyer or same_customer):
                start = max(other.starts_at, agreement.starts_at)
                if all(each.ends_at is None or start < each.ends_at for each in (other, agreement)):
                    raise OverlapError(f"{agreement.id} and {other.id} overlap")


class _Answering(AbstractContextManager[None]):
    """Holds the lock, and keeps the answer only if nothing was raised."""

    def __init__(
        self, lock: Any, answers: dict[tuple[str, str], Answer], answer: Answer | None
    ) -> None:
        self._lock, self._answers, self._answer = lock, answers, answer

    def __enter__(self) -> None:
        self._lock.acquire()
        if self._answer is not None:
            known = self._answers.get((self._answer.caller, self._answer.idempotency_key))
            if known is not None and known.expires_at > self._answer.given_at:
                self._lock.release()
                raise AnsweredError(self._answer.idempotency_key)

    def __exit__(self, failure: object, *_: object) -> None:
        if failure is None and self._answer is not None:
            self._answers[self._answer.caller, self._answer.idempotency_key] = self._answer
        self._lock.release()


def _charged(agreement: Agreement) -> set[tuple[str, str]]:
    return {(buyer.channel, buyer.charged) for buyer in agreement.buyers()}


def _get(shelf: Shelf, name: str) -> Versioned[Any]:
    if name not in shelf:
        raise NotFoundError(name)
    return shelf[name]


def _add(shelf: Shelf, name: str, value: object) -> None:
    if name in shelf:
        raise AlreadyExistsError(name)
    shelf[name] = Versioned(value, 1)


def _save(shelf: Shelf, name: str, value: object, expected_version: int) -> None:
    if name not in shelf or shelf[name].version != expected_version:
        raise StaleVersionError(name)
    shelf[name] = Versioned(value, expected_version + 1)


def _refuse(name: str, uses: Iterable[bool]) -> None:
    if any(uses):
        raise InUseError(name)


def _of_products(products: Collection[str] | None) -> Callable[[Versioned[Any]], bool]:
    return lambda entry: products is None or entry.value.product_id in products


def _page(
    shelf: Shelf, after: str, limit: int, wanted: Callable[[Versioned[Any]], bool]
) -> Page[Any]:
    found = [(name, entry) for name, entry in sorted(shelf.items()) if name > after]
    found = [(name, entry) for name, entry in found if wanted(entry)]
    shown = found[:limit]
    return Page(tuple(entry for _, entry in shown), shown[-1][0] if len(found) > limit else "")
