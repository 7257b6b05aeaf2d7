from __future__ import annotations

import json
import re
import socket
from urllib.parse import urlsplit

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integration.sandbox.seller import PRODUCT, SIGNED, Seller, usage
from sandbox.marketplaces.aws.endpoint import AwsMarketplace
from sandbox.marketplaces.exchange import Request
from sandbox.marketplaces.sandbox import MarketplaceSandbox


def test_boto3_needs_an_endpoint_and_made_up_credentials_and_nothing_else(
    seller: Seller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_MARKETPLACE_METERING", seller.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = boto3.client("meteringmarketplace")
    try:
        answer = client.batch_meter_usage(UsageRecords=[usage()])
    finally:
        client.close()
    assert answer["Results"][0]["Status"] == "Success"
    assert re.fullmatch(r"[0-9a-f-]{36}", answer["ResponseMetadata"]["RequestId"])


def test_every_error_of_the_service_model_reaches_boto3_as_its_own_exception(
    seller: Seller,
) -> None:
    client = seller.client()
    for code in client.meta.service_model.operation_model("BatchMeterUsage").error_shapes:
        seller.control.inject("error", code=code.name)
        with pytest.raises(getattr(client.exceptions, code.name)):
            seller.send(usage())
    assert seller.billed() == []


def test_an_error_answer_has_type_message_request_id_and_status(seller: Seller) -> None:
    status, headers, body = seller.post(b"{}")
    assert (status, headers["Content-Type"]) == (400, "application/x-amz-json-1.1")
    assert len(headers["x-amzn-RequestId"]) == 36
    assert json.loads(body) == {
        "__type": "ValidationException",
        "message": "usageRecords must not be null",
    }


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"X_Amz_Target": "AWSMPMeteringService.MeterUsage"}, 400, "UnknownOperationException"),
        ({"X_Amz_Target": ""}, 400, "UnknownOperationException"),
        ({"Content_Type": "application/json"}, 400, "SerializationException"),
        ({"Authorization": ""}, 403, "MissingAuthenticationTokenException"),
        (
            {"Authorization": SIGNED.replace("aws-marketplace", "metering.marketplace")},
            403,
            "InvalidSignatureException",
        ),
        (
            {"Authorization": SIGNED.replace("us-east-1", "us-gov-west-1")},
            400,
            "DisabledApiException",
        ),
    ],
)
def test_a_request_outside_the_protocol_is_refused(
    seller: Seller, headers: dict[str, str], status: int, code: str
) -> None:
    answered, _, body = seller.post(b'{"UsageRecords": []}', **headers)
    assert (answered, json.loads(body)["__type"]) == (status, code)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"\xff",
        b"[" * 100_000,
        b"9" * 5000,
        b'{"UsageRecords": {}}',
        b'{"UsageRecords": [1]}',
        b'{"UsageRecords": [{"Timestamp": 1, "Dimension": 1}]}',
    ],
)
def test_a_body_that_is_not_the_protocols_json_is_refused(seller: Seller, body: bytes) -> None:
    status, _, answer = seller.post(body)
    assert (status, json.loads(answer)["__type"]) == (400, "SerializationException")


def test_a_body_must_be_smaller_than_one_megabyte(seller: Seller) -> None:
    padding = 1_000_000 - len(b'{"UsageRecords": [], "x": ""}')
    status, _, _ = seller.post(b'{"UsageRecords": [], "x": "' + b" " * (padding - 1) + b'"}')
    assert status == 200
    status, _, body = seller.post(b'{"UsageRecords": [], "x": "' + b" " * padding + b'"}')
    assert (status, json.loads(body)["__type"]) == (400, "ValidationException")


def test_a_dimension_or_product_code_outside_its_shape_is_refused(seller: Seller) -> None:
    assert seller.refused(usage(Dimension="x" * 256)) == "ValidationException"
    assert seller.refused(usage(), ProductCode="x" * 256) == "ValidationException"
    assert seller.refused(usage(), ProductCode="a b") == "ValidationException"
    assert seller.refused(usage(CustomerAWSAccountId="12ab")) == "ValidationException"
    assert seller.refused(usage(CustomerAWSAccountId="1" * 256)) == "ValidationException"


def test_a_request_without_a_length_is_refused_and_the_server_lives_on(seller: Seller) -> None:
    address = urlsplit(seller.url)
    with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 411 ")
    with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99000000\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")
    assert seller.statuses(usage()) == ["Success"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)
RECORD = st.fixed_dictionaries(
    {},
    optional={
        "Timestamp": st.integers() | JSON,
        "Dimension": st.just("d") | JSON,
        "Quantity": st.integers() | JSON,
        "QuantityAsDecimal": st.from_regex(r"[0-9]{1,3}(\.[0-9])?", fullmatch=True) | JSON,
        "CustomerAWSAccountId": st.just("111122223333") | JSON,
        "CustomerIdentifier": JSON,
        "LicenseArn": JSON,
        "UsageAllocations": st.lists(JSON, max_size=3) | JSON,
    },
)


@settings(max_examples=150, deadline=None)
@given(
    body=st.fixed_dictionaries(
        {"UsageRecords": st.lists(RECORD | JSON, max_size=3) | JSON},
        optional={"ProductCode": st.just(PRODUCT) | JSON},
    )
    | JSON
)
def test_no_request_whatever_breaks_the_sandbox(body: object) -> None:
    sandbox = MarketplaceSandbox([AwsMarketplace()])
    sandbox.control("aws", "POST", ["products"], {"product_code": PRODUCT, "dimensions": ["d"]})
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": "AWSMPMeteringService.BatchMeterUsage",
        "authorization": SIGNED,
    }
    delivery = sandbox.serve(Request("POST", "/", headers, json.dumps(body).encode()))
    assert delivery is not None
    assert delivery.answer is not None
    assert delivery.answer.status in (200, 400)
    assert sandbox.billed() == []
