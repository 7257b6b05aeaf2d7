"""The control side of the Azure sandbox: offers, subscriptions, their state, apps, and tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter

from ..administration import Administration, Kind, instant_of
from ..exchange import BadControlRequestError, Controlled, Json
from .catalog import Offer, State, Subscription
from .metering import AzureMetering
from .settings import AzureSettings
from .tokens import App, Tokens


class AzureAdministration(Administration[AzureSettings]):
    """Serves `/_sandbox/azure/…` over the metering rules' own state."""

    def __init__(self, metering: AzureMetering, tokens: Tokens) -> None:
        self._metering = metering
        self._tokens = tokens
        super().__init__(
            "azure",
            metering,
            [
                Kind("offer", Offer.from_json, attrgetter("offer_id"), metering.offers),
                Kind(
                    "subscription",
                    Subscription.from_json,
                    attrgetter("key"),
                    metering.subscriptions,
                    check=self._check,
                ),
                Kind("app", App.from_json, attrgetter("client_id"), tokens.apps, listed=False),
            ],
        )

    def _serve_own(
        self, method: str, path: Sequence[str], body: Json, now: datetime
    ) -> Controlled | None:
        match method, *path:
            case "POST", "subscriptions", "state":
                return self._change(body, now)
            case "POST", "tokens", "revoke":
                self._tokens.revoke()
                return Controlled({})
        return None

    def _check(self, subscription: Subscription) -> None:
        offer = self._metering.offers.get(subscription.offer_id)
        if offer is None or subscription.plan_id not in offer.plans:
            raise BadControlRequestError("register the offer with that plan first")

    def _change(self, body: Json, now: datetime) -> Controlled:
        subscription = self._metering.subscriptions.get(str(body.get("resource")).lower())
        if subscription is None:
            raise BadControlRequestError(f"there is no subscription {body.get('resource')!r}")
        try:
            state = State(body["state"])
        except (KeyError, ValueError) as exc:
            raise BadControlRequestError(f"not a change: {exc!r}") from exc
        at = instant_of(body, "at", now)
        ended = at if state is State.UNSUBSCRIBED else None
        changed = replace(subscription, state=state, unsubscribed_at=ended)
        return self._register("subscription", changed)
