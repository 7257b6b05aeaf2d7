"""Tokens for Google: our own AWS identity, or a service account's key.

Workload identity federation needs no secret: Google asks AWS who we are and lets us act as the service
account that is linked to the product (contracts.md §3.1.1). A key in Secrets Manager is the second
choice. Either way google-auth does the work; what is ours is one token for all threads, and where it
is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError
from botocore.session import Session
from google.auth import aws
from google.auth.exceptions import GoogleAuthError, RefreshError
from google.auth.transport.urllib3 import Request
from google.oauth2 import service_account
from urllib3 import PoolManager

from meterbridge.adapters.marketplaces.bearer_tokens import BearerTokens, Secret
from meterbridge.domain.errors import MarketplaceError

_SCOPES = ("https://www.googleapis.com/auth/servicecontrol",)
_SUBJECT_TYPE = "urn:ietf:params:aws:token-type:aws4_request"


class Credential(Protocol):
    """The part of google-auth's credentials that is used."""

    token: str | None

    @property
    def valid(self) -> bool:
        """Whether the token may be used for some minutes more."""

    def refresh(self, request: Request) -> None:
        """Ask for another token; raises GoogleAuthError."""


@dataclass(frozen=True, slots=True)
class GoogleEndpoints:
    """Where tokens are asked for; other addresses are for a sandbox."""

    security_tokens: str = "https://sts.googleapis.com"
    iam_credentials: str = "https://iamcredentials.googleapis.com"
    oauth: str = "https://oauth2.googleapis.com"

    @classmethod
    def all_at(cls, address: str) -> GoogleEndpoints:
        """One address for everything; Google's own ones when it is empty."""
        address = address.rstrip("/")
        return cls(address, address, address) if address else cls()


class GoogleTokens(BearerTokens[Credential]):
    """Google's token for Service Control."""

    def __init__(self, make: Callable[[], Credential], pool: PoolManager) -> None:
        """Nothing is asked before the first token.

        Args:
            make: a credential without a token.
            pool: connections to where tokens are asked for.
        """
        super().__init__(make)
        self._request = Request(pool)

    def _issued(self, make: Callable[[], Credential]) -> str:
        try:
            credential = make()
            if not credential.valid:
                credential.refresh(self._request)
            return str(credential.token)
        except (GoogleAuthError, ValueError, BotoCoreError) as exc:
            raise MarketplaceError(f"Google gives no token: {exc}") from exc


def by_aws_identity(
    audience: str, account: str, session: Session, endpoints: GoogleEndpoints
) -> Callable[[], Credential]:
    """Credentials from the AWS role we run as: no secret is stored.

    Args:
        audience: `//iam.googleapis.com/projects/…/workloadIdentityPools/…/providers/…`.
        account: e-mail of the service account that is linked to the product.
        session: botocore's, for our own credentials and region.
    """

    def make() -> Credential:
        credential: Credential = aws.Credentials(
            audience=audience,
            subject_token_type=_SUBJECT_TYPE,
            token_url=f"{endpoints.security_tokens}/v1/token",
            aws_security_credentials_supplier=_OwnAwsIdentity(session),
            service_account_impersonation_url=(
                f"{endpoints.iam_credentials}/v1/projects/-/serviceAccounts/"
                f"{account}:generateAccessToken"
            ),
            scopes=_SCOPES,
        )
        return credential

    return make


def by_key(secret: Secret, endpoints: GoogleEndpoints) -> Callable[[], Credential]:
    """Credentials from a service account's JSON key."""

    def make() -> Credential:
        key: Any = json.loads(secret.read())
        if not isinstance(key, dict):
            raise MarketplaceError("the secret holds no service account's key")
        credential: Credential = service_account.Credentials.from_service_account_info(
            {**key, "token_uri": f"{endpoints.oauth}/token"}, scopes=_SCOPES
        )
        return credential

    return make


class _OwnAwsIdentity(aws.AwsSecurityCredentialsSupplier):
    """Our own credentials as botocore finds them, in Lambda or elsewhere; botocore keeps them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get_aws_security_credentials(
        self, _context: Any, _request: Any
    ) -> aws.AwsSecurityCredentials:
        found = self._session.get_credentials()
        if found is None:
            raise RefreshError("no AWS credentials of our own")
        own = found.get_frozen_credentials()
        if not own.access_key or not own.secret_key:
            raise RefreshError("our own AWS credentials are incomplete")
        return aws.AwsSecurityCredentials(own.access_key, own.secret_key, own.token)

    def get_aws_region(self, _context: Any, _request: Any) -> str:
        region = self._session.get_config_variable("region")
        if not region:
            raise RefreshError("no AWS region of our own")
        return str(region)
