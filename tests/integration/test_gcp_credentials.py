"""google-auth against the sandbox's token endpoints, over HTTP: one token, kept, renewed, refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from threading import Barrier, Thread

import pytest
from botocore.session import Session
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from urllib3 import PoolManager

from gcp_setup import (
    ACCOUNT,
    AUDIENCE,
    gcp_record,
    gcp_reporting,
    google_tokens,
    own_session,
    prepare,
    small_pool,
)
from meterbridge.adapters.marketplaces.gcp_credentials import (
    GoogleEndpoints,
    GoogleTokens,
    by_aws_identity,
    by_key,
)
from meterbridge.domain.errors import MarketplaceError
from meterbridge.domain.metering_record import RecordState
from sandbox.marketplaces.client import SandboxControl
from sandbox.marketplaces.http_server import RunningSandbox, running_sandbox


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def control(running: RunningSandbox) -> SandboxControl:
    prepare(running.control)
    return running.control


@pytest.fixture
def pool() -> Iterator[PoolManager]:
    with small_pool() as pool:
        yield pool


@pytest.fixture(scope="module")
def key() -> str:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return json.dumps(
        {
            "type": "service_account",
            "client_email": ACCOUNT,
            "private_key_id": "1",
            "private_key": private.decode(),
            "token_uri": "https://oauth2.googleapis.com/token",
        }
    )


class KeptText:
    """A secret that can be replaced."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.reads = 0

    def read(self) -> str:
        self.reads += 1
        return self.text


def asked(control: SandboxControl) -> int:
    return len(control.calls("gcp"))


def test_federation_asks_twice_and_keeps_the_token(
    running: RunningSandbox, control: SandboxControl, pool: PoolManager
) -> None:
    tokens = google_tokens(running.url, pool)
    assert asked(control) == 0
    first = tokens.bearer()
    assert (tokens.bearer(), asked(control)) == (first, 2)


def test_a_token_about_to_end_is_renewed(
    running: RunningSandbox, control: SandboxControl, pool: PoolManager
) -> None:
    control.gcp.configure(token_seconds=60)
    tokens = google_tokens(running.url, pool)
    assert tokens.bearer() != tokens.bearer()


def test_a_refused_token_is_renewed_once_for_all_threads(
    running: RunningSandbox, control: SandboxControl, pool: PoolManager
) -> None:
    tokens = google_tokens(running.url, pool)
    refused = tokens.bearer()
    start, found = Barrier(4), []

    def renew() -> None:
        start.wait()
        found.append(tokens.renewed(refused))

    threads = [Thread(target=renew) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert refused not in found
    assert asked(control) == 4


def test_a_service_accounts_key_from_a_secret_reports(
    running: RunningSandbox, control: SandboxControl, pool: PoolManager, key: str
) -> None:
    secret = KeptText(key)
    tokens = GoogleTokens(by_key(secret, GoogleEndpoints.all_at(running.url)), pool)
    reporting = gcp_reporting(running.url, pool, tokens=tokens)
    record = gcp_record()
    reporting.add(record)
    reporting.run()
    assert reporting.states([record]) == [RecordState.ACCEPTED]
    assert secret.reads == 1


@pytest.mark.parametrize("text", ["", "not JSON", "[]", "{}", '{"private_key": "x"}'])
def test_a_secret_without_a_key_gives_no_token_and_is_read_anew(
    running: RunningSandbox, pool: PoolManager, text: str
) -> None:
    secret = KeptText(text)
    tokens = GoogleTokens(by_key(secret, GoogleEndpoints.all_at(running.url)), pool)
    for _ in range(2):
        with pytest.raises(MarketplaceError):
            tokens.bearer()
    assert secret.reads == 2


def test_no_one_listening_gives_no_token(pool: PoolManager) -> None:
    with pytest.raises(MarketplaceError, match="Google gives no token"):
        google_tokens("http://127.0.0.1:9", pool).bearer()


class Without(Session):
    """botocore's session with something missing."""

    def __init__(self, missing: str) -> None:
        super().__init__()
        self.set_config_variable("region", None if missing == "region" else "us-east-1")
        self._missing = missing

    def get_credentials(self) -> object:
        return None if self._missing == "credentials" else own_session().get_credentials()


@pytest.mark.parametrize("missing", ["credentials", "region"])
def test_without_an_aws_identity_no_token(
    running: RunningSandbox, pool: PoolManager, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    endpoints = GoogleEndpoints.all_at(running.url)
    tokens = GoogleTokens(by_aws_identity(AUDIENCE, ACCOUNT, Without(missing), endpoints), pool)
    with pytest.raises(MarketplaceError, match=f"no AWS {missing}"):
        tokens.bearer()


def test_without_another_address_googles_own_are_asked() -> None:
    endpoints = GoogleEndpoints.all_at("")
    assert (endpoints.security_tokens, endpoints.iam_credentials, endpoints.oauth) == (
        "https://sts.googleapis.com",
        "https://iamcredentials.googleapis.com",
        "https://oauth2.googleapis.com",
    )
