"""/v1/agreements/{id}/grants, /wallet and /thresholds: what rating makes of what was agreed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, TypeVar

from aws_lambda_powertools.event_handler.openapi.params import Query

from manage.fields import Cursor, FullHour, FullHourQuery, IdPath, to_cursor
from manage.resolver import Resolver
from manage.schemas_wallet import (
    GrantBalanceView,
    GrantList,
    ThresholdList,
    ThresholdView,
    WalletView,
)
from manage.services import Services
from meterbridge.application.manage_agreements import visible_agreement
from meterbridge.application.thresholds import HourThreshold, thresholds_passed
from meterbridge.application.wallet import grant_balances, wallet
from meterbridge.domain.agreements import Agreement
from meterbridge.domain.errors import InvalidInputError
from meterbridge.domain.pricing.credit_history import Movement
from meterbridge.domain.windows import hour_text, parse_hour

TAGS = ["Credits"]
ManyLimit = Annotated[int, Query(ge=1, le=1000, description="Most entries on a page")]
T = TypeVar("T", Movement, HourThreshold)


def add_wallet(app: Resolver, services: Services) -> None:
    """Add the routes of credits and thresholds."""

    @app.get(
        "/v1/agreements/<agreement_id>/grants",
        tags=TAGS,
        summary="List a buyer's grants with what is left of them",
    )
    def list_grants(agreement_id: IdPath) -> GrantList:
        found = grant_balances(
            seen(agreement_id),
            registry=services.registry,
            usage=services.usage,
            ledger=services.ledger,
            now=services.clock.now(),
        )
        items = [GrantBalanceView.of_balance(each) for each in found]
        return GrantList(items=items, next_cursor=None)

    @app.get(
        "/v1/agreements/<agreement_id>/wallet",
        tags=TAGS,
        summary="A buyer's credits: granted, spent, expired and left, and what moved them",
    )
    def get_wallet(
        agreement_id: IdPath,
        start: Annotated[
            FullHour | None,
            Query(description="The agreement's start, or 400 days ago, if left out"),
        ] = None,
        end: Annotated[
            FullHour | None, Query(description="The end of this hour if left out")
        ] = None,
        cursor: Cursor = "",
        limit: ManyLimit = 100,
    ) -> WalletView:
        found = wallet(
            seen(agreement_id),
            start,
            end,
            registry=services.registry,
            usage=services.usage,
            ledger=services.ledger,
            now=services.clock.now(),
        )
        shown, after = _page(found.movements, cursor, limit)
        return WalletView.of(agreement_id, found, shown, after)

    @app.get(
        "/v1/agreements/<agreement_id>/thresholds",
        tags=TAGS,
        summary="List the thresholds that a buyer's usage has reached",
    )
    def list_thresholds(
        agreement_id: IdPath,
        start: FullHourQuery,
        end: FullHourQuery,
        cursor: Cursor = "",
        limit: ManyLimit = 100,
    ) -> ThresholdList:
        found = thresholds_passed(
            seen(agreement_id),
            start,
            end,
            registry=services.registry,
            usage=services.usage,
            ledger=services.ledger,
            now=services.clock.now(),
        )
        shown, after = _page(found, cursor, limit)
        return ThresholdList(items=[ThresholdView.of(each) for each in shown], next_cursor=after)

    def seen(agreement_id: str) -> Agreement:
        return visible_agreement(agreement_id, caller=app.caller, registry=services.registry).value


def _page(found: Sequence[T], cursor: str, limit: int) -> tuple[list[T], str | None]:
    """Entries after a place, which is an hour and a number within it."""
    after, numbered, number = _place(cursor), [], 0
    for place, each in enumerate(found):
        same = place > 0 and found[place - 1].hour == each.hour
        number = number + 1 if same else 0
        if (each.hour, number) > after:
            numbered.append((each, number))
    shown = numbered[:limit]
    if len(numbered) == len(shown):
        return [each for each, _ in shown], None
    last, number = shown[-1]
    return [each for each, _ in shown], to_cursor(f"{hour_text(last.hour)}#{number}")


def _place(cursor: str) -> tuple[datetime, int]:
    hour, _, number = (cursor or "1970-01-01T00#0").partition("#")
    try:
        if not (number.isascii() and number.isdigit() and len(number) <= 8):
            raise ValueError(number)
        return parse_hour(hour), int(number)
    except ValueError as exc:
        detail = "must be a next_cursor of this list"
        raise InvalidInputError("invalid_cursor", detail, "cursor") from exc
