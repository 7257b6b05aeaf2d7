"""Who may call what, at the deployed gateway and with IAM enforced."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError

from e2e.conftest import Deployment
from sandbox.demo.seller import RefusedError, Seller


def status(deployment: Deployment, path: str, headers: dict[str, str], data: bytes | None) -> int:
    request = urllib.request.Request(
        f"{deployment.cloud.api_url}{path}", data=data, headers=headers
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/v1/events", b"[]"),
        ("/v1/products", None),
        ("/v1/openapi.json", None),
        ("/v1/agreements/agr/statement?period=2026-11", None),
    ],
)
def test_without_a_key_nothing_is_answered(
    deployment: Deployment, path: str, data: bytes | None
) -> None:
    assert status(deployment, path, {}, data) == 401
    assert status(deployment, path, {"Authorization": "Bearer mb_wrong"}, data) == 403


def test_an_ingest_key_cannot_read(deployment: Deployment) -> None:
    with pytest.raises(RefusedError, match="403"):
        deployment.producer.call("GET", "/v1/products")


def test_a_revoked_key_stops_at_once(deployment: Deployment) -> None:
    made = deployment.seller.call(
        "POST", "/v1/api-keys", {"name": "short", "scopes": ["read"], "products": None}
    )
    reader = Seller(deployment.cloud.api_url, made["key"])
    assert reader.call("GET", "/v1/products")["items"][0]["id"] == "inference"
    deployment.seller.call("DELETE", f"/v1/api-keys/{made['id']}")
    with pytest.raises(RefusedError, match="403"):
        reader.call("GET", "/v1/products")


def test_nobody_becomes_the_seller_without_the_external_id(deployment: Deployment) -> None:
    sts = deployment.cloud.client("sts")
    role = "arn:aws:iam::000000000000:role/MeterbridgeSeller"
    with pytest.raises(ClientError, match="AccessDenied"):
        sts.assume_role(RoleArn=role, RoleSessionName="test", ExternalId="wrong")
