"""Every error as a problem (RFC 9457)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aws_lambda_powertools.event_handler.openapi.exceptions import (
    RequestUnsupportedContentType,
    RequestValidationError,
)

from meterbridge.application.publication_ports import (
    CatalogBusyError,
    CatalogClosedError,
    CatalogUnknownError,
    RefusedPublicationError,
)
from meterbridge.application.refusals import (
    ForbiddenError,
    InvalidRequestError,
    PreconditionError,
    StateError,
)
from meterbridge.application.registry_admin import (
    AlreadyExistsError,
    AnsweredError,
    OverlapError,
)
from meterbridge.domain.errors import (
    ConflictError,
    InUseError,
    InvalidInputError,
    NotFoundError,
    RefusedDecisionError,
    StaleVersionError,
    StoreUnavailableError,
)
from meterbridge.lambda_runtime.problems import Fault, Problem


class MalformedBodyError(InvalidInputError):
    """The body is no JSON at all."""


class MediaTypeError(InvalidInputError):
    """The body is not said to be JSON."""


class IdempotencyKeyError(InvalidInputError):
    """The idempotency key belongs to another request."""


class SecretShownError(ConflictError):
    """The answer held a secret, which is shown only once."""


class UnauthenticatedError(Exception):
    """Nobody has checked who is calling."""


STATUSES: Mapping[type[Exception], tuple[int, str]] = {
    UnauthenticatedError: (401, "unauthorized"),
    ForbiddenError: (403, "forbidden"),
    NotFoundError: (404, "not_found"),
    AlreadyExistsError: (409, "already_exists"),
    OverlapError: (409, "agreement_overlap"),
    InUseError: (409, "in_use"),
    StateError: (409, "invalid_state"),
    AnsweredError: (409, "idempotency_in_progress"),
    SecretShownError: (409, "idempotency_secret_shown"),
    StaleVersionError: (409, "version_conflict"),
    ConflictError: (409, "conflict"),
    CatalogBusyError: (409, "marketplace_busy"),
    CatalogClosedError: (409, "marketplace_closed"),
    CatalogUnknownError: (503, "marketplace_unknown"),
    PreconditionError: (412, "precondition_failed"),
    StoreUnavailableError: (503, "store_unavailable"),
}
"""Status and code of an error; a subclass not named here takes its parent's."""

INVALID_STATUSES: Mapping[type[InvalidInputError], int] = {
    MalformedBodyError: 400,
    MediaTypeError: 415,
    InvalidInputError: 422,
}

_HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "2"}}
_QUIET = frozenset({503})


def problem_of(error: Exception) -> Problem | None:
    """The problem that an expected error is; None for a defect."""
    if isinstance(error, RequestValidationError):
        faults = [_fault(each) for each in error.errors()]
        return Problem(422, "invalid_request", "The request is not valid", faults)
    if isinstance(error, RequestUnsupportedContentType):
        return Problem(415, "unsupported_media_type", "The body must be application/json")
    if isinstance(error, InvalidRequestError):
        faults = [Fault(each.pointer, each.code, each.detail) for each in error.faults]
        return Problem(422, "invalid_request", "The request is not valid", faults)
    if isinstance(error, InvalidInputError):
        status = next(INVALID_STATUSES[each] for each in _lineage(error, INVALID_STATUSES))
        faults = [Fault(error.pointer, error.code, error.detail)] if error.pointer else []
        return Problem(status, error.code, error.detail, faults)
    if isinstance(error, RefusedDecisionError | RefusedPublicationError):
        return Problem(409, error.code, str(error))
    for kind in _lineage(error, STATUSES):
        status, code = STATUSES[kind]
        detail = "Try again in a moment" if status in _QUIET else str(error)
        return Problem(status, code, detail, headers=_HEADERS.get(status, {}))
    return None


def _lineage(error: Exception, known: Mapping[Any, object]) -> Iterable[Any]:
    return (kind for kind in type(error).__mro__ if kind in known)


def _fault(error: Mapping[str, Any]) -> Fault:
    where, *path = error["loc"]
    if where == "body":
        pointer = "".join(f"/{_escaped(str(part))}" for part in path)
    else:
        pointer = str(path[0]) if path else str(where)
    return Fault(pointer, str(error["type"]), str(error["msg"]))


def _escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")
