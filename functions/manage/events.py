"""/v1/events: what was sent. The sending itself is functions/ingest_usage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BaseModel

from manage import answers
from manage.fields import MomentQuery
from manage.resolver import Resolver
from manage.schemas_usage import (
    ConflictsView,
    EventList,
    UnmatchedEventList,
    event_to_wire,
    unmatched_to_wire,
)
from manage.services import Services, products_in_view
from meterbridge.application.event_paging import MAX_EVENTS
from meterbridge.application.list_events import list_events
from meterbridge.application.manage_catalog import visible_product
from meterbridge.application.refusals import ForbiddenError
from meterbridge.application.unmatched_events import count_conflicts, list_unmatched
from meterbridge.domain.errors import InvalidInputError

TAGS = ["Events"]
_MAX_RANGE = timedelta(days=92)
_exact = msgspec.json.Encoder(decimal_format="number")

EventCursor = Annotated[str, Query(max_length=2000, description="next_cursor of the page before")]
EventLimit = Annotated[int, Query(ge=1, le=MAX_EVENTS, description="Most entries on a page")]


def add_events(app: Resolver, services: Services) -> None:
    """Add the routes of events. Those that show raw events have no return annotation: with one,
    their numbers would pass through pydantic and come out as texts."""
    registry = services.registry

    @app.get(
        "/v1/events",
        tags=TAGS,
        summary="List a customer's usage events",
        responses=_described(EventList),
    )
    def get_events(
        product_id: Annotated[str, Query(max_length=64)],
        customer_id: Annotated[str, Query(max_length=256)],
        start: MomentQuery,
        end: MomentQuery,
        cursor: EventCursor = "",
        limit: EventLimit = 100,
    ):  # type: ignore[no-untyped-def]
        visible_product(product_id, caller=app.caller, registry=registry)
        plan = registry.shard_plan()

        def page(size: int) -> bytes:
            found = list_events(
                product_id=product_id,
                customer_id=customer_id,
                start=start,
                end=end,
                limit=size,
                cursor=cursor,
                log=services.usage_log,
                plan=plan,
            )
            return _body(map(event_to_wire, found.events), found.next_cursor)

        return _fitting(page, limit)

    @app.get(
        "/v1/events/unmatched",
        tags=TAGS,
        summary="List usage events that nothing bills, and why",
        responses=_described(UnmatchedEventList),
    )
    def get_unmatched_events(
        start: MomentQuery,
        end: MomentQuery,
        product_id: Annotated[str | None, Query(max_length=64)] = None,
        cursor: EventCursor = "",
        limit: EventLimit = 100,
    ):  # type: ignore[no-untyped-def]
        products = products_in_view(app.caller, product_id)

        def page(size: int) -> bytes:
            found = list_unmatched(
                start=start,
                end=end,
                limit=size,
                cursor=cursor,
                log=services.usage_log,
                registry=registry,
                product_ids=products,
            )
            return _body(map(unmatched_to_wire, found.items), found.next_cursor)

        return _fitting(page, limit)

    @app.get(
        "/v1/events/conflicts",
        tags=TAGS,
        summary="Count repeated events, and those with other content",
    )
    def get_event_conflicts(start: MomentQuery, end: MomentQuery) -> ConflictsView:
        if app.caller.products is not None:
            raise ForbiddenError("this key is bound to some products; the counts are of all")
        if not timedelta(0) < end - start <= _MAX_RANGE:
            raise InvalidInputError(
                "invalid_range", f"start is before end, by at most {_MAX_RANGE.days} days", "start"
            )
        return ConflictsView.of(count_conflicts(start=start, end=end, usage=services.usage))


def _described(model: type[BaseModel]) -> dict[int, Any]:
    content = {"application/json": {"model": model}}
    return {200: {"description": "Successful Response", "content": content}}


def _fitting(page: Callable[[int], bytes], limit: int) -> Response[str]:
    """A page that fits in an answer; shorter than asked for if the events are large."""
    body = page(limit)
    while len(body) > answers.MAX_ANSWER_BYTES and limit > 1:
        limit //= 2
        body = page(limit)
    return Response(200, "application/json", body.decode())


def _body(items: Iterable[Mapping[str, Any]], next_cursor: str) -> bytes:
    shown = [_encodable(item) for item in items]
    return _exact.encode({"items": shown, "next_cursor": next_cursor or None})


def _encodable(value: Any) -> Any:
    """With whole numbers beyond 64 bits as decimals, which the encoder takes at any size."""
    if isinstance(value, Mapping):
        return {name: _encodable(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(member) for member in value]
    if isinstance(value, int) and value.bit_length() > 63:
        return Decimal(value)
    return value
