"""The way into the seller's account: one call per call, and a role that is assumed when needed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.session import Session
from moto import mock_aws

from builders import metering_record
from meterbridge.adapters.marketplaces import aws_seller_account
from meterbridge.adapters.marketplaces.aws import AwsMarketplace
from meterbridge.adapters.marketplaces.aws_seller_account import metering_client, seller_session
from meterbridge.adapters.marketplaces.pacing import CallPacer
from meterbridge.domain.errors import MarketplaceError

ROLE = "arn:aws:iam::444455556666:role/meterbridge-reporting"


@pytest.fixture(autouse=True)
def own_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "OWN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "own")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


class FakeSts:
    """Answers AssumeRole, each time with other keys."""

    def __init__(self, lifetime: timedelta = timedelta(hours=1)) -> None:
        self.requests: list[dict[str, Any]] = []
        self._lifetime = lifetime

    def assume_role(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        return {
            "Credentials": {
                "AccessKeyId": f"SELLER{len(self.requests)}",
                "SecretAccessKey": "secret",
                "SessionToken": "token",
                "Expiration": datetime.now(UTC) + self._lifetime,
            },
            "AssumedRoleUser": {"AssumedRoleId": "AROA:meterbridge", "Arn": ROLE},
        }

    def __enter__(self) -> FakeSts:
        return self

    def __exit__(self, *_: object) -> None:
        return None


@pytest.fixture
def sts(monkeypatch: pytest.MonkeyPatch) -> FakeSts:
    return answering_sts(monkeypatch, FakeSts())


def answering_sts(monkeypatch: pytest.MonkeyPatch, sts: Any) -> Any:
    real = Session.create_client

    def create_client(self: Session, name: str, *args: Any, **named: Any) -> Any:
        return sts if name == "sts" else real(self, name, *args, **named)

    monkeypatch.setattr(Session, "create_client", create_client)
    return sts


def access_key(session: Session) -> str:
    credentials = session.get_credentials()
    assert credentials is not None
    return credentials.get_frozen_credentials().access_key


def test_the_role_is_assumed_with_the_external_id_and_only_when_needed(sts: FakeSts) -> None:
    session = seller_session(ROLE, "tenant-7")
    assert sts.requests == []
    assert access_key(session) == "SELLER1"
    assert access_key(session) == "SELLER1"
    assert sts.requests == [
        {"RoleArn": ROLE, "RoleSessionName": "meterbridge-reporting", "ExternalId": "tenant-7"}
    ]


def test_credentials_are_renewed_before_they_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    answering_sts(monkeypatch, FakeSts(lifetime=timedelta(minutes=5)))
    session = seller_session(ROLE, "")
    assert access_key(session) == "SELLER1"
    assert access_key(session) != "SELLER1"


def test_moto_takes_the_role_and_the_client_signs_with_it() -> None:
    with mock_aws():
        client = metering_client("eu-west-1", role_arn=ROLE, external_id="tenant-7")
        credentials = client._request_signer._credentials.get_frozen_credentials()
        assert credentials.access_key.startswith("ASIA")
        assert client.meta.region_name == "eu-west-1"
        client.close()


def test_without_a_role_the_function_reports_as_itself() -> None:
    client = metering_client("us-east-1")
    assert client._request_signer._credentials.access_key == "OWN"
    client.close()


def test_the_client_never_retries_by_itself() -> None:
    client = metering_client("us-east-1", connections=4)
    assert client.meta.config.retries["total_max_attempts"] == 1
    assert client.meta.config.max_pool_connections == 4
    client.close()


def test_a_role_that_may_not_be_assumed_judges_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(FakeSts):
        def assume_role(self, **request: Any) -> dict[str, Any]:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "AssumeRole")

    answering_sts(monkeypatch, Refusing())
    client = metering_client("us-east-1", role_arn=ROLE)
    pacer = CallPacer(10, monotonic=lambda: 0.0, sleep=lambda _: None, jitter=lambda: 0.0)
    marketplace = AwsMarketplace(client, pacer)
    with pytest.raises(MarketplaceError, match="cannot be assumed"):
        marketplace.submit([marketplace.build(metering_record())])
    client.close()


def test_without_credentials_of_our_own_no_role_is_assumed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(aws_seller_account, "get_session", lambda: NoCredentials())
    session = seller_session(ROLE, "")
    with pytest.raises(MarketplaceError, match="no credentials of our own"):
        access_key(session)


class NoCredentials:
    def get_credentials(self) -> Sequence[str] | None:
        return None
