"""What another seller's test suite would do first, with the installed sandbox and nothing else.

Run by the Python of an environment that holds the sandbox alone; the argument is its address.
"""

from __future__ import annotations

import base64
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from marketplace_sandbox.client import SandboxControl

URL = sys.argv[1]
NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
HOUR, STARTED = "2026-11-20T11:00:00Z", NOW - timedelta(days=2)
LICENSE = "arn:aws:license-manager::444455556666:license:l-0aaa1bbb2ccc3ddd4eee5fff6aaa7bbb"
TENANT, APP = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000001"
SUBSCRIPTION = "6f1c2f4e-0000-4000-8000-00000000000a"
SERVICE, CONSUMER = "assistant.gcpmarketplace.acme.example", "project_number:123456789012"


def post(path: str, body: object, **headers: str) -> dict[str, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with urlopen(Request(URL + path, data, named, method="POST"), timeout=10) as answer:
        return json.loads(answer.read())


def aws(control: SandboxControl) -> None:
    control.aws.register_product("prod", ["tokens"])
    control.aws.register_agreement(
        product_code="prod", account_id="111122223333", license_arn=LICENSE, start=STARTED
    )
    record = {
        "Timestamp": int(NOW.timestamp()) // 3600 * 3600 - 3600,
        "Dimension": "tokens",
        "CustomerAWSAccountId": "111122223333",
        "LicenseArn": LICENSE,
        "QuantityAsDecimal": "1.5",
    }
    answer = post(
        "/",
        {"UsageRecords": [record]},
        X_Amz_Target="AWSMPMeteringService.BatchMeterUsage",
        Content_Type="application/x-amz-json-1.1",
        Authorization="AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261120/us-east-1/aws-marketplace"
        "/aws4_request, SignedHeaders=host, Signature=00",
    )
    assert answer["Results"][0]["Status"] == "Success", answer


def azure(control: SandboxControl) -> None:
    control.azure.register_app(TENANT, APP, client_secret="s3cret")
    control.azure.register_offer("offer", {"gold": ["tokens"]}, app_id=APP)
    control.azure.register_subscription(SUBSCRIPTION, offer_id="offer", plan_id="gold")
    form = {
        "grant_type": "client_credentials",
        "client_id": APP,
        "client_secret": "s3cret",
        "scope": "20e940b3-4c77-4b0b-9a53-9e16a1b010a7/.default",
    }
    token = post(
        f"/{TENANT}/oauth2/v2.0/token",
        urlencode(form).encode(),
        Content_Type="application/x-www-form-urlencoded",
    )["access_token"]
    event = {
        "resourceId": SUBSCRIPTION,
        "planId": "gold",
        "dimension": "tokens",
        "effectiveStartTime": HOUR,
        "quantity": 2.5,
    }
    answer = post(
        "/api/batchUsageEvent?api-version=2018-08-31",
        {"request": [event]},
        Content_Type="application/json",
        Authorization=f"Bearer {token}",
    )
    assert answer["result"][0]["status"] == "Accepted", answer


def gcp(control: SandboxControl) -> None:
    control.gcp.register_service(SERVICE, ["tokens"])
    control.gcp.register_entitlement(service=SERVICE, usage_reporting_id=CONSUMER, start=STARTED)
    claims = {
        "iss": "meter@acme.iam.gserviceaccount.com",
        "aud": f"{URL}/token",
        "scope": "https://www.googleapis.com/auth/servicecontrol",
    }
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": f"e30.{encoded(claims)}.c2ln",
    }
    token = post("/token", urlencode(form).encode())["access_token"]
    operation = {
        "operationId": "0b5a3b5e-0000-4000-8000-000000000001",
        "operationName": "hourly usage",
        "consumerId": CONSUMER,
        "startTime": HOUR,
        "endTime": "2026-11-20T12:00:00Z",
        "metricValueSets": [
            {"metricName": f"{SERVICE}/tokens", "metricValues": [{"int64Value": "3"}]}
        ],
    }
    answer = post(
        f"/v1/services/{SERVICE}:report",
        {"operations": [operation]},
        Authorization=f"Bearer {token}",
    )
    assert "reportErrors" not in answer, answer


def encoded(claims: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


def main() -> None:
    control = SandboxControl(URL)
    control.set_clock(NOW)
    for cloud in (aws, azure, gcp):
        cloud(control)
    billed = {each.marketplace: str(each.quantity) for each in control.billed().totals}
    print(json.dumps(billed))


main()
