"""/v1/reporting and /v1/agreements/{id}/reporting: how much time unreported usage has left."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query

from manage.answers import fitting
from manage.fields import Cursor, IdPath, Limit, to_cursor
from manage.resolver import Resolver
from manage.schemas_reporting import ReportingView, WaitingAgreementList, WaitingAgreementView
from manage.services import Services, products_in_view
from meterbridge.application.manage_agreements import visible_agreement
from meterbridge.application.reporting_status import reporting_status
from meterbridge.application.usage_freshness import usage_freshness
from meterbridge.application.waiting_agreements import waiting_agreements
from meterbridge.domain.errors import InvalidInputError, InvariantError
from meterbridge.domain.offerings import Channel
from meterbridge.domain.windows import require_utc

TAGS = ["Reporting"]


def add_reporting(app: Resolver, services: Services) -> None:
    """Add the routes of the deadline clock."""
    registry = services.registry

    @app.get(
        "/v1/agreements/<agreement_id>/reporting",
        tags=TAGS,
        summary="Time left until unreported usage of an agreement is lost",
    )
    def get_reporting(agreement_id: IdPath) -> ReportingView:
        visible_agreement(agreement_id, caller=app.caller, registry=registry)
        status = reporting_status(
            agreement_id,
            registry=registry,
            usage=services.usage,
            ledger=services.ledger,
            log=services.usage_log,
            clock=services.clock,
            grace=services.grace,
        )
        return ReportingView.of(status)

    @app.get(
        "/v1/reporting",
        tags=TAGS,
        summary="List agreements with usage that is not accepted, most urgent first",
    )
    def list_reporting(
        product_id: Annotated[str | None, Query(max_length=64)] = None,
        channel: Annotated[Channel | None, Query()] = None,
        cursor: Cursor = "",
        limit: Limit = 50,
    ) -> WaitingAgreementList:
        products = products_in_view(app.caller, product_id)
        now = services.clock.now()
        found = waiting_agreements(
            (
                agreement
                for agreement in registry.agreements()
                if products is None or agreement.product_id in products
            ),
            links=registry.customer_links(),
            ledger=services.ledger,
            usage=services.usage,
            now=now,
            grace=services.grace,
        )
        after = _place(cursor)
        rest = [
            each
            for each in found
            if (each.deadline, each.agreement.id) > after
            and channel in (None, each.agreement.channel)
        ]
        items = [WaitingAgreementView.of(each, now) for each in rest[:limit]]
        items = items[: fitting(items)]
        more = len(rest) > len(items)
        freshness = usage_freshness(log=services.usage_log, usage=services.usage, now=now)
        return WaitingAgreementList(
            items=items,
            next_cursor=to_cursor(_mark(items[-1])) if more else None,
            usage_counted_through=freshness.counted_through,
        )


def _mark(item: WaitingAgreementView) -> str:
    return f"{item.deadline_at.isoformat()}#{item.agreement_id}"


def _place(cursor: str) -> tuple[datetime, str]:
    """Where a page begins: after this deadline and agreement."""
    deadline, _, agreement_id = (cursor or "0001-01-01T00:00:00+00:00#").partition("#")
    try:
        return require_utc(datetime.fromisoformat(deadline)), agreement_id
    except (ValueError, InvariantError) as exc:
        detail = "must be a next_cursor of this list"
        raise InvalidInputError("invalid_cursor", detail, "cursor") from exc
