"""/v1/customers/{id}/parent and …/children: whose child a customer is, and who is billed together."""

from __future__ import annotations

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query

from manage.answers import entity, gone
from manage.customers import find_customer
from manage.fields import CustomerPath, FullHour, IfMatch, expected_version
from manage.resolver import Resolver
from manage.schemas_links import ChildrenView, NewParent, ParentView
from manage.services import Services
from meterbridge.application.customer_parents import ParentDesk

TAGS = ["Customers"]
_PARENT = "/v1/customers/<customer_id>/parent"


def add_customer_parents(app: Resolver, services: Services) -> None:
    """Add the routes of links between customers. Links are of all products."""
    registry, clock = services.registry, services.clock
    desk = ParentDesk(registry, services.usage, services.queue, clock)

    @app.get(_PARENT, tags=TAGS, summary="Read whose child a customer is, and was")
    def get_parent(customer_id: CustomerPath) -> Response[ParentView]:
        customer = find_customer(customer_id, registry).value
        entry = registry.links_entry(customer.id)
        return entity(ParentView.of(customer.id, entry, clock.now()), entry.version)

    @app.put(_PARENT, tags=TAGS, summary="Make a customer the child of another")
    def put_parent(
        customer_id: CustomerPath,
        body: Annotated[NewParent, Body()],
        if_match: IfMatch = None,
    ) -> Response[ParentView]:
        customer = find_customer(customer_id, registry).value
        entry = desk.link(
            customer.id,
            body.order(),
            caller=app.caller,
            expected_version=expected_version(if_match),
        )
        return entity(ParentView.of(customer.id, entry, clock.now()), entry.version)

    @app.delete(_PARENT, tags=TAGS, summary="End whose child a customer is", status_code=204)
    def delete_parent(
        customer_id: CustomerPath,
        until: Annotated[
            FullHour | None, Query(description="From when on; the present hour if left out")
        ] = None,
        if_match: IfMatch = None,
    ) -> Response[None]:
        desk.unlink(
            find_customer(customer_id, registry).value.id,
            until,
            caller=app.caller,
            expected_version=expected_version(if_match),
        )
        return gone()

    @app.get(
        "/v1/customers/<customer_id>/children",
        tags=TAGS,
        summary="List a customer's children, present, past and to come",
    )
    def list_children(customer_id: CustomerPath) -> ChildrenView:
        customer = find_customer(customer_id, registry).value
        return ChildrenView.of(customer.id, registry.children_of(customer.id), clock.now())
