"""A plan as resources of Microsoft's Product Ingestion API (contracts.md §2.3).

One configure request states what an offer and one plan of it shall be; whether it creates or changes
is told by the durable ids, which are looked up when it is sent. All schemas are previews. What the
API takes beyond this (listing texts, properties, technical configuration) has shapes that are not
known here: it stays with a person in Partner Center.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from meterbridge.domain.publishing.azure_prices import (
    MAX_DIMENSIONS,
    azure_price_gaps,
    custom_meters,
    flat_fees,
    recurrent_price,
    seat_fees,
)
from meterbridge.domain.publishing.compiled import (
    Compiled,
    Document,
    Gap,
    Json,
    LastApplied,
    changes,
    flattened,
)
from meterbridge.domain.publishing.gaps import plan_gaps, private_offering_gaps
from meterbridge.domain.publishing.listings import AzureListing, AzureTarget
from meterbridge.domain.publishing.sale import Sale, unit_text

CALL = "POST configure"
PRODUCT, PLAN, SUBMISSION = "product", "plan", "submission"
_TARGET = "/target"
_BASE = "https://schema.mp.microsoft.com/schema"
SCHEMAS = {
    "configure": f"{_BASE}/configure/2022-03-01-preview2",
    PRODUCT: f"{_BASE}/product/2022-03-01-preview3",
    PLAN: f"{_BASE}/plan/2022-03-01-preview2",
    "setup": f"{_BASE}/commercial-marketplace-setup/2022-03-01-preview2",
    "meters": f"{_BASE}/price-and-availability-custom-meter/2022-03-01-preview3",
    "prices": f"{_BASE}/price-and-availability-plan/2022-03-01-preview4",
    SUBMISSION: f"{_BASE}/submission/2022-03-01-preview2",
}
"""By our name of a resource; versions as last seen (contracts.md §2.3, §7 no. 11)."""


def compile_for_azure(sale: Sale, listing: AzureListing, before: LastApplied | None) -> Compiled:
    """The configuration that brings an offer and a plan to what a plan says."""
    made = dict(before.entities) if before is not None else {}
    if listing.target is AzureTarget.LIVE and not listing.preview_submission_id:
        listing = replace(listing, preview_submission_id=made.get(SUBMISSION, ""))
    resources = dict(_resources(sale, listing))
    body: Json = {"$schema": SCHEMAS["configure"], "resources": list(resources.values())}
    return Compiled(
        documents=(Document.of("configure", CALL, body),),
        gaps=(*_gaps(sale, listing), *_live_gaps(sale, listing, before)),
        steps=tuple(_steps(listing, before)),
        content=_content(resources, listing, before),
        entities=made,
    )


def _content(
    resources: Mapping[str, Json], listing: AzureListing, before: LastApplied | None
) -> Mapping[str, str]:
    """What goes live is what was in preview."""
    kept = before.content if listing.target is AzureTarget.LIVE and before is not None else {}
    return {**kept, **_said(resources), _TARGET: f'"{listing.target.value}"'}


def _said(resources: Mapping[str, Json]) -> Mapping[str, str]:
    said = {name: each for name, each in resources.items() if name != SUBMISSION}
    return flattened(said) if said else {}


def _live_gaps(sale: Sale, listing: AzureListing, before: LastApplied | None) -> Iterator[Gap]:
    """Whether what is in preview is what this version says: nothing else would go live."""
    if listing.target is not AzureTarget.LIVE:
        return
    if before is None:
        detail = "nothing was published to preview from here: what goes live is not known"
        yield Gap("/azure/target", "preview_not_known", detail)
        return
    wanted = _said(dict(_resources(sale, replace(listing, target=AzureTarget.PREVIEW))))
    shown = {pointer: text for pointer, text in before.content.items() if pointer != _TARGET}
    others = [change.pointer for change in changes(shown, wanted)]
    if before.content.get(_TARGET) == f'"{AzureTarget.DRAFT.value}"':
        others = [_TARGET]
    if others:
        detail = f"what was applied last is another at {', '.join(others[:3])}: preview this first"
        yield Gap("/azure/target", "preview_is_another", detail, blocks=True)


def _resources(sale: Sale, listing: AzureListing) -> Iterator[tuple[str, Json]]:
    if listing.target is AzureTarget.LIVE:
        # A submission in preview goes live as it is: nothing can be changed on the way (§2.3).
        yield SUBMISSION, _submission(listing)
        return
    product: Json = {"resourceName": PRODUCT}
    plan: Json = {"resourceName": PLAN}
    yield (
        PRODUCT,
        {
            "$schema": SCHEMAS[PRODUCT],
            "resourceName": PRODUCT,
            "identity": {"externalId": listing.offer_id},
            "type": "softwareAsAService",
            "alias": listing.offer_alias,
        },
    )
    yield (
        "setup",
        {
            "$schema": SCHEMAS["setup"],
            "resourceName": "setup",
            "product": product,
            "sellThroughMicrosoft": listing.sell_through_microsoft,
        },
    )
    yield (
        PLAN,
        {
            "$schema": SCHEMAS[PLAN],
            "resourceName": PLAN,
            "product": product,
            "identity": {"externalId": listing.plan_id},
            "alias": listing.plan_alias,
            "azureRegions": ["azureGlobal"],
        },
    )
    if sale.dimensions:
        meters: dict[str, Json] = {
            each.code: {
                "displayName": each.name or each.code,
                "unitOfMeasure": unit_text(each, sale.terms.currency),
            }
            for each in sale.dimensions
        }
        yield (
            "meters",
            {
                "$schema": SCHEMAS["meters"],
                "resourceName": "meters",
                "product": product,
                "customMeters": meters,
            },
        )
    prices: dict[str, Json] = {
        "$schema": SCHEMAS["prices"],
        "resourceName": "prices",
        "product": product,
        "plan": plan,
        "visibility": "visible",
        "markets": list(listing.markets),
        "audience": "private" if listing.private_tenants else "public",
        "pricing": _pricing(sale, listing),
    }
    if listing.private_tenants:
        tenants: list[Json] = [{"type": "tenant", "id": each} for each in listing.private_tenants]
        prices["privateAudiences"] = tenants
    yield "prices", prices
    if listing.target is AzureTarget.PREVIEW:
        yield SUBMISSION, _submission(listing)


def _pricing(sale: Sale, listing: AzureListing) -> Json:
    pricing: dict[str, Json] = {"recurrentPrice": recurrent_price(sale, listing)}
    if sale.dimensions:
        pricing["customMeters"] = custom_meters(sale)
    return pricing


def _submission(listing: AzureListing) -> Json:
    live = listing.target is AzureTarget.LIVE
    product: Json = {"externalId": listing.offer_id} if live else {"resourceName": PRODUCT}
    found: dict[str, Json] = {
        "$schema": SCHEMAS[SUBMISSION],
        "product": product,
        "target": {"targetType": listing.target.value},
    }
    if live:
        found["id"] = listing.preview_submission_id
    return found


def _gaps(sale: Sale, listing: AzureListing) -> Iterator[Gap]:
    listed = {each.code for each in flat_fees(sale)} | {each.code for each in seat_fees(sale)}
    yield from plan_gaps(sale, listed)
    yield from private_offering_gaps(sale, "/azure/private_tenants", listing.private_tenants)
    if listing.target is AzureTarget.LIVE and not listing.preview_submission_id:
        detail = "only a submission that is in preview goes live: give its id"
        yield Gap("/azure/preview_submission_id", "missing", detail, blocks=True)
    if not listing.markets and listing.target is not AzureTarget.LIVE:
        yield Gap("/azure/markets", "missing", "a plan is sold somewhere", blocks=True)
    if sale.dimensions:
        detail = (
            "the names of a meter's fields (displayName, unitOfMeasure) are not confirmed by a "
            "published schema: look at the draft before it goes to preview"
        )
        yield Gap("/reporting", "unverified_schema", detail)
    if listing.private_tenants:
        detail = "the shape of privateAudiences in the plan's prices is not confirmed"
        yield Gap("/azure/private_tenants", "unverified_schema", detail)
    yield from _shared_dimension_gaps(sale)
    yield from azure_price_gaps(sale, listing)


def _shared_dimension_gaps(sale: Sale) -> Iterator[Gap]:
    """All plans of an offer share its dimensions (contracts.md §2.1.5)."""
    codes = {each.code for each in sale.dimensions}
    for plan in sale.offering.plans:
        codes |= {each.code for each in Sale.of(sale.offering, plan.code, sale.channel).dimensions}
    if len(codes) > MAX_DIMENSIONS:
        detail = f"the offer's plans have {len(codes)} dimensions; Azure takes {MAX_DIMENSIONS}"
        yield Gap("/reporting", "too_many_dimensions", detail, blocks=True)


def _steps(listing: AzureListing, before: LastApplied | None) -> Iterator[str]:
    if listing.target is AzureTarget.LIVE:
        return
    if before is None:
        yield (
            "In Partner Center, enter the offer's listing, properties, preview audience, customer "
            "leads and technical configuration (landing page, webhook, tenant and app id)."
        )
        yield "In Partner Center, enter the plan's listing: its name and description."
    yield "Check the draft in Partner Center: all schemas of this API are previews."
    if listing.target is AzureTarget.DRAFT:
        yield (
            "Publish again with target preview, look at it, and then with target live and the "
            "preview submission's id."
        )
    else:
        yield "When the preview is right, publish with target live and the preview submission's id."
    yield "A dimension's id and unit cannot change once it is live."
