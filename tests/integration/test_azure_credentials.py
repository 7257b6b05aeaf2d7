"""azure-identity itself against the sandbox's directory: secret, certificate, AWS's word, renewal."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from moto import mock_aws

from marketplace_setups import APP_ID, TENANT, KeptSecret
from meterbridge.adapters.marketplaces.azure_credentials import (
    AzureApp,
    AzureTokens,
    by_aws_identity,
    by_secret,
)
from meterbridge.adapters.secrets import SecretsManagerSecret
from meterbridge.domain.errors import MarketplaceError
from sandbox.marketplaces.http_server import RunningSandbox, running_sandbox

ISSUER = "https://abc123.tokens.sts.global.api.aws"
ROLE = "arn:aws:iam::123456789012:role/ReportUsageAzure"


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: RunningSandbox) -> RunningSandbox:
    running.control.reset()
    running.control.azure.register_app(TENANT, APP_ID, client_secret="s3cret")
    return running


def tokens_by(sandbox: RunningSandbox, secret: KeptSecret, **app: str) -> AzureTokens:
    identity = {"tenant_id": TENANT, "client_id": APP_ID, "authority": sandbox.url, **app}
    return AzureTokens(by_secret(AzureApp(**identity), secret))


def grants(sandbox: RunningSandbox) -> int:
    """Tokens given, without the look-ups of where to ask."""
    calls = sandbox.control.calls("azure")
    return sum(call["outcome"] == "Success" for call in calls) // 2


def certificate() -> tuple[str, str]:
    """A PEM file with certificate and key, and its thumbprint (azure-identity names SHA-1)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "seller")])
    now = datetime.now(UTC)
    issued = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = issued.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    digest = hashlib.sha1(issued.public_bytes(serialization.Encoding.DER)).digest()
    return pem.decode(), base64.urlsafe_b64encode(digest).decode().rstrip("=")


def test_a_client_secret_gets_a_token_that_is_used_until_it_is_refused(
    sandbox: RunningSandbox,
) -> None:
    secret = KeptSecret("s3cret\n")
    tokens = tokens_by(sandbox, secret)
    first = tokens.bearer()
    assert {tokens.bearer() for _ in range(5)} == {first}
    assert (grants(sandbox), secret.reads) == (1, 1)
    second = tokens.renewed(first)
    assert second != first
    assert tokens.renewed(first) == second
    assert (grants(sandbox), secret.reads) == (2, 2)
    tokens.close()


def test_a_certificate_gets_a_token(sandbox: RunningSandbox) -> None:
    pem, thumbprint = certificate()
    sandbox.control.azure.register_app(TENANT, APP_ID, thumbprint=thumbprint)
    tokens = tokens_by(sandbox, KeptSecret(pem))
    assert tokens.bearer().startswith("sandbox.")
    tokens.close()


def test_another_certificate_gets_none(sandbox: RunningSandbox) -> None:
    _, thumbprint = certificate()
    sandbox.control.azure.register_app(TENANT, APP_ID, thumbprint=thumbprint)
    with pytest.raises(MarketplaceError, match="AADSTS700027"):
        tokens_by(sandbox, KeptSecret(certificate()[0])).bearer()


class Sts:
    """AWS's word for a role, as a JWT."""

    def __init__(self, **claims: Any) -> None:
        self.asked: list[dict[str, Any]] = []
        self._claims = {"iss": ISSUER, "sub": ROLE, "exp": int(time.time()) + 300, **claims}

    def get_web_identity_token(self, **request: Any) -> dict[str, str]:
        self.asked.append(request)
        claims = {"aud": request["Audience"][0], **self._claims}
        parts = ({"alg": "RS256"}, claims, {})
        texts = [base64.urlsafe_b64encode(json.dumps(part).encode()) for part in parts]
        return {"WebIdentityToken": b".".join(texts).decode().replace("=", "")}


def test_aws_vouches_for_the_role_where_the_app_trusts_it(sandbox: RunningSandbox) -> None:
    sandbox.control.azure.register_app(TENANT, APP_ID, issuer=ISSUER, subject=ROLE)
    sts = Sts()
    tokens = AzureTokens(by_aws_identity(AzureApp(TENANT, APP_ID, sandbox.url), sts))
    assert tokens.bearer().startswith("sandbox.")
    assert sts.asked == [
        {
            "Audience": ["api://AzureADTokenExchange"],
            "DurationSeconds": 300,
            "SigningAlgorithm": "RS256",
        }
    ]
    tokens.close()


def test_another_role_gets_no_token(sandbox: RunningSandbox) -> None:
    sandbox.control.azure.register_app(TENANT, APP_ID, issuer=ISSUER, subject=ROLE)
    sts = Sts(sub=ROLE + "2")
    with pytest.raises(MarketplaceError, match="AADSTS700213"):
        AzureTokens(by_aws_identity(AzureApp(TENANT, APP_ID, sandbox.url), sts)).bearer()


def test_a_role_that_aws_does_not_vouch_for_gets_no_token(sandbox: RunningSandbox) -> None:
    class Refusing:
        def get_web_identity_token(self, **_: Any) -> None:
            error: Any = {"Error": {"Code": "OutboundWebIdentityFederationDisabledException"}}
            raise ClientError(error, "GetWebIdentityToken")

    with pytest.raises(MarketplaceError, match="vouch"):
        AzureTokens(by_aws_identity(AzureApp(TENANT, APP_ID, sandbox.url), Refusing())).bearer()


def test_a_secret_that_was_replaced_is_read_anew(sandbox: RunningSandbox) -> None:
    secret = KeptSecret("s3cret")
    tokens = tokens_by(sandbox, secret)
    first = tokens.bearer()
    sandbox.control.azure.register_app(TENANT, APP_ID, client_secret="next")
    sandbox.control.azure.revoke_tokens()
    with pytest.raises(MarketplaceError, match="AADSTS7000215"):
        tokens.renewed(first)
    secret.text = "next"
    assert tokens.bearer() != first
    tokens.close()


@pytest.mark.parametrize(
    ("app", "code"),
    [
        ({"client_id": "33333333-2222-4333-8444-555555555555"}, "AADSTS700016"),
        ({"tenant_id": "44444444-2222-4333-8444-555555555555"}, "AADSTS90002"),
    ],
)
def test_an_unknown_app_or_directory_gets_no_token(
    sandbox: RunningSandbox, app: dict[str, str], code: str
) -> None:
    with pytest.raises(MarketplaceError, match=code):
        tokens_by(sandbox, KeptSecret("s3cret"), **app).bearer()


@pytest.mark.parametrize("fault", ["internal_error", "connection_reset"])
def test_a_directory_that_stays_down_gives_no_token_and_recovers(
    sandbox: RunningSandbox, fault: str
) -> None:
    tokens = tokens_by(sandbox, KeptSecret("s3cret"))
    sandbox.control.inject(fault, operation="token", count=None)
    with pytest.raises(MarketplaceError, match="Entra"):
        tokens.bearer()
    sandbox.control.clear_faults()
    assert tokens.bearer().startswith("sandbox.")
    tokens.close()


@pytest.mark.parametrize("authority", ["http://login.example.com", "http://127.0.0.1.example.com"])
def test_a_secret_is_never_sent_in_the_clear_to_another_machine(authority: str) -> None:
    with pytest.raises(MarketplaceError, match="TLS"):
        AzureTokens(by_secret(AzureApp(TENANT, APP_ID, authority), KeptSecret("s3cret"))).bearer()


class TestSecretsManager:
    def test_the_secret_is_read_anew_each_time(self) -> None:
        with mock_aws():
            client = boto3.client("secretsmanager", region_name="us-east-1")
            arn = client.create_secret(Name="azure", SecretString="one")["ARN"]
            secret = SecretsManagerSecret(client, arn)
            assert secret.read() == "one"
            client.put_secret_value(SecretId=arn, SecretString="two")
            assert secret.read() == "two"
            client.close()

    def test_a_secret_that_is_not_there_or_not_text_is_no_credential(self) -> None:
        with mock_aws():
            client = boto3.client("secretsmanager", region_name="us-east-1")
            arn = client.create_secret(Name="azure", SecretBinary=b"one")["ARN"]
            for each, reason in ((arn, "no text"), (arn + "x", "cannot be read")):
                with pytest.raises(MarketplaceError, match=reason):
                    SecretsManagerSecret(client, each).read()
            client.close()
