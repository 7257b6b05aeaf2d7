"""/v1/meters"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query

from manage.answers import entity, gone, listed
from manage.fields import Cursor, IdempotencyKey, IdPath, IfMatch, Limit, expected_version
from manage.idempotency import Idempotency
from manage.resolver import Resolver
from manage.schemas_catalog import MeterList, MeterPatch, MeterView, NewMeter, group_by_of
from manage.services import Services, new_id, products_in_view
from meterbridge.application.manage_catalog import changed, create_meter, visible_meter
from meterbridge.application.registry_admin import Versioned
from meterbridge.domain.meters import Meter

TAGS = ["Meters"]


def add_meters(app: Resolver, services: Services, idempotency: Idempotency) -> None:
    """Add the routes of meters."""
    registry = services.registry

    @app.post("/v1/meters", tags=TAGS, summary="Create a meter", status_code=201)
    def post_meter(
        body: Annotated[NewMeter, Body()], idempotency_key: IdempotencyKey = None
    ) -> Response[MeterView]:
        meter = Meter(
            id=body.id or new_id("mtr"),
            product_id=body.product_id,
            name=body.name,
            event_type=body.event_type,
            aggregation=body.aggregation,
            value_path=body.value_path,
            filters=tuple(each.filter() for each in body.filters),
            group_by=group_by_of(body.group_by),
            reset=body.reset,
            created_at=services.clock.now(),
        )
        create_meter(
            meter,
            caller=app.caller,
            registry=registry,
            answering=idempotency.answering(app, _created),
        )
        return entity(_created(meter), 1, 201)

    @app.get("/v1/meters", tags=TAGS, summary="List meters")
    def list_meters(
        product_id: Annotated[str | None, Query(max_length=64)] = None,
        cursor: Cursor = "",
        limit: Limit = 50,
    ) -> MeterList:
        page = registry.meters(cursor, limit, products_in_view(app.caller, product_id))
        return MeterList(**listed(page, MeterView.of))

    @app.get("/v1/meters/<meter_id>", tags=TAGS, summary="Read a meter")
    def get_meter(meter_id: IdPath) -> Response[MeterView]:
        entry = visible_meter(meter_id, caller=app.caller, registry=registry)
        return entity(MeterView.of(entry), entry.version)

    @app.patch("/v1/meters/<meter_id>", tags=TAGS, summary="Change or archive a meter")
    def patch_meter(
        meter_id: IdPath, body: Annotated[MeterPatch, Body()], if_match: IfMatch = None
    ) -> Response[MeterView]:
        entry = changed(
            lambda: visible_meter(meter_id, caller=app.caller, registry=registry),
            registry.save_meter,
            lambda meter: replace(meter, **_changes(body)),
            expected_version(if_match),
        )
        return entity(MeterView.of(entry), entry.version)

    @app.delete("/v1/meters/<meter_id>", tags=TAGS, summary="Delete a meter", status_code=204)
    def delete_meter(meter_id: IdPath) -> Response[None]:
        visible_meter(meter_id, caller=app.caller, registry=registry)
        registry.remove_meter(meter_id)
        return gone()


def _created(meter: Meter) -> MeterView:
    return MeterView.of(Versioned(meter, 1))


def _changes(body: MeterPatch) -> dict[str, Any]:
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    if "filters" in changes:
        changes["filters"] = tuple(each.filter() for each in body.filters)
    if "group_by" in changes:
        changes["group_by"] = group_by_of(body.group_by)
    return changes
