"""/v1/usage: what a customer has used, as it will be billed, and what nothing bills."""

from __future__ import annotations

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query

from manage.answers import fitting
from manage.fields import Cursor, Limit, MomentQuery, to_cursor
from manage.resolver import Resolver
from manage.schemas_usage import QuantityView, UnbilledUsageList, UnbilledUsageView, UsageView
from manage.services import Services
from meterbridge.application.manage_catalog import visible_product
from meterbridge.application.unbilled_usage import list_unbilled
from meterbridge.application.usage_report import usage_report
from meterbridge.domain.errors import InvalidInputError
from meterbridge.domain.meters import ResetPeriod

TAGS = ["Usage"]


def add_usage(app: Resolver, services: Services) -> None:
    """Add the routes of usage."""
    registry = services.registry

    @app.get("/v1/usage", tags=TAGS, summary="Usage of a customer by window, meter and group")
    def get_usage(
        product_id: Annotated[str, Query(max_length=64)],
        customer_id: Annotated[str, Query(min_length=1, max_length=256)],
        start: MomentQuery,
        end: MomentQuery,
        meter_id: Annotated[str | None, Query(max_length=64)] = None,
        window: Annotated[ResetPeriod, Query()] = ResetPeriod.HOUR,
        cursor: Cursor = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    ) -> UsageView:
        visible_product(product_id, caller=app.caller, registry=registry)
        report = usage_report(
            product_id=product_id,
            customer_id=customer_id,
            meter_id=meter_id,
            window=window,
            start=start,
            end=end,
            usage=services.usage,
            registry=registry,
            clock=services.clock,
            grace=services.grace,
        )
        first = _place(cursor)
        items = [QuantityView.of(each) for each in report.quantities[first : first + limit]]
        items = items[: fitting(items)]
        next_place = first + len(items)
        more = len(report.quantities) > next_place
        return UsageView(
            items=items,
            next_cursor=to_cursor(str(next_place)) if more else None,
            fresh_through=report.fresh_through,
            folded_at=report.folded_at,
        )

    @app.get(
        "/v1/usage/unbilled",
        tags=TAGS,
        summary="List usage of known customers that no dimension of an agreement bills, and why",
    )
    def get_unbilled_usage(
        product_id: Annotated[str, Query(max_length=64)],
        start: MomentQuery,
        end: MomentQuery,
        customer_id: Annotated[str | None, Query(min_length=1, max_length=256)] = None,
        cursor: Annotated[
            str, Query(max_length=2000, description="next_cursor of the page before")
        ] = "",
        limit: Limit = 50,
    ) -> UnbilledUsageList:
        visible_product(product_id, caller=app.caller, registry=registry)
        found = list_unbilled(
            product_id=product_id,
            customer_id=customer_id,
            start=start,
            end=end,
            limit=limit,
            cursor=cursor,
            usage=services.usage,
            registry=registry,
        )
        return UnbilledUsageList(
            items=[UnbilledUsageView.of(each) for each in found.items],
            next_cursor=found.next_cursor or None,
        )


def _place(cursor: str) -> int:
    if cursor and not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 9):
        raise InvalidInputError("invalid_cursor", "must be a next_cursor of this list", "cursor")
    return int(cursor or 0)
