"""The control side of the Google sandbox: services, entitlements, their end, tokens, policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from ..clock import parse_instant
from ..exchange import BadControlRequestError, Controlled, Json
from ..journal import Fact
from .catalog import Entitlement, Service
from .errors import CHECK_ERRORS
from .service_control import ServiceControl
from .tokens import Tokens


class Administration:
    """Serves `/_sandbox/gcp/…` over the rules' own state."""

    def __init__(self, service_control: ServiceControl, tokens: Tokens) -> None:
        self._rules = service_control
        self._tokens = tokens

    def serve(self, method: str, path: Sequence[str], body: Json, now: datetime) -> Controlled:
        """Serves one request.

        Raises:
            BadControlRequestError: There is no such thing to do, or it cannot be done.
        """
        match method, *path:
            case "POST", "services":
                return self._register(_fact("service", Service.from_json(body).to_json()))
            case "GET", "services":
                rows = [service.to_json() for service in self._rules.services.values()]
                return Controlled({"services": rows})
            case "POST", "entitlements":
                return self._register(self._entitlement_fact(body))
            case "GET", "entitlements":
                entitlements = self._rules.entitlements.values()
                return Controlled({"entitlements": [each.to_json() for each in entitlements]})
            case "POST", "entitlements", "cancel":
                end = _instant(body["at"]) if body.get("at") else now
                return self._change(body, end=end)
            case "POST", "entitlements", "suspend":
                since = _instant(body["since"]) if body.get("since") else now
                return self._change(body, check_error=_check_error(body), off_since=since)
            case "POST", "entitlements", "resume":
                return self._change(body, check_error="", off_since=None)
            case "POST", "tokens", "revoke":
                self._tokens.revoke()
                return Controlled({"status": "revoked"})
            case "GET", "settings":
                return Controlled(self._rules.settings.to_json())
            case "PATCH", "settings":
                changed = self._rules.settings.changed(body)
                return self._register(_fact("settings", changed.to_json()))
        raise BadControlRequestError(f"there is no {method} /_sandbox/gcp/{'/'.join(path)}")

    def _entitlement_fact(self, body: Json) -> Fact:
        entitlement = Entitlement.from_json(body)
        if entitlement.service not in self._rules.services:
            raise BadControlRequestError(f"register {entitlement.service!r} first")
        return _fact("entitlement", entitlement.to_json())

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
        return self._register(_fact("entitlement", replace(found[0], **changes).to_json()))

    def _register(self, fact: Fact) -> Controlled:
        self.replay(fact)
        return Controlled(fact["value"], (fact,))

    def replay(self, fact: Fact) -> None:
        """Carries out a registration, now or when it is read back."""
        match fact["kind"]:
            case "service":
                service = Service.from_json(fact["value"])
                self._rules.services[service.name] = service
            case "entitlement":
                entitlement = Entitlement.from_json(fact["value"])
                self._rules.entitlements[entitlement.reference] = entitlement
            case "settings":
                self._rules.settings = self._rules.settings.changed(fact["value"])

    def facts(self) -> list[Fact]:
        """Everything that is registered."""
        rules = self._rules
        return [
            _fact("settings", rules.settings.to_json()),
            *(_fact("service", service.to_json()) for service in rules.services.values()),
            *(_fact("entitlement", each.to_json()) for each in rules.entitlements.values()),
        ]


def _check_error(body: Json) -> str:
    code = str(body.get("check_error") or "BILLING_DISABLED")
    if code not in CHECK_ERRORS:
        raise BadControlRequestError(f"check knows no error {code!r}")
    return code


def _instant(text: object) -> datetime:
    try:
        return parse_instant(str(text))
    except ValueError as exc:
        raise BadControlRequestError(f"not an instant: {text!r}") from exc


def _fact(kind: str, value: Json) -> Fact:
    return {"kind": kind, "value": value}
