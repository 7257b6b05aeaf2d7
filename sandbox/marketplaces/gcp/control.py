"""The control API's client for what Google alone has; `SandboxControl.gcp` is one of these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from ..clock import format_instant


class GcpControl:
    """What Google must know: services, entitlements, and the sandbox's policy."""

    def __init__(self, request: Callable[[str, str, Mapping[str, Any]], Any]) -> None:
        self._request = request

    def register_service(
        self,
        service: str,
        metrics: Iterable[str | Mapping[str, Any]],
        *,
        reporters: Sequence[str] = (),
    ) -> None:
        """Lists a product.

        Args:
            service: Its service name.
            metrics: Each an id (then int64), or `{"id", "kind": "int64" | "double", "unit_price"}`.
            reporters: Service accounts linked to it; none lets any report.
        """
        rows = [row if isinstance(row, str) else dict(row) for row in metrics]
        body = {"service": service, "metrics": rows, "reporters": list(reporters)}
        self._request("POST", "gcp/services", body)

    def register_entitlement(
        self,
        *,
        service: str,
        usage_reporting_id: str,
        start: datetime,
        end: datetime | None = None,
    ) -> None:
        """Notes a buyer's entitlement; registering it again replaces it."""
        body = {
            "service": service,
            "usage_reporting_id": usage_reporting_id,
            "start": format_instant(start),
            "end": format_instant(end) if end else None,
        }
        self._request("POST", "gcp/entitlements", body)

    def cancel_entitlement(self, usage_reporting_id: str, at: datetime | None = None) -> None:
        """Ends an entitlement, now or at a given time; its last usage is taken for another hour."""
        body = {
            "usage_reporting_id": usage_reporting_id,
            "at": format_instant(at) if at else None,
        }
        self._request("POST", "gcp/entitlements/cancel", body)

    def suspend_entitlement(
        self,
        usage_reporting_id: str,
        check_error: str = "BILLING_DISABLED",
        *,
        since: datetime | None = None,
    ) -> None:
        """The service is off, from now or an earlier time: check answers this error for usage that
        begins later, and usage that ends later is not taken."""
        body = {
            "usage_reporting_id": usage_reporting_id,
            "check_error": check_error,
            "since": format_instant(since) if since else None,
        }
        self._request("POST", "gcp/entitlements/suspend", body)

    def resume_entitlement(self, usage_reporting_id: str) -> None:
        """Takes a suspension back."""
        body = {"usage_reporting_id": usage_reporting_id}
        self._request("POST", "gcp/entitlements/resume", body)

    def revoke_tokens(self) -> None:
        """Every access token given so far is worth nothing any more."""
        self._request("POST", "gcp/tokens/revoke", {})

    def configure(self, **settings: bool | int | str) -> None:
        """Changes the policy; `GcpSettings` explains the names."""
        self._request("PATCH", "gcp/settings", settings)
