"""A publication: documents for a marketplace, from the dry run to what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from meterbridge.domain.channels import Channel
from meterbridge.domain.pricing.faults import Fault
from meterbridge.domain.publishing.compiled import Change, Document, Gap, LastApplied


class PublicationState(StrEnum):
    """DRAFT → APPLYING → APPLIED | FAILED. Nothing was sent before APPLYING."""

    DRAFT = "draft"
    APPLYING = "applying"
    APPLIED = "applied"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PublicationLine:
    """Publications of one plan on one channel for the same buyers follow one another."""

    offering_id: str
    channel: Channel
    plan_code: str
    audience: str


@dataclass(frozen=True, slots=True)
class Publication:
    """Documents that never change, and what became of them.

    Attributes:
        audience: whom it is for; "" for everybody.
        faults: what is wrong with a document, by the marketplace's own model of it.
        changes: what differs from the publication before, `follows`; "" for the first.
        version: of this object; the documents stay.
        asked_at_version: the version that was to be applied; asking so again is the same request.
        reference: the marketplace's id of what is being carried out; "" while it is not known.
        entities: the marketplace's ids of what it made or changed.
        words: what the marketplace said against it.
        checked_at: when the marketplace last told how far it is.
        note: of the person who entered it by hand.
    """

    id: str
    product_id: str
    offering_id: str
    offering_version: int
    plan_code: str
    channel: Channel
    audience: str
    documents: tuple[Document, ...]
    gaps: tuple[Gap, ...]
    faults: tuple[Fault, ...]
    steps: tuple[str, ...]
    content: Mapping[str, str]
    changes: tuple[Change, ...]
    created_at: datetime
    created_by: str
    follows: str = ""
    raises_prices: bool = False
    entities: Mapping[str, str] = field(default_factory=dict)
    prices_raised_at: datetime | None = None
    version: int = 1
    state: PublicationState = PublicationState.DRAFT
    asked_at_version: int | None = None
    applied_by: str = ""
    started_at: datetime | None = None
    reference: str = ""
    checked_at: datetime | None = None
    settled_at: datetime | None = None
    words: tuple[str, ...] = ()
    note: str = ""

    @property
    def line(self) -> PublicationLine:
        """What it follows, and what follows it."""
        return PublicationLine(self.offering_id, self.channel, self.plan_code, self.audience)

    @property
    def must_not_go_out(self) -> bool:
        """Whether it would list or charge something wrong."""
        return bool(self.faults) or any(gap.blocks for gap in self.gaps)

    @property
    def is_entered_by_hand(self) -> bool:
        """Whether no API takes its documents."""
        return not any(document.call for document in self.documents)

    @property
    def as_last_applied(self) -> LastApplied:
        """What the next one compares itself with."""
        return LastApplied(self.id, self.content, self.entities, self.prices_raised_at)

    def starting(self, by: str, at: datetime) -> Publication:
        """It is about to be sent."""
        return replace(
            self,
            version=self.version + 1,
            state=PublicationState.APPLYING,
            asked_at_version=self.version,
            applied_by=by,
            started_at=at,
        )

    def put_back(self) -> Publication:
        """Surely nothing was sent: it may be applied later."""
        return replace(
            self, version=self.version + 1, state=PublicationState.DRAFT, started_at=None
        )

    def started(self, reference: str) -> Publication:
        """The marketplace took it and is carrying it out."""
        return replace(self, version=self.version + 1, reference=reference)

    def checked(self, at: datetime) -> Publication:
        """The marketplace said that it is still at it."""
        return replace(self, version=self.version + 1, checked_at=at)

    def applied(self, entities: Mapping[str, str], at: datetime) -> Publication:
        """The marketplace did all of it."""
        return replace(
            self,
            version=self.version + 1,
            state=PublicationState.APPLIED,
            entities={**self.entities, **entities},
            checked_at=at,
            settled_at=at,
            prices_raised_at=at if self.raises_prices else self.prices_raised_at,
        )

    def failed(self, words: tuple[str, ...], at: datetime) -> Publication:
        """The marketplace did nothing of it, and says why."""
        return replace(
            self,
            version=self.version + 1,
            state=PublicationState.FAILED,
            words=words,
            checked_at=at,
            settled_at=at,
        )

    def entered_by_hand(self, note: str, by: str, at: datetime) -> Publication:
        """A person did it where no API does."""
        return replace(self.applied({}, at), applied_by=by, note=note, checked_at=None)
