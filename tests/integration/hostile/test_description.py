"""Requests made from the OpenAPI description, fitting it and not: answered as it says, never 5xx."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import jsonschema_rs
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.generation import GenerationMode

from hostile_requests import Sent
from http_api import http_event

from .conftest import Front

DOCUMENT = json.loads((Path(__file__).parents[3] / "docs" / "openapi.json").read_text())
OPERATIONS = {
    operation.ok().label: operation.ok()
    for operation in schemathesis.openapi.from_dict(DOCUMENT).get_all_operations()
}
REQUESTS = {GenerationMode.POSITIVE: 40, GenerationMode.NEGATIVE: 80}
CALLER = {"key_id": "key_test", "scopes": "admin ingest", "products": "*"}


def sent_by(case: schemathesis.Case) -> Sent:
    """The request as API Gateway would pass it on."""
    request = requests.Request(**case.as_transport_kwargs(base_url="https://api")).prepare()
    url = urlsplit(request.url or "")
    event = http_event(case.method, f"{url.path}?{url.query}", caller=CALLER)
    event["rawPath"] = unquote(url.path, errors="replace")
    event["headers"] |= {name.lower(): str(value) for name, value in request.headers.items()}
    body = request.body or b""
    event["body"] = base64.b64encode(body if isinstance(body, bytes) else body.encode()).decode()
    event["isBase64Encoded"] = True
    return Sent(event, to_ingest=(case.method, event["rawPath"]) == ("POST", "/v1/events"))


def schema_of(label: str, status: int) -> dict[str, Any] | None:
    """What the description says of an answer's body."""
    method, path = label.split(" ")
    responses = DOCUMENT["paths"][path][method.lower()]["responses"]
    assert str(status) in responses, f"{label} answers {status}"
    for content in responses[str(status)].get("content", {}).values():
        return {**content["schema"], "components": DOCUMENT["components"]}
    return None


@pytest.mark.parametrize("mode", list(REQUESTS), ids=lambda mode: mode.name.lower())
@pytest.mark.parametrize("label", sorted(OPERATIONS))
def test_generated_requests_are_answered_as_described(
    front: Front, label: str, mode: GenerationMode
) -> None:
    sent = 0

    @settings(
        max_examples=REQUESTS[mode],
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=OPERATIONS[label].as_strategy(generation_mode=mode))
    def send(case: schemathesis.Case) -> None:
        nonlocal sent
        sent += 1
        request = sent_by(case)
        answer = front.answer(request)
        if answer["statusCode"] in (404, 405):
            return  # a generated id may hold slashes, and then be another path
        schema = schema_of(label, answer["statusCode"])
        if schema is not None:
            jsonschema_rs.validate(schema, json.loads(answer["body"]))

    send()
    assert sent >= REQUESTS[mode]
