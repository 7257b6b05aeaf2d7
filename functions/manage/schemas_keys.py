"""API keys and settings: what is sent and what is answered."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field, StrictInt

from manage.answers import Listing
from manage.fields import Identifier, Input, Moment, Name
from meterbridge.application.registry_admin import Versioned
from meterbridge.domain.api_keys import ApiKey, Scope
from meterbridge.domain.usage_log import ShardPlan


class NewApiKey(Input):
    """A key for one use; make another one for another use."""

    name: Name
    scopes: list[Scope] = Field(
        min_length=1, max_length=3, description="ingest sends usage; admin includes read"
    )
    products: list[Identifier] | None = Field(
        None, min_length=1, max_length=50, description="Products it is bound to; null for all"
    )
    expires_at: Moment | None = None


class ApiKeyPatch(Input):
    """JSON merge patch of an API key. What it may do never changes."""

    name: Name


class ApiKeyView(BaseModel):
    """An API key, without the secret."""

    id: str
    name: str
    scopes: list[Scope]
    products: list[str] | None
    last4: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    version: int

    @classmethod
    def of(cls, entry: Versioned[ApiKey]) -> ApiKeyView:
        return cls(**_members(entry))


class CreatedApiKeyView(ApiKeyView):
    """An API key, just made."""

    key: str = Field(description="The secret. It is shown this once and kept nowhere.")

    @classmethod
    def with_secret(cls, entry: Versioned[ApiKey], secret: str) -> CreatedApiKeyView:
        return cls(**_members(entry), key=secret)


class ApiKeyList(Listing):
    """A page of API keys."""

    items: list[ApiKeyView]


def _members(entry: Versioned[ApiKey]) -> dict[str, object]:
    key = entry.value
    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "products": None if key.products is None else sorted(key.products),
        "last4": key.last4,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "version": entry.version,
    }


class NewShards(Input):
    """Another number of shards of the usage log, from an hour on."""

    shards: StrictInt = Field(ge=1, le=999)
    effective_from: Moment = Field(description="A full hour, at least two hours ahead")


class ShardStep(BaseModel):
    """A number of shards and its first hour."""

    effective_from: datetime
    shards: int


class ShardPlanView(BaseModel):
    """How many shards the usage log has, by hour."""

    steps: list[ShardStep]
    version: int

    @classmethod
    def of(cls, entry: Versioned[ShardPlan]) -> ShardPlanView:
        steps = [ShardStep(effective_from=hour, shards=count) for hour, count in entry.value.steps]
        return cls(steps=steps, version=entry.version)
