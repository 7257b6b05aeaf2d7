"""/v1/customers. Customers are the seller's: every key sees them, whatever product it is bound to."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated
from urllib.parse import unquote

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body

from manage.answers import entity, gone, listed
from manage.fields import Cursor, CustomerPath, IdempotencyKey, IfMatch, Limit, expected_version
from manage.idempotency import Idempotency
from manage.resolver import Resolver
from manage.schemas_catalog import CustomerList, CustomerPatch, CustomerView, NewCustomer
from manage.services import Services
from meterbridge.application.manage_catalog import changed, create_customer
from meterbridge.application.registry_admin import RegistryAdmin, Versioned
from meterbridge.domain.agreements import Customer
from meterbridge.domain.errors import NotFoundError

TAGS = ["Customers"]
_MAX_ID = 256


def add_customers(app: Resolver, services: Services, idempotency: Idempotency) -> None:
    """Add the routes of customers."""
    registry = services.registry

    @app.post("/v1/customers", tags=TAGS, summary="Create a customer", status_code=201)
    def post_customer(
        body: Annotated[NewCustomer, Body()], idempotency_key: IdempotencyKey = None
    ) -> Response[CustomerView]:
        customer = Customer(id=body.id, name=body.name, created_at=services.clock.now())
        create_customer(customer, registry=registry, answering=idempotency.answering(app, _created))
        return entity(_created(customer), 1, 201)

    @app.get("/v1/customers", tags=TAGS, summary="List customers")
    def list_customers(cursor: Cursor = "", limit: Limit = 50) -> CustomerList:
        return CustomerList(**listed(registry.customer_page(cursor, limit), CustomerView.of))

    @app.get("/v1/customers/<customer_id>", tags=TAGS, summary="Read a customer")
    def get_customer(customer_id: CustomerPath) -> Response[CustomerView]:
        entry = find_customer(customer_id, registry)
        return entity(CustomerView.of(entry), entry.version)

    @app.patch("/v1/customers/<customer_id>", tags=TAGS, summary="Change a customer")
    def patch_customer(
        customer_id: CustomerPath,
        body: Annotated[CustomerPatch, Body()],
        if_match: IfMatch = None,
    ) -> Response[CustomerView]:
        changes = {name: getattr(body, name) for name in body.model_fields_set}
        entry = changed(
            lambda: find_customer(customer_id, registry),
            registry.save_customer,
            lambda customer: replace(customer, **changes),
            expected_version(if_match),
        )
        return entity(CustomerView.of(entry), entry.version)

    @app.delete(
        "/v1/customers/<customer_id>", tags=TAGS, summary="Delete a customer", status_code=204
    )
    def delete_customer(customer_id: CustomerPath) -> Response[None]:
        registry.remove_customer(find_customer(customer_id, registry).value.id)
        return gone()


def _created(customer: Customer) -> CustomerView:
    return CustomerView.of(Versioned(customer, 1))


def find_customer(path: str, registry: RegistryAdmin) -> Versioned[Customer]:
    """A customer by path; API Gateway passes some percent-encodings on, so both readings count."""
    for customer_id in dict.fromkeys((path, unquote(path))):
        if len(customer_id) <= _MAX_ID:
            try:
                return registry.customer_entry(customer_id)
            except NotFoundError:
                continue
    raise NotFoundError("no such customer")
