"""Tokens for Azure's marketplace: a secret, a certificate, or our own AWS identity.

The app's ids are no secret; what proves it is one text, kept by whoever runs us: a client secret, or a
PEM file with certificate and private key. Without one, AWS vouches for the function's role and Entra
trusts that (a federated credential of the app); no Microsoft page describes this for the marketplace's
API, so it is offered and a secret or certificate is the safe choice (contracts.md §2.1.1, §7 no. 21).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import HttpTransport, RequestsTransport
from azure.identity import (
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
)
from botocore.exceptions import BotoCoreError, ClientError

from meterbridge.adapters.marketplaces.bearer_tokens import BearerTokens, Secret
from meterbridge.domain.errors import MarketplaceError

PUBLIC_AUTHORITY = "https://login.microsoftonline.com"
METERING_SCOPE = "20e940b3-4c77-4b0b-9a53-9e16a1b010a7/.default"
"""The marketplace's own app: audience of the token (contracts.md §2.1.1)."""

GRAPH_SCOPE = "https://graph.microsoft.com/.default"
"""Microsoft Graph: audience of the token for product ingestion (contracts.md §2.3)."""

_EXCHANGE_AUDIENCE = "api://AzureADTokenExchange"
_ASSERTION_SECONDS = 300
_PEM = "-----BEGIN "
_LOOPBACK = "127.0.0.1"


class Credential(Protocol):
    """The part of azure-identity's credentials that is used."""

    def get_token(self, *scopes: str) -> Any:
        """A token, cached until shortly before it expires."""

    def close(self) -> None:
        """Give up connections."""


@dataclass(frozen=True, slots=True)
class AzureApp:
    """The app registration named in the offer's technical configuration.

    Attributes:
        authority: where Entra is; a plain http address is for a sandbox on this machine only.
    """

    tenant_id: str
    client_id: str
    authority: str = PUBLIC_AUTHORITY


class AzureTokens(BearerTokens[Credential]):
    """Entra's token for an audience; azure-identity keeps it until shortly before it expires."""

    def __init__(self, make: Callable[[], Credential], scope: str = METERING_SCOPE) -> None:
        """Nothing is asked before the first token.

        Args:
            make: a credential without a token; what it is made of is read anew every time.
            scope: of the audience that the token is for.
        """
        super().__init__(make)
        self._scope = scope

    def _issued(self, make: Callable[[], Credential]) -> str:
        try:
            return str(make().get_token(self._scope).token)
        except (AzureError, ValueError) as exc:
            raise MarketplaceError(f"Entra gives no token: {exc}") from exc

    def _release(self, credential: Credential) -> None:
        credential.close()


def by_secret(app: AzureApp, secret: Secret) -> Callable[[], Credential]:
    """Credentials from the app's client secret or certificate, whichever the secret holds."""

    def make() -> Credential:
        text = secret.read().strip()
        if text.startswith(_PEM):
            return CertificateCredential(
                app.tenant_id,
                app.client_id,
                certificate_data=text.encode(),
                **_options(app),
            )
        return ClientSecretCredential(app.tenant_id, app.client_id, text, **_options(app))

    return make


def by_aws_identity(app: AzureApp, sts: Any) -> Callable[[], Credential]:
    """Credentials from tokens that AWS issues for the role we run as: no secret is stored.

    Args:
        sts: boto3's client of a regional endpoint; the role needs `sts:GetWebIdentityToken`.
    """

    def assertion() -> str:
        try:
            answer = sts.get_web_identity_token(
                Audience=[_EXCHANGE_AUDIENCE],
                DurationSeconds=_ASSERTION_SECONDS,
                SigningAlgorithm="RS256",
            )
        except (ClientError, BotoCoreError) as exc:
            raise MarketplaceError(f"AWS does not vouch for this role: {exc}") from exc
        return str(answer["WebIdentityToken"])

    return lambda: ClientAssertionCredential(
        app.tenant_id, app.client_id, assertion, **_options(app)
    )


class _PlainLoopback(RequestsTransport):  # type: ignore[misc]  # it is loaded lazily
    """Speaks plain HTTP where azure-identity asks for TLS: to a sandbox on this machine."""

    def send(self, request: Any, **kwargs: Any) -> Any:
        request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, **kwargs)


def _options(app: AzureApp) -> dict[str, Any]:
    authority = urlsplit(app.authority)
    options: dict[str, Any] = {
        "authority": f"https://{authority.netloc}",
        "retry_total": 2,
        "connection_timeout": 3,
        "read_timeout": 10,
    }
    if authority.scheme == "http":
        if authority.hostname != _LOOPBACK:
            raise MarketplaceError(f"{app.authority} is neither TLS nor this machine")
        transport: HttpTransport[Any, Any] = _PlainLoopback()
        options |= {"disable_instance_discovery": True, "transport": transport}
    return options
