"""/v1/offerings"""

from __future__ import annotations

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Path, Query

from manage.answers import entity, gone, listed
from manage.fields import Cursor, IdempotencyKey, IdPath, Limit
from manage.idempotency import Idempotency
from manage.offering_faults import add_offering_faults
from manage.resolver import Resolver
from manage.schemas_offerings import NewOffering, NewVersion, OfferingList, OfferingView
from manage.services import Services, new_id, products_in_view
from meterbridge.application.manage_catalog import visible_offering
from meterbridge.application.publish_offering import publish_offering
from meterbridge.application.registry_admin import Versioned
from meterbridge.domain.errors import InvalidInputError
from meterbridge.domain.offerings import Offering

TAGS = ["Offerings"]


def add_offerings(app: Resolver, services: Services, idempotency: Idempotency) -> None:
    """Add the routes of offerings."""
    registry = services.registry
    add_offering_faults(app, services)

    @app.post("/v1/offerings", tags=TAGS, summary="Create an offering: version 1", status_code=201)
    def post_offering(
        body: Annotated[NewOffering, Body()], idempotency_key: IdempotencyKey = None
    ) -> Response[OfferingView]:
        return publish(
            body.offering(
                body.id or new_id("off"), body.product_id, 1, created_at=services.clock.now()
            )
        )

    @app.post(
        "/v1/offerings/<offering_id>/versions",
        tags=TAGS,
        summary="Publish the next version of an offering",
        status_code=201,
    )
    def post_offering_version(
        offering_id: IdPath,
        body: Annotated[NewVersion, Body()],
        idempotency_key: IdempotencyKey = None,
    ) -> Response[OfferingView]:
        newest = visible_offering(offering_id, caller=app.caller, registry=registry)
        return publish(
            body.offering(
                offering_id,
                newest.value.product_id,
                newest.version + 1,
                created_at=services.clock.now(),
            )
        )

    @app.get("/v1/offerings", tags=TAGS, summary="List offerings in their newest version")
    def list_offerings(
        product_id: Annotated[str | None, Query(max_length=64)] = None,
        cursor: Cursor = "",
        limit: Limit = 50,
    ) -> OfferingList:
        page = registry.offerings(cursor, limit, products_in_view(app.caller, product_id))
        return OfferingList(**listed(page, _view))

    @app.get("/v1/offerings/<offering_id>", tags=TAGS, summary="Read an offering's newest version")
    def get_offering(offering_id: IdPath) -> Response[OfferingView]:
        entry = visible_offering(offering_id, caller=app.caller, registry=registry)
        return entity(_view(entry), entry.version)

    @app.get(
        "/v1/offerings/<offering_id>/versions", tags=TAGS, summary="List an offering's versions"
    )
    def list_offering_versions(
        offering_id: IdPath, cursor: Cursor = "", limit: Limit = 50
    ) -> OfferingList:
        visible_offering(offering_id, caller=app.caller, registry=registry)
        page = registry.offering_versions(offering_id, _number(cursor), limit)
        return OfferingList(**listed(page, _view, lambda entry: str(entry.version)))

    @app.get(
        "/v1/offerings/<offering_id>/versions/<version>",
        tags=TAGS,
        summary="Read one version of an offering",
    )
    def get_offering_version(
        offering_id: IdPath, version: Annotated[int, Path(ge=1, lt=10**8)]
    ) -> Response[OfferingView]:
        visible_offering(offering_id, caller=app.caller, registry=registry)
        return entity(OfferingView.of(registry.offering(offering_id, version)), version)

    @app.delete(
        "/v1/offerings/<offering_id>",
        tags=TAGS,
        summary="Delete an offering with all its versions",
        status_code=204,
    )
    def delete_offering(offering_id: IdPath) -> Response[None]:
        visible_offering(offering_id, caller=app.caller, registry=registry)
        registry.remove_offering(offering_id)
        return gone()

    def publish(offering: Offering) -> Response[OfferingView]:
        published = publish_offering(
            offering,
            caller=app.caller,
            registry=registry,
            answering=idempotency.answering(app, OfferingView.of),
        )
        return entity(OfferingView.of(published), published.version, 201)


def _view(entry: Versioned[Offering]) -> OfferingView:
    return OfferingView.of(entry.value)


def _number(cursor: str) -> int:
    if cursor and not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 8):
        raise InvalidInputError("invalid_cursor", "must be a next_cursor of this list", "cursor")
    return int(cursor or 0)
