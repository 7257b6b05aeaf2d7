"""/v1/records, and /v1/agreements/{id}/decisions: what waits for a person, and what was decided."""

from __future__ import annotations

import secrets
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query

from manage.fields import Cursor, HourPath, IdempotencyKey, IdPath, Limit, to_cursor
from manage.idempotency import Idempotency
from manage.resolver import Resolver
from manage.schemas_books import RecordList, RecordView
from manage.schemas_decisions import DecisionList, DecisionView, NewDecision
from manage.services import Services
from meterbridge.application.decide_records import decide_record, records_awaiting_person
from meterbridge.application.ledger_admin import AttentionPlace
from meterbridge.application.manage_agreements import visible_agreement
from meterbridge.domain.errors import InvalidInputError
from meterbridge.domain.metering_record import MeteringRecord, RecordKey
from meterbridge.domain.windows import hour_text, parse_hour

TAGS = ["Decisions"]


class Awaiting(StrEnum):
    """What records can wait for that does not come by itself."""

    DECISION = "decision"


def add_decisions(app: Resolver, services: Services, idempotency: Idempotency) -> None:
    """Add the routes of decisions."""
    registry, ledger = services.registry, services.ledger

    @app.get("/v1/records", tags=TAGS, summary="List the records that wait for a person")
    def list_waiting_records(
        awaiting: Annotated[Awaiting, Query(description="Records of all agreements that wait")],
        cursor: Cursor = "",
        limit: Limit = 50,
    ) -> RecordList:
        waiting = records_awaiting_person(
            _place(cursor), caller=app.caller, registry=registry, ledger=ledger
        )
        found = list(islice(waiting, limit + 1))
        shown = found[:limit]
        return RecordList(
            items=[RecordView.of(record) for record in shown],
            next_cursor=to_cursor(_mark(shown[-1])) if len(found) > limit else None,
        )

    @app.get(
        "/v1/agreements/<agreement_id>/decisions",
        tags=TAGS,
        summary="List what was decided about an agreement's records",
    )
    def list_decisions(
        agreement_id: IdPath, cursor: Cursor = "", limit: Limit = 50
    ) -> DecisionList:
        visible_agreement(agreement_id, caller=app.caller, registry=registry)
        found = ledger.decisions(agreement_id, cursor, limit + 1)
        shown = found[:limit]
        return DecisionList(
            items=[DecisionView.of(decision) for decision in shown],
            next_cursor=to_cursor(shown[-1].id) if len(found) > limit else None,
        )

    @app.post(
        "/v1/agreements/<agreement_id>/records/<hour>/<dimension>/decisions",
        tags=TAGS,
        summary="Decide about a record that waits for a person",
        status_code=201,
    )
    def post_decision(
        agreement_id: IdPath,
        hour: HourPath,
        dimension: IdPath,
        body: Annotated[NewDecision, Body()],
        idempotency_key: IdempotencyKey = None,
    ) -> Response[DecisionView]:
        decision = decide_record(
            RecordKey(agreement_id, dimension, hour),
            body.order(),
            caller=app.caller,
            registry=registry,
            ledger=ledger,
            queue=services.queue,
            clock=services.clock,
            grace=services.grace,
            new_id=decision_id,
            answering=idempotency.answering(app, DecisionView.of),
        )
        return Response(201, "application/json", DecisionView.of(decision))


def decision_id(at: datetime) -> str:
    """An id nobody has, which sorts by the moment."""
    return f"dec_{at:%Y%m%dt%H%M%S%f}_{secrets.token_hex(6)}"


def _mark(record: MeteringRecord) -> str:
    place = AttentionPlace.of(record)
    key = place.key
    group = "refused" if place.refused else "conflicted"
    return "#".join((group, key.agreement_id, hour_text(key.hour), key.dimension))


def _place(cursor: str) -> AttentionPlace | None:
    """Where a page begins: after this record."""
    if not cursor:
        return None
    try:
        group, agreement_id, hour, dimension = cursor.split("#")
        refused = ("conflicted", "refused").index(group) == 1
        return AttentionPlace(refused, RecordKey(agreement_id, dimension, parse_hour(hour)))
    except ValueError as exc:
        raise InvalidInputError(
            "invalid_cursor", "must be a next_cursor of this list", "cursor"
        ) from exc
