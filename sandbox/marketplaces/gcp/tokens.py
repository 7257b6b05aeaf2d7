"""The ways to an access token: workload identity federation, impersonation, a service account's key.

Signatures are not verified: no secret of AWS or of a key is known here. Everything else is: the pool
provider, what is asked of AWS STS, the scope, who may impersonate whom. Tokens live in real time,
because the library that holds them goes by it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote

from ..clock import format_instant
from .errors import Code, GoogleError, TokenError

SERVICE_CONTROL = "https://www.googleapis.com/auth/servicecontrol"
CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"

_AUDIENCE = re.compile(
    r"//iam\.googleapis\.com/projects/[0-9]+/locations/global/workloadIdentityPools/"
    r"[a-z0-9-]+/providers/[a-z0-9-]+"
)
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_AWS_REQUEST = "urn:ietf:params:aws:token-type:aws4_request"
_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_CALLER_IDENTITY = re.compile(
    r"https://sts\.[a-z0-9-]+\.amazonaws\.com/?\?Action=GetCallerIdentity&Version=2011-06-15"
)
_SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/,\s]+/[0-9]{8}/[a-z0-9-]+/sts/aws4_request")


@dataclass(frozen=True)
class Token:
    """An access token; `email` is empty for a federated identity that impersonates nobody."""

    email: str
    scopes: frozenset[str]
    expires_at: datetime


class Tokens:
    """Gives tokens and knows who holds them.

    Args:
        wall: Real time.
    """

    def __init__(self, wall: Callable[[], datetime]) -> None:
        self._wall = wall
        self._given: dict[str, Token] = {}

    def revoke(self) -> None:
        """Every token given so far is worth nothing any more."""
        self._given.clear()

    def holder(self, authorization: str) -> Token:
        """Who calls.

        Raises:
            GoogleError: UNAUTHENTICATED.
        """
        kind, _, value = authorization.partition(" ")
        token = self._given.get(value)
        if kind != "Bearer" or token is None or self._wall() >= token.expires_at:
            raise GoogleError(
                Code.UNAUTHENTICATED, "Request had invalid authentication credentials"
            )
        return token

    def exchange(self, body: bytes, lifetime: timedelta) -> dict[str, Any]:
        """STS: a signed GetCallerIdentity request for a federated token.

        Raises:
            TokenError: The exchange is refused.
        """
        form = dict(parse_qsl(body.decode("utf-8", "replace")))
        if form.get("grant_type") != _EXCHANGE:
            raise TokenError("unsupported_grant_type", "only token exchange is served")
        if not _AUDIENCE.fullmatch(form.get("audience", "")):
            raise TokenError(
                "invalid_request", "the audience is no workload identity pool provider"
            )
        if form.get("subject_token_type") != _AWS_REQUEST:
            raise TokenError("invalid_request", "only AWS subject tokens are served")
        _check_subject(form.get("subject_token", ""), form["audience"])
        value = self._give("", form.get("scope", ""), lifetime)
        return {
            "access_token": value,
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "token_type": "Bearer",
            "expires_in": int(lifetime.total_seconds()),
        }

    def impersonate(
        self, email: str, authorization: str, body: bytes, lifetime: timedelta
    ) -> dict[str, Any]:
        """IAM credentials: a federated token for a service account's.

        Raises:
            GoogleError: The caller is not known, or asks for no scope.
        """
        self.holder(authorization)
        try:
            scopes = json.loads(body)["scope"]
        except (ValueError, KeyError, TypeError) as exc:
            raise GoogleError(Code.INVALID_ARGUMENT, "a list of scopes is needed") from exc
        value = self._give(email, " ".join(scopes), lifetime)
        expires_at = self._given[value].expires_at.replace(microsecond=0)
        return {"accessToken": value, "expireTime": format_instant(expires_at)}

    def grant(self, body: bytes, lifetime: timedelta) -> dict[str, Any]:
        """OAuth 2.0: a service account's own assertion for a token.

        Raises:
            TokenError: The assertion is refused.
        """
        form = dict(parse_qsl(body.decode("utf-8", "replace")))
        if form.get("grant_type") != _JWT_BEARER:
            raise TokenError("unsupported_grant_type", "only JWT bearer grants are served")
        claims = _claims(form.get("assertion", ""))
        if not claims.get("iss") or not str(claims.get("aud", "")).endswith("/token"):
            raise TokenError("invalid_grant", "the assertion names no issuer or another audience")
        value = self._give(str(claims["iss"]), str(claims.get("scope", "")), lifetime)
        return {
            "access_token": value,
            "token_type": "Bearer",
            "expires_in": int(lifetime.total_seconds()),
        }

    def _give(self, email: str, scope: str, lifetime: timedelta) -> str:
        value = f"ya29.{uuid.uuid4().hex}"
        self._given[value] = Token(email, frozenset(scope.split()), self._wall() + lifetime)
        return value


def _check_subject(subject_token: str, audience: str) -> None:
    try:
        request = json.loads(unquote(subject_token))
        headers = {each["key"].lower(): each["value"] for each in request["headers"]}
        url, method = request["url"], request["method"]
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise TokenError("invalid_grant", "the subject token is no serialized request") from exc
    if method != "POST" or not _CALLER_IDENTITY.fullmatch(str(url)):
        raise TokenError("invalid_grant", "the subject token asks AWS for something else")
    if not _SIGNED.match(headers.get("authorization", "")):
        raise TokenError("invalid_grant", "the request to AWS STS is not signed")
    if headers.get("x-goog-cloud-target-resource") != audience:
        raise TokenError("invalid_grant", "the request to AWS STS was made for another provider")


def _claims(assertion: str) -> Mapping[str, Any]:
    parts = assertion.split(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (IndexError, ValueError, binascii.Error) as exc:
        raise TokenError("invalid_grant", "the assertion is no JWT") from exc
    if len(parts) != 3 or not isinstance(claims, dict):
        raise TokenError("invalid_grant", "the assertion is no JWT")
    return claims
