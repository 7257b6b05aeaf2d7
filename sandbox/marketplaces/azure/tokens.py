"""Entra's tokens for apps: by secret, by certificate, or by another issuer's token.

An assertion's claims are checked in full and its signature is not: any key does, but the thumbprint
must be the registered certificate's, or issuer and subject those of the federation.
"""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from ..exchange import BadControlRequestError
from .errors import TokenError

METERING = "20e940b3-4c77-4b0b-9a53-9e16a1b010a7"
"""The marketplace's own app: the audience of a token for usage events (contracts.md §2.1.1)."""

EXCHANGE_AUDIENCE = "api://AzureADTokenExchange"
_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True)
class App:
    """An app registration.

    Attributes:
        client_secret: Empty takes no secret.
        thumbprint: SHA-1 or SHA-256 of its certificate, base64url; empty takes none.
        issuer, subject: Of a federated credential; empty takes none.
    """

    tenant_id: str
    client_id: str
    client_secret: str = ""
    thumbprint: str = ""
    issuer: str = ""
    subject: str = ""

    def to_json(self) -> dict[str, Any]:
        """The app as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> App:
        """Reads an app.

        Raises:
            BadControlRequestError: A value is missing or unknown.
        """
        try:
            app = cls(**{name: str(value) for name, value in body.items()})
        except TypeError as exc:
            raise BadControlRequestError(f"not an app: {exc}") from exc
        if not app.tenant_id or not app.client_id:
            raise BadControlRequestError("an app needs a tenant_id and a client_id")
        return app


@dataclass(frozen=True)
class Token:
    """An access token that was given out."""

    audience: str
    client_id: str
    tenant_id: str
    expires_at: datetime


class Tokens:
    """Apps, and the tokens they hold. Tokens do not survive a restart.

    Args:
        wall: Real time: clients cache tokens by their own clock, not by the sandbox's.
    """

    def __init__(self, wall: Callable[[], datetime]) -> None:
        self.apps: dict[str, App] = {}
        self._wall = wall
        self._given: dict[str, Token] = {}

    def revoke(self) -> None:
        """Every token given so far is worth nothing any more."""
        self._given.clear()

    def holder(self, authorization: str, audience: str = METERING) -> Token | None:
        """The token of a request; None when it is missing, unknown, expired or for others."""
        scheme, _, text = authorization.partition(" ")
        token = self._given.get(text.strip())
        if scheme.lower() != "bearer" or token is None:
            return None
        usable = token.audience == audience and self._wall() < token.expires_at
        return token if usable else None

    def grant(self, path: str, base_url: str, body: bytes, lifetime: timedelta) -> dict[str, Any]:
        """Gives a token.

        Args:
            path: `/<tenant>/oauth2/v2.0/token`, or v1's `/<tenant>/oauth2/token`.
            base_url: Under which the caller knows this server; an assertion's audience names it.

        Raises:
            TokenError: The app gets none.
        """
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        tenant_id = path.strip("/").split("/")[0]
        if form.get("grant_type") != "client_credentials":
            raise TokenError(400, "unsupported_grant_type", 70003, "only client_credentials")
        app = self._app(tenant_id, form.get("client_id", ""))
        audience = _audience(form, v2="/v2.0/" in path)
        self._check(
            app, form, {f"{base_url}{path}", f"https://{base_url.partition('//')[2]}{path}"}
        )
        text = f"sandbox.{uuid.uuid4()}"
        now = self._wall()
        self._given[text] = Token(audience, app.client_id, tenant_id, now + lifetime)
        return {
            "token_type": "Bearer",
            "expires_in": int(lifetime.total_seconds()),
            "ext_expires_in": int(lifetime.total_seconds()),
            "access_token": text,
        }

    def _app(self, tenant_id: str, client_id: str) -> App:
        if all(app.tenant_id != tenant_id for app in self.apps.values()):
            raise TokenError(400, "invalid_request", 90002, f"Tenant '{tenant_id}' not found.")
        app = self.apps.get(client_id)
        if app is None or app.tenant_id != tenant_id:
            message = f"Application with identifier '{client_id}' was not found in the directory."
            raise TokenError(400, "unauthorized_client", 700016, message)
        return app

    def _check(self, app: App, form: Mapping[str, str], endpoints: set[str]) -> None:
        if "client_assertion" in form:
            if form.get("client_assertion_type") != _JWT_BEARER:
                raise TokenError(400, "invalid_request", 900144, "client_assertion_type is wrong")
            self._check_assertion(app, form["client_assertion"], endpoints)
        elif not app.client_secret or form.get("client_secret") != app.client_secret:
            raise TokenError(401, "invalid_client", 7000215, "Invalid client secret provided.")

    def _check_assertion(self, app: App, assertion: str, endpoints: set[str]) -> None:
        header, claims = _decoded(assertion)
        expires = claims.get("exp")
        if not isinstance(expires, int | float) or expires <= self._wall().timestamp():
            raise TokenError(401, "invalid_client", 700024, "Client assertion is out of its time.")
        if claims.get("aud") == EXCHANGE_AUDIENCE:
            known = bool(app.issuer) and (claims.get("iss"), claims.get("sub")) == (
                app.issuer,
                app.subject,
            )
            if not known:
                message = "No matching federated identity record found for presented assertion."
                raise TokenError(401, "invalid_client", 700213, message)
            return
        if claims.get("aud") not in endpoints:
            raise TokenError(401, "invalid_client", 700023, "The assertion has another audience.")
        if not (claims.get("iss") == claims.get("sub") == app.client_id and claims.get("jti")):
            raise TokenError(401, "invalid_client", 700021, "The assertion names another app.")
        thumbprints = {str(header.get(name, "")).rstrip("=") for name in ("x5t", "x5t#S256")}
        if not app.thumbprint or app.thumbprint not in thumbprints:
            message = "The key was not found by the thumbprint of the certificate."
            raise TokenError(401, "invalid_client", 700027, message)


def discovery(tenant_id: str, base_url: str) -> dict[str, Any]:
    """A tenant's OpenID configuration, as far as a token by client credentials needs it."""
    tenant = f"{base_url}/{tenant_id}"
    return {
        "issuer": f"{tenant}/v2.0",
        "authorization_endpoint": f"{tenant}/oauth2/v2.0/authorize",
        "token_endpoint": f"{tenant}/oauth2/v2.0/token",
    }


def _audience(form: Mapping[str, str], *, v2: bool) -> str:
    if not v2:
        return form.get("resource", "")
    scope = form.get("scope", "")
    if not scope.endswith("/.default"):
        raise TokenError(400, "invalid_scope", 1002012, f"The scope {scope} is not valid.")
    return scope.removesuffix("/.default")


def _decoded(assertion: str) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        header, claims, _ = (_part(part) for part in assertion.split("."))
        return json.loads(header), json.loads(claims)
    except (ValueError, binascii.Error) as exc:
        raise TokenError(401, "invalid_client", 50027, "JWT token is invalid.") from exc


def _part(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
