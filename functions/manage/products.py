"""/v1/products"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body

from manage.answers import entity, gone, listed
from manage.fields import Cursor, IdempotencyKey, IdPath, IfMatch, Limit, expected_version
from manage.idempotency import Idempotency
from manage.resolver import Resolver
from manage.schemas_catalog import NewProduct, ProductList, ProductPatch, ProductView
from manage.services import Services, new_id
from meterbridge.application.manage_catalog import changed, create_product, visible_product
from meterbridge.application.registry_admin import Versioned
from meterbridge.domain.offerings import Product

TAGS = ["Products"]


def add_products(app: Resolver, services: Services, idempotency: Idempotency) -> None:
    """Add the routes of products."""
    registry = services.registry

    @app.post("/v1/products", tags=TAGS, summary="Create a product", status_code=201)
    def post_product(
        body: Annotated[NewProduct, Body()], idempotency_key: IdempotencyKey = None
    ) -> Response[ProductView]:
        product = Product(
            id=body.id or new_id("prd"),
            name=body.name,
            listings=body.listings,
            created_at=services.clock.now(),
        )
        create_product(
            product,
            caller=app.caller,
            registry=registry,
            answering=idempotency.answering(app, _created),
        )
        return entity(_created(product), 1, 201)

    @app.get("/v1/products", tags=TAGS, summary="List products")
    def list_products(cursor: Cursor = "", limit: Limit = 50) -> ProductList:
        page = registry.products(cursor, limit, app.caller.products)
        return ProductList(**listed(page, ProductView.of))

    @app.get("/v1/products/<product_id>", tags=TAGS, summary="Read a product")
    def get_product(product_id: IdPath) -> Response[ProductView]:
        entry = visible_product(product_id, caller=app.caller, registry=registry)
        return entity(ProductView.of(entry), entry.version)

    @app.patch("/v1/products/<product_id>", tags=TAGS, summary="Change a product")
    def patch_product(
        product_id: IdPath, body: Annotated[ProductPatch, Body()], if_match: IfMatch = None
    ) -> Response[ProductView]:
        changes = {name: getattr(body, name) for name in body.model_fields_set}
        entry = changed(
            lambda: visible_product(product_id, caller=app.caller, registry=registry),
            registry.save_product,
            lambda product: replace(product, **changes),
            expected_version(if_match),
        )
        return entity(ProductView.of(entry), entry.version)

    @app.delete("/v1/products/<product_id>", tags=TAGS, summary="Delete a product", status_code=204)
    def delete_product(product_id: IdPath) -> Response[None]:
        visible_product(product_id, caller=app.caller, registry=registry)
        registry.remove_product(product_id)
        return gone()


def _created(product: Product) -> ProductView:
    return ProductView.of(Versioned(product, 1))
