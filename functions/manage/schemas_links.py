"""Links between customers: what is sent and what is answered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel, Field

from manage.fields import CustomerId, FullHour, Input
from meterbridge.application.customer_parents import LinkOrder
from meterbridge.application.registry_admin import Versioned
from meterbridge.domain.customer_links import CustomerLink, ParentBilling


class NewParent(Input):
    """Whose child a customer is to be, from an hour on. What there was before ends there."""

    parent_id: CustomerId
    billing: ParentBilling = Field(
        ParentBilling.SEPARATE,
        description="aggregated: in hours without an agreement of its own for a product, the parent's "
        "agreement bills the child's usage too. separate: for reports only.",
    )
    since: FullHour | None = Field(
        None,
        description="The present hour if left out. A past one only for a customer that has no "
        "agreement and has used nothing since then",
    )

    def order(self) -> LinkOrder:
        """For the use case."""
        return LinkOrder(self.parent_id, self.billing, self.since)


class LinkView(BaseModel):
    """One customer as the child of another in the hours [since, until)."""

    child_id: str
    parent_id: str
    billing: ParentBilling
    since: datetime
    until: datetime | None
    in_force: bool = Field(description="In the present hour")

    @classmethod
    def of(cls, link: CustomerLink, now: datetime) -> LinkView:
        return cls(
            child_id=link.child_id,
            parent_id=link.parent_id,
            billing=link.billing,
            since=link.since,
            until=link.until,
            in_force=link.covers(now),
        )


class ParentView(BaseModel):
    """Whose child a customer is."""

    customer_id: str
    parent_id: str | None = Field(description="In the present hour")
    billing: ParentBilling | None
    links: list[LinkView] = Field(description="Past, present and to come, oldest first")
    version: int

    @classmethod
    def of(
        cls, customer_id: str, entry: Versioned[Sequence[CustomerLink]], now: datetime
    ) -> ParentView:
        present = next((link for link in entry.value if link.covers(now)), None)
        return cls(
            customer_id=customer_id,
            parent_id=present.parent_id if present else None,
            billing=present.billing if present else None,
            links=[LinkView.of(link, now) for link in entry.value],
            version=entry.version,
        )


class ChildrenView(BaseModel):
    """A customer's children, by id; at most 200 over all time."""

    customer_id: str
    items: list[LinkView]

    @classmethod
    def of(cls, customer_id: str, links: Sequence[CustomerLink], now: datetime) -> ChildrenView:
        return cls(customer_id=customer_id, items=[LinkView.of(link, now) for link in links])
