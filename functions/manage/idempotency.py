"""Idempotency-Key: a POST that is repeated gets the answer of the first, and has one effect.

The answer is stored in the transaction that has the effect. So there is never an effect without
its answer, nothing to expire after a crash, and of two requests at once one has the effect and the
other finds the answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
from pydantic import BaseModel

from manage.errors import IdempotencyKeyError, SecretShownError
from manage.resolver import Resolver
from meterbridge.application.ports import Clock
from meterbridge.application.registry_admin import Answer, RegistryAdmin
from meterbridge.domain.errors import ConflictError, InvalidInputError

T = TypeVar("T")
HEADER = "idempotency-key"


@dataclass(frozen=True, slots=True)
class Idempotency:
    """Replays answers, and makes those that are to be kept."""

    registry: RegistryAdmin
    clock: Clock

    def replaying(self, app: Resolver, next_middleware: NextMiddleware) -> Response[Any]:
        """Middleware: around every route."""
        key = self._key(app)
        if not key:
            return next_middleware(app)
        stored = self._replay(app, key)
        if stored is not None:
            return stored
        try:
            return next_middleware(app)
        except (ConflictError, InvalidInputError):
            # The same request may have been finished meanwhile, and be the reason for this.
            stored = self._replay(app, key)
            if stored is None:
                raise
            return stored

    def answering(
        self,
        app: Resolver,
        view: Callable[[T], BaseModel],
        *,
        status: int = 201,
        secret: bool = False,
    ) -> Callable[[T], Answer | None]:
        """How to make the answer that is stored with what is created; None without a key."""
        key = self._key(app)

        def answer(created: T) -> Answer | None:
            if not key:
                return None
            return Answer(
                caller=app.caller.key_id,
                idempotency_key=key,
                request_hash=_hash(app),
                status=status,
                body=view(created).model_dump_json(),
                given_at=self.clock.now(),
                secret=secret,
            )

        return answer

    def _key(self, app: Resolver) -> str:
        event = app.current_event
        return event.headers.get(HEADER, "") if event.http_method.upper() == "POST" else ""

    def _replay(self, app: Resolver, key: str) -> Response[Any] | None:
        answer = self.registry.answer(app.caller.key_id, key, self.clock.now())
        if answer is None:
            return None
        if answer.request_hash != _hash(app):
            raise IdempotencyKeyError(
                "idempotency_key_reused", "This key was used for another request", "Idempotency-Key"
            )
        if answer.secret:
            raise SecretShownError(
                "This request was answered before, with a secret that is shown only once. If that "
                f"answer was lost, revoke what it made and ask for another: {answer.body}"
            )
        return Response(
            answer.status,
            "application/json",
            answer.body,
            headers={"Idempotent-Replayed": "true"},
        )


def _hash(app: Resolver) -> str:
    event = app.current_event
    request = "\n".join((event.http_method.upper(), event.path, event.body or ""))
    return hashlib.sha256(request.encode(errors="surrogatepass")).hexdigest()
