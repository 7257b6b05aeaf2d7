"""The deployed management function, switched on to publish, from HTTP to the marketplaces and back."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from types import ModuleType
from typing import Any

import boto3
import pytest

from api_setup import METER, OFFERING, PRODUCT
from dynamodb import mocked_table
from http_api import Client
from lambda_setup import Context
from meterbridge.domain.channels import Channel
from sandbox.marketplaces.client import SandboxControl
from sandbox.marketplaces.http_server import running_sandbox

TENANT, APP = "11111111-0000-4000-8000-000000000001", "22222222-0000-4000-8000-000000000001"
AWS = {
    "channel": "aws",
    "aws": {
        "information": {
            "title": "LLM",
            "short_description": "Answers.",
            "long_description": "Answers to questions.",
            "highlights": ["Fast"],
            "logo_url": "https://acme.example/logo.png",
            "categories": ["Data Catalogs"],
            "search_keywords": ["llm"],
        },
        "fulfillment_url": "https://acme.example/aws",
        "limited_to": ["111122223333"],
        "refund_policy": "None.",
    },
}
AZURE = {
    "channel": "azure",
    "azure": {
        "offer_id": "acme-llm",
        "plan_id": "std",
        "offer_alias": "Acme LLM",
        "plan_alias": "Standard",
        "markets": ["US"],
        "target": "preview",
    },
}


@dataclass
class Deployed:
    """The function, and the marketplaces it publishes to."""

    module: ModuleType
    call: Client
    control: SandboxControl


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    with running_sandbox() as sandbox, mocked_table("Registry", "ref", "by_reference"):
        with closing(boto3.client("secretsmanager", region_name="us-east-1")) as secrets:
            arn = secrets.create_secret(Name="azure", SecretString="s3cret")["ARN"]
        environment = {
            "REGISTRY_TABLE": "Registry",
            "LEDGER_TABLE": "Ledger",
            "USAGE_TABLE": "Usage",
            "USAGE_LOG_TABLE": "UsageLog",
            "SETTLE_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/settle",
            "INVOICES_TABLE": "Invoices",
            "PUBLISHING": "true",
            "MARKETPLACE_ROLE_ARN": "arn:aws:iam::123456789012:role/Seller",
            "MARKETPLACE_EXTERNAL_ID": "outside",
            "AWS_ENDPOINT_URL_MARKETPLACE_CATALOG": sandbox.url,
            "AZURE_TENANT_ID": TENANT,
            "AZURE_CLIENT_ID": APP,
            "AZURE_SECRET_ARN": arn,
            "AZURE_AUTHORITY": sandbox.url,
            "MARKETPLACE_ENDPOINT": sandbox.url,
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        sandbox.control.azure.register_app(TENANT, APP, client_secret="s3cret")
        sys.modules.pop("manage.handler", None)
        module = importlib.import_module("manage.handler")

        def resolve(event: dict[str, Any], _: Any) -> dict[str, Any]:
            answer: dict[str, Any] = module.handler(event, Context(function_name="manage"))
            return answer

        call = Client(resolve)
        for path, body in (("products", PRODUCT), ("meters", METER), ("offerings", OFFERING)):
            assert call("POST", f"/v1/{path}", body).status == 201
        yield Deployed(module, call, sandbox.control)
        sys.modules.pop("manage.handler", None)
        for make in module.SERVICES.publishing.catalogs.values():
            _close(make())


def _close(catalog: Any) -> None:
    if hasattr(catalog, "_client"):
        catalog._client.close()
    else:
        catalog._tokens.close()
        catalog._pool.clear()


@pytest.mark.parametrize(
    ("body", "made"),
    [(AWS, {"product", "offer"}), (AZURE, {"product", "plan", "submission"})],
    ids=["aws", "azure"],
)
def test_it_publishes_as_it_is_deployed(deployed: Deployed, body: Any, made: set[str]) -> None:
    draft = deployed.call("POST", "/v1/offerings/off_std/publications", body)
    assert (draft.status, draft.body["appliable"]) == (201, True)
    path = f"/v1/publications/{draft.body['id']}"
    applying = deployed.call("POST", f"{path}/apply", None, If_Match='"1"', Idempotency_Key="a")
    assert (applying.status, applying.body["state"]) == (202, "applying")
    deployed.control.advance_clock(timedelta(minutes=10))
    done = deployed.call("GET", path).body
    assert (done["state"], done["words"]) == ("applied", [])
    assert set(done["entities"]) == made


def test_it_publishes_where_it_is_switched_on_and_has_an_app(deployed: Deployed) -> None:
    assert set(deployed.module.SERVICES.publishing.catalogs) == {Channel.AWS, Channel.AZURE}
