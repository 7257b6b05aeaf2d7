"""Requests as an HTTP API passes them to a Lambda function (payload format 2.0)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

_TEMPLATE = json.loads((Path(__file__).parent / "events" / "http_api_v2.json").read_text())
ALL_PRODUCTS = "*"


def http_event(
    method: str,
    url: str,
    body: Any = None,
    *,
    headers: Mapping[str, str] | None = None,
    caller: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """An event; a body that is no text is sent as JSON."""
    event: dict[str, Any] = json.loads(json.dumps(_TEMPLATE))
    parts = urlsplit(url)
    event["rawPath"] = parts.path
    event["rawQueryString"] = parts.query
    query = parse_qsl(parts.query, keep_blank_values=True)
    if query:
        event["queryStringParameters"] = {
            name: ",".join(value for other, value in query if other == name) for name, _ in query
        }
    event["requestContext"]["http"] |= {"method": method, "path": parts.path}
    if body is not None:
        event["headers"]["content-type"] = "application/json"
        event["body"] = body if isinstance(body, str) else json.dumps(body)
    event["headers"] |= {name.lower(): value for name, value in (headers or {}).items()}
    if caller is not None:
        event["requestContext"]["authorizer"] = {"lambda": dict(caller)}
    return event


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: Any
    headers: dict[str, str]

    @property
    def code(self) -> str:
        """Of a problem."""
        code: str = self.body["code"]
        return code

    @property
    def faults(self) -> list[tuple[str, str]]:
        """(pointer, code) of each fault of a problem."""
        return [(each["pointer"], each["code"]) for each in self.body["errors"]]


@dataclass
class Client:
    """Calls a function as one caller."""

    resolve: Callable[[dict[str, Any], Any], dict[str, Any]]
    key_id: str = "key_test"
    scopes: str = "admin"
    products: str = ALL_PRODUCTS
    headers: dict[str, str] = field(default_factory=dict)

    def __call__(self, method: str, url: str, body: Any = None, **headers: str) -> Answer:
        """Send a request; a header's name is written with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        caller = {"key_id": self.key_id, "scopes": self.scopes, "products": self.products}
        event = http_event(method, url, body, headers={**self.headers, **sent}, caller=caller)
        answer = self.resolve(event, None)
        text = answer.get("body")
        return Answer(
            answer["statusCode"], json.loads(text) if text else None, dict(answer["headers"])
        )
