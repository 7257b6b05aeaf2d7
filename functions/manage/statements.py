"""/v1/agreements/{id}/statement, /records, /settle: the books of an agreement."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from manage.fields import Cursor, IdPath, Limit, MomentQuery, to_cursor
from manage.resolver import Resolver
from manage.schemas_books import QueuedView, RecordList, RecordView, StatementView
from manage.services import Services
from meterbridge.application.manage_agreements import visible_agreement
from meterbridge.application.statement import statement
from meterbridge.domain.errors import InvalidInputError
from meterbridge.domain.metering_record import MeteringRecord
from meterbridge.domain.windows import BillingPeriod, hour_text, parse_hour

TAGS = ["Books"]
_STEP = timedelta(days=7)
_MAX_RANGE = timedelta(days=400)
Period = Annotated[
    str,
    Query(pattern=r"^2[01][0-9]{2}-(0[1-9]|1[0-2])$", description="Billing period, as 2026-11"),
]
Verify = Annotated[
    bool, Query(description="Recount the metered quantity from the raw usage log as well")
]


def add_statements(app: Resolver, services: Services) -> None:
    """Add the routes of an agreement's books."""
    registry = services.registry

    @app.get(
        "/v1/agreements/<agreement_id>/statement",
        tags=TAGS,
        summary="Where every unit of a billing period is",
    )
    def get_statement(
        agreement_id: IdPath,
        period: Period,
        verify: Annotated[
            bool, Query(description="Recount what was metered from the raw usage log as well")
        ] = False,
    ) -> StatementView:
        visible_agreement(agreement_id, caller=app.caller, registry=registry)
        found = statement(
            agreement_id,
            BillingPeriod.parse(period),
            registry=registry,
            usage=services.usage,
            ledger=services.ledger,
            clock=services.clock,
            log=services.usage_log if verify else None,
        )
        return StatementView.of(found)

    @app.get(
        "/v1/agreements/<agreement_id>/records",
        tags=TAGS,
        summary="List an agreement's metering records",
    )
    def list_records(
        agreement_id: IdPath,
        start: MomentQuery,
        end: MomentQuery,
        cursor: Cursor = "",
        limit: Limit = 50,
    ) -> RecordList:
        visible_agreement(agreement_id, caller=app.caller, registry=registry)
        if not timedelta(0) < end - start <= _MAX_RANGE:
            raise InvalidInputError(
                "invalid_range", f"start is before end, by at most {_MAX_RANGE.days} days", "start"
            )
        after = _place(cursor)
        found: list[MeteringRecord] = []
        for record in _records(services, agreement_id, max(start, after[0]), end):
            if (record.key.hour, record.key.dimension) > after:
                found.append(record)
            if len(found) > limit:
                break
        shown = found[:limit]
        more = len(found) > limit
        return RecordList(
            items=[RecordView.of(record) for record in shown],
            next_cursor=to_cursor(_mark(shown[-1])) if more else None,
        )

    @app.post(
        "/v1/agreements/<agreement_id>/settle",
        tags=TAGS,
        summary="Settle an agreement soon",
        status_code=202,
    )
    def post_settle(agreement_id: IdPath) -> Response[QueuedView]:
        visible_agreement(agreement_id, caller=app.caller, registry=registry)
        services.queue.enqueue([agreement_id])
        return Response(202, "application/json", QueuedView(agreement_id=agreement_id))


def _records(
    services: Services, agreement_id: str, start: datetime, end: datetime
) -> Iterator[MeteringRecord]:
    """A week at a time, so that a page reads little more than it shows."""
    while start < end:
        until = min(start + _STEP, end)
        yield from services.ledger.records(agreement_id, start, until)
        start = until


def _mark(record: MeteringRecord) -> str:
    return f"{hour_text(record.key.hour)}#{record.key.dimension}"


def _place(cursor: str) -> tuple[datetime, str]:
    """Where a page begins: after this hour and dimension."""
    if not cursor:
        return parse_hour("1970-01-01T00"), ""
    hour, _, dimension = cursor.partition("#")
    try:
        return parse_hour(hour), dimension
    except ValueError as exc:
        raise InvalidInputError(
            "invalid_cursor", "must be a next_cursor of this list", "cursor"
        ) from exc
