"""/v1/agreements/{id}/grants, /seats and /plan-changes: what is agreed as time goes by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body

from manage.answers import gone
from manage.fields import CycleStartPath, IdempotencyKey, IdPath, IfMatch, expected_version
from manage.idempotency import Idempotency
from manage.resolver import Resolver
from manage.schemas_agreed import Grant, PlanChange, Seats
from manage.services import Services
from meterbridge.application.amend_agreement import (
    with_grant,
    with_plan_change,
    with_seats,
    without_plan_change,
)
from meterbridge.application.manage_agreements import AgreedPart, change_agreement
from meterbridge.application.manage_catalog import Answering
from meterbridge.domain.agreements import Agreement

TAGS = ["Agreements"]


def add_agreed(app: Resolver, services: Services, idempotency: Idempotency) -> None:
    """Add the routes of what is agreed with a buyer over time."""

    @app.post(
        "/v1/agreements/<agreement_id>/grants",
        tags=TAGS,
        summary="Grant credits to a buyer",
        status_code=201,
    )
    def post_grant(
        agreement_id: IdPath,
        body: Annotated[Grant, Body()],
        idempotency_key: IdempotencyKey = None,
    ) -> Response[Grant]:
        grant = body.grant()
        agree(
            agreement_id,
            lambda agreement: with_grant(agreement, grant),
            AgreedPart("grants", grant),
            idempotency.answering(app, lambda _: Grant.of(grant)),
        )
        return Response(201, "application/json", Grant.of(grant))

    @app.post(
        "/v1/agreements/<agreement_id>/seats",
        tags=TAGS,
        summary="Change a buyer's seats from a moment on",
        status_code=201,
    )
    def post_seats(
        agreement_id: IdPath,
        body: Annotated[Seats, Body()],
        idempotency_key: IdempotencyKey = None,
    ) -> Response[Seats]:
        seats = body.seats_in_force()
        agree(
            agreement_id,
            lambda agreement: with_seats(agreement, seats),
            AgreedPart("seats", seats),
            idempotency.answering(app, lambda _: Seats.of(seats)),
        )
        return Response(201, "application/json", Seats.of(seats))

    @app.post(
        "/v1/agreements/<agreement_id>/plan-changes",
        tags=TAGS,
        summary="Schedule a move to another version, plan or other overrides",
        status_code=201,
    )
    def post_plan_change(
        agreement_id: IdPath,
        body: Annotated[PlanChange, Body()],
        idempotency_key: IdempotencyKey = None,
    ) -> Response[PlanChange]:
        change = body.plan_change()
        agree(
            agreement_id,
            lambda agreement: with_plan_change(agreement, change),
            AgreedPart("plan_changes", change),
            idempotency.answering(app, lambda _: PlanChange.of(change)),
        )
        return Response(201, "application/json", PlanChange.of(change))

    @app.delete(
        "/v1/agreements/<agreement_id>/plan-changes/<starts_at>",
        tags=TAGS,
        summary="Cancel a plan change that has not begun",
        status_code=204,
    )
    def delete_plan_change(
        agreement_id: IdPath, starts_at: CycleStartPath, if_match: IfMatch = None
    ) -> Response[None]:
        now = services.clock.now()
        agree(
            agreement_id,
            lambda agreement: without_plan_change(agreement, starts_at, now),
            version=expected_version(if_match),
        )
        return gone()

    def agree(
        agreement_id: str,
        change: Callable[[Agreement], Agreement],
        sent: AgreedPart | None = None,
        answering: Answering[Agreement] = lambda _: None,
        version: int | None = None,
    ) -> None:
        change_agreement(
            agreement_id,
            change,
            version,
            caller=app.caller,
            registry=services.registry,
            queue=services.queue,
            clock=services.clock,
            answering=answering,
            sent=sent,
        )
