"""What every change of the registry is made of, and the objects without rules of their own."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from functools import cached_property

from pynamodb.connection import Connection
from pynamodb.expressions.condition import Condition

from meterbridge.adapters.dynamodb import registry_items as items
from meterbridge.adapters.dynamodb.registry_items import RegistryItem, from_body, to_body
from meterbridge.adapters.dynamodb.registry_reader import (
    RegistryReader,
    page_of,
    read_meter,
    reading,
)
from meterbridge.adapters.dynamodb.transactions import Transaction
from meterbridge.application.registry_admin import (
    AlreadyExistsError,
    Answer,
    AnsweredError,
    Page,
    Versioned,
)
from meterbridge.domain.agreements import Customer
from meterbridge.domain.errors import (
    InUseError,
    InvalidInputError,
    MeterbridgeError,
    NotFoundError,
    StaleVersionError,
)
from meterbridge.domain.meters import Meter
from meterbridge.domain.offerings import Product
from meterbridge.domain.usage_log import ShardPlan

ABSENT = RegistryItem.pk.does_not_exist()
PRESENT = RegistryItem.pk.exists()
UNUSED = PRESENT & (RegistryItem.references.does_not_exist() | (RegistryItem.references == 0))


MAX_BODY_BYTES = 350_000
"""A DynamoDB item holds 400 KB with its keys and counts."""


def fitting(body: str) -> str:
    """The body itself.

    Raises:
        InvalidInputError: code "too_large".
    """
    size = len(body.encode())
    if size > MAX_BODY_BYTES:
        raise InvalidInputError("too_large", f"{size} bytes to store; at most {MAX_BODY_BYTES}")
    return body


def put_answer(change: Transaction, model: type[RegistryItem], answer: Answer) -> None:
    """Keep an answer in a transaction, which fails with AnsweredError where there is one."""
    now_free = ABSENT | (RegistryItem.expires_at <= int(answer.given_at.timestamp()))
    change.put(
        model(
            items.answers_pk(answer.caller),
            answer.idempotency_key,
            body=fitting(to_body(answer)),
            expires_at=int(answer.expires_at.timestamp()),
        ),
        now_free,
        AnsweredError(answer.idempotency_key),
    )


class RegistryWriter(RegistryReader):
    """Products, meters, customers, settings and kept answers. See RegistryAdmin for the contract."""

    @cached_property
    def _connection(self) -> Connection:
        return Connection(connect_timeout_seconds=2, read_timeout_seconds=5)

    def answer(self, caller: str, idempotency_key: str, now: datetime) -> Answer | None:
        """See RegistryAdmin."""
        item = self._find(items.answers_pk(caller), idempotency_key)
        if item is None:
            return None
        answer = from_body(item.body, Answer)
        return answer if answer.expires_at > now else None

    def product_entry(self, product_id: str) -> Versioned[Product]:
        """See RegistryAdmin."""
        return reading(Product)(self._get(items.PRODUCTS, product_id))

    def products(
        self, after: str, limit: int, among: Collection[str] | None = None
    ) -> Page[Product]:
        """See RegistryAdmin."""
        if among is None:
            return self._page(items.PRODUCTS, after, limit, reading(Product))
        wanted = [product_id for product_id in sorted(among) if product_id > after]
        found = self._batch((items.PRODUCTS, each) for each in wanted)
        found.sort(key=lambda item: item.sk)
        return page_of(found, limit, reading(Product), key=lambda item: item.sk)

    def add_product(self, product: Product, answer: Answer | None = None) -> None:
        """See RegistryAdmin."""
        change = self._change(answer)
        self._add(change, items.PRODUCTS, product.id, to_body(product))
        change.commit()

    def save_product(self, product: Product, expected_version: int) -> None:
        """See RegistryAdmin."""
        change = self._change()
        self._save(change, items.PRODUCTS, product.id, to_body(product), expected_version)
        change.commit()

    def remove_product(self, product_id: str) -> None:
        """See RegistryAdmin."""
        self.product_entry(product_id)
        change = self._change()
        self._remove(change, items.PRODUCTS, product_id)
        change.commit()

    def meter_entry(self, meter_id: str) -> Versioned[Meter]:
        """See RegistryAdmin."""
        return read_meter(self._get(items.CATALOG, items.METER_PREFIX + meter_id))

    def meters(
        self, after: str, limit: int, products: Collection[str] | None = None
    ) -> Page[Meter]:
        """See RegistryAdmin."""
        begin = items.METER_PREFIX + after
        entries = self._query(items.CATALOG, RegistryItem.sk.startswith(items.METER_PREFIX))
        found = [
            item
            for item in entries
            if item.sk > begin
            and (products is None or read_meter(item).value.product_id in products)
        ]
        return page_of(
            found, limit, read_meter, key=lambda item: item.sk.removeprefix(items.METER_PREFIX)
        )

    def add_meter(self, meter: Meter, answer: Answer | None = None) -> None:
        """See RegistryAdmin."""
        change = self._change(answer)
        body = items.meter_to_body(meter)
        self._add(change, items.CATALOG, items.METER_PREFIX + meter.id, body)
        self._count(change, items.PRODUCTS, meter.product_id, +1)
        self._bump_catalog(change)
        change.commit()

    def save_meter(self, meter: Meter, expected_version: int) -> None:
        """See RegistryAdmin."""
        stored = self.meter_entry(meter.id)
        remade = stored.value.is_remade(meter)
        change = self._change()
        item = self._items(items.CATALOG, items.METER_PREFIX + meter.id)
        if stored.version != expected_version:
            raise StaleVersionError(meter.id)
        change.update(
            item,
            [
                RegistryItem.body.set(fitting(items.meter_to_body(meter))),
                RegistryItem.version.set(expected_version + 1),
            ],
            (RegistryItem.version == expected_version) & (UNUSED if remade else PRESENT),
            InUseError(f"meter {meter.id}") if remade else StaleVersionError(meter.id),
        )
        self._bump_catalog(change)
        change.commit()

    def remove_meter(self, meter_id: str) -> None:
        """See RegistryAdmin."""
        meter = self.meter_entry(meter_id).value
        change = self._change()
        self._remove(change, items.CATALOG, items.METER_PREFIX + meter_id)
        self._count(change, items.PRODUCTS, meter.product_id, -1)
        self._bump_catalog(change)
        change.commit()

    def customer_entry(self, customer_id: str) -> Versioned[Customer]:
        """See RegistryAdmin."""
        return reading(Customer)(self._get(items.CUSTOMERS, customer_id))

    def customer_page(self, after: str, limit: int) -> Page[Customer]:
        """See RegistryAdmin."""
        return self._page(items.CUSTOMERS, after, limit, reading(Customer))

    def add_customer(self, customer: Customer, answer: Answer | None = None) -> None:
        """See RegistryAdmin."""
        change = self._change(answer)
        self._add(change, items.CUSTOMERS, customer.id, to_body(customer))
        change.commit()

    def save_customer(self, customer: Customer, expected_version: int) -> None:
        """See RegistryAdmin."""
        change = self._change()
        self._save(change, items.CUSTOMERS, customer.id, to_body(customer), expected_version)
        change.commit()

    def remove_customer(self, customer_id: str) -> None:
        """See RegistryAdmin."""
        self.customer_entry(customer_id)
        change = self._change()
        self._remove(change, items.CUSTOMERS, customer_id)
        change.commit()

    def set_shard_plan(self, plan: ShardPlan, expected_version: int) -> None:
        """See RegistryAdmin."""
        change = self._change()
        change.put(
            self._items(
                items.SETTINGS,
                items.USAGE_LOG_SETTING,
                body=to_body(plan),
                version=expected_version + 1,
            ),
            RegistryItem.version == expected_version if expected_version else ABSENT,
            StaleVersionError("shard plan"),
        )
        change.commit()

    def _change(self, answer: Answer | None = None) -> Transaction:
        """An empty transaction, or one that keeps an answer as well."""
        change = Transaction(self._connection)
        if answer is not None:
            put_answer(change, self._items, answer)
        return change

    def _add(self, change: Transaction, pk: str, sk: str, body: str, product_id: str = "") -> None:
        """Store a new object; in the index of a product where one is given."""
        item = self._items(pk, sk, body=fitting(body), version=1, references=0)
        if product_id:
            item.ref_pk, item.ref_sk = items.by_product(pk, product_id), sk
        change.put(item, ABSENT, AlreadyExistsError(sk.removeprefix(items.METER_PREFIX)))

    def _save(
        self, change: Transaction, pk: str, sk: str, body: str, expected_version: int
    ) -> None:
        change.update(
            self._items(pk, sk),
            [RegistryItem.body.set(fitting(body)), RegistryItem.version.set(expected_version + 1)],
            RegistryItem.version == expected_version,
            StaleVersionError(sk),
        )

    def _remove(self, change: Transaction, pk: str, sk: str, condition: Condition = UNUSED) -> None:
        change.delete(
            self._items(pk, sk), condition, InUseError(sk.removeprefix(items.METER_PREFIX))
        )

    def _count(
        self,
        change: Transaction,
        pk: str,
        sk: str,
        by: int,
        condition: Condition = PRESENT,
        failure: MeterbridgeError | None = None,
    ) -> None:
        """Something new refers to an object, or something that did has gone."""
        name = sk.removeprefix(items.METER_PREFIX)
        change.update(
            self._items(pk, sk),
            [RegistryItem.references.add(by)],
            condition,
            failure or NotFoundError(name),
        )

    def _bump_catalog(self, change: Transaction) -> None:
        change.update(
            self._items(items.CATALOG, items.CATALOG_VERSION),
            [RegistryItem.version.add(1)],
            RegistryItem.body.does_not_exist(),
            StaleVersionError("catalog"),
        )
