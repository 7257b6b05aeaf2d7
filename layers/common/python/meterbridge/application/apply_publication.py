"""Applying a publication: an explicit step of its own, which may be killed and repeated anywhere.

    draft ──saved as applying──▶ sent ──▶ reference saved ──▶ asked until applied or failed

It is saved as applying before it is sent, and takes its line, so that no other of the line is sent
meanwhile. Killed before the reference is saved it is sent again: marketplaces take the same
publication once (see MarketplaceCatalog.start).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from meterbridge.application.manage_catalog import Answering, require_visible
from meterbridge.application.ports import Clock
from meterbridge.application.publication_ports import (
    CatalogBusyError,
    CatalogClosedError,
    CatalogRefusedError,
    MarketplaceCatalog,
    Progress,
    ProgressState,
    Publishing,
    RefusedPublicationError,
)
from meterbridge.application.refusals import PreconditionError
from meterbridge.domain.api_keys import Caller
from meterbridge.domain.errors import MarketplaceError, StaleVersionError
from meterbridge.domain.publishing.publication import Publication, PublicationState

_SETTLED = (PublicationState.APPLIED, PublicationState.FAILED)


def visible_publication(
    publication_id: str, *, caller: Caller, publishing: Publishing
) -> Publication:
    """Raises NotFoundError, also where the caller's key is not bound to the product."""
    publication = publishing.store.publication(publication_id)
    require_visible(publication.product_id, publication_id, caller)
    return publication


def apply_publication(
    publication_id: str,
    expected_version: int | None,
    *,
    caller: Caller,
    publishing: Publishing,
    clock: Clock,
    answering: Answering[Publication],
) -> Publication:
    """Send the documents, or have them sent again; applying or failed afterwards.

    Raises:
        NotFoundError: no such publication, or not for this caller.
        PreconditionError: it is not at the expected version.
        RefusedPublicationError: it must not, or cannot, be applied.
        CatalogBusyError, CatalogClosedError, CatalogUnknownError: the same request may be repeated.
        StaleVersionError: somebody else applied it, or another of its line, at the same moment.
    """
    publication = visible_publication(publication_id, caller=caller, publishing=publishing)
    asked = publication.asked_at_version
    if expected_version is not None and expected_version not in (publication.version, asked):
        raise PreconditionError(f"it is at version {publication.version}")
    catalog = _catalog(publication, publishing)
    again = publication.state is PublicationState.APPLYING
    if again and publication.reference:
        return publication
    if publication.state in _SETTLED and expected_version is not None and expected_version == asked:
        return publication
    if not again:
        publication = _begun(publication, caller, publishing, clock.now())
    try:
        reference = catalog.start(publication)
    except CatalogRefusedError as refused:
        failed = publication.failed(refused.words, clock.now())
        head = publishing.store.head(publication.line).free()
        publishing.store.save(failed, head, answering(failed))
        return failed
    except (CatalogBusyError, CatalogClosedError):
        # Of one that was sent before it is not known what became of it: it stays applying.
        if not again:
            publishing.store.save(
                publication.put_back(), publishing.store.head(publication.line).free()
            )
        raise
    started = publication.started(reference)
    publishing.store.save(started, answer=answering(started))
    return started


@dataclass(frozen=True, slots=True)
class Observed:
    """A publication, and why its progress is not known, "" where it is."""

    publication: Publication
    unknown: str = ""


def observe_publication(
    publication_id: str, *, caller: Caller, publishing: Publishing, clock: Clock
) -> Observed:
    """A publication as it is, asking the marketplace where it is still being carried out.

    Raises:
        NotFoundError: no such publication, or not for this caller.
    """
    publication = visible_publication(publication_id, caller=caller, publishing=publishing)
    if publication.state is not PublicationState.APPLYING:
        return Observed(publication)
    if not publication.reference:
        return Observed(publication, "it is not known to have been sent: apply it again")
    make = publishing.catalogs.get(publication.channel)
    if make is None:
        return Observed(publication, "publishing is not switched on here any more")
    catalog, now = make(), clock.now()
    last = publication.checked_at
    if last is not None and now < last + catalog.poll_interval:
        return Observed(publication)
    try:
        progress = catalog.progress(publication.reference)
    except MarketplaceError as exc:
        return Observed(publication, str(exc))
    return Observed(_noted(publication, progress, publishing, now))


def confirm_publication(
    publication_id: str,
    note: str,
    expected_version: int | None,
    *,
    caller: Caller,
    publishing: Publishing,
    clock: Clock,
    answering: Answering[Publication],
) -> Publication:
    """Record that a person entered the documents where no API takes them.

    Raises:
        NotFoundError: no such publication, or not for this caller.
        PreconditionError: it is not at the expected version.
        RefusedPublicationError: it is applied by API, is final, or must not go out.
        StaleVersionError: somebody else did at the same moment.
    """
    publication = visible_publication(publication_id, caller=caller, publishing=publishing)
    if expected_version is not None and publication.version != expected_version:
        raise PreconditionError(f"it is at version {publication.version}")
    if not publication.is_entered_by_hand:
        detail = f"{publication.channel} takes it by API: apply it"
        raise RefusedPublicationError("not_entered_by_hand", detail)
    _require_appliable(publication)
    head = publishing.store.head(publication.line)
    _require_follows(publication, head.applied)
    confirmed = publication.entered_by_hand(note, caller.key_id, clock.now())
    publishing.store.save(confirmed, head.settled_by(publication.id), answering(confirmed))
    return confirmed


def _catalog(publication: Publication, publishing: Publishing) -> MarketplaceCatalog:
    if publication.is_entered_by_hand:
        detail = f"{publication.channel} has no API for it: enter it by hand, then confirm it"
        raise RefusedPublicationError("entered_by_hand", detail)
    make = publishing.catalogs.get(publication.channel)
    if make is None:
        detail = f"publishing to {publication.channel} is not switched on in this deployment"
        raise RefusedPublicationError("publishing_off", detail)
    return make()


def _begun(
    publication: Publication, caller: Caller, publishing: Publishing, now: datetime
) -> Publication:
    """Saved as applying; the line is its own."""
    _require_appliable(publication)
    head = publishing.store.head(publication.line)
    _require_follows(publication, head.applied)
    if head.applying:
        detail = f"{head.applying} is being applied"
        raise RefusedPublicationError("another_is_applying", detail)
    begun = publication.starting(caller.key_id, now)
    publishing.store.save(begun, head.taken_by(publication.id))
    return begun


def _require_appliable(publication: Publication) -> None:
    if publication.state is not PublicationState.DRAFT:
        raise RefusedPublicationError("publication_is_final", f"it is {publication.state}")
    if publication.must_not_go_out:
        detail = "it would list or charge something wrong: see its gaps that block, and its faults"
        raise RefusedPublicationError("publication_has_gaps", detail)


def _require_follows(publication: Publication, applied: str) -> None:
    if publication.follows != applied:
        detail = f"{applied} was applied since it was compiled: compile it again"
        raise RefusedPublicationError("publication_is_stale", detail)


def _noted(
    publication: Publication, progress: Progress, publishing: Publishing, now: datetime
) -> Publication:
    """Progress, saved; or what somebody else saved first."""
    store = publishing.store
    try:
        if progress.state is ProgressState.RUNNING:
            noted = publication.checked(now)
            store.save(noted)
        elif progress.state is ProgressState.SUCCEEDED:
            noted = publication.applied(progress.entities, now)
            store.save(noted, store.head(publication.line).settled_by(publication.id))
        else:
            noted = publication.failed(progress.words, now)
            store.save(noted, store.head(publication.line).free())
    except StaleVersionError:
        return store.publication(publication.id)
    return noted
