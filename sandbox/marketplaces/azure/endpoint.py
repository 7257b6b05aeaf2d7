"""Usage events, product ingestion and Entra's token endpoint on the wire: paths, JSON, tokens, errors."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from ..billed import BilledRecord
from ..clock import real_time
from ..endpoint import Endpoint
from ..exchange import SIGN_IN, Answer, Call, Json, Refusal, RefusalKind, Request
from ..journal import Fact
from ..wire import json_answer
from .administration import AzureAdministration
from .catalog import GUID
from .errors import AzureError, Status, TokenError, bad_argument
from .events import read_batch, read_json
from .ingestion import GRAPH, KIND, Ingestion
from .metering import AzureMetering, Result
from .settings import AzureSettings
from .tokens import METERING, Token, Tokens, discovery
from .usage_report import usage_rows
from .wire import labels, logged, to_wire

API_VERSION = "2018-08-31"
_OPERATIONS = {
    ("POST", "/api/usageEvent"): "usageEvent",
    ("POST", "/api/batchUsageEvent"): "batchUsageEvent",
    ("GET", "/api/usageEvents"): "usageEvents",
}
_TOKEN = re.compile(r"/[^/]+/oauth2/(v2\.0/)?token")
_DISCOVERY = re.compile(r"/(?P<tenant>[^/]+)/v2\.0/\.well-known/openid-configuration")
_IDS = ("x-ms-requestid", "x-ms-correlationid")
_REFUSALS = {
    RefusalKind.INTERNAL_ERROR: ("InternalServerError", 500, "An internal error occurred."),
    RefusalKind.THROTTLED: ("TooManyRequests", 429, "Too many requests."),
    RefusalKind.UNAVAILABLE: ("ServiceUnavailable", 503, "The service is unavailable."),
    RefusalKind.NAMED: ("", 400, "Refused on order."),
}


class AzureMarketplace(Endpoint[AzureSettings]):
    """Azure Marketplace's metering and product ingestion APIs, and the directory that lets in.

    Args:
        settings: Policy to begin with, and to return to on a reset.
        wall: Real time, for tokens, and for a quota that is set to follow it.
    """

    name = "azure"

    def __init__(
        self, settings: AzureSettings | None = None, *, wall: Callable[[], datetime] = real_time
    ) -> None:
        super().__init__(settings or AzureSettings(), wall)

    def _begin(self) -> AzureAdministration:
        self._metering = AzureMetering(self._initial)
        self._tokens = Tokens(self._wall)
        self._ingestion = Ingestion()
        return AzureAdministration(self._metering, self._tokens)

    def claims(self, request: Request) -> bool:
        """Metering under `/api`, ingestion under its own path, and a tenant's token endpoints."""
        paths = {path for _, path in _OPERATIONS}
        own = request.path in paths or Ingestion.claims(request.path)
        return own or _is_sign_in(request.path)

    def describe(self, request: Request) -> Call:
        """Labels each event with its resource, plan and dimension."""
        if _is_sign_in(request.path):
            return Call(self.name, SIGN_IN)
        if Ingestion.claims(request.path):
            return Call(self.name, Ingestion.operation(request))
        operation = request.path.rpartition("/")[2]
        try:
            body = read_json(request.body)
        except AzureError:
            return Call(self.name, operation)
        if operation == "batchUsageEvent":
            body = body.get("request") if isinstance(body, dict) else None
        records = body if isinstance(body, list) else [body]
        return Call(self.name, operation, tuple(labels(row) for row in records))

    def answer(self, request: Request, *, now: datetime, unprocessed: frozenset[int]) -> Answer:
        """Serves one call."""
        if _is_sign_in(request.path):
            return self._sign_in(request)
        try:
            if Ingestion.claims(request.path):
                return self._ingest(request, now)
            return self._serve(request, now, unprocessed)
        except AzureError as error:
            return self._refused(error, request.headers)

    def _ingest(self, request: Request, now: datetime) -> Answer:
        self._admitted(request, GRAPH)
        if not self._quota.admits(self._metering.settings, now):
            raise AzureError(429, "TooManyRequests", "Too many requests.")
        takes = self._metering.settings.seconds("configure")
        status, body, fact = self._ingestion.serve(request, now, takes)
        answer = _answer(status, body, "Success", request.headers)
        return replace(answer, facts=(fact,) if fact is not None else ())

    def _sign_in(self, request: Request) -> Answer:
        base_url = f"http://{request.headers.get('host', '')}"
        found = _DISCOVERY.fullmatch(request.path)
        if found is not None:
            return _answer(200, discovery(found["tenant"], f"https{base_url[4:]}"), "Success", {})
        lifetime = self._metering.settings.seconds("token")
        try:
            body = self._tokens.grant(request.path, base_url, request.body, lifetime)
        except TokenError as error:
            refused = {
                "error": error.error,
                "error_description": f"AADSTS{error.number}: {error.message}",
                "error_codes": [error.number],
            }
            return _answer(error.status, refused, error.error, {})
        return _answer(200, body, "Success", {})

    def _serve(self, request: Request, now: datetime, unprocessed: frozenset[int]) -> Answer:
        operation = _OPERATIONS.get((request.method, request.path))
        if operation is None:
            raise AzureError(404, "NotFound", "The method is not served there.")
        token = self._admitted(request)
        if not self._quota.admits(self._metering.settings, now):
            raise AzureError(429, "TooManyRequests", "Too many requests.")
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        if query.get("api-version") != API_VERSION:
            raise bad_argument(f"The api-version must be {API_VERSION}.", "api-version")
        if operation == "usageEvents":
            return _answer(200, usage_rows(self._metering, query), "Success", request.headers)
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise AzureError(415, "UnsupportedMediaType", "The content must be application/json.")
        if operation == "usageEvent":
            return self._one(request, token, now, unprocessed)
        rows = read_batch(request.body, self._metering.settings)
        results = self._metering.meter(
            rows, client_id=token.client_id, now=now, unprocessed=unprocessed
        )
        listed = [to_wire(result, now) for result in results]
        if self._metering.settings.result_order == "reversed":
            listed.reverse()
        body = {"count": len(listed), "result": listed}
        return _metered(200, body, "Success", request.headers, results)

    def _one(
        self, request: Request, token: Token, now: datetime, unprocessed: frozenset[int]
    ) -> Answer:
        (result,) = self._metering.meter(
            [read_json(request.body)], client_id=token.client_id, now=now, unprocessed=unprocessed
        )
        body = to_wire(result, now)
        match result.status:
            case Status.ACCEPTED:
                return _metered(200, body, "Success", request.headers, [result])
            case Status.DUPLICATE:
                return _metered(409, body["error"], "Conflict", request.headers, [result])
            case Status.RESOURCE_NOT_AUTHORIZED:
                raise AzureError(403, "Forbidden", result.message)
            case Status.ERROR:
                raise AzureError(500, "InternalServerError", result.message)
        detail = {
            "message": result.message,
            "target": result.target,
            "code": result.status.value,
        }
        whole = {
            "message": "One or more errors have occurred.",
            "target": "usageEventRequest",
            "details": [detail],
            "code": "BadArgument",
        }
        return _metered(400, whole, result.status.value, request.headers, [result])

    def _admitted(self, request: Request, audience: str = METERING) -> Token:
        token = self._tokens.holder(request.headers.get("authorization", ""), audience)
        if token is None:
            status = self._metering.settings.bad_token_status
            code = "Unauthorized" if status == 401 else "Forbidden"
            raise AzureError(status, code, "The token is missing, expired or for others.")
        return token

    def refuse(self, refusal: Refusal) -> Answer:
        """An injected refusal, by default under Microsoft's own names."""
        code, status, message = _REFUSALS[refusal.kind]
        error = AzureError(
            refusal.status or status, refusal.code or code, refusal.message or message
        )
        return self._refused(error, {})

    def _refused(self, error: AzureError, headers: Mapping[str, str]) -> Answer:
        body = {"message": error.message, "target": error.target, "code": error.code}
        answer = _answer(error.status, body, error.code, headers)
        seconds = self._metering.settings.retry_after_seconds
        if error.status != 429 or not seconds:
            return answer
        return replace(answer, headers={**answer.headers, "Retry-After": str(seconds)})

    def billed(self) -> list[BilledRecord]:
        """Everything on the bill, in the order of acceptance."""
        return list(self._metering.bill.values())

    def warnings(self) -> list[str]:
        """Nothing can be billed twice here."""
        return []

    def _put_back(self, fact: Fact) -> None:
        if fact["kind"] == KIND:
            self._ingestion.put_back(fact)
            return
        self._metering.put_back(BilledRecord.from_fact(fact))

    def _empty_bill(self) -> None:
        self._metering.bill.clear()
        self._ingestion.clear()


def _is_sign_in(path: str) -> bool:
    return bool(_TOKEN.fullmatch(path) or _DISCOVERY.fullmatch(path))


def _metered(
    status: int,
    body: Json,
    outcome: str,
    headers: Mapping[str, str],
    results: Sequence[Result],
) -> Answer:
    return replace(
        _answer(status, body, outcome, headers),
        records=tuple(logged(result) for result in results),
        facts=tuple(each.billed.to_fact() for each in results if each.billed is not None),
    )


def _answer(status: int, body: Any, outcome: str, headers: Mapping[str, str]) -> Answer:
    """An answer with the caller's request and correlation ids, or new ones."""
    given = {name: headers.get(name, "") for name in _IDS}
    ids = {
        name: text if GUID.fullmatch(text) else str(uuid.uuid4()) for name, text in given.items()
    }
    sent = {"Content-Type": "application/json; charset=utf-8", **ids}
    return json_answer(status, body, outcome, sent, default=_number)


def _number(value: object) -> float:
    """A quantity goes out as the double that it is."""
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} does not go out")
