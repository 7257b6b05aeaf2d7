"""From a plan to a dry run: documents, what is wrong with them, and what they would change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from meterbridge.application.manage_catalog import Answering, visible_offering
from meterbridge.application.ports import Clock
from meterbridge.application.publication_ports import Publishing
from meterbridge.application.registry_admin import RegistryAdmin
from meterbridge.domain.api_keys import Caller
from meterbridge.domain.errors import InvalidInputError, InvariantError, NotFoundError
from meterbridge.domain.offerings import Offering
from meterbridge.domain.publishing.aws_change_sets import compile_for_aws
from meterbridge.domain.publishing.azure_resources import compile_for_azure
from meterbridge.domain.publishing.compiled import Compiled, LastApplied, changes
from meterbridge.domain.publishing.gcp_documents import compile_for_gcp
from meterbridge.domain.publishing.listings import AwsListing, AzureListing, GcpListing, Listing
from meterbridge.domain.publishing.publication import Publication, PublicationLine
from meterbridge.domain.publishing.sale import Sale


@dataclass(frozen=True, slots=True)
class PublicationOrder:
    """What somebody asks for.

    Attributes:
        version: of the offering; None is its newest.
        plan_code: "" where the offering has one plan only.
    """

    offering_id: str
    listing: Listing
    version: int | None = None
    plan_code: str = ""


def draft_publication(
    order: PublicationOrder,
    *,
    caller: Caller,
    registry: RegistryAdmin,
    publishing: Publishing,
    clock: Clock,
    new_id: Callable[[datetime], str],
    answering: Answering[Publication],
) -> Publication:
    """Compile a plan and keep the outcome; no marketplace is asked.

    Args:
        new_id: makes the publication's id, which sorts by the moment.

    Raises:
        NotFoundError: no such offering, or not for this caller.
        InvalidInputError: no such version or plan, or more documents than can be kept.
    """
    offering = _offering(order, caller, registry)
    plan_code = _plan_code(order, offering)
    listing = order.listing.of_product(registry.product(offering.product_id).listings)
    now = clock.now()
    line = PublicationLine(offering.id, listing.channel, plan_code, listing.audience)
    before = _last_applied(line, publishing)
    siblings = [_last_applied(each, publishing) for each in _siblings(line, offering)]
    compiled = _compiled(
        Sale.of(offering, plan_code, listing.channel),
        listing,
        before,
        [each for each in siblings if each is not None],
        now,
    )
    validator = publishing.validators.get(listing.channel)
    publication = Publication(
        id=new_id(now),
        product_id=offering.product_id,
        offering_id=offering.id,
        offering_version=offering.version,
        plan_code=plan_code,
        channel=listing.channel,
        audience=listing.audience,
        documents=compiled.documents,
        gaps=compiled.gaps,
        faults=tuple(
            fault
            for document in compiled.documents
            for fault in (validator(document) if validator is not None else ())
        ),
        steps=compiled.steps,
        content=compiled.content,
        changes=changes(before.content if before is not None else {}, compiled.content),
        created_at=now,
        created_by=caller.key_id,
        follows=before.publication_id if before is not None else "",
        raises_prices=compiled.raises_prices,
        entities=compiled.entities,
        prices_raised_at=before.prices_raised_at if before is not None else None,
    )
    publishing.store.add(publication, answering(publication))
    return publication


def _siblings(line: PublicationLine, offering: Offering) -> list[PublicationLine]:
    """For everybody, of every plan: where the product comes from that all of them share."""
    public = [replace(line, plan_code=plan.code, audience="") for plan in offering.plans]
    return [each for each in public if each != line]


def _last_applied(line: PublicationLine, publishing: Publishing) -> LastApplied | None:
    applied = publishing.store.head(line).applied
    return publishing.store.publication(applied).as_last_applied if applied else None


def _compiled(
    sale: Sale,
    listing: Listing,
    before: LastApplied | None,
    siblings: Sequence[LastApplied],
    now: datetime,
) -> Compiled:
    match listing:
        case AwsListing():
            return compile_for_aws(sale, listing, before, now, siblings)
        case AzureListing():
            return compile_for_azure(sale, listing, before)
        case GcpListing():
            return compile_for_gcp(sale, listing, before)
    raise InvariantError(f"nothing compiles for {type(listing).__name__}")


def _offering(order: PublicationOrder, caller: Caller, registry: RegistryAdmin) -> Offering:
    newest = visible_offering(order.offering_id, caller=caller, registry=registry).value
    if order.version in (None, newest.version):
        return newest
    try:
        return registry.offering(order.offering_id, order.version or 0)
    except NotFoundError as exc:
        detail = f"{order.offering_id} has no version {order.version}"
        raise InvalidInputError("unknown_version", detail, "/version") from exc


def _plan_code(order: PublicationOrder, offering: Offering) -> str:
    codes = [plan.code for plan in offering.plans]
    if not order.plan_code and len(codes) == 1:
        return codes[0]
    if order.plan_code not in codes:
        detail = f"it must be one of {', '.join(codes)}"
        raise InvalidInputError("unknown_plan", detail, "/plan")
    return order.plan_code
