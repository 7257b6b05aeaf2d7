"""The way into the seller's AWS account: the function's own role, or a role assumed there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    Credentials,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session, get_session

from meterbridge.domain.errors import MarketplaceError

AGREEMENT_REGION = "us-east-1"

_SESSION_NAME = "meterbridge-reporting"
_CATALOG_REGION = "us-east-1"
"""The catalog is there and nowhere else (contracts.md §1.3.1)."""

_CONNECT_SECONDS = 3
_READ_SECONDS = 20


def metering_client(
    region: str, *, role_arn: str = "", external_id: str = "", connections: int = 10
) -> Any:
    """A boto3 `meteringmarketplace` client that makes every call once and no more.

    Args:
        region: where the product is metered; duplicates are found per region, so always the same.
        role_arn: role of the seller account that published the product; "" for our own.
        external_id: what that role's trust policy asks for.
        connections: how many calls may run at once.
    """
    return _client("meteringmarketplace", region, role_arn, external_id, connections)


def catalog_client(*, role_arn: str = "", external_id: str = "") -> Any:
    """A boto3 `marketplace-catalog` client that makes every call once and no more.

    Args:
        role_arn: role of the seller account; "" for our own.
        external_id: what that role's trust policy asks for.
    """
    return _client("marketplace-catalog", _CATALOG_REGION, role_arn, external_id, 2)


def _client(service: str, region: str, role_arn: str, external_id: str, connections: int) -> Any:
    session = seller_session(role_arn, external_id) if role_arn else get_session()
    clients: Any = boto3.Session(botocore_session=session, region_name=region)
    return clients.client(
        service,
        config=Config(
            retries={"total_max_attempts": 1},
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            max_pool_connections=connections,
        ),
    )


def agreement_client(*, role_arn: str = "", external_id: str = "") -> Any:
    """A boto3 `marketplace-agreement` client. Its service is in us-east-1 only.

    Args:
        role_arn: role of the seller account that published the product; "" for our own.
        external_id: what that role's trust policy asks for.
    """
    session = seller_session(role_arn, external_id) if role_arn else get_session()
    return boto3.Session(botocore_session=session, region_name=AGREEMENT_REGION).client(
        "marketplace-agreement",
        config=Config(
            retries={"mode": "standard", "total_max_attempts": 3},
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
        ),
    )


def seller_session(role_arn: str, external_id: str) -> Session:
    """A session whose credentials are an assumed role's, renewed before they expire."""
    session = Session()
    session.register_component(
        "credential_provider",
        CredentialResolver([_SellerRole(get_session(), role_arn, external_id)]),
    )
    return session


class _SellerRole(CredentialProvider):
    METHOD = "assume-role"

    def __init__(self, own: Session, role_arn: str, external_id: str) -> None:
        super().__init__()
        self._own = own
        self._role_arn = role_arn
        self._extra = {"RoleSessionName": _SESSION_NAME}
        if external_id:
            self._extra["ExternalId"] = external_id

    def load(self) -> Credentials:
        """Nothing is asked before the first call."""
        return DeferredRefreshableCredentials(refresh_using=self._assume, method=self.METHOD)

    def _assume(self) -> Mapping[str, Any]:
        own = self._own.get_credentials()
        if own is None:
            raise MarketplaceError(f"{self._role_arn} cannot be assumed: no credentials of our own")
        try:
            return AssumeRoleCredentialFetcher(
                self._own.create_client, own, self._role_arn, extra_args=self._extra
            ).fetch_credentials()
        except (ClientError, BotoCoreError) as exc:
            raise MarketplaceError(f"{self._role_arn} cannot be assumed: {exc}") from exc
