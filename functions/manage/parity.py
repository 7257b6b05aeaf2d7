"""/v1/offerings/{id}/parity and /preview: an offering on every channel, before anybody buys it."""

from __future__ import annotations

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Body, Query

from manage.answers import fitting, refuse_too_large
from manage.fields import Cursor, IdPath, to_cursor
from manage.resolver import Resolver
from manage.schemas_channel_bills import PreviewView
from manage.schemas_channels import ChannelParityView, DealView, ParityView
from manage.schemas_previews import NewPreview
from manage.services import Services
from meterbridge.application.manage_catalog import visible_offering
from meterbridge.application.preview_offering import offering_deal, preview_offering
from meterbridge.domain.api_keys import Caller
from meterbridge.domain.channels import Channel
from meterbridge.domain.errors import InvalidInputError
from meterbridge.domain.listing_fees import listing_fee
from meterbridge.domain.offerings import Offering
from meterbridge.domain.plan_pricing import plan_terms
from meterbridge.domain.pricing.parity import channel_parity

TAGS = ["Offerings"]


def add_parity(app: Resolver, services: Services) -> None:
    """Add the routes of parity and preview."""
    registry = services.registry

    @app.get(
        "/v1/offerings/<offering_id>/parity",
        tags=TAGS,
        summary="How each channel keeps what an offering promises, and net prices after its fee",
    )
    def get_parity(
        offering_id: IdPath,
        version: Annotated[int | None, Query(ge=1, lt=10**8, description="Or the newest")] = None,
        plan_code: Annotated[str | None, Query(max_length=64)] = None,
        channel: Annotated[Channel | None, Query()] = None,
        cursor: Cursor = "",
        limit: Annotated[int, Query(ge=1, le=20, description="Most entries on a page")] = 10,
    ) -> ParityView:
        offering = offering_version(services, app.caller, offering_id, version, "version")
        deal, moment = offering_deal(offering), services.clock.now()
        pairs = [
            (plan, each)
            for plan in offering.plans
            if plan_code in (None, plan.code)
            for each in Channel
            if channel in (None, each)
        ]
        first = _place(cursor)
        items = []
        for plan, each in pairs[first : first + limit]:
            terms = plan_terms(plan, offering.currency)
            parity = channel_parity(terms, each, moment)
            fee = listing_fee(each, deal, moment)
            items.append(ChannelParityView.of(plan.code, terms, parity, fee))
        items = items[: fitting(items)]
        after = first + len(items)
        view = ParityView(
            offering_id=offering.id,
            version=offering.version,
            deal=DealView.of(deal),
            items=items,
            next_cursor=to_cursor(str(after)) if after < len(pairs) else None,
        )
        refuse_too_large(view, "plan_code")
        return view

    @app.post(
        "/v1/offerings/<offering_id>/preview",
        tags=TAGS,
        summary="What supposed usage would cost on each channel; nothing is written",
    )
    def post_preview(offering_id: IdPath, body: Annotated[NewPreview, Body()]) -> PreviewView:
        offering = offering_version(services, app.caller, offering_id, body.version, "/version")
        now = services.clock.now()
        supposed = body.supposed(now)
        found = preview_offering(offering, supposed, registry=registry, now=now)
        view = PreviewView.of(found, supposed)
        refuse_too_large(view, "/usage")
        return view


def offering_version(
    services: Services, caller: Caller, offering_id: str, version: int | None, pointer: str
) -> Offering:
    """A version of an offering, the newest where none is named.

    Args:
        pointer: where the version is named.

    Raises:
        NotFoundError: there is no such offering, or not for the caller.
        InvalidInputError: there is no such version.
    """
    newest = visible_offering(offering_id, caller=caller, registry=services.registry)
    if version is None or version == newest.version:
        return newest.value
    if version > newest.version:
        detail = f"the newest version is {newest.version}"
        raise InvalidInputError("unknown_version", detail, pointer)
    return services.registry.offering(offering_id, version)


def _place(cursor: str) -> int:
    if cursor and not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 4):
        raise InvalidInputError("invalid_cursor", "must be a next_cursor of this list", "cursor")
    return int(cursor or 0)
