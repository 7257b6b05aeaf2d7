"""The ingest function over fakes, and requests as an HTTP API hands them to it."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from unittest.mock import patch

from builders import NOON
from fakes.clock import FakeClock
from fakes.registry import FakeRegistry
from fakes.usage_log import FakeUsageLog
from meterbridge.application.ingest_usage import ShardPlans
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.usage_log import decode

HANDLER = "ingest_usage.handler"
ENVIRONMENT = {
    "USAGE_LOG_TABLE": "UsageLog",
    "REGISTRY_TABLE": "Registry",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@dataclass(frozen=True)
class Context:
    """What Lambda tells a function about itself."""

    function_name: str = "ingest_usage"
    memory_limit_in_mb: int = 1769
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:ingest_usage"
    aws_request_id: str = "52fdfc07-2182-154f-163f-5f0f9a621d72"


def load_handler() -> ModuleType:
    """The deployed module, with its environment."""
    with patch.dict("os.environ", ENVIRONMENT):
        return importlib.import_module(HANDLER)


class Ingest:
    """The function with a fake log, registry and clock.

    Attributes:
        log: what it writes to.
        clock: its present.
    """

    def __init__(self) -> None:
        self.log = FakeUsageLog()
        self.clock = FakeClock(NOON)
        self._module = load_handler()

    def post(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """What the function answers to a request."""
        with (
            patch.object(self._module, "LOG", self.log),
            patch.object(self._module, "CLOCK", self.clock),
            patch.object(self._module, "PLANS", ShardPlans(FakeRegistry(), self.clock)),
        ):
            answer: dict[str, Any] = self._module.handler(request, Context())
        return answer

    def stored(self) -> list[UsageEvent]:
        """Every event in the log."""
        return [
            group.event(row)
            for partition in self.log.partitions()
            for segment in self.log.read(partition)
            for group in decode(segment.body).groups
            for row in range(len(group))
        ]


def cloud_event(**changes: Any) -> dict[str, Any]:
    """A valid event; `...` leaves an attribute out."""
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": "evt-1",
        "source": "//gateway",
        "type": "call",
        "subject": "acme",
        "time": "2026-11-24T11:59:00Z",
        "data": {"tokens": 17},
    }
    event.update(changes)
    return {name: value for name, value in event.items() if value is not ...}


def request(
    body: Any = None,
    *,
    content_type: str | None = "application/cloudevents-batch+json",
    headers: Mapping[str, str] | None = None,
    base64: bool = False,
    scopes: str = "ingest",
    products: str = "prd_a",
) -> dict[str, Any]:
    """A POST /v1/events that the authorizer let through (payload format 2.0)."""
    sent = dict(headers or {})
    if content_type is not None:
        sent["content-type"] = content_type
    return {
        "version": "2.0",
        "routeKey": "POST /v1/events",
        "rawPath": "/v1/events",
        "rawQueryString": "",
        "headers": sent,
        "requestContext": {
            "authorizer": {"lambda": {"key_id": "key_1", "scopes": scopes, "products": products}},
            "http": {"method": "POST", "path": "/v1/events"},
            "requestId": "JKJaXmPLvHcESHA=",
        },
        "body": body if isinstance(body, str | None) else json.dumps(body),
        "isBase64Encoded": base64,
    }
