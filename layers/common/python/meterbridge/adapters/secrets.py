"""A credential kept in Secrets Manager."""

from __future__ import annotations

from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from meterbridge.domain.errors import MarketplaceError


class SecretsClient(Protocol):
    """The one call of boto3's `secretsmanager` client that is used."""

    def get_secret_value(self, *, SecretId: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        """One call; raises botocore's errors."""


class SecretsManagerSecret:
    """One secret, read anew each time, so that a rotated one is found."""

    def __init__(self, client: SecretsClient, secret_arn: str) -> None:
        """Nothing is called yet."""
        self._client = client
        self._secret_arn = secret_arn

    def read(self) -> str:
        """Its text.

        Raises:
            MarketplaceError: it cannot be read, or holds bytes.
        """
        try:
            text = self._client.get_secret_value(SecretId=self._secret_arn).get("SecretString", "")
        except (ClientError, BotoCoreError) as exc:
            raise MarketplaceError(f"secret {self._secret_arn} cannot be read: {exc}") from exc
        if not text:
            raise MarketplaceError(f"secret {self._secret_arn} holds no text")
        return str(text)
