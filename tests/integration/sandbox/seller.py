"""A seller with one product and three agreements, who talks to the sandbox through boto3 alone."""

from __future__ import annotations

from datetime import UTC, datetime
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.marketplaces.client import SandboxControl
from sandbox.marketplaces.http_server import RunningSandbox

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
HOUR = datetime(2026, 11, 20, 11, 0, tzinfo=UTC)
STARTED = datetime(2026, 9, 1, tzinfo=UTC)
PRODUCT = "8bqacmeassistantprod"
OTHER_PRODUCT = "8bqacmesearchprod"
LICENSE = "arn:aws:license-manager::444455556666:license:l-0aaa1bbb2ccc3ddd4eee5fff6aaa7bbb"
SECOND_LICENSE = "arn:aws:license-manager::444455556666:license:l-1aaa1bbb2ccc3ddd4eee5fff6aaa7bbb"
OTHER_PRODUCT_LICENSE = (
    "arn:aws:license-manager::444455556666:license:l-2aaa1bbb2ccc3ddd4eee5fff6aaa7bbb"
)
BUYER = "111122223333"
OTHER_BUYER = "222233334444"
SIGNED = (
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261120/us-east-1/aws-marketplace/aws4_request, "
    "SignedHeaders=host, Signature=00"
)


class Seller:
    """Sends usage records and says what came of them."""

    def __init__(self, running: RunningSandbox) -> None:
        self.url = running.url
        self.control: SandboxControl = running.control
        self._clients: dict[str, Any] = {}

    @staticmethod
    def connect(url: str, region: str = "us-east-1", **settings: Any) -> Any:
        """A boto3 client that does not retry, so that a test sees each answer."""
        return boto3.client(
            "meteringmarketplace",
            region_name=region,
            endpoint_url=url,
            aws_access_key_id="AKIDEXAMPLE",
            aws_secret_access_key="not-a-secret",
            config=Config(**{"retries": {"total_max_attempts": 1}, **settings}),
        )

    def client(self, region: str = "us-east-1") -> Any:
        """The client for a region, made once."""
        if region not in self._clients:
            self._clients[region] = self.connect(self.url, region)
        return self._clients[region]

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def set_up(self) -> None:
        """The clock stands still; two buyers, two products, three licences; no quota."""
        self.control.reset()
        self.control.set_clock(NOW)
        aws = self.control.aws
        aws.configure(calls_per_second=0)
        aws.register_product(
            PRODUCT,
            [
                {"key": "api_calls", "unit_price": "0.0025"},
                {"key": "tokens"},
                {"key": "seats", "allow_decimal": False, "unit_price": "12"},
            ],
        )
        aws.register_product(OTHER_PRODUCT, ["api_calls"])
        for license_arn, buyer, product in (
            (LICENSE, BUYER, PRODUCT),
            (SECOND_LICENSE, OTHER_BUYER, PRODUCT),
            (OTHER_PRODUCT_LICENSE, BUYER, OTHER_PRODUCT),
        ):
            aws.register_agreement(
                product_code=product, account_id=buyer, license_arn=license_arn, start=STARTED
            )

    def send(self, *records: dict[str, Any], region: str = "us-east-1", **call: Any) -> Any:
        return self.client(region).batch_meter_usage(UsageRecords=list(records), **call)

    def statuses(self, *records: dict[str, Any], **call: Any) -> list[str]:
        return [result["Status"] for result in self.send(*records, **call)["Results"]]

    def refused(self, *records: dict[str, Any], **call: Any) -> str:
        """The error code of a call that fails whole, after checking that it recorded nothing."""
        before = self.billed()
        with pytest.raises(ClientError) as caught:
            self.send(*records, **call)
        assert self.billed() == before
        return str(caught.value.response["Error"]["Code"])

    def billed(self) -> list[tuple[str, str, str, str]]:
        """Agreement, dimension, hour and quantity of everything on the bill."""
        return [
            (
                record.agreement,
                record.dimension,
                record.hour.isoformat(),
                format(record.quantity, "f"),
            )
            for record in self.control.billed().records
        ]

    def post(
        self, body: bytes, path: str = "/", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Sends bytes as they are, for what boto3 itself would not send."""
        address = urlsplit(self.url)
        usual = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "AWSMPMeteringService.BatchMeterUsage",
            "Authorization": SIGNED,
        }
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = HTTPConnection(address.hostname or "", address.port, timeout=10)
        try:
            connection.request("POST", path, body, {**usual, **given})
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()


def usage(quantity: str | None = "17", **members: Any) -> dict[str, Any]:
    """A good usage record; a member given as None is left out."""
    record = {
        "Timestamp": HOUR,
        "Dimension": "api_calls",
        "CustomerAWSAccountId": BUYER,
        "LicenseArn": LICENSE,
        "QuantityAsDecimal": quantity,
        **members,
    }
    return {name: value for name, value in record.items() if value is not None}
