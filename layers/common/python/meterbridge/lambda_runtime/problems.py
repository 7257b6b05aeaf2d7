"""Errors over HTTP: problem details, RFC 9457.

    {"type": "urn:meterbridge:problem:in_use", "title": "…", "status": 409,
     "code": "in_use", "detail": "…", "errors": [{"pointer": "/name", "code": "…", "detail": "…"}]}

`type` identifies the kind of problem and `code` is its last part; both are part of the API.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

CONTENT_TYPE = "application/problem+json"
TYPE_BASE = "urn:meterbridge:problem:"

SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
}
"""Headers of every answer."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request.

    Attributes:
        pointer: JSON pointer (RFC 6901) into the body, or the name of a parameter.
        code: stable snake_case code.
        detail: for a person.
    """

    pointer: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Problem:
    """What an error answer says."""

    status: int
    code: str
    detail: str = ""
    errors: Sequence[Fault] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """The problem details object."""
        return {
            "type": TYPE_BASE + self.code,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "errors": [
                {"pointer": fault.pointer, "code": fault.code, "detail": fault.detail}
                for fault in self.errors
            ],
        }

    def text(self) -> str:
        """The body as JSON in ASCII: a text from outside cannot break it."""
        return json.dumps(self.body())

    def response(self) -> dict[str, Any]:
        """The answer as an HTTP API takes it from a Lambda function."""
        return {
            "statusCode": self.status,
            "headers": {"Content-Type": CONTENT_TYPE, **SECURITY_HEADERS, **self.headers},
            "body": self.text(),
            "isBase64Encoded": False,
        }
