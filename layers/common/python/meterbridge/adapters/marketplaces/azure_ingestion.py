"""Microsoft's Product Ingestion API: configure jobs started and followed (contracts.md §2.3).

A configure request says what shall be. Before it is sent, the offer and the plan are looked up by
the ids that people know, and changed where they are there already: sent again, it makes nothing
twice. While a job of the same offer runs, Microsoft refuses another.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from urllib3 import BaseHTTPResponse, PoolManager
from urllib3.exceptions import HTTPError, LocationValueError

from meterbridge.adapters.marketplaces.azure_outcomes import REFUSED_TOKEN
from meterbridge.adapters.marketplaces.bearer_tokens import Tokens
from meterbridge.adapters.marketplaces.connections import NEVER_LEFT
from meterbridge.application.publication_ports import (
    CatalogBusyError,
    CatalogClosedError,
    CatalogRefusedError,
    CatalogUnknownError,
    Progress,
    ProgressState,
)
from meterbridge.domain.errors import MarketplaceError
from meterbridge.domain.publishing.azure_resources import PLAN, PRODUCT, SCHEMAS
from meterbridge.domain.publishing.compiled import Document
from meterbridge.domain.publishing.publication import Publication

PUBLIC_ENDPOINT = "https://graph.microsoft.com"

_BASE = "/rp/product-ingestion"
_VERSION = "2022-03-01-preview5"
"""The highest schema version that is answered; mandatory on every call."""

_REFUSED = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})
_BUSY = frozenset({HTTPStatus.CONFLICT, HTTPStatus.LOCKED})
_CLOSED = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.TOO_MANY_REQUESTS})
_RESULTS = {
    "succeeded": ProgressState.SUCCEEDED,
    "failed": ProgressState.FAILED,
    "cancelled": ProgressState.FAILED,
}
_ENTITIES = frozenset({PRODUCT, PLAN, "submission"})


class AzureIngestion:
    """The MarketplaceCatalog port for Azure. The pool must not retry by itself."""

    poll_interval = timedelta(minutes=1)

    def __init__(
        self, pool: PoolManager, tokens: Tokens, *, endpoint: str = PUBLIC_ENDPOINT
    ) -> None:
        """Call through a pool of connections."""
        self._pool = pool
        self._tokens = tokens
        self._url = endpoint.rstrip("/") + _BASE

    def start(self, publication: Publication) -> str:
        """See MarketplaceCatalog."""
        (document,) = publication.documents
        request = json.loads(document.body, parse_float=Decimal)
        for resource in request["resources"]:
            self._point_at_existing(resource, request["resources"])
        body = Document.of(document.name, document.call, request).body
        try:
            response = self._call("POST", "/configure", body=body.encode())
        except LocationValueError as exc:
            raise CatalogClosedError(str(exc)) from exc
        except HTTPError as exc:
            closed = isinstance(exc, NEVER_LEFT)
            raise (CatalogClosedError if closed else CatalogUnknownError)(str(exc)) from exc
        if response.status not in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
            raise _judged(response)
        job = _job_id(_read(response))
        if not job:
            raise CatalogUnknownError("Microsoft took it and names no job")
        return job

    def progress(self, reference: str) -> Progress:
        """See MarketplaceCatalog."""
        job = quote(reference, safe="")
        status = self._told(f"/configure/{job}/status")
        result = str(status.get("jobResult", "")).lower()
        if str(status.get("jobStatus", "")).lower() != "completed" and result not in _RESULTS:
            return Progress(ProgressState.RUNNING)
        state = _RESULTS.get(result, ProgressState.FAILED)
        if state is ProgressState.FAILED:
            return Progress(state, tuple(_words(status)))
        made = self._told(f"/configure/{job}").get("resources", [])
        return Progress(state, entities=dict(_entities(made)))

    def _point_at_existing(
        self, resource: dict[str, Any], resources: Sequence[Mapping[str, Any]]
    ) -> None:
        """Give an offer or a plan its durable id, if it is there."""
        external = resource.get("identity", {}).get("externalId")
        kinds = {SCHEMAS[PRODUCT]: PRODUCT, SCHEMAS[PLAN]: PLAN}
        kind = kinds.get(resource.get("$schema", ""))
        if kind is None or external is None:
            return
        query = {"externalID": external}
        if kind == PLAN:
            product = next(e for e in resources if e.get("$schema") == SCHEMAS[PRODUCT])
            if "id" not in product:
                return
            query["product"] = product["id"]
        try:
            found = self._told(f"/{kind}", query, may_be_absent=True)
        except MarketplaceError as exc:
            raise CatalogClosedError(str(exc)) from exc
        listed = found.get("value", [found] if "id" in found else [])
        if listed:
            resource["id"] = str(listed[0]["id"])

    def _told(
        self, path: str, query: Mapping[str, str] | None = None, *, may_be_absent: bool = False
    ) -> Mapping[str, Any]:
        try:
            response = self._call("GET", path, query)
        except HTTPError as exc:
            raise MarketplaceError(f"Microsoft does not answer: {exc}") from exc
        if response.status == HTTPStatus.NOT_FOUND and may_be_absent:
            return {}
        if response.status != HTTPStatus.OK:
            raise MarketplaceError(f"GET {path}: {'; '.join(_refusal(response))}")
        return _read(response)

    def _call(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: bytes = b""
    ) -> BaseHTTPResponse:
        try:
            token = self._tokens.bearer()
            response = self._send(method, path, query or {}, body, token)
            if response.status in REFUSED_TOKEN:
                response = self._send(method, path, query or {}, body, self._tokens.renewed(token))
        except HTTPError:
            raise
        except MarketplaceError as exc:
            raise CatalogClosedError(str(exc)) from exc
        return response

    def _send(
        self, method: str, path: str, query: Mapping[str, str], body: bytes, token: str
    ) -> BaseHTTPResponse:
        url = f"{self._url}{path}?{urlencode({**query, '$version': _VERSION}, safe='$')}"
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return self._pool.request(method, url, body=body or None, headers=headers, redirect=False)


def _judged(response: BaseHTTPResponse) -> MarketplaceError:
    words = _refusal(response)
    if response.status in _REFUSED:
        return CatalogRefusedError(words)
    if response.status in _BUSY:
        return CatalogBusyError("; ".join(words))
    if response.status in _CLOSED or response.status in REFUSED_TOKEN:
        return CatalogClosedError("; ".join(words))
    return CatalogUnknownError("; ".join(words))


def _refusal(response: BaseHTTPResponse) -> tuple[str, ...]:
    body = _read(response)
    error = body.get("error", body)
    found = tuple(_error_words(error)) if isinstance(error, dict) else ()
    return (f"HTTP {response.status}", *found)


def _error_words(error: Mapping[str, Any]) -> Iterator[str]:
    code, message = error.get("code", ""), error.get("message", "")
    if code or message:
        where = error.get("resourceId") or error.get("target") or ""
        yield ": ".join(str(part) for part in (where, code, message) if part)
    details = error.get("details", [])
    for detail in details if isinstance(details, list) else []:
        if isinstance(detail, dict):
            yield from _error_words(detail)


def _words(status: Mapping[str, Any]) -> Iterator[str]:
    yield f"the job {status.get('jobResult', 'has no result')}"
    errors = status.get("errors", [])
    for error in errors if isinstance(errors, list) else []:
        if isinstance(error, dict):
            yield from _error_words(error)


def _job_id(body: Mapping[str, Any]) -> str:
    """Microsoft's pages spell it both ways."""
    return str(body.get("jobId") or body.get("jobID") or "")


def _entities(resources: object) -> Iterator[tuple[str, str]]:
    """Durable ids of what was made: `product/…`, `plan/…`, `submission/…`."""
    for resource in resources if isinstance(resources, list) else []:
        durable = str(resource.get("id", "")) if isinstance(resource, dict) else ""
        kind = durable.partition("/")[0]
        if kind in _ENTITIES:
            yield kind, durable


def _read(response: BaseHTTPResponse) -> Mapping[str, Any]:
    """The body, empty where it is not a JSON object."""
    try:
        body = json.loads(response.data, parse_float=Decimal)
    except (ValueError, InvalidOperation, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}
