"""/v1/events: what was sent. The sending itself is functions/ingest_usage."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import msgspec
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from manage.fields import MomentQuery
from manage.resolver import Resolver
from manage.schemas_usage import EventList, event_to_wire
from manage.services import Services
from meterbridge.application.list_events import MAX_EVENTS, EventPage, list_events
from meterbridge.application.manage_catalog import visible_product

TAGS = ["Events"]
_MAX_BYTES = 4 << 20
"""A Lambda function answers at most 6 MB."""

_exact = msgspec.json.Encoder(decimal_format="number")


def add_events(app: Resolver, services: Services) -> None:
    """Add the routes of events."""
    registry = services.registry

    @app.get(
        "/v1/events",
        tags=TAGS,
        summary="List a customer's usage events",
        responses={
            200: {
                "description": "A page of events",
                "content": {"application/json": {"model": EventList}},
            }
        },
    )
    def get_events(
        product_id: Annotated[str, Query(max_length=64)],
        customer_id: Annotated[str, Query(max_length=256)],
        start: MomentQuery,
        end: MomentQuery,
        cursor: Annotated[str, Query(max_length=2000)] = "",
        limit: Annotated[int, Query(ge=1, le=MAX_EVENTS)] = 100,
    ):  # type: ignore[no-untyped-def]  # an annotation would pass the numbers through pydantic
        visible_product(product_id, caller=app.caller, registry=registry)
        plan = registry.shard_plan()
        while True:
            page = list_events(
                product_id=product_id,
                customer_id=customer_id,
                start=start,
                end=end,
                limit=limit,
                cursor=cursor,
                log=services.usage_log,
                plan=plan,
            )
            body = _body(page)
            if len(body) <= _MAX_BYTES or limit == 1:
                return Response(200, "application/json", body.decode())
            limit //= 2


def _body(page: EventPage) -> bytes:
    return _exact.encode(
        {
            "items": [_encodable(event_to_wire(listed)) for listed in page.events],
            "next_cursor": page.next_cursor or None,
        }
    )


def _encodable(value: Any) -> Any:
    """With whole numbers beyond 64 bits as decimals, which the encoder takes at any size."""
    if isinstance(value, dict):
        return {name: _encodable(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_encodable(member) for member in value]
    if isinstance(value, int) and value.bit_length() > 63:
        return Decimal(value)
    return value
