"""The control side of the Google sandbox: services, entitlements, their end, and tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter
from typing import Any

from ..administration import Administration, Kind, instant_of
from ..exchange import BadControlRequestError, Controlled, Json
from .catalog import Entitlement, Service
from .errors import CHECK_ERRORS
from .service_control import ServiceControl
from .settings import GcpSettings
from .tokens import Tokens


class GcpAdministration(Administration[GcpSettings]):
    """Serves `/_sandbox/gcp/…` over the rules' own state."""

    def __init__(self, service_control: ServiceControl, tokens: Tokens) -> None:
        self._rules = service_control
        self._tokens = tokens
        super().__init__(
            "gcp",
            service_control,
            [
                Kind("service", Service.from_json, attrgetter("name"), service_control.services),
                Kind(
                    "entitlement",
                    Entitlement.from_json,
                    attrgetter("reference"),
                    service_control.entitlements,
                    check=self._check,
                ),
            ],
        )

    def _serve_own(
        self, method: str, path: Sequence[str], body: Json, now: datetime
    ) -> Controlled | None:
        match method, *path:
            case "POST", "entitlements", "cancel":
                return self._change(body, end=instant_of(body, "at", now))
            case "POST", "entitlements", "suspend":
                since = instant_of(body, "since", now)
                return self._change(body, check_error=_check_error(body), off_since=since)
            case "POST", "entitlements", "resume":
                return self._change(body, check_error="", off_since=None)
            case "POST", "tokens", "revoke":
                self._tokens.revoke()
                return Controlled({"status": "revoked"})
        return None

    def _check(self, entitlement: Entitlement) -> None:
        if entitlement.service not in self._rules.services:
            raise BadControlRequestError(f"register {entitlement.service!r} first")

    def _change(self, body: Json, **changes: Any) -> Controlled:
        wanted = str(body.get("usage_reporting_id"))
        found = [
            entitlement
            for entitlement in self._rules.entitlements.values()
            if entitlement.usage_reporting_id == wanted
            and body.get("service") in (None, "", entitlement.service)
        ]
        if len(found) != 1:
            raise BadControlRequestError(f"{len(found)} entitlements of {wanted!r}")
        return self._register("entitlement", replace(found[0], **changes))


def _check_error(body: Json) -> str:
    code = str(body.get("check_error") or "BILLING_DISABLED")
    if code not in CHECK_ERRORS:
        raise BadControlRequestError(f"check knows no error {code!r}")
    return code
