"""Make a customer the child of another, or end that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from meterbridge.application.ports import Clock, SettleQueue, UsageStore
from meterbridge.application.refusals import ForbiddenError, PreconditionError
from meterbridge.application.registry_admin import RegistryAdmin, Versioned
from meterbridge.domain.api_keys import Caller
from meterbridge.domain.customer_links import (
    MAX_CHILDREN,
    CustomerLink,
    ParentBilling,
    check_depth,
    ended,
    linked,
)
from meterbridge.domain.errors import InvalidInputError, NotFoundError, StaleVersionError
from meterbridge.domain.windows import hour_of

MAX_LINKS = 100
"""Links of one child, over all time."""

_ATTEMPTS = 5
_PRODUCTS_AT_ONCE = 100

Links = Versioned[Sequence[CustomerLink]]


@dataclass(frozen=True, slots=True)
class LinkOrder:
    """Whose child a customer is to be.

    Attributes:
        since: a full hour; None for the present one.
    """

    parent_id: str
    billing: ParentBilling
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class ParentDesk:
    """The use cases, over the same ports."""

    registry: RegistryAdmin
    usage: UsageStore
    queue: SettleQueue
    clock: Clock

    def link(
        self, child_id: str, order: LinkOrder, *, caller: Caller, expected_version: int | None
    ) -> Links:
        """Make a customer the child of another from an hour on; what there was ends there.

        Hours before the present one stay as they are, unless nothing was ever used or agreed on in
        them: then there is nothing that could be billed elsewhere.

        Raises:
            NotFoundError: no such customer.
            InvalidInputError: no such parent; a past hour; more than one level deep; too many.
            ForbiddenError: the key is bound to some products.
            PreconditionError, StaleVersionError: somebody else changed it.
        """
        _require_unbound(caller)
        now = self.clock.now()
        link = CustomerLink(child_id, order.parent_id, order.billing, order.since or hour_of(now))

        def change(known: Links) -> tuple[tuple[CustomerLink, ...], dict[str, int]]:
            if not self.registry.customers([link.parent_id]):
                detail = f"no customer {link.parent_id}"
                raise InvalidInputError("unknown_customer", detail, "/parent_id")
            parent = self.registry.links_entry(link.parent_id)
            check_depth(
                link,
                links_of_parent=parent.value,
                children_of_child=self.registry.children_of(child_id),
            )
            siblings = {each.child_id for each in self.registry.children_of(link.parent_id)}
            if len(siblings | {child_id}) > MAX_CHILDREN:
                detail = f"{link.parent_id} has {len(siblings)} children"
                raise InvalidInputError("too_many_children", detail, "/parent_id")
            earliest = self._earliest(link, known.value, now)
            return linked(known.value, link, earliest=earliest), {link.parent_id: parent.version}

        return self._change(child_id, change, expected_version)

    def unlink(
        self,
        child_id: str,
        until: datetime | None,
        *,
        caller: Caller,
        expected_version: int | None,
    ) -> Links:
        """End whatever a customer is the child of; nothing where it is no child.

        Args:
            until: a full hour from which it is no child; None for the present one.

        Raises:
            NotFoundError: no such customer.
            InvalidInputError: a past hour.
            ForbiddenError, PreconditionError, StaleVersionError: as link.
        """
        _require_unbound(caller)
        present = hour_of(self.clock.now())
        at = until or present
        if at != hour_of(at):
            raise InvalidInputError("full_hour", "until is a full hour", "until")

        def change(known: Links) -> tuple[tuple[CustomerLink, ...], dict[str, int]]:
            return ended(known.value, at, earliest=present), {}

        return self._change(child_id, change, expected_version)

    def _change(
        self,
        child_id: str,
        change: Callable[[Links], tuple[tuple[CustomerLink, ...], dict[str, int]]],
        expected_version: int | None,
    ) -> Links:
        """Safe to kill and to repeat. Whatever is billed elsewhere now is settled soon."""
        for _ in range(_ATTEMPTS):
            if not self.registry.customers([child_id]):
                raise NotFoundError("no such customer")
            known = self.registry.links_entry(child_id)
            if expected_version is not None and known.version != expected_version:
                raise PreconditionError(f"it is at version {known.version}")
            links, guarded = change(known)
            if links == tuple(known.value):
                return known
            if len(links) > MAX_LINKS:
                raise InvalidInputError("too_many_links", f"{child_id} has {len(links)} links")
            try:
                self.registry.save_links(
                    child_id, links, expected_version=known.version, guarded=guarded
                )
            except StaleVersionError:
                continue
            self._settle({link.parent_id for link in {*links, *known.value}})
            return Versioned(links, known.version + 1)
        raise StaleVersionError(f"the links of {child_id} keep being changed")

    def _earliest(
        self, link: CustomerLink, known: Sequence[CustomerLink], now: datetime
    ) -> datetime:
        """The first hour that a link may still change."""
        present = hour_of(now)
        if link.since >= present or known:
            return present
        for product_id in self._products():
            if self.registry.agreements_of(product_id, link.child_id):
                return present
            if self.usage.hourly(product_id, link.child_id, link.since, present):
                return present
        return link.since

    def _settle(self, parents: Iterable[str]) -> None:
        products = list(self._products())
        self.queue.enqueue(
            sorted(
                agreement.id
                for parent_id in parents
                for product_id in products
                for agreement in self.registry.agreements_of(product_id, parent_id)
            )
        )

    def _products(self) -> Iterator[str]:
        after = ""
        while True:
            page = self.registry.products(after, _PRODUCTS_AT_ONCE)
            yield from (entry.value.id for entry in page.entries)
            after = page.next_after
            if not after:
                return


def _require_unbound(caller: Caller) -> None:
    if caller.products is not None:
        raise ForbiddenError("this key is bound to some products; a customer is of all")
