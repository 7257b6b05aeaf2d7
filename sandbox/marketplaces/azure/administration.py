"""The control side of the Azure sandbox: offers, subscriptions, their state, apps, tokens, policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from ..clock import parse_instant
from ..exchange import BadControlRequestError, Controlled, Json
from ..journal import Fact
from .catalog import Offer, State, Subscription
from .metering import AzureMetering
from .tokens import App, Tokens


class Administration:
    """Serves `/_sandbox/azure/…` over the metering rules' own state."""

    def __init__(self, metering: AzureMetering, tokens: Tokens) -> None:
        self._metering = metering
        self._tokens = tokens

    def serve(self, method: str, path: Sequence[str], body: Json, now: datetime) -> Controlled:
        """Serves one request.

        Raises:
            BadControlRequestError: There is no such thing to do, or it cannot be done.
        """
        metering = self._metering
        match method, *path:
            case "POST", "offers":
                return self._register(_fact("offer", Offer.from_json(body).to_json()))
            case "GET", "offers":
                return Controlled({"offers": [each.to_json() for each in metering.offers.values()]})
            case "POST", "subscriptions":
                return self._subscribe(Subscription.from_json(body))
            case "GET", "subscriptions":
                rows = [each.to_json() for each in metering.subscriptions.values()]
                return Controlled({"subscriptions": rows})
            case "POST", "subscriptions", "state":
                return self._change(body, now)
            case "POST", "apps":
                return self._register(_fact("app", App.from_json(body).to_json()))
            case "POST", "tokens", "revoke":
                self._tokens.revoke()
                return Controlled({})
            case "GET", "settings":
                return Controlled(metering.settings.to_json())
            case "PATCH", "settings":
                return self._register(_fact("settings", metering.settings.changed(body).to_json()))
        raise BadControlRequestError(f"there is no {method} /_sandbox/azure/{'/'.join(path)}")

    def _subscribe(self, subscription: Subscription) -> Controlled:
        offer = self._metering.offers.get(subscription.offer_id)
        if offer is None or subscription.plan_id not in offer.plans:
            raise BadControlRequestError("register the offer with that plan first")
        return self._register(_fact("subscription", subscription.to_json()))

    def _change(self, body: Json, now: datetime) -> Controlled:
        subscription = self._metering.subscriptions.get(str(body.get("resource")).lower())
        if subscription is None:
            raise BadControlRequestError(f"there is no subscription {body.get('resource')!r}")
        try:
            state = State(body["state"])
            at = parse_instant(body["at"]) if body.get("at") else now
        except (KeyError, TypeError, ValueError) as exc:
            raise BadControlRequestError(f"not a change: {exc!r}") from exc
        ended = at if state is State.UNSUBSCRIBED else None
        return self._subscribe(replace(subscription, state=state, unsubscribed_at=ended))

    def _register(self, fact: Fact) -> Controlled:
        self.replay(fact)
        return Controlled(fact["value"], (fact,))

    def replay(self, fact: Fact) -> None:
        """Carries out a registration, now or when it is read back."""
        match fact["kind"]:
            case "offer":
                offer = Offer.from_json(fact["value"])
                self._metering.offers[offer.offer_id] = offer
            case "subscription":
                subscription = Subscription.from_json(fact["value"])
                self._metering.subscriptions[subscription.key] = subscription
            case "app":
                app = App.from_json(fact["value"])
                self._tokens.apps[app.client_id] = app
            case "settings":
                self._metering.settings = self._metering.settings.changed(fact["value"])

    def facts(self) -> list[Fact]:
        """Everything that is registered."""
        metering = self._metering
        return [
            _fact("settings", metering.settings.to_json()),
            *(_fact("offer", each.to_json()) for each in metering.offers.values()),
            *(_fact("subscription", each.to_json()) for each in metering.subscriptions.values()),
            *(_fact("app", each.to_json()) for each in self._tokens.apps.values()),
        ]


def _fact(kind: str, value: Json) -> Fact:
    return {"kind": kind, "value": value}
