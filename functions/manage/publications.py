"""/v1/publications: a plan compiled for a marketplace, looked at, and applied by a step of its own."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body

from manage.answers import entity
from manage.fields import (
    Cursor,
    IdempotencyKey,
    IdPath,
    IfMatch,
    Limit,
    expected_version,
    to_cursor,
)
from manage.idempotency import Idempotency
from manage.resolver import Resolver
from manage.schemas_publication_views import PublicationList, PublicationSummary, PublicationView
from manage.schemas_publications import NewConfirmation, NewPublication
from manage.services import Services
from meterbridge.application.apply_publication import (
    apply_publication,
    confirm_publication,
    observe_publication,
)
from meterbridge.application.draft_publication import draft_publication
from meterbridge.application.manage_catalog import visible_offering

TAGS = ["Publications"]


def add_publications(app: Resolver, services: Services, idempotency: Idempotency) -> None:
    """Add the routes of publications."""
    registry, publishing, clock = services.registry, services.publishing, services.clock

    @app.post(
        "/v1/offerings/<offering_id>/publications",
        tags=TAGS,
        summary="Compile a plan for a marketplace: a dry run, nothing is sent",
        status_code=201,
    )
    def post_publication(
        offering_id: IdPath,
        body: Annotated[NewPublication, Body()],
        idempotency_key: IdempotencyKey = None,
    ) -> Response[PublicationView]:
        publication = draft_publication(
            body.order(offering_id),
            caller=app.caller,
            registry=registry,
            publishing=publishing,
            clock=clock,
            new_id=publication_id,
            answering=idempotency.answering(app, PublicationView.of),
        )
        return entity(PublicationView.of(publication), publication.version, 201)

    @app.get(
        "/v1/offerings/<offering_id>/publications",
        tags=TAGS,
        summary="List an offering's publications, oldest first",
    )
    def list_publications(
        offering_id: IdPath, cursor: Cursor = "", limit: Limit = 50
    ) -> PublicationList:
        visible_offering(offering_id, caller=app.caller, registry=registry)
        found = publishing.store.publications(offering_id, cursor, limit + 1)
        shown = found[:limit]
        return PublicationList(
            items=[PublicationSummary.of(each) for each in shown],
            next_cursor=to_cursor(shown[-1].id) if len(found) > limit else None,
        )

    @app.get(
        "/v1/publications/<publication_id>",
        tags=TAGS,
        summary="Read a publication; one that is being applied asks its marketplace how far it is",
    )
    def get_publication(publication_id: IdPath) -> Response[PublicationView]:
        observed = observe_publication(
            publication_id, caller=app.caller, publishing=publishing, clock=clock
        )
        publication = observed.publication
        view = PublicationView.of(publication, observed.unknown)
        return entity(view, publication.version)

    @app.post(
        "/v1/publications/<publication_id>/apply",
        tags=TAGS,
        summary="Send a publication to its marketplace; repeating it is safe",
        status_code=202,
    )
    def post_application(
        publication_id: IdPath,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
    ) -> Response[PublicationView]:
        publication = apply_publication(
            publication_id,
            expected_version(if_match),
            caller=app.caller,
            publishing=publishing,
            clock=clock,
            answering=idempotency.answering(app, PublicationView.of, status=202),
        )
        return entity(PublicationView.of(publication), publication.version, 202)

    @app.post(
        "/v1/publications/<publication_id>/confirm",
        tags=TAGS,
        summary="Say that a person entered a publication where there is no API for it",
        status_code=201,
    )
    def post_confirmation(
        publication_id: IdPath,
        body: Annotated[NewConfirmation, Body()],
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
    ) -> Response[PublicationView]:
        publication = confirm_publication(
            publication_id,
            body.note,
            expected_version(if_match),
            caller=app.caller,
            publishing=publishing,
            clock=clock,
            answering=idempotency.answering(app, PublicationView.of),
        )
        return entity(PublicationView.of(publication), publication.version, 201)


def publication_id(at: datetime) -> str:
    """An id nobody has, which sorts by the moment."""
    return f"pub_{at:%Y%m%dt%H%M%S%f}_{secrets.token_hex(6)}"
