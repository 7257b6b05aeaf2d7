"""The rules of usage events over what is registered and what was billed; `now` comes from outside."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ..billed import BilledRecord
from .catalog import Offer, Subscription
from .errors import EventError, Status
from .events import UsageEvent, read_event
from .settings import AzureSettings

_EVENT_IDS = uuid.UUID("0f9dd9a3-7a5c-4d0a-8a0e-3a7f4b6f2f55")


@dataclass(frozen=True)
class EventKey:
    """What makes two events the same one: one per resource, dimension and hour."""

    resource: str
    dimension: str
    hour: datetime


@dataclass(frozen=True)
class Result:
    """The fate of one event; `billed` is the row of the bill that it met or made."""

    row: Any
    status: Status
    message: str = ""
    target: str = ""
    billed: BilledRecord | None = None
    event: UsageEvent | None = None


class AzureMetering:
    """Offers, subscriptions and the bill of one publisher."""

    def __init__(self, settings: AzureSettings | None = None) -> None:
        self.settings = settings or AzureSettings()
        self.offers: dict[str, Offer] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.bill: dict[EventKey, BilledRecord] = {}

    def meter(
        self,
        rows: Iterable[Any],
        *,
        client_id: str,
        now: datetime,
        unprocessed: frozenset[int] = frozenset(),
    ) -> list[Result]:
        """Serves events one by one, in order; each is judged alone.

        Args:
            rows: As sent.
            client_id: The app that reports.
            unprocessed: Indexes of events that fail on the marketplace's side.
        """
        return [
            Result(row, Status.ERROR, "An internal error occurred.")
            if index in unprocessed
            else self._meter(row, client_id, now)
            for index, row in enumerate(rows)
        ]

    def _meter(self, row: Any, client_id: str, now: datetime) -> Result:
        try:
            event = read_event(row)
            subscription, offer = self._subscribed(event, client_id)
            self._check_time(event, now)
            _check_terms(event, subscription, offer)
        except EventError as error:
            return Result(row, error.status, error.message, error.target)
        return self._record(event, subscription, offer, now)

    def _subscribed(self, event: UsageEvent, client_id: str) -> tuple[Subscription, Offer]:
        subscription = self.subscriptions.get(event.resource.lower())
        if subscription is None:
            raise EventError(Status.RESOURCE_NOT_FOUND, "The resource is not found.", "resourceId")
        offer = self.offers[subscription.offer_id]
        if offer.app_id and offer.app_id != client_id:
            message = "The app is not authorized to report usage of the resource."
            raise EventError(Status.RESOURCE_NOT_AUTHORIZED, message, "resourceId")
        return subscription, offer

    def _check_time(self, event: UsageEvent, now: datetime) -> None:
        if event.used_at > now + self.settings.seconds("future_skew"):
            message = "The effectiveStartTime is in the future."
            raise EventError(Status.BAD_ARGUMENT, message, "effectiveStartTime")
        if now >= event.used_at + self.settings.seconds("late_limit"):
            message = "The effectiveStartTime is more than 24 hours in the past."
            raise EventError(Status.EXPIRED, message, "effectiveStartTime")

    def _record(
        self, event: UsageEvent, subscription: Subscription, offer: Offer, now: datetime
    ) -> Result:
        key = EventKey(subscription.key, event.dimension, event.hour)
        billed, status = self.bill.get(key), Status.DUPLICATE
        if billed is None:
            billed, status = _bill(event, subscription, offer, now), Status.ACCEPTED
        elif billed.quantity != event.quantity:
            refused = (*billed.refused_quantities, event.quantity)
            billed = replace(billed, refused_quantities=refused)
        answers = {**billed.answers, status.value: billed.answers.get(status.value, 0) + 1}
        self.bill[key] = replace(billed, answers=answers)
        message = "" if status is Status.ACCEPTED else "This usage event already exist."
        return Result(event.wire, status, message, billed=self.bill[key], event=event)

    def put_back(self, billed: BilledRecord) -> None:
        """Takes back a row of the bill that was kept over a restart."""
        key = EventKey(billed.agreement.lower(), billed.dimension, billed.hour)
        self.bill[key] = billed


def _check_terms(event: UsageEvent, subscription: Subscription, offer: Offer) -> None:
    if event.plan_id != subscription.plan_id:
        message = f"The resource is not on the plan {event.plan_id!r}."
        raise EventError(Status.BAD_ARGUMENT, message, "planId")
    if event.dimension not in offer.plans[subscription.plan_id]:
        message = f"The plan has no dimension {event.dimension!r}."
        raise EventError(Status.INVALID_DIMENSION, message, "dimension")
    if not subscription.takes(event.used_at):
        message = f"The subscription is {subscription.state}."
        raise EventError(Status.RESOURCE_NOT_ACTIVE, message, "resourceId")


def _bill(
    event: UsageEvent, subscription: Subscription, offer: Offer, now: datetime
) -> BilledRecord:
    name = "\n".join((subscription.key, event.dimension, event.hour.isoformat()))
    return BilledRecord(
        marketplace="azure",
        region="global",
        agreement=subscription.resource,
        buyer=subscription.buyer,
        product=offer.offer_id,
        dimension=event.dimension,
        hour=event.hour,
        used_at=event.used_at,
        quantity=event.quantity,
        record_id=str(uuid.uuid5(_EVENT_IDS, name)),
        received_at=now,
        unit_price=offer.plans[subscription.plan_id][event.dimension],
    )
