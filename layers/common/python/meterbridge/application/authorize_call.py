"""Who is calling, and may they."""

from __future__ import annotations

import re
from typing import Protocol

from meterbridge.application.ports import Clock
from meterbridge.domain.api_keys import ApiKey, Caller, Scope
from meterbridge.domain.errors import NotFoundError

_SEND_USAGE = ("POST", "/v1/events")
_READING = frozenset({"GET", "HEAD"})
_COMPUTED = re.compile(r"/v1/offerings/[^/]+/(preview|replay)")
"""Paths of what is computed from what is sent and what is stored, and writes nothing."""


class KeyRing(Protocol):
    """The API keys."""

    def api_key_by_digest(self, digest: str) -> ApiKey:
        """Strongly read. Raises NotFoundError."""


def needed_scope(method: str, path: str) -> Scope:
    """What a call needs: sending usage INGEST, reading and computing READ, anything else ADMIN."""
    if (method, path) == _SEND_USAGE:
        return Scope.INGEST
    reads = method in _READING or (method == "POST" and _COMPUTED.fullmatch(path))
    return Scope.READ if reads else Scope.ADMIN


def authorize_call(
    digest: str, method: str, path: str, *, keys: KeyRing, clock: Clock
) -> Caller | None:
    """The caller, or None where the key is unknown, revoked, expired or not for this call.

    Raises:
        StoreUnavailableError: the key could not be looked up; nobody is let in.
    """
    try:
        key = keys.api_key_by_digest(digest)
    except NotFoundError:
        return None
    caller = key.caller
    allowed = key.usable_at(clock.now()) and caller.allows(needed_scope(method, path))
    return caller if allowed else None
