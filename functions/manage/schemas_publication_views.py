"""Publications: what is answered."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from manage.answers import Listing
from meterbridge.domain.channels import Channel
from meterbridge.domain.publishing.publication import Publication, PublicationState


class DocumentView(BaseModel):
    """A document as the marketplace takes it, or as a person enters it."""

    name: str
    call: str = Field(description="The operation that takes it; empty where there is none")
    body: Any = Field(description="A JSON document in the marketplace's own words")


class GapView(BaseModel):
    """What the listing cannot hold, or does not know yet."""

    pointer: str = Field(description="Into the plan's terms, or into the request: /aws/…")
    code: str
    detail: str
    blocks: bool = Field(description="Whether applying would charge or list something wrong")


class DocumentFaultView(BaseModel):
    """What the marketplace's own model of a document finds wrong with it."""

    pointer: str
    code: str
    detail: str


class ChangeView(BaseModel):
    """A value that differs from what was applied last, as JSON texts; null where there is none."""

    pointer: str
    before: str | None
    after: str | None


class PublicationSummary(BaseModel):
    """A publication, without its documents."""

    id: str
    offering_id: str
    offering_version: int
    plan: str
    channel: Channel
    audience: str = Field(description="For whom it is; empty for everybody")
    state: PublicationState
    appliable: bool = Field(description="No gap blocks, and no fault was found")
    created_at: datetime
    settled_at: datetime | None

    @classmethod
    def of(cls, publication: Publication) -> PublicationSummary:
        return cls(**_summary(publication))


class PublicationView(PublicationSummary):
    """A publication: documents that never change, and what became of them."""

    documents: list[DocumentView]
    gaps: list[GapView]
    faults: list[DocumentFaultView]
    steps: list[str] = Field(description="What is left to a person, in order")
    changes: list[ChangeView] = Field(description="Against the publication that it follows")
    follows: str = Field(description="The publication applied last when it was compiled")
    reference: str = Field(description="The marketplace's id of the change set or job")
    entities: dict[str, str] = Field(description="The marketplace's ids of what it made or changed")
    words: list[str] = Field(description="What the marketplace said against it")
    created_by: str = Field(description="Id of the API key")
    applied_by: str
    started_at: datetime | None
    checked_at: datetime | None = Field(description="When the marketplace last told how far it is")
    progress_unknown: str = Field(description="Why its progress is not known; empty where it is")
    note: str

    @classmethod
    def of(cls, publication: Publication, unknown: str = "") -> PublicationView:
        return cls(
            **_summary(publication),
            documents=[
                DocumentView(name=each.name, call=each.call, body=json.loads(each.body))
                for each in publication.documents
            ],
            gaps=[
                GapView(
                    pointer=each.pointer, code=each.code, detail=each.detail, blocks=each.blocks
                )
                for each in publication.gaps
            ],
            faults=[
                DocumentFaultView(pointer=each.pointer, code=each.code, detail=each.detail)
                for each in publication.faults
            ],
            steps=list(publication.steps),
            changes=[
                ChangeView(pointer=each.pointer, before=each.before, after=each.after)
                for each in publication.changes
            ],
            follows=publication.follows,
            reference=publication.reference,
            entities=dict(publication.entities),
            words=list(publication.words),
            created_by=publication.created_by,
            applied_by=publication.applied_by,
            started_at=publication.started_at,
            checked_at=publication.checked_at,
            progress_unknown=unknown,
            note=publication.note,
        )


class PublicationList(Listing):
    """A page of publications, oldest first."""

    items: list[PublicationSummary]


def _summary(publication: Publication) -> dict[str, Any]:
    return {
        "id": publication.id,
        "offering_id": publication.offering_id,
        "offering_version": publication.offering_version,
        "plan": publication.plan_code,
        "channel": publication.channel,
        "audience": publication.audience,
        "state": publication.state,
        "appliable": not publication.must_not_go_out,
        "created_at": publication.created_at,
        "settled_at": publication.settled_at,
    }
