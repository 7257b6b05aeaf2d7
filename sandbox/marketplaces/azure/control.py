"""The control API's client for what Azure alone has; `SandboxControl.azure` is one of these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from ..clock import format_instant


class AzureControl:
    """What Azure must know: offers, subscriptions, apps, and the sandbox's policy."""

    def __init__(self, request: Callable[[str, str, Mapping[str, Any]], Any]) -> None:
        self._request = request

    def register_app(
        self,
        tenant_id: str,
        client_id: str,
        *,
        client_secret: str = "",
        thumbprint: str = "",
        issuer: str = "",
        subject: str = "",
    ) -> None:
        """Registers an app that may get tokens; registering it again replaces it.

        Args:
            tenant_id: The publisher's directory.
            client_id: The app.
            client_secret: Its secret.
            thumbprint: Of its certificate, base64url, SHA-1 or SHA-256.
            issuer, subject: Of a federated credential.
        """
        self._post(
            "apps",
            {
                "tenant_id": tenant_id,
                "client_id": client_id,
                "client_secret": client_secret,
                "thumbprint": thumbprint,
                "issuer": issuer,
                "subject": subject,
            },
        )

    def register_offer(
        self,
        offer_id: str,
        plans: Mapping[str, Iterable[str | Mapping[str, Any]]],
        *,
        app_id: str = "",
    ) -> None:
        """Lists a product.

        Args:
            offer_id: Its id.
            plans: Dimensions by plan: each an id, or `{"id", "unit_price"}` (price as string).
            app_id: The one app that may report for it; "" lets any.
        """
        rows = {
            plan: [row if isinstance(row, str) else dict(row) for row in dimensions]
            for plan, dimensions in plans.items()
        }
        self._post("offers", {"offer_id": offer_id, "plans": rows, "app_id": app_id})

    def register_subscription(
        self,
        resource: str,
        *,
        offer_id: str,
        plan_id: str,
        buyer: str = "",
        state: str = "Subscribed",
    ) -> None:
        """Notes a buyer's subscription, by GUID or ARM id; again replaces it (a change of plan)."""
        self._post(
            "subscriptions",
            {
                "resource": resource,
                "offer_id": offer_id,
                "plan_id": plan_id,
                "buyer": buyer,
                "state": state,
            },
        )

    def suspend(self, resource: str) -> None:
        """The buyer does not pay: ResourceNotActive until it is reinstated."""
        self._set_state(resource, "Suspended")

    def reinstate(self, resource: str) -> None:
        """Takes a suspension back."""
        self._set_state(resource, "Subscribed")

    def unsubscribe(self, resource: str, at: datetime | None = None) -> None:
        """Cancels, now or at a given time; usage before that is taken for another day."""
        self._set_state(resource, "Unsubscribed", at)

    def revoke_tokens(self) -> None:
        """Every access token given so far is worth nothing any more."""
        self._post("tokens/revoke", {})

    def configure(self, **settings: int | str) -> None:
        """Changes the policy; `AzureSettings` explains the names."""
        self._request("PATCH", "azure/settings", settings)

    def _set_state(self, resource: str, state: str, at: datetime | None = None) -> None:
        body = {"resource": resource, "state": state, "at": format_instant(at) if at else None}
        self._post("subscriptions/state", body)

    def _post(self, path: str, body: Mapping[str, Any]) -> None:
        self._request("POST", f"azure/{path}", body)
