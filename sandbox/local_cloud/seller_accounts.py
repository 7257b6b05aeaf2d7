"""The seller's accounts at the three marketplaces, as their owner would set them up before a deployment.

On AWS a role that may be assumed with an external id; for Azure an app's client secret and for Google
a service account's key, both in Secrets Manager. The sandbox knows the app; it verifies no signature,
so Google's key is any key.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sandbox.local_cloud.emulator import ACCOUNT
from sandbox.marketplaces.client import SandboxControl

AZURE_TENANT_ID = "11111111-0000-4000-8000-000000000001"
AZURE_CLIENT_ID = "22222222-0000-4000-8000-000000000001"
AZURE_SECRET = "meterbridge-local/azure"
GCP_SERVICE_ACCOUNT = "meter@meterbridge-local.iam.gserviceaccount.com"
GCP_SECRET = "meterbridge-local/gcp"

_ROLE = "MeterbridgeSeller"
_EXTERNAL_ID = "meterbridge-local"

ClientOf = Callable[[str], Any]
"""Makes a boto3 client of a service."""


def open_accounts(client_of: ClientOf, sandbox_url: str) -> dict[str, str]:
    """Make or renew what the three reporters sign in with.

    Args:
        client_of: of the account that is deployed into, with all rights.
        sandbox_url: where the marketplaces are.

    Returns:
        The settings of a deployment that reports with it.
    """
    vault = client_of("secretsmanager")
    return {
        "marketplace_endpoint": sandbox_url,
        "marketplace_role_arn": _seller_role(client_of("iam")),
        "marketplace_external_id": _EXTERNAL_ID,
        "azure_tenant_id": AZURE_TENANT_ID,
        "azure_client_id": AZURE_CLIENT_ID,
        "azure_secret_arn": store(vault, AZURE_SECRET, _azure_secret(sandbox_url)),
        "gcp_secret_arn": store(vault, GCP_SECRET, service_account_key(GCP_SERVICE_ACCOUNT)),
    }


def store(vault: Any, name: str, text: str) -> str:
    """Keep a text in Secrets Manager, in place of what was there; returns its ARN."""
    try:
        answer = vault.create_secret(Name=name, SecretString=text)
    except vault.exceptions.ResourceExistsException:
        answer = vault.put_secret_value(SecretId=name, SecretString=text)
    arn: str = answer["ARN"]
    return arn


def service_account_key(email: str) -> str:
    """A JSON key of a Google service account, as Google lets its owner download it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "meterbridge-local",
            "private_key_id": secrets.token_hex(20),
            "private_key": pem,
            "client_email": email,
            "client_id": "100000000000000000001",
            "token_uri": "https://oauth2.googleapis.com/token",
        }
    )


def _azure_secret(sandbox_url: str) -> str:
    """A new client secret of the app, which the sandbox knows."""
    secret = secrets.token_urlsafe(30)
    SandboxControl(sandbox_url).azure.register_app(
        AZURE_TENANT_ID, AZURE_CLIENT_ID, client_secret=secret
    )
    return secret


def _seller_role(iam: Any) -> str:
    """The seller account's role: to be assumed with an external id, and good for metering only."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"sts:ExternalId": _EXTERNAL_ID}},
            }
        ],
    }
    permission = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "aws-marketplace:BatchMeterUsage",
                "Resource": "*",
            }
        ],
    }
    try:
        iam.create_role(RoleName=_ROLE, AssumeRolePolicyDocument=json.dumps(trust))
    except iam.exceptions.EntityAlreadyExistsException:
        iam.update_assume_role_policy(RoleName=_ROLE, PolicyDocument=json.dumps(trust))
    iam.put_role_policy(RoleName=_ROLE, PolicyName="Report", PolicyDocument=json.dumps(permission))
    arn: str = iam.get_role(RoleName=_ROLE)["Role"]["Arn"]
    return arn
