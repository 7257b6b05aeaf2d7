"""Offers and subscriptions: what Azure Marketplace knows before the first usage event arrives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from ..billed import exact
from ..clock import format_instant, parse_instant
from ..exchange import BadControlRequestError
from ..prices import price_of

GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


class State(StrEnum):
    """`saasSubscriptionStatus` of a subscription."""

    PENDING = "PendingFulfillmentStart"
    SUBSCRIBED = "Subscribed"
    SUSPENDED = "Suspended"
    UNSUBSCRIBED = "Unsubscribed"


@dataclass(frozen=True)
class Offer:
    """A listed product.

    Attributes:
        app_id: The one app that may report for it; empty lets any.
        plans: Price of each dimension's unit, None where none was given, by plan and dimension.
    """

    offer_id: str
    plans: Mapping[str, Mapping[str, Decimal | None]]
    app_id: str = ""

    def to_json(self) -> dict[str, Any]:
        """The offer as JSON."""
        return {
            "offer_id": self.offer_id,
            "app_id": self.app_id,
            "plans": {
                plan: [
                    {"id": code, "unit_price": None if price is None else exact(price)}
                    for code, price in dimensions.items()
                ]
                for plan, dimensions in self.plans.items()
            },
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Offer:
        """Reads an offer; a dimension may also be given as its bare id.

        Raises:
            BadControlRequestError: A value is missing or of the wrong kind.
        """
        try:
            plans = {
                str(plan): dict(_dimension(row) for row in rows)
                for plan, rows in body["plans"].items()
            }
            offer = cls(str(body["offer_id"]), plans, str(body.get("app_id", "")))
        except (AttributeError, KeyError, TypeError) as exc:
            raise BadControlRequestError(f"not an offer: {exc!r}") from exc
        if not offer.offer_id or not plans or not all(plans.values()):
            raise BadControlRequestError("an offer needs an id, and plans with a dimension each")
        return offer


def _dimension(row: str | Mapping[str, Any]) -> tuple[str, Decimal | None]:
    if isinstance(row, str):
        return row, None
    return str(row["id"]), price_of(row)


@dataclass(frozen=True)
class Subscription:
    """A buyer's subscription to a plan: a SaaS subscription, or a managed application.

    Attributes:
        resource: Its GUID, or the ARM id of a managed application; compared in lower case.
        buyer: The buyer's tenant, as the bill shows it.
        unsubscribed_at: When it was cancelled; usage before that is taken for another day.
    """

    resource: str
    offer_id: str
    plan_id: str
    buyer: str = ""
    state: State = State.SUBSCRIBED
    unsubscribed_at: datetime | None = None

    @property
    def key(self) -> str:
        """What it is found by."""
        return self.resource.lower()

    def takes(self, used_at: datetime) -> bool:
        """Whether usage of that time may be reported now."""
        if self.state is State.UNSUBSCRIBED and self.unsubscribed_at is not None:
            return used_at < self.unsubscribed_at
        return self.state is State.SUBSCRIBED

    def to_json(self) -> dict[str, Any]:
        """The subscription as JSON."""
        return {
            "resource": self.resource,
            "offer_id": self.offer_id,
            "plan_id": self.plan_id,
            "buyer": self.buyer,
            "state": self.state.value,
            "unsubscribed_at": format_instant(self.unsubscribed_at)
            if self.unsubscribed_at
            else None,
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Subscription:
        """Reads a subscription.

        Raises:
            BadControlRequestError: A value is missing or of the wrong kind.
        """
        try:
            subscription = cls(
                resource=str(body["resource"]),
                offer_id=str(body["offer_id"]),
                plan_id=str(body["plan_id"]),
                buyer=str(body.get("buyer", "")),
                state=State(body.get("state", State.SUBSCRIBED)),
                unsubscribed_at=parse_instant(body["unsubscribed_at"])
                if body.get("unsubscribed_at")
                else None,
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise BadControlRequestError(f"not a subscription: {exc!r}") from exc
        if not (GUID.fullmatch(subscription.resource) or subscription.resource.startswith("/")):
            raise BadControlRequestError("resource must be a GUID or an ARM id")
        return subscription
