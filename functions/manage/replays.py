"""/v1/offerings/{id}/replay: real usage under other terms."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Body, Query

from manage.answers import fitting, refuse_too_large
from manage.fields import Cursor, IdPath, to_cursor
from manage.resolver import Resolver
from manage.schemas_replays import AgreementReplayView, NewReplay, ReplayView, replay_totals
from manage.services import Services
from meterbridge.application.manage_agreements import visible_agreement
from meterbridge.application.manage_catalog import visible_offering
from meterbridge.application.rated_usage import RatedSpan, read_rated_usage
from meterbridge.application.replay_usage import (
    OtherTerms,
    ReplayPage,
    check_replay,
    replay_agreement,
    replay_agreements,
)
from meterbridge.domain.agreements import Agreement
from meterbridge.domain.errors import InvalidInputError, NotFoundError

TAGS = ["Offerings"]


def add_replays(app: Resolver, services: Services) -> None:
    """Add the route of replays."""
    registry = services.registry

    @app.post(
        "/v1/offerings/<offering_id>/replay",
        tags=TAGS,
        summary="Real usage under another version, plan or overrides; nothing is written",
    )
    def post_replay(
        offering_id: IdPath,
        body: Annotated[NewReplay, Body()],
        cursor: Cursor = "",
        limit: Annotated[int, Query(ge=1, le=50, description="Most agreements on a page")] = 20,
    ) -> ReplayView:
        newest = visible_offering(offering_id, caller=app.caller, registry=registry)
        other = body.other_terms()
        start, end = body.span(services.clock.now())
        check_replay(newest.value, other, start, end, registry=registry)
        if body.agreement_id is not None:
            agreement = agreement_of(body.agreement_id, offering_id)
            page = one(agreement, other, start, end)
        else:
            page = replay_agreements(
                newest.value,
                other,
                start,
                end,
                after=cursor,
                limit=limit,
                registry=registry,
                read=read,
            )
        views = [AgreementReplayView.of(each) for each in page.items]
        shown = fitting(views)
        after = page.next_after if shown == len(views) else views[shown - 1].agreement_id
        view = ReplayView(
            offering_id=offering_id,
            start=start,
            end=end,
            items=views[:shown],
            totals=replay_totals(page.items[:shown]),
            next_cursor=to_cursor(after),
        )
        refuse_too_large(view, "/end")
        return view

    def agreement_of(agreement_id: str, offering_id: str) -> Agreement:
        try:
            entry = visible_agreement(agreement_id, caller=app.caller, registry=registry)
        except NotFoundError as exc:
            detail = f"no agreement {agreement_id}"
            raise InvalidInputError("unknown_agreement", detail, "/agreement_id") from exc
        if entry.value.offering_id != offering_id:
            detail = f"it is on offering {entry.value.offering_id}"
            raise InvalidInputError("other_offering", detail, "/agreement_id")
        return entry.value

    def one(agreement: Agreement, other: OtherTerms, start: datetime, end: datetime) -> ReplayPage:
        found = replay_agreement(agreement, other, start, end, registry=registry, read=read)
        return ReplayPage(() if found is None else (found,))

    def read(agreement: Agreement, start: datetime, end: datetime) -> RatedSpan:
        return read_rated_usage(
            agreement,
            start,
            end,
            registry=registry,
            usage=services.usage,
            ledger=services.ledger,
            now=services.clock.now(),
        )
