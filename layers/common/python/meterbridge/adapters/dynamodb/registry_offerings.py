"""Offerings: a head that moves and versions that never change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from meterbridge.adapters.dynamodb import registry_items as items
from meterbridge.adapters.dynamodb.registry_items import RegistryItem, to_body
from meterbridge.adapters.dynamodb.registry_links import CustomerLinkWriter
from meterbridge.adapters.dynamodb.registry_reader import page_of, reading
from meterbridge.adapters.dynamodb.registry_writer import ABSENT, PRESENT, UNUSED
from meterbridge.adapters.dynamodb.transactions import MAX_ITEMS
from meterbridge.application.registry_admin import Answer, Page, Versioned
from meterbridge.domain.errors import InUseError, StaleVersionError
from meterbridge.domain.offerings import Offering
from meterbridge.domain.plan_meters import meters_of


class OfferingWriter(CustomerLinkWriter):
    """See RegistryAdmin for the contract."""

    def offering_entry(self, offering_id: str) -> Versioned[Offering]:
        """See RegistryAdmin."""
        return reading(Offering)(self._get(items.OFFERINGS, offering_id))

    def offerings(
        self, after: str, limit: int, products: Collection[str] | None = None
    ) -> Page[Offering]:
        """See RegistryAdmin."""
        if products is None:
            return self._page(items.OFFERINGS, after, limit, reading(Offering))
        return self._page_of_products(items.OFFERINGS, products, after, limit, reading(Offering))

    def offering_versions(self, offering_id: str, after: int, limit: int) -> Page[Offering]:
        """See RegistryAdmin."""
        self.offering_entry(offering_id)
        found = list(
            self._query(
                items.offering_pk(offering_id),
                RegistryItem.sk > items.version_sk(after),
                limit + 1,
            )
        )
        return page_of(found, limit, reading(Offering), key=lambda item: str(int(item.sk)))

    def add_offering(
        self, offering: Offering, meters: Mapping[str, int], answer: Answer | None = None
    ) -> None:
        """See RegistryAdmin."""
        change = self._change(answer)
        body = to_body(offering)
        if offering.version == 1:
            self._add(change, items.OFFERINGS, offering.id, body, offering.product_id)
        else:
            self._save(change, items.OFFERINGS, offering.id, body, offering.version - 1)
        change.put(
            self._items(
                items.offering_pk(offering.id),
                items.version_sk(offering.version),
                body=body,
                version=offering.version,
            ),
            ABSENT,
            StaleVersionError(offering.id),
        )
        self._count(change, items.PRODUCTS, offering.product_id, 1 if offering.version == 1 else 0)
        for meter_id, version in sorted(meters.items()):
            self._count(
                change,
                items.CATALOG,
                items.METER_PREFIX + meter_id,
                +1,
                RegistryItem.version == version,
                StaleVersionError(meter_id),
            )
        change.commit()

    def remove_offering(self, offering_id: str) -> None:
        """See RegistryAdmin.

        More versions than fit one transaction go from the newest on, several at a time; whatever
        stops that half-way leaves an unused offering with fewer versions.
        """
        while self._remove_newest_versions(offering_id):
            pass

    def _remove_newest_versions(self, offering_id: str) -> bool:
        """Whether there is something left."""
        head = self.offering_entry(offering_id)
        used: Counter[str] = Counter()
        going: list[Offering] = []
        remaining = head.value
        for number in range(head.version, 0, -1):
            offering = self.offering(offering_id, number)
            meters = meters_of(offering.plans)
            if len(used.keys() | meters) + len(going) + 3 > MAX_ITEMS:
                remaining = offering
                break
            used.update(meters)
            going.append(offering)
        last = len(going) == head.version
        change = self._change()
        in_use = InUseError(f"offering {offering_id}")
        same = UNUSED & (RegistryItem.version == head.version)
        if last:
            change.delete(self._items(items.OFFERINGS, offering_id), same, in_use)
            self._count(change, items.PRODUCTS, head.value.product_id, -1)
        else:
            change.update(
                self._items(items.OFFERINGS, offering_id),
                [
                    RegistryItem.body.set(to_body(remaining)),
                    RegistryItem.version.set(remaining.version),
                ],
                same,
                in_use,
            )
        for offering in going:
            self._remove(
                change, items.offering_pk(offering_id), items.version_sk(offering.version), PRESENT
            )
        for meter_id, count in sorted(used.items()):
            self._count(change, items.CATALOG, items.METER_PREFIX + meter_id, -count)
        change.commit()
        return not last
