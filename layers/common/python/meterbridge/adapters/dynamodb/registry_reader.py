"""The registry as the pipeline reads it."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from meterbridge.adapters.dynamodb import registry_items as items
from meterbridge.adapters.dynamodb.registry_items import (
    ByReference,
    RegistryItem,
    from_body,
    to_body,
)
from meterbridge.adapters.dynamodb.tables import bind, store_errors
from meterbridge.application.ports import Catalog
from meterbridge.application.registry_admin import Page, Versioned
from meterbridge.domain.agreements import Agreement, Customer
from meterbridge.domain.errors import NotFoundError, StaleVersionError
from meterbridge.domain.meters import Meter
from meterbridge.domain.offerings import Offering, Product
from meterbridge.domain.usage_log import ShardPlan

T = TypeVar("T")
ATTEMPTS = 8
"""How often a change is tried again on what somebody else wrote first."""


class RegistryReader:
    """ports.Registry on DynamoDB. See registry_items for the table."""

    def __init__(self, table_name: str) -> None:
        self._items = bind(RegistryItem, table_name)

    def catalog(self) -> Catalog:
        """See ports.Registry. The version is read before the meters: never newer than they are."""
        head = self._find(items.CATALOG, items.CATALOG_VERSION)
        entries = self._query(items.CATALOG, RegistryItem.sk.startswith(items.METER_PREFIX))
        meters = tuple(items.meter_from_body(item.body) for item in entries)
        return Catalog(version=int(head.version or 0) if head else 0, meters=meters)

    def shard_plan(self) -> ShardPlan:
        """See ports.Registry."""
        return self.shard_plan_entry().value

    def shard_plan_entry(self) -> Versioned[ShardPlan]:
        """See RegistryAdmin."""
        item = self._find(items.SETTINGS, items.USAGE_LOG_SETTING)
        if item is None:
            return Versioned(ShardPlan(), 0)
        return _versioned(item, ShardPlan)

    def product(self, product_id: str) -> Product:
        """See ports.Registry."""
        return from_body(self._get(items.PRODUCTS, product_id).body, Product)

    def offering(self, offering_id: str, version: int) -> Offering:
        """See ports.Registry."""
        item = self._get(items.offering_pk(offering_id), items.version_sk(version))
        return from_body(item.body, Offering)

    def meter(self, meter_id: str) -> Meter:
        """See ports.Registry."""
        item = self._get(items.CATALOG, items.METER_PREFIX + meter_id)
        return items.meter_from_body(item.body)

    def customers(self, ids: Iterable[str]) -> dict[str, Customer]:
        """See ports.Registry."""
        found = self._batch((items.CUSTOMERS, customer_id) for customer_id in ids if customer_id)
        return {item.sk: from_body(item.body, Customer) for item in found}

    def agreement(self, agreement_id: str) -> Agreement:
        """See ports.Registry."""
        return from_body(self._get(items.AGREEMENTS, agreement_id).body, Agreement)

    def agreements(self) -> Iterator[Agreement]:
        """See ports.Registry."""
        for item in self._query(items.AGREEMENTS):
            yield from_body(item.body, Agreement)

    def agreements_of(self, product_id: str, customer_id: str) -> list[Agreement]:
        """See ports.Registry."""
        terms = self._find(items.terms_pk(product_id), customer_id)
        if terms is None:
            return []
        ids = [term.agreement_id for term in items.terms_from_body(terms.body)]
        found = self._batch((items.AGREEMENTS, agreement_id) for agreement_id in ids)
        agreements = [from_body(item.body, Agreement) for item in found]
        return sorted(agreements, key=lambda agreement: (agreement.starts_at, agreement.id))

    def suspend(self, agreement_id: str, reason: str) -> None:
        """See ports.Registry."""
        self._turn(agreement_id, lambda agreement: agreement.stopped(reason))

    def resume(self, agreement_id: str) -> None:
        """See ports.Registry."""
        self._turn(agreement_id, Agreement.resumed)

    def _turn(self, agreement_id: str, change: Callable[[Agreement], Agreement]) -> None:
        for _ in range(ATTEMPTS):
            before = self.agreement(agreement_id)
            after = change(before)
            if after == before or self._replaced(after, expected_version=before.version):
                return
        raise StaleVersionError(agreement_id)

    def _replaced(self, agreement: Agreement, expected_version: int) -> bool:
        item = self._items(items.AGREEMENTS, agreement.id)
        actions: list[Action] = [
            RegistryItem.body.set(to_body(agreement)),
            RegistryItem.version.set(agreement.version),
        ]
        try:
            with store_errors(f"agreement {agreement.id}"):
                item.update(actions, condition=RegistryItem.version == expected_version)
        except StaleVersionError:
            return False
        return True

    def _find(self, pk: str, sk: str) -> RegistryItem | None:
        """Strongly read; None where there is none, as for a key that no item can have."""
        if not sk:
            return None
        with store_errors(f"registry {pk}"):
            try:
                return self._items.get(pk, sk, consistent_read=True)
            except DoesNotExist:
                return None

    def _get(self, pk: str, sk: str) -> RegistryItem:
        item = self._find(pk, sk)
        if item is None:
            raise NotFoundError(sk.removeprefix(items.METER_PREFIX))
        return item

    def _batch(self, keys: Iterable[tuple[str, str]]) -> list[RegistryItem]:
        with store_errors("registry"):
            return list(self._items.batch_get(set(keys), consistent_read=True))

    def _query(
        self, pk: str, sk_condition: Condition | None = None, limit: int | None = None
    ) -> Iterator[RegistryItem]:
        """Strongly read, ascending."""
        with store_errors(f"registry {pk}"):
            yield from self._items.query(
                pk, range_key_condition=sk_condition, limit=limit, consistent_read=True
            )

    def _page(
        self,
        pk: str,
        after: str,
        limit: int,
        read: Callable[[RegistryItem], Versioned[T]],
    ) -> Page[T]:
        found = list(self._query(pk, RegistryItem.sk > after if after else None, limit + 1))
        return page_of(found, limit, read, key=lambda item: item.sk)

    def _page_of_products(
        self,
        kind: str,
        products: Collection[str],
        after: str,
        limit: int,
        read: Callable[[RegistryItem], Versioned[T]],
    ) -> Page[T]:
        """From the index, merged over the products in order of id."""
        condition = ByReference.ref_sk > after if after else None
        with store_errors(f"registry {kind}"):
            streams = [
                self._items.by_reference.query(
                    items.by_product(kind, product_id),
                    range_key_condition=condition,
                    limit=limit + 1,
                )
                for product_id in sorted(products)
            ]
            merged = heapq.merge(*streams, key=lambda item: item.sk)
            return page_of(list(islice(merged, limit + 1)), limit, read, key=lambda item: item.sk)


def page_of(
    found: list[RegistryItem],
    limit: int,
    read: Callable[[RegistryItem], Versioned[T]],
    key: Callable[[RegistryItem], str],
) -> Page[T]:
    """The first `limit` of what was found, and whether there was more."""
    shown = found[:limit]
    return Page(
        entries=tuple(read(item) for item in shown),
        next_after=key(shown[-1]) if len(found) > limit else "",
    )


def _versioned(item: RegistryItem, kind: type[T]) -> Versioned[T]:
    return Versioned(from_body(item.body, kind), int(item.version or 0))


def reading(kind: type[T]) -> Callable[[RegistryItem], Versioned[T]]:
    """How an item becomes an object and its version."""

    def read(item: RegistryItem) -> Versioned[T]:
        return _versioned(item, kind)

    return read


def read_meter(item: RegistryItem) -> Versioned[Meter]:
    """As reading(Meter)."""
    return Versioned(items.meter_from_body(item.body), int(item.version or 0))
