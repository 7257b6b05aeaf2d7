"""The deployed modules of authorizer and API, over DynamoDB: from the first key to its end."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest

from api_setup import PRODUCT
from dynamodb import REGION, make_table, mocked_table
from http_api import Client, http_event

CONTEXT = SimpleNamespace(
    function_name="manage",
    memory_limit_in_mb=1769,
    invoked_function_arn="arn:aws:lambda:us-east-1:111122223333:function:manage",
    aws_request_id="52fdfc07-2182-454f-963f-5f0f9a621d72",
)
AUTHORIZER_EVENT = Path(__file__).parents[2] / "events" / "http_api_authorizer_v2.json"


@dataclass
class Deployed:
    """Both functions, as Lambda loads them."""

    authorize: ModuleType
    manage: ModuleType

    def first_key(self) -> str:
        made = self.manage.handler({"meterbridge": "create-admin-key", "name": "first"}, CONTEXT)
        assert set(made) == {"id", "key"}
        key: str = made["key"]
        return key

    def authorized(self, key: str, method: str, path: str) -> dict[str, Any]:
        event = json.loads(AUTHORIZER_EVENT.read_text())
        event["headers"]["authorization"] = f"Bearer {key}"
        event["rawPath"] = path
        event["requestContext"]["http"] |= {"method": method, "path": path}
        answer: dict[str, Any] = self.authorize.handler(event, CONTEXT)
        return answer

    def call(self, key: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """As API Gateway does: ask the authorizer, then the function."""
        verdict = self.authorized(key, method, path)
        if not verdict["isAuthorized"]:
            return 403, None
        event = http_event(method, path, body, caller=verdict["context"])
        answer = self.manage.handler(event, CONTEXT)
        return answer["statusCode"], json.loads(answer["body"])


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    with mocked_table("Registry", "ref", "by_reference"):
        make_table("Ledger", "pending")
        make_table("Invoices", "listed")
        for name in ("UsageLog", "Usage"):
            make_table(name)
        queue = boto3.client("sqs", region_name=REGION).create_queue(QueueName="settle")
        for variable, value in (
            ("REGISTRY_TABLE", "Registry"),
            ("LEDGER_TABLE", "Ledger"),
            ("USAGE_TABLE", "Usage"),
            ("USAGE_LOG_TABLE", "UsageLog"),
            ("INVOICES_TABLE", "Invoices"),
            ("SETTLE_QUEUE_URL", queue["QueueUrl"]),
            ("GRACE_MINUTES", "15"),
        ):
            monkeypatch.setenv(variable, value)
        modules = [importlib.import_module(f"{name}.handler") for name in ("authorize", "manage")]
        yield Deployed(*(importlib.reload(module) for module in modules))


def test_the_first_key_opens_the_api_and_makes_others(deployed: Deployed) -> None:
    first = deployed.first_key()
    status, product = deployed.call(first, "POST", "/v1/products", PRODUCT)
    assert (status, product["id"]) == (201, "prd_llm")
    body = {"name": "producer", "scopes": ["ingest", "read"], "products": ["prd_llm"]}
    _, made = deployed.call(first, "POST", "/v1/api-keys", body)
    producer = made["key"]
    verdict = deployed.authorized(producer, "POST", "/v1/events")
    assert verdict == {
        "isAuthorized": True,
        "context": {"key_id": made["id"], "scopes": "ingest read", "products": "prd_llm"},
    }
    assert deployed.call(producer, "GET", "/v1/products")[0] == 200
    assert deployed.call(producer, "POST", "/v1/products", PRODUCT)[0] == 403
    assert deployed.call(first, "DELETE", f"/v1/api-keys/{made['id']}")[0] == 200
    assert deployed.authorized(producer, "POST", "/v1/events")["isAuthorized"] is False


def test_an_admin_key_does_not_send_usage(deployed: Deployed) -> None:
    first = deployed.first_key()
    assert deployed.authorized(first, "POST", "/v1/events")["isAuthorized"] is False
    assert deployed.authorized(first, "GET", "/v1/events")["isAuthorized"] is True
    assert deployed.authorized(first, "GET", "/v1/events")["context"]["products"] == "*"


def test_an_expired_key_opens_nothing(deployed: Deployed) -> None:
    first = deployed.first_key()
    soon = datetime.now(UTC) + timedelta(hours=1)
    body = {"name": "x", "scopes": ["read"], "expires_at": soon.strftime("%Y-%m-%dT%H:%M:%SZ")}
    _, made = deployed.call(first, "POST", "/v1/api-keys", body)
    assert deployed.authorized(made["key"], "GET", "/v1/products")["isAuthorized"] is True
    deployed.authorize.CLOCK = SimpleNamespace(now=lambda: soon)
    assert deployed.authorized(made["key"], "GET", "/v1/products")["isAuthorized"] is False


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic bWI6",
        "Bearer mb_short",
        "Bearer mb_" + "0" * 43,
        "Bearer mb_" + "é" * 43,
        "Bearer mb_" + "0" * 43 + "\n",
        "Bearer mb_" + "0" * 100_000,
    ],
)
def test_a_header_without_a_known_key_opens_nothing(deployed: Deployed, header: str | None) -> None:
    event = json.loads(AUTHORIZER_EVENT.read_text())
    event["headers"].pop("authorization")
    if header is not None:
        event["headers"]["Authorization"] = header
    verdict = deployed.authorize.handler(event, CONTEXT)
    assert verdict == {"isAuthorized": False, "context": {}}


def test_the_api_queues_what_is_to_be_settled(deployed: Deployed) -> None:
    deployed.manage.SERVICES.queue.enqueue(["agr_1"])
    queue_url = deployed.manage.SETTINGS.settle_queue_url
    messages = boto3.client("sqs", region_name=REGION).receive_message(QueueUrl=queue_url)
    assert [each["Body"] for each in messages["Messages"]] == ["agr_1"]


def test_the_api_itself_lets_nobody_in_without_the_authorizer(deployed: Deployed) -> None:
    answer = deployed.manage.handler(http_event("GET", "/v1/products"), CONTEXT)
    assert answer["statusCode"] == 401


def test_a_client_of_the_deployed_module_reads_the_description(deployed: Deployed) -> None:
    call = Client(lambda event, _: deployed.manage.handler(event, CONTEXT), scopes="read")
    assert call("GET", "/v1/openapi.json").body["info"]["title"] == "Meterbridge"


def test_neither_the_authorizer_nor_the_registry_imports_pydantic() -> None:
    code = (
        "import sys; import authorize.handler, meterbridge.adapters.dynamodb.registry_store; "
        "print('pydantic' in sys.modules)"
    )
    root = Path(__file__).parents[3]
    environment = {
        "PYTHONPATH": f"{root / 'functions'}:{root / 'layers/common/python'}",
        "REGISTRY_TABLE": "Registry",
        "AWS_DEFAULT_REGION": REGION,
        "PATH": "",
    }
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "False"
