"""/v1/api-keys"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body

from manage.answers import entity, listed
from manage.fields import Cursor, IdempotencyKey, IdPath, IfMatch, Limit, expected_version
from manage.idempotency import Idempotency
from manage.resolver import Resolver
from manage.schemas_keys import (
    ApiKeyList,
    ApiKeyPatch,
    ApiKeyView,
    CreatedApiKeyView,
    NewApiKey,
)
from manage.services import Services, new_id
from meterbridge.adapters.api_keys import digest_of, new_secret
from meterbridge.application.manage_catalog import changed
from meterbridge.application.manage_keys import (
    create_api_key,
    revoke_api_key,
    visible_api_key,
    visible_api_keys,
)
from meterbridge.application.registry_admin import Versioned
from meterbridge.domain.api_keys import ApiKey, Caller, Scope

TAGS = ["API keys"]


def add_keys(app: Resolver, services: Services, idempotency: Idempotency) -> None:
    """Add the routes of API keys. A deleted key is a revoked one: it stays, so that its past calls
    keep their name."""
    registry = services.registry

    @app.post("/v1/api-keys", tags=TAGS, summary="Create an API key", status_code=201)
    def post_api_key(
        body: Annotated[NewApiKey, Body()], idempotency_key: IdempotencyKey = None
    ) -> Response[CreatedApiKeyView]:
        secret = new_secret()
        key = _key(body, secret, services)
        create_api_key(
            key,
            caller=app.caller,
            registry=registry,
            answering=idempotency.answering(app, _created, secret=True),
        )
        view = CreatedApiKeyView.with_secret(Versioned(key, 1), secret)
        return entity(view, 1, 201)

    @app.get("/v1/api-keys", tags=TAGS, summary="List API keys")
    def list_api_keys(cursor: Cursor = "", limit: Limit = 50) -> ApiKeyList:
        page = visible_api_keys(cursor, limit, caller=app.caller, registry=registry)
        return ApiKeyList(**listed(page, ApiKeyView.of))

    @app.get("/v1/api-keys/<key_id>", tags=TAGS, summary="Read an API key")
    def get_api_key(key_id: IdPath) -> Response[ApiKeyView]:
        entry = visible_api_key(key_id, caller=app.caller, registry=registry)
        return entity(ApiKeyView.of(entry), entry.version)

    @app.patch("/v1/api-keys/<key_id>", tags=TAGS, summary="Rename an API key")
    def patch_api_key(
        key_id: IdPath, body: Annotated[ApiKeyPatch, Body()], if_match: IfMatch = None
    ) -> Response[ApiKeyView]:
        entry = changed(
            lambda: visible_api_key(key_id, caller=app.caller, registry=registry),
            registry.save_api_key,
            lambda key: replace(key, name=body.name),
            expected_version(if_match),
        )
        return entity(ApiKeyView.of(entry), entry.version)

    @app.delete("/v1/api-keys/<key_id>", tags=TAGS, summary="Revoke an API key for ever")
    def delete_api_key(key_id: IdPath) -> Response[ApiKeyView]:
        entry = revoke_api_key(key_id, caller=app.caller, registry=registry, clock=services.clock)
        return entity(ApiKeyView.of(entry), entry.version)


def create_admin_key(name: str, services: Services) -> dict[str, str]:
    """The first key of a deployment: admin, for all products. Answers its id and its secret."""
    secret = new_secret()
    body = NewApiKey(name=name, scopes=[Scope.ADMIN])
    key = _key(body, secret, services)
    nobody = Caller("", frozenset({Scope.ADMIN}), None)
    create_api_key(key, caller=nobody, registry=services.registry, answering=lambda _: None)
    return {"id": key.id, "key": secret}


def _key(body: NewApiKey, secret: str, services: Services) -> ApiKey:
    return ApiKey(
        id=new_id("key"),
        name=body.name,
        scopes=frozenset(body.scopes),
        products=None if body.products is None else frozenset(body.products),
        digest=digest_of(secret),
        last4=secret[-4:],
        created_at=services.clock.now(),
        expires_at=body.expires_at,
    )


def _created(key: ApiKey) -> ApiKeyView:
    return ApiKeyView.of(Versioned(key, 1))
