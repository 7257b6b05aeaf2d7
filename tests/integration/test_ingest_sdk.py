"""What the CloudEvents SDK for Python sends, in structured and in binary mode."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from builders import NOON
from ingest_setup import Ingest, request


def message_of(mode: str) -> HTTPMessage:
    event = CloudEvent(
        attributes={
            "id": "req-8843",
            "source": "api",
            "type": "llm.request",
            "subject": "customer-07",
            "time": NOON - timedelta(minutes=1),
            "datacontenttype": "application/json",
        },
        data={"context_tokens": 88, "price": "0.10"},
    )
    return {"structured": to_structured_event, "binary": to_binary_event}[mode](event)


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_an_event_of_the_sdk_is_stored_as_it_was_made(mode: str) -> None:
    ingest = Ingest()
    message = message_of(mode)
    headers = {**message.headers}
    content_type = headers.pop("content-type")
    answer = ingest.post(request(message.body.decode(), content_type=content_type, headers=headers))
    assert answer["statusCode"] == 202
    (event,) = ingest.stored()
    assert (event.source, event.id, event.subject) == ("api", "req-8843", "customer-07")
    assert event.occurred_at == NOON - timedelta(minutes=1)
    assert event.values == {"context_tokens": Decimal(88), "price": "0.10"}
