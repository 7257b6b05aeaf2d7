"""A producer with two services and three entitlements, who talks to the sandbox in plain HTTP."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from sandbox.marketplaces.client import SandboxControl
from sandbox.marketplaces.http_server import RunningSandbox

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
STARTED = datetime(2026, 9, 1, tzinfo=UTC)
SERVICE = "assistant.gcpmarketplace.acme.example"
OTHER_SERVICE = "search.gcpmarketplace.acme.example"
CONSUMER, OTHER_CONSUMER = "project_number:123456789012", "project_number:210987654321"
ACCOUNT = "meter@acme.iam.gserviceaccount.com"
AUDIENCE = (
    "//iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/aws/providers/lambda"
)
SCOPE = "https://www.googleapis.com/auth/servicecontrol"

Answer = tuple[int, dict[str, Any]]


class GoogleSeller:
    """Sends operations and says what came of them."""

    def __init__(self, running: RunningSandbox) -> None:
        self.url = running.url
        self.control: SandboxControl = running.control
        self.token = ""

    def set_up(self) -> None:
        """The clock stands still; two services, two buyers of one and one of the other."""
        self.control.reset()
        self.control.set_clock(NOW)
        gcp = self.control.gcp
        gcp.register_service(
            SERVICE,
            [
                {"id": "api_calls", "unit_price": "0.0025"},
                {"id": "gib_hours", "kind": "double"},
                "tokens",
            ],
        )
        gcp.register_service(OTHER_SERVICE, ["api_calls"])
        for service, consumer in (
            (SERVICE, CONSUMER),
            (SERVICE, OTHER_CONSUMER),
            (OTHER_SERVICE, CONSUMER),
        ):
            gcp.register_entitlement(service=service, usage_reporting_id=consumer, start=STARTED)
        self.token = self.sign_in()

    def sign_in(self, scope: str = SCOPE) -> str:
        """The two steps of workload identity federation."""
        status, federated = self.post_form("/v1/token", exchange_form())
        assert status == 200, federated
        path = f"/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken"
        status, answer = self.post(path, {"scope": [scope]}, token=federated["access_token"])
        assert status == 200, answer
        return str(answer["accessToken"])

    def report(self, *operations: dict[str, Any], service: str = SERVICE) -> Answer:
        return self.post(f"/v1/services/{service}:report", {"operations": list(operations)})

    def check(self, operation: dict[str, Any], service: str = SERVICE) -> Answer:
        return self.post(f"/v1/services/{service}:check", {"operation": operation})

    def errors(self, *operations: dict[str, Any], **where: str) -> dict[str, int]:
        """The code of each operation that a report does not take."""
        status, answer = self.report(*operations, **where)
        assert status == 200, answer
        return {e["operationId"]: e["status"]["code"] for e in answer.get("reportErrors", [])}

    def check_errors(self, operation: dict[str, Any]) -> list[str]:
        status, answer = self.check(operation)
        assert status == 200, answer
        assert answer["operationId"] == operation["operationId"]
        return [error["code"] for error in answer.get("checkErrors", [])]

    def refused(self, body: Any, method: str = "report", **more: Any) -> str:
        """The status name of a call that fails whole, after checking that it recorded nothing."""
        before = self.billed()
        status, answer = self.post(f"/v1/services/{SERVICE}:{method}", body, **more)
        assert status == answer["error"]["code"] >= 400
        assert self.billed() == before
        return str(answer["error"]["status"])

    def billed(self) -> list[tuple[str, str, str]]:
        """Consumer, metric and quantity of everything that was added."""
        return [
            (record.agreement, record.dimension, format(record.quantity, "f"))
            for record in self.control.billed(marketplace="gcp").records
        ]

    def post(self, path: str, body: Any, token: str | None = None) -> Answer:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        bearer = self.token if token is None else token
        return self._send(path, raw, {"Authorization": f"Bearer {bearer}"} if bearer else {})

    def post_form(self, path: str, form: dict[str, str]) -> Answer:
        return self._send(path, urlencode(form).encode(), {})

    def _send(self, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        address = urlsplit(self.url)
        connection = HTTPConnection(address.hostname or "", address.port, timeout=10)
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()


def exchange_form(**changes: str) -> dict[str, str]:
    """A token exchange as google-auth makes it."""
    request = {
        "url": "https://sts.us-east-1.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
        "method": "POST",
        "headers": [
            {
                "key": "Authorization",
                "value": "AWS4-HMAC-SHA256 Credential=ASIAX/20261120/us-east-1/sts/aws4_request, "
                "SignedHeaders=host, Signature=00",
            },
            {"key": "x-goog-cloud-target-resource", "value": AUDIENCE},
        ],
    }
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": AUDIENCE,
        "scope": "https://www.googleapis.com/auth/iam",
        "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
        "subject_token": quote(json.dumps(request), safe="/"),
    }
    return {**form, **changes}


def operation(
    quantity: Any = "17",
    *,
    metric: str = f"{SERVICE}/api_calls",
    double: float | str | None = None,
    **members: Any,
) -> dict[str, Any]:
    """A good operation; a member given as None is left out."""
    value: dict[str, Any] = {"int64Value": quantity} if double is None else {"doubleValue": double}
    row = {
        "operationId": str(uuid.uuid4()),
        "operationName": "hourly usage",
        "consumerId": CONSUMER,
        "startTime": "2026-11-20T11:00:00Z",
        "endTime": "2026-11-20T12:00:00Z",
        "metricValueSets": [{"metricName": metric, "metricValues": [value]}],
        **members,
    }
    return {name: member for name, member in row.items() if member is not None}
