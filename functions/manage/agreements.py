"""/v1/agreements"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query

from manage.answers import entity, gone, listed
from manage.fields import (
    Cursor,
    IdempotencyKey,
    IdPath,
    IfMatch,
    Limit,
    expected_version,
)
from manage.idempotency import Idempotency
from manage.resolver import Resolver
from manage.schemas_agreements import (
    AgreementList,
    AgreementPatch,
    AgreementView,
    NewAgreement,
)
from manage.services import Services, new_id, products_in_view
from meterbridge.application.manage_agreements import (
    change_agreement,
    create_agreement,
    patched,
    visible_agreement,
)
from meterbridge.application.registry_admin import Page, Versioned
from meterbridge.domain.agreements import REPORTED_CHANNELS, Agreement
from meterbridge.domain.errors import InvalidInputError, NotFoundError

TAGS = ["Agreements"]


def add_agreements(app: Resolver, services: Services, idempotency: Idempotency) -> None:
    """Add the routes of agreements."""
    registry = services.registry

    @app.post("/v1/agreements", tags=TAGS, summary="Create an agreement", status_code=201)
    def post_agreement(
        body: Annotated[NewAgreement, Body()], idempotency_key: IdempotencyKey = None
    ) -> Response[AgreementView]:
        agreement = create_agreement(
            _agreement(body, services),
            caller=app.caller,
            registry=registry,
            queue=services.queue,
            answering=idempotency.answering(app, AgreementView.of),
        )
        return entity(AgreementView.of(agreement), 1, 201)

    @app.get("/v1/agreements", tags=TAGS, summary="List agreements")
    def list_agreements(
        product_id: Annotated[str | None, Query(max_length=64)] = None,
        customer_id: Annotated[
            str | None, Query(max_length=256, description="Together with product_id")
        ] = None,
        cursor: Cursor = "",
        limit: Limit = 50,
    ) -> AgreementList:
        products = products_in_view(app.caller, product_id)
        if customer_id is None:
            page = registry.agreement_page(cursor, limit, products)
            return AgreementList(**listed(page, AgreementView.of_entry))
        if product_id is None:
            raise InvalidInputError("missing", "customer_id needs a product_id", "product_id")
        found = registry.agreements_of(product_id, customer_id) if products else []
        entries = tuple(Versioned(each, each.version) for each in found)
        return AgreementList(**listed(Page(entries), AgreementView.of_entry))

    @app.get("/v1/agreements/<agreement_id>", tags=TAGS, summary="Read an agreement")
    def get_agreement(agreement_id: IdPath) -> Response[AgreementView]:
        entry = visible_agreement(agreement_id, caller=app.caller, registry=registry)
        return entity(AgreementView.of(entry.value), entry.version)

    @app.patch("/v1/agreements/<agreement_id>", tags=TAGS, summary="Change or end an agreement")
    def patch_agreement(
        agreement_id: IdPath, body: Annotated[AgreementPatch, Body()], if_match: IfMatch = None
    ) -> Response[AgreementView]:
        changes = _changes(body)
        entry = change_agreement(
            agreement_id,
            lambda agreement: patched(agreement, changes),
            expected_version(if_match),
            caller=app.caller,
            registry=registry,
            queue=services.queue,
            clock=services.clock,
        )
        return entity(AgreementView.of(entry.value), entry.version)

    @app.delete(
        "/v1/agreements/<agreement_id>",
        tags=TAGS,
        summary="Delete a pending agreement",
        status_code=204,
    )
    def delete_agreement(agreement_id: IdPath) -> Response[None]:
        visible_agreement(agreement_id, caller=app.caller, registry=registry)
        registry.remove_agreement(agreement_id)
        return gone()


def _agreement(body: NewAgreement, services: Services) -> Agreement:
    version = body.offering_version
    if version is None:
        try:
            version = services.registry.offering_entry(body.offering_id).version
        except NotFoundError:
            version = 1
    return Agreement(
        id=body.id or new_id("agr"),
        customer_id=body.customer_id,
        product_id=body.product_id,
        channel=body.channel,
        offering_id=body.offering_id,
        offering_version=version,
        plan_code=body.plan_code,
        starts_at=body.starts_at,
        ends_at=body.ends_at,
        state=body.state,
        aws=body.aws and body.aws.reference(),
        azure=body.azure and body.azure.reference(),
        gcp=body.gcp and body.gcp.reference(),
        zero_records=body.zero_records,
        recovery=body.recovery,
        overrides=body.overrides.overrides(),
        plan_changes=tuple(each.plan_change() for each in body.plan_changes),
        grants=tuple(each.grant() for each in body.grants),
        seats=tuple(each.seats_in_force() for each in body.seats),
        created_at=services.clock.now(),
    )


def _changes(body: AgreementPatch) -> dict[str, Any]:
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    for buyer in REPORTED_CHANNELS:
        if buyer.value in changes:
            changes[buyer.value] = changes[buyer.value].reference()
    return {name: _AGREED.get(name, _as_sent)(value) for name, value in changes.items()}


def _as_sent(value: Any) -> Any:
    return value


_AGREED: dict[str, Callable[[Any], Any]] = {
    "overrides": lambda sent: sent.overrides(),
    "plan_changes": lambda sent: tuple(each.plan_change() for each in sent),
    "grants": lambda sent: tuple(each.grant() for each in sent),
    "seats": lambda sent: tuple(each.seats_in_force() for each in sent),
}
"""How what is agreed with the buyer becomes the domain's."""
