"""Usage of known customers that nothing bills, customer by customer.

Nothing is stored about it. It is found again by every call, against the agreements and plans of
that moment, so that the list shrinks by itself when an agreement is made. Usage of customers that
are not registered, and of meters that were removed, is not here: its events are unmatched, see
unmatched_events.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from meterbridge.application.billing_terms import agreement_terms
from meterbridge.application.event_paging import from_cursor, invalid_cursor, to_cursor
from meterbridge.application.ports import UsageStore
from meterbridge.application.registry_admin import RegistryAdmin
from meterbridge.domain.agreements import Agreement
from meterbridge.domain.attribution import context_start
from meterbridge.domain.customer_links import BilledTogether
from meterbridge.domain.errors import InvalidInputError, NotFoundError
from meterbridge.domain.offerings import Offering
from meterbridge.domain.term import owned_hours
from meterbridge.domain.unbilled import UnbilledUsage, counted_from, unbilled_usage
from meterbridge.domain.windows import HOUR, hour_of

MAX_RANGE = timedelta(days=31)
MAX_CUSTOMERS_READ = 200
MAX_STATES_READ = 100_000
"""A call that has read so much goes no further than the customer it is in."""

_CUSTOMERS_AT_ONCE = 100
_MAX_KEY_BYTES = 1024


@dataclass(frozen=True, slots=True)
class UnbilledPage:
    """A part of the list. `next_cursor` continues it; "" at its end."""

    items: tuple[UnbilledUsage, ...]
    next_cursor: str = ""


class _Position(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """All customers before this one were listed, and of its entries so many; None: it, too."""

    customer_id: str
    listed: int | None = None


def list_unbilled(
    *,
    product_id: str,
    start: datetime,
    end: datetime,
    limit: int,
    cursor: str,
    usage: UsageStore,
    registry: RegistryAdmin,
    customer_id: str | None = None,
) -> UnbilledPage:
    """Unbilled usage of the hours [start, end), in order of customer.

    Work is bounded: a call may answer with few entries, or none, and a cursor.

    Args:
        limit: at least 1.
        cursor: "" or the `next_cursor` of the page before, with the other arguments unchanged.
        customer_id: only this one's; None for every customer.

    Raises:
        InvalidInputError: `invalid_range` or `invalid_cursor`.
        NotFoundError: no such customer.
        StoreUnavailableError: something could not be read.
    """
    _check_range(start, end)
    begin = _position(cursor, customer_id) if cursor else None
    if customer_id is not None and not registry.customers([customer_id]):
        detail = f"no customer {customer_id}: what is sent for it is listed as unmatched events"
        raise NotFoundError(detail)
    search = _Search(product_id, start, end, usage, registry)
    items: list[UnbilledUsage] = []
    before = ""
    names = iter([customer_id]) if customer_id is not None else _customers(registry, begin)
    for name in names:
        if before and (len(items) == limit or search.has_read_enough):
            return UnbilledPage(tuple(items), to_cursor(_Position(before)))
        found = search.of(name)
        first = (begin.listed or 0) if begin is not None and begin.customer_id == name else 0
        last = first + limit - len(items)
        items += found[first:last]
        if last < len(found):
            return UnbilledPage(tuple(items), to_cursor(_Position(name, last)))
        before = name
    return UnbilledPage(tuple(items))


class _Offerings:
    """Offerings of one search, each read once."""

    def __init__(self, registry: RegistryAdmin) -> None:
        self._registry = registry
        self._known: dict[tuple[str, int], Offering] = {}

    def offering(self, offering_id: str, version: int) -> Offering:
        key = (offering_id, version)
        if key not in self._known:
            self._known[key] = self._registry.offering(offering_id, version)
        return self._known[key]


class _Search:
    """Finds unbilled usage with the meters and plans of one moment."""

    def __init__(
        self,
        product_id: str,
        start: datetime,
        end: datetime,
        usage: UsageStore,
        registry: RegistryAdmin,
    ) -> None:
        self._product_id, self._start, self._end = product_id, start, end
        self._usage, self._registry = usage, registry
        self._meters = [
            meter for meter in registry.catalog().meters if meter.product_id == product_id
        ]
        self._rows_from = min((context_start(each, start) for each in self._meters), default=start)
        self._owners_from = counted_from(self._meters, start)
        self._offerings = _Offerings(registry)
        self._customers_read = self._states_read = 0

    @property
    def has_read_enough(self) -> bool:
        """Whether the rest is for another call."""
        return self._customers_read >= MAX_CUSTOMERS_READ or self._states_read >= MAX_STATES_READ

    def of(self, customer_id: str) -> list[UnbilledUsage]:
        """All of one customer's, in order."""
        rows = self._usage.hourly(self._product_id, customer_id, self._rows_from, self._end)
        self._customers_read += 1
        self._states_read += sum(
            1 + sum(len(groups) for groups in row.meters.values()) for row in rows
        )
        if not rows:
            return []
        agreements = self._agreements(customer_id)
        together = BilledTogether(self._registry.links_of(customer_id), since=self._owners_from)
        parents = {each: self._agreements(each) for each in together.parents_of(customer_id)}
        return unbilled_usage(
            customer_id,
            self._start,
            self._end,
            meters=self._meters,
            rows=rows,
            agreements=agreements,
            terms={
                each.id: agreement_terms(each, self._offerings, siblings)
                for siblings in (agreements, *parents.values())
                for each in siblings
            },
            links=together.links_of(customer_id),
            parents=[each for siblings in parents.values() for each in siblings],
        )

    def _agreements(self, customer_id: str) -> list[Agreement]:
        return [
            agreement
            for agreement in self._registry.agreements_of(self._product_id, customer_id)
            if owned_hours(agreement, self._owners_from, self._end + HOUR)
        ]


def _check_range(start: datetime, end: datetime) -> None:
    if hour_of(start) != start or hour_of(end) != end:
        raise InvalidInputError("invalid_range", "start and end are full hours", "start")
    if not timedelta(0) < end - start <= MAX_RANGE:
        raise InvalidInputError(
            "invalid_range", f"start is before end, by at most {MAX_RANGE.days} days", "end"
        )


def _customers(registry: RegistryAdmin, begin: _Position | None) -> Iterator[str]:
    """Ids in order, from the position on; the customer it is in first, if it still exists."""
    after = begin.customer_id if begin is not None else ""
    if begin is not None and begin.listed is not None:
        yield from registry.customers([after])
    while True:
        page = registry.customer_page(after, _CUSTOMERS_AT_ONCE)
        yield from (entry.value.id for entry in page.entries)
        after = page.next_after
        if not after:
            return


def _position(cursor: str, customer_id: str | None) -> _Position:
    position = from_cursor(cursor, _Position)
    fits = customer_id is None or (position.customer_id, position.listed is None) == (
        customer_id,
        False,
    )
    key_bytes = len(position.customer_id.encode())
    if not fits or not 1 <= key_bytes <= _MAX_KEY_BYTES or (position.listed or 0) < 0:
        raise invalid_cursor()
    return position
