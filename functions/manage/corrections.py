"""/v1/corrections, and /v1/agreements/{id}/corrections: money back for what was billed too much."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Path, Query

from manage.answers import fitting
from manage.fields import Cursor, IdempotencyKey, IdPath, Limit, to_cursor
from manage.idempotency import Idempotency
from manage.resolver import Resolver
from manage.schemas_corrections import (
    CorrectionEvidenceView,
    CorrectionList,
    CorrectionsOfAgreement,
    CorrectionView,
    NewApproval,
    NewCompletion,
    NewWithdrawal,
)
from manage.services import Services
from meterbridge.application.decide_corrections import (
    MAX_ID,
    CorrectionDesk,
    cursor_key,
    parse_key,
)
from meterbridge.domain.corrections import CorrectionState

TAGS = ["Corrections"]
_JSON = "application/json"
_PATH = "/v1/corrections/<correction_id>"

CorrectionPath = Annotated[str, Path(max_length=MAX_ID)]


def add_corrections(app: Resolver, services: Services, idempotency: Idempotency) -> None:
    """Add the routes of corrections."""
    desk = CorrectionDesk(services.registry, services.ledger, services.queue, services.clock)

    @app.get("/v1/corrections", tags=TAGS, summary="List corrections by state")
    def list_corrections(
        state: Annotated[CorrectionState, Query(description="Of all agreements; may lag behind")],
        cursor: Cursor = "",
        limit: Limit = 50,
    ) -> CorrectionList:
        found = list(
            islice(desk.corrections_in(state, cursor_key(cursor), caller=app.caller), limit + 1)
        )
        views = [CorrectionView.of(each) for each in found[:limit]]
        count = fitting(views)
        more = count < len(found)
        return CorrectionList(
            items=views[:count],
            next_cursor=to_cursor(str(found[count - 1].key)) if more else None,
        )

    @app.get(_PATH, tags=TAGS, summary="Read a correction with its evidence")
    def get_correction(correction_id: CorrectionPath) -> Response[CorrectionEvidenceView]:
        evidence = desk.evidence(parse_key(correction_id), caller=app.caller)
        return Response(200, _JSON, CorrectionEvidenceView.of_evidence(evidence))

    @app.get(
        "/v1/agreements/<agreement_id>/corrections",
        tags=TAGS,
        summary="List an agreement's corrections",
    )
    def list_corrections_of(agreement_id: IdPath) -> CorrectionsOfAgreement:
        found = desk.corrections_of(agreement_id, caller=app.caller)
        return CorrectionsOfAgreement(items=[CorrectionView.of(each) for each in found])

    @app.post(f"{_PATH}/approve", tags=TAGS, summary="Approve a draft")
    def post_approval(
        correction_id: CorrectionPath,
        body: Annotated[NewApproval, Body()],
        idempotency_key: IdempotencyKey = None,
    ) -> Response[CorrectionView]:
        correction = desk.approve(
            parse_key(correction_id),
            body.approval(),
            caller=app.caller,
            answering=idempotency.answering(app, CorrectionView.of, status=200),
        )
        return Response(200, _JSON, CorrectionView.of(correction))

    @app.post(f"{_PATH}/withdraw", tags=TAGS, summary="Decide against a correction")
    def post_withdrawal(
        correction_id: CorrectionPath,
        body: Annotated[NewWithdrawal, Body()],
        idempotency_key: IdempotencyKey = None,
    ) -> Response[CorrectionView]:
        correction = desk.withdraw(
            parse_key(correction_id),
            body.reason,
            caller=app.caller,
            answering=idempotency.answering(app, CorrectionView.of, status=200),
        )
        return Response(200, _JSON, CorrectionView.of(correction))

    @app.post(f"{_PATH}/complete", tags=TAGS, summary="State that the buyer has the money")
    def post_completion(
        correction_id: CorrectionPath,
        body: Annotated[NewCompletion, Body()],
        idempotency_key: IdempotencyKey = None,
    ) -> Response[CorrectionView]:
        correction = desk.complete(
            parse_key(correction_id),
            body.reason,
            body.reference,
            caller=app.caller,
            answering=idempotency.answering(app, CorrectionView.of, status=200),
        )
        return Response(200, _JSON, CorrectionView.of(correction))
