"""The OpenAPI 3.1 description, generated from the routes, and served by one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from aws_lambda_powertools.event_handler import Response

from manage.openapi_events import SEND_EVENTS, SEND_EVENTS_PATH
from manage.resolver import Resolver
from meterbridge.application.authorize_call import needed_scope
from meterbridge.lambda_runtime.problems import CONTENT_TYPE

PATH = "/v1/openapi.json"
VERSION = "1.0.0"
_DESCRIPTION = """Billing layer between a SaaS product and cloud marketplaces.

Money and quantities are decimal texts. Times are RFC 3339; windows include their start and not
their end. Errors are problem details (RFC 9457). A POST may carry an `Idempotency-Key`."""

_GENERATED = ("HTTPValidationError", "ValidationError", "ResponseValidationError")
_PROBLEM = {
    "type": "object",
    "description": "Problem details, RFC 9457.",
    "required": ["type", "title", "status", "code", "detail", "errors"],
    "properties": {
        "type": {"type": "string", "format": "uri", "examples": ["urn:meterbridge:problem:in_use"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable name of the problem"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Fault"}},
    },
}
_FAULT = {
    "type": "object",
    "description": "One thing that is wrong with a request.",
    "required": ["pointer", "code", "detail"],
    "properties": {
        "pointer": {
            "type": "string",
            "description": "JSON pointer into the body, or the name of a parameter",
        },
        "code": {"type": "string"},
        "detail": {"type": "string"},
    },
}
_GATEWAY_MESSAGE = {
    "type": "object",
    "description": "An answer of API Gateway itself: the request never reached a function.",
    "properties": {"message": {"type": "string"}},
}
_ALSO_FROM_GATEWAY = frozenset({"401", "403", "429", "503"})
_STATUSES = {
    "400": "The body is not JSON",
    "401": "No API key",
    "403": "The key is unknown, revoked, expired, or not for this",
    "404": "It does not exist, or not for this key",
    "409": "It contradicts what is stored",
    "412": "It is not at the version of If-Match",
    "413": "The body is too large",
    "415": "The body is of another media type",
    "422": "The request is not valid; all faults are listed",
    "429": "Too many requests",
    "500": "A defect; it is logged",
    "503": "The store is not available; try again",
}


def add_openapi(app: Resolver) -> None:
    """Add the route of the description itself."""
    cache: list[str] = []

    @app.get(PATH, tags=["API"], summary="Read this description")
    def get_openapi() -> Response[dict[str, Any]]:
        if not cache:
            cache.append(json.dumps(document(app)))
        return Response(200, "application/json", json.loads(cache[0]))


def document(app: Resolver) -> dict[str, Any]:
    """The description of all routes, and of the one that sends usage."""
    found: dict[str, Any] = json.loads(
        app.get_openapi_json_schema(
            title="Meterbridge",
            version=VERSION,
            description=_DESCRIPTION,
            openapi_version="3.1.0",
        )
    )
    found["servers"] = [{"url": "https://{host}", "variables": {"host": {"default": "localhost"}}}]
    schemas = found["components"]["schemas"]
    for name in _GENERATED:
        schemas.pop(name, None)
    schemas |= {"Problem": _PROBLEM, "Fault": _FAULT, "GatewayMessage": _GATEWAY_MESSAGE}
    found["paths"].setdefault(SEND_EVENTS_PATH, {})["post"] = json.loads(json.dumps(SEND_EVENTS))
    found["components"]["securitySchemes"] = {
        "apiKey": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, `mb_…`, with the scope that the operation names",
        }
    }
    found["paths"] = dict(sorted(found["paths"].items()))
    for method, path, operation in _operations(found):
        _complete(method, path, operation)
    return found


def _operations(found: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            yield method, path, operation


def _complete(method: str, path: str, operation: dict[str, Any]) -> None:
    """Name the scope, the errors, and an id that a client generator makes a good name of."""
    scope = needed_scope(method.upper(), path)
    operation["security"] = [{"apiKey": []}]
    operation["x-meterbridge-scope"] = scope.value
    operation["operationId"] = _operation_id(method, path)
    operation["description"] = f"Needs scope `{scope.value}`."
    responses = operation["responses"]
    responses.pop("422", None)
    if "204" in responses:
        responses["204"].pop("content", None)
    for status, description in _STATUSES.items():
        if _can_happen(int(status), method, path, operation):
            responses[status] = {"description": description, "content": _error_content(status)}
    operation["responses"] = dict(sorted(responses.items()))


def _error_content(status: str) -> dict[str, Any]:
    content = {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    if status in _ALSO_FROM_GATEWAY:
        content["application/json"] = {"schema": {"$ref": "#/components/schemas/GatewayMessage"}}
    return content


def _can_happen(status: int, method: str, path: str, operation: dict[str, Any]) -> bool:
    parameters = {each["name"].lower() for each in operation.get("parameters", [])}
    conditions = {
        400: "requestBody" in operation,
        404: "{" in path,
        413: path == SEND_EVENTS_PATH,
        409: path != SEND_EVENTS_PATH and method in ("post", "put", "patch", "delete"),
        412: "if-match" in parameters,
        415: "requestBody" in operation,
        422: bool(parameters) or "requestBody" in operation,
    }
    return conditions.get(status, True)


def _operation_id(method: str, path: str) -> str:
    """As getOfferingVersion for GET /v1/offerings/{offering_id}/versions/{version}."""
    words = [method]
    for part in path.removeprefix("/v1/").removesuffix(".json").split("/"):
        if part.startswith("{"):
            words[-1] = words[-1].removesuffix("s")
        else:
            words += part.split("-")
    return words[0] + "".join(word[:1].upper() + word[1:] for word in words[1:])
