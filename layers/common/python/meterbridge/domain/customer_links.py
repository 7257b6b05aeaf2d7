"""Customers that belong to a parent, and whose usage an agreement bills. Pure.

A link says whose child a customer is, in which hours, and whether they are billed together:

    separate    each is billed by their own agreements; the link is for reports
    aggregated  in hours in which the child has no agreement of its own for a product, the parent's
                agreement that owns the hour bills the child's usage too

Meters aggregate each customer by itself; what an agreement bills is the sum. Links are one level deep,
and a change of a link is one of the present hour or later: what was used before stays where it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from meterbridge.domain.agreements import Agreement, owner_of_hour
from meterbridge.domain.errors import InvalidInputError
from meterbridge.domain.windows import HOUR, hour_of, hours_between

MAX_CHILDREN = 200
"""Children that one parent ever had: a settlement reads each one's usage."""


class ParentBilling(StrEnum):
    """Whether a child's usage is billed with the parent's."""

    AGGREGATED = "aggregated"
    SEPARATE = "separate"


@dataclass(frozen=True, slots=True)
class CustomerLink:
    """One customer as the child of another in the hours [since, until); None has no end.

    Raises:
        InvalidInputError: its hours or its customers cannot be.
    """

    child_id: str
    parent_id: str
    billing: ParentBilling
    since: datetime
    until: datetime | None = None

    def __post_init__(self) -> None:
        if self.child_id == self.parent_id:
            detail = "nobody is their own parent"
            raise InvalidInputError("same_customer", detail, "/parent_id")
        for name, moment in (("since", self.since), ("until", self.until)):
            if moment is not None and moment != hour_of(moment):
                raise InvalidInputError("full_hour", f"{name} is a full hour", f"/{name}")
        if self.until is not None and self.until <= self.since:
            raise InvalidInputError("empty_link", "until must be after since", "/until")

    @property
    def aggregated(self) -> bool:
        """Whether both are billed together."""
        return self.billing is ParentBilling.AGGREGATED

    def covers(self, hour: datetime) -> bool:
        """Whether it holds in an hour."""
        return self.since <= hour and (self.until is None or hour < self.until)

    def lasts_beyond(self, moment: datetime) -> bool:
        """Whether it holds in any hour from a moment on."""
        return self.until is None or self.until > moment


@dataclass(frozen=True, slots=True)
class Stretch:
    """Hours in a row in which one agreement bills one customer.

    Attributes:
        hours: ascending; at least one.
        until: the hour from which it does not any more, where that is known.
    """

    hours: Sequence[datetime]
    until: datetime | None


@dataclass(frozen=True, slots=True)
class BilledCustomer:
    """A customer whose usage an agreement bills, and when."""

    customer_id: str
    stretches: tuple[Stretch, ...]


class BilledTogether:
    """Who is, or lately was, billed with whom: parents and children of links that aggregate."""

    def __init__(self, links: Iterable[CustomerLink], *, since: datetime) -> None:
        """Args: since: links that ended before are left out."""
        self._of_child: dict[str, list[CustomerLink]] = {}
        self._children: dict[str, set[str]] = {}
        for link in links:
            if link.aggregated and link.lasts_beyond(since):
                self._of_child.setdefault(link.child_id, []).append(link)
                self._children.setdefault(link.parent_id, set()).add(link.child_id)

    def children_of(self, customer_id: str) -> list[str]:
        """Customers whose usage is billed with this one's, in order."""
        return sorted(self._children.get(customer_id, ()))

    def links_of(self, customer_id: str) -> Sequence[CustomerLink]:
        """A customer's links as a child."""
        return self._of_child.get(customer_id, ())

    def parents_of(self, customer_id: str) -> list[str]:
        """Customers with whom this one is billed, in order."""
        return sorted({link.parent_id for link in self.links_of(customer_id)})


def owner_for_child(
    hour: datetime,
    *,
    own: Iterable[Agreement],
    links: Iterable[CustomerLink],
    parents: Iterable[Agreement],
) -> Agreement | None:
    """The one agreement that bills an hour of a customer's usage of a product.

    Args:
        own: the customer's agreements for the product.
        links: the customer's, as a child.
        parents: agreements for the product of the parents in those links.
    """
    owner = owner_of_hour(hour, own)
    if owner is not None:
        return owner
    for link in links:
        if link.aggregated and link.covers(hour):
            return owner_of_hour(
                hour, [each for each in parents if each.customer_id == link.parent_id]
            )
    return None


def stretches_of_child(
    agreement: Agreement,
    start: datetime,
    end: datetime,
    *,
    own: Sequence[Agreement],
    links: Sequence[CustomerLink],
    siblings: Sequence[Agreement],
) -> tuple[Stretch, ...]:
    """The hours in [start, end) in which a parent's agreement bills a child.

    Args:
        own: the child's agreements for the product.
        links: the child's.
        siblings: all agreements of the parent for the product, `agreement` among them.
    """
    found: list[Stretch] = []
    run: list[datetime] = []
    # The hour after the range tells whether a stretch ends with it.
    for hour in hours_between(start, end + HOUR):
        owner = owner_for_child(hour, own=own, links=links, parents=siblings)
        if owner is not None and owner.id == agreement.id:
            if hour < end:
                run.append(hour)
        elif run:
            found.append(Stretch(run, until=hour))
            run = []
    if run:
        found.append(Stretch(run, until=None))
    return tuple(found)


def linked(
    known: Sequence[CustomerLink], link: CustomerLink, *, earliest: datetime
) -> tuple[CustomerLink, ...]:
    """A child's links with a new one, which replaces what there was from its start on.

    Args:
        known: the child's, ascending.
        earliest: the first hour that may still change.

    Raises:
        InvalidInputError: `past_hour`: it would change hours before.
    """
    if any(_continues(each, link) for each in known):
        return tuple(known)
    _require_open(link.since, earliest, "/since")
    return (*ended(known, link.since, earliest=earliest), link)


def ended(
    known: Sequence[CustomerLink], at: datetime, *, earliest: datetime
) -> tuple[CustomerLink, ...]:
    """A child's links without any from a moment on.

    Raises:
        InvalidInputError: `past_hour`: that would change hours before the earliest that may.
    """
    _require_open(at, earliest, "/until")
    kept = [each for each in known if each.since < at]
    return tuple(replace(each, until=at) if each.lasts_beyond(at) else each for each in kept)


def check_depth(
    link: CustomerLink,
    *,
    links_of_parent: Iterable[CustomerLink],
    children_of_child: Iterable[CustomerLink],
) -> None:
    """Links are one level deep, so there are no circles either.

    Args:
        links_of_parent: those in which the parent is a child.
        children_of_child: those in which the child is a parent.

    Raises:
        InvalidInputError: `parent_is_child` or `child_is_parent`, at the same time as the link.
    """
    if any(each.lasts_beyond(link.since) for each in links_of_parent):
        detail = f"{link.parent_id} is a child of another customer"
        raise InvalidInputError("parent_is_child", detail, "/parent_id")
    if any(each.lasts_beyond(link.since) for each in children_of_child):
        detail = f"{link.child_id} is the parent of other customers"
        raise InvalidInputError("child_is_parent", detail, "/parent_id")


def _continues(known: CustomerLink, link: CustomerLink) -> bool:
    """Whether a link is already there, and without an end."""
    same = (known.parent_id, known.billing) == (link.parent_id, link.billing)
    return same and known.until is None and known.since <= link.since


def _require_open(moment: datetime, earliest: datetime, pointer: str) -> None:
    if moment < earliest:
        detail = f"hours before {earliest:%Y-%m-%dT%H:%MZ} may be billed already"
        raise InvalidInputError("past_hour", detail, pointer)
