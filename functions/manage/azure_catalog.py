"""Microsoft's catalog with its credentials. Importing this is slow: only what applies does."""

from __future__ import annotations

import boto3
import certifi

from meterbridge.adapters.marketplaces.azure_credentials import (
    GRAPH_SCOPE,
    PUBLIC_AUTHORITY,
    AzureApp,
    AzureTokens,
    by_aws_identity,
    by_secret,
)
from meterbridge.adapters.marketplaces.azure_ingestion import PUBLIC_ENDPOINT, AzureIngestion
from meterbridge.adapters.marketplaces.connections import connection_pool
from meterbridge.adapters.secrets import SecretsManagerSecret


def azure_catalog(
    tenant_id: str, client_id: str, secret_arn: str, *, endpoint: str, authority: str
) -> AzureIngestion:
    """As the app, by its secret or vouched for by AWS; "" for Microsoft's own addresses."""
    app = AzureApp(tenant_id, client_id, authority or PUBLIC_AUTHORITY)
    make = (
        by_secret(app, SecretsManagerSecret(boto3.client("secretsmanager"), secret_arn))
        if secret_arn
        else by_aws_identity(app, boto3.client("sts"))
    )
    return AzureIngestion(
        connection_pool(2, certifi.where()),
        AzureTokens(make, GRAPH_SCOPE),
        endpoint=endpoint or PUBLIC_ENDPOINT,
    )
