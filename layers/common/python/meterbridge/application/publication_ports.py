"""What publishing needs from the outside. Each failure named here is part of the contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from meterbridge.application.registry_admin import Answer
from meterbridge.domain.channels import Channel
from meterbridge.domain.errors import ConflictError, MarketplaceError
from meterbridge.domain.pricing.faults import Fault
from meterbridge.domain.publishing.compiled import Document
from meterbridge.domain.publishing.publication import Publication, PublicationLine


class RefusedPublicationError(ConflictError):
    """It cannot be applied, now or at all.

    Attributes:
        code: stable snake_case code of the reason, part of the API.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class CatalogRefusedError(MarketplaceError):
    """The marketplace judged what was sent and refused it: nothing was done, nor will be.

    Attributes:
        words: its own.
    """

    def __init__(self, words: tuple[str, ...]) -> None:
        super().__init__("; ".join(words))
        self.words = words


class CatalogBusyError(MarketplaceError):
    """Another change is being carried out on the same thing: nothing was done. Wait."""


class CatalogClosedError(MarketplaceError):
    """Surely nothing was sent, or we were not let in: no credentials, no permission, throttled."""


class CatalogUnknownError(MarketplaceError):
    """It is not known whether it was taken. Starting the same publication again is safe."""


class ProgressState(StrEnum):
    """How far a marketplace is."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a marketplace is, and what it made or said."""

    state: ProgressState
    words: tuple[str, ...] = ()
    entities: Mapping[str, str] = field(default_factory=dict)


class MarketplaceCatalog(Protocol):
    """The API of a marketplace that changes what is listed."""

    poll_interval: timedelta
    """It may be asked once in so long how far it is."""

    def start(self, publication: Publication) -> str:
        """Have the documents carried out; the reference under which that goes on.

        Called again with the same publication it is carried out once and no more.

        Raises:
            CatalogRefusedError, CatalogBusyError, CatalogClosedError, CatalogUnknownError.
        """

    def progress(self, reference: str) -> Progress:
        """How far it is. Raises MarketplaceError: it does not say."""


@dataclass(frozen=True, slots=True)
class LineHead:
    """Which publication of a line was applied last, and which is being applied; "" for none."""

    applied: str = ""
    applying: str = ""
    version: int = 0

    def taken_by(self, publication_id: str) -> LineHead:
        """It is being applied, and no other."""
        return replace(self, applying=publication_id, version=self.version + 1)

    def free(self) -> LineHead:
        """Nothing is being applied."""
        return replace(self, applying="", version=self.version + 1)

    def settled_by(self, publication_id: str) -> LineHead:
        """It was applied."""
        return replace(self, applied=publication_id, applying="", version=self.version + 1)


class PublicationStore(Protocol):
    """Publications, and the head of each line. May raise StoreUnavailableError."""

    def publication(self, publication_id: str) -> Publication:
        """Strongly read. Raises NotFoundError."""

    def publications(self, offering_id: str, after: str, limit: int) -> list[Publication]:
        """Of an offering, in order of id, which is that of creation. May lag behind by a moment."""

    def head(self, line: PublicationLine) -> LineHead:
        """Strongly read; version 0 before anything was applied."""

    def add(self, publication: Publication, answer: Answer | None = None) -> None:
        """Store a draft. Raises AnsweredError."""

    def save(
        self, publication: Publication, head: LineHead | None = None, answer: Answer | None = None
    ) -> None:
        """Replace the version before `publication.version` and, if given, that of its line's head.

        Raises:
            StaleVersionError: one of them was changed first; nothing was written.
            AnsweredError: the same request was finished first.
        """


Validator = Callable[[Document], tuple[Fault, ...]]
"""What is wrong with a document, by the marketplace's own model of it."""


@dataclass(frozen=True, slots=True)
class Publishing:
    """All of it.

    Attributes:
        validators: by channel; a channel without one has no model to go by.
        catalogs: by channel, each made when it is first needed; a channel without one cannot be
            applied to from here.
    """

    store: PublicationStore
    validators: Mapping[Channel, Validator]
    catalogs: Mapping[Channel, Callable[[], MarketplaceCatalog]]
