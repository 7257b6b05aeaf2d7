"""POST /v1/events in the description: that route is another function's, which has no resolver."""

from __future__ import annotations

from typing import Any

_EVENT: dict[str, Any] = {
    "type": "object",
    "description": "A CloudEvent 1.0. Numbers in `data` are exact decimals.",
    "required": ["specversion", "id", "source", "type", "subject", "time"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "description": "Stable id of the fact, not of the attempt"},
        "source": {"type": "string", "format": "uri-reference"},
        "type": {"type": "string"},
        "subject": {"type": "string", "description": "Your id of the customer"},
        "time": {"type": "string", "format": "date-time"},
        "productid": {
            "type": "string",
            "description": "The product that was used; not needed with a key bound to one product",
        },
        "data": {"type": "object"},
    },
}
_BATCH: dict[str, Any] = {"type": "array", "items": _EVENT, "minItems": 1}

SEND_EVENTS_PATH = "/v1/events"
SEND_EVENTS: dict[str, Any] = {
    "tags": ["Events"],
    "summary": "Send usage events",
    "parameters": [],
    "requestBody": {
        "required": True,
        "content": {
            "application/cloudevents+json": {"schema": _EVENT},
            "application/cloudevents-batch+json": {"schema": _BATCH},
            "application/json": {"schema": {"anyOf": [_EVENT, _BATCH]}},
        },
    },
    "responses": {
        "202": {
            "description": "The accepted events are stored durably",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["accepted", "rejected"],
                        "properties": {
                            "accepted": {"type": "integer"},
                            "rejected": {
                                "type": "array",
                                "items": {
                                    "type": "object",
                                    "required": ["index", "id", "code", "detail"],
                                    "properties": {
                                        "index": {"type": "integer"},
                                        "id": {"type": ["string", "null"]},
                                        "code": {"type": "string"},
                                        "detail": {"type": "string"},
                                    },
                                },
                            },
                        },
                    }
                }
            },
        }
    },
}
