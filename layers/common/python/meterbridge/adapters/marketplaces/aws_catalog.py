"""AWS Marketplace's catalog: change sets started and followed (contracts.md §1.3.1).

The client request token is derived from the publication's id: started again, AWS answers with the
change set that is there already.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
)

from meterbridge.application.publication_ports import (
    CatalogBusyError,
    CatalogClosedError,
    CatalogRefusedError,
    CatalogUnknownError,
    Progress,
    ProgressState,
)
from meterbridge.domain.errors import MarketplaceError
from meterbridge.domain.publishing.aws_change_sets import ENTITIES_BY_CHANGE
from meterbridge.domain.publishing.publication import Publication

_CATALOG = "AWSMarketplace"

STATUSES = {
    "PREPARING": ProgressState.RUNNING,
    "APPLYING": ProgressState.RUNNING,
    "SUCCEEDED": ProgressState.SUCCEEDED,
    "CANCELLED": ProgressState.FAILED,
    "FAILED": ProgressState.FAILED,
}
"""`Status` of a change set."""

_REFUSED, _BUSY, _CLOSED, _UNKNOWN = "refused", "busy", "closed", "unknown"
ERRORS = {
    "ValidationException": _REFUSED,
    "ResourceNotFoundException": _REFUSED,
    "ResourceNotSupportedException": _REFUSED,
    "ResourceInUseException": _BUSY,
    "AccessDeniedException": _CLOSED,
    "ThrottlingException": _CLOSED,
    # 250 change sets are open (§1.3.1): some have to end first.
    "ServiceQuotaExceededException": _CLOSED,
    "InternalServiceException": _UNKNOWN,
}
"""What an error of the service model says of a change set; any other is one of signing or of HTTP."""

_SERVER_FAULT = 500
_NEVER_SENT = (NoCredentialsError, EndpointConnectionError, ConnectTimeoutError)


class AwsCatalog:
    """The MarketplaceCatalog port for AWS."""

    poll_interval = timedelta(seconds=5)

    def __init__(self, client: Any) -> None:
        """Call through a client that does not retry: what a failure means is decided here."""
        self._client = client

    def start(self, publication: Publication) -> str:
        """See MarketplaceCatalog."""
        (document,) = publication.documents
        request = json.loads(document.body)
        try:
            answer = self._client.start_change_set(
                **request, ClientRequestToken=request_token(publication.id)
            )
        except MarketplaceError as exc:
            raise CatalogClosedError(str(exc)) from exc
        except ParamValidationError as exc:
            raise CatalogRefusedError((str(exc),)) from exc
        except ClientError as exc:
            raise _judged(exc) from exc
        except _NEVER_SENT as exc:
            raise CatalogClosedError(str(exc)) from exc
        except BotoCoreError as exc:
            raise CatalogUnknownError(str(exc)) from exc
        return str(answer["ChangeSetId"])

    def progress(self, reference: str) -> Progress:
        """See MarketplaceCatalog."""
        try:
            answer = self._client.describe_change_set(Catalog=_CATALOG, ChangeSetId=reference)
        except (ClientError, BotoCoreError) as exc:
            raise MarketplaceError(f"AWS does not say how far {reference} is: {exc}") from exc
        state = STATUSES.get(answer.get("Status", ""), ProgressState.RUNNING)
        if state is ProgressState.SUCCEEDED:
            return Progress(state, entities=dict(_entities(answer)))
        words = tuple(_words(answer)) if state is ProgressState.FAILED else ()
        return Progress(state, words)


def request_token(publication_id: str) -> str:
    """The same for the same publication, and no other: 64 characters at most."""
    return hashlib.sha256(publication_id.encode()).hexdigest()


def _judged(exc: ClientError) -> MarketplaceError:
    response: Mapping[str, Any] = exc.response
    error = response.get("Error", {})
    code, message = str(error.get("Code", "")), str(error.get("Message", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    verdict = ERRORS.get(code, _UNKNOWN if status >= _SERVER_FAULT else _CLOSED)
    words = f"{code}: {message}"
    if verdict == _REFUSED:
        return CatalogRefusedError((words, *_field_words(response)))
    if verdict == _BUSY:
        return CatalogBusyError(words)
    return CatalogClosedError(words) if verdict == _CLOSED else CatalogUnknownError(words)


def _field_words(response: Mapping[str, Any]) -> Iterator[str]:
    for each in response.get("ValidationExceptionFieldList", []):
        parts = (each.get(name) for name in ("ChangeType", "Field", "Message"))
        yield ": ".join(str(part) for part in parts if part)


def _entities(answer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Ids of what was made, without the revision that AWS puts after an @."""
    for change in answer.get("ChangeSet", []):
        entity = ENTITIES_BY_CHANGE.get(change.get("ChangeName", ""))
        identifier = change.get("Entity", {}).get("Identifier", "")
        if entity is not None and identifier:
            yield entity, identifier.partition("@")[0]


def _words(answer: Mapping[str, Any]) -> Iterator[str]:
    yield " ".join(
        str(answer[name])
        for name in ("Status", "FailureCode", "FailureDescription")
        if answer.get(name)
    )
    for change in answer.get("ChangeSet", []):
        for error in change.get("ErrorDetailList", []):
            code, message = error.get("ErrorCode", ""), error.get("ErrorMessage", "")
            yield f"{change.get('ChangeType', '')}: {code}: {message}"
