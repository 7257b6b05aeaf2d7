"""Whose child a customer is, in the registry table. Its other keys: registry_items.py.

    pk                  sk            body
    parents             customer id   all links of the customer as a child
    children#<parent>   customer id   those of them to this parent

The version of an item of `parents` grows whenever the customer becomes or ceases to be a child, and
whenever somebody becomes its child. So two changes that together would be two levels deep, or a
circle, cannot both be written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pynamodb.expressions.condition import Condition

from meterbridge.adapters.dynamodb import registry_items as items
from meterbridge.adapters.dynamodb.registry_items import RegistryItem, to_body
from meterbridge.adapters.dynamodb.registry_writer import ABSENT, RegistryWriter
from meterbridge.adapters.dynamodb.transactions import Transaction
from meterbridge.application.registry_admin import Versioned
from meterbridge.domain.customer_links import CustomerLink
from meterbridge.domain.errors import StaleVersionError

PARENTS = "parents"


def children_pk(parent_id: str) -> str:
    """Partition of a customer's children."""
    return f"children#{parent_id}"


class CustomerLinkWriter(RegistryWriter):
    """Links between customers. See RegistryAdmin for the contract."""

    def customer_links(self) -> Iterator[CustomerLink]:
        """See ports.Registry."""
        for item in self._query(PARENTS):
            yield from items.links_from_body(item.body)

    def links_of(self, child_id: str) -> Sequence[CustomerLink]:
        """See ports.Registry."""
        return self.links_entry(child_id).value

    def children_of(self, parent_id: str) -> list[CustomerLink]:
        """See ports.Registry."""
        return [
            link
            for item in self._query(children_pk(parent_id))
            for link in items.links_from_body(item.body)
        ]

    def links_entry(self, child_id: str) -> Versioned[Sequence[CustomerLink]]:
        """See RegistryAdmin."""
        item = self._find(PARENTS, child_id)
        if item is None:
            return Versioned((), 0)
        return Versioned(items.links_from_body(item.body), int(item.version or 0))

    def save_links(
        self,
        child_id: str,
        links: Sequence[CustomerLink],
        *,
        expected_version: int,
        guarded: Mapping[str, int],
    ) -> None:
        """See RegistryAdmin."""
        before = self.links_of(child_id)
        change = self._change()
        change.put(
            self._items(PARENTS, child_id, body=to_body(list(links)), version=expected_version + 1),
            _at(expected_version),
            StaleVersionError(child_id),
        )
        for parent_id, version in sorted(guarded.items()):
            change.update(
                self._items(PARENTS, parent_id),
                [RegistryItem.version.set(version + 1)],
                _at(version),
                StaleVersionError(parent_id),
            )
        self._index(change, child_id, _by_parent(before), _by_parent(links))
        change.commit()

    def _index(
        self,
        change: Transaction,
        child_id: str,
        before: Mapping[str, Sequence[CustomerLink]],
        after: Mapping[str, Sequence[CustomerLink]],
    ) -> None:
        """Under the parents, and as references, so that no linked customer can be deleted."""
        if bool(before) is not bool(after):
            self._count(change, items.CUSTOMERS, child_id, 1 if after else -1)
        for parent_id in sorted(before.keys() | after.keys()):
            new = after.get(parent_id, ())
            if new == before.get(parent_id, ()):
                continue
            if not before.get(parent_id):
                self._count(change, items.CUSTOMERS, parent_id, +1)
            item = self._items(children_pk(parent_id), child_id, body=to_body(list(new)))
            if new:
                change.put(item, ABSENT | RegistryItem.pk.exists(), StaleVersionError(child_id))
            else:
                self._count(change, items.CUSTOMERS, parent_id, -1)
                change.delete(item, RegistryItem.pk.exists(), StaleVersionError(child_id))


def _at(version: int) -> Condition:
    return RegistryItem.version == version if version else ABSENT


def _by_parent(links: Iterable[CustomerLink]) -> dict[str, list[CustomerLink]]:
    found: dict[str, list[CustomerLink]] = {}
    for link in links:
        found.setdefault(link.parent_id, []).append(link)
    return found
