"""Service Control and its token endpoints on the wire: paths, JSON, tokens, quota, error answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

from ..billed import BilledRecord
from ..clock import real_time
from ..endpoint import Endpoint
from ..exchange import SIGN_IN, Answer, Call, Json, Refusal, RefusalKind, Request
from ..journal import Fact
from ..wire import json_answer
from . import oddities
from .administration import GcpAdministration
from .catalog import Service
from .errors import (
    HTTP_STATUS,
    Code,
    GoogleError,
    OperationError,
    TokenError,
)
from .operations import check_row, read_json, report_rows
from .service_control import Accepted, Outcome, ServiceControl
from .settings import GcpSettings
from .tokens import CLOUD_PLATFORM, SERVICE_CONTROL, Tokens

_SERVICE_PATH = re.compile(r"/v1/services/(?P<service>[^/:]+):(?P<method>check|report)")
_IMPERSONATION_PATH = re.compile(
    r"/v1/projects/-/serviceAccounts/(?P<email>[^/:]+):generateAccessToken"
)
_EXCHANGE_PATH, _GRANT_PATH = "/v1/token", "/token"
_CONFIG_ID = "2026-11-01r0"
_HEADERS = {"Content-Type": "application/json; charset=UTF-8"}
_REFUSALS = {
    RefusalKind.INTERNAL_ERROR: (Code.INTERNAL, "Internal error encountered."),
    RefusalKind.THROTTLED: (Code.RESOURCE_EXHAUSTED, "Quota exceeded"),
    RefusalKind.UNAVAILABLE: (Code.UNAVAILABLE, "The service is currently unavailable."),
    RefusalKind.NAMED: (Code.UNKNOWN, "refused on order"),
}


class GcpMarketplace(Endpoint[GcpSettings]):
    """Google Cloud Marketplace's usage reporting.

    Args:
        settings: Policy to begin with, and to return to on a reset.
        wall: Real time, for tokens, and for the quota when it is set to follow that.
    """

    name = "gcp"

    def __init__(
        self, settings: GcpSettings | None = None, *, wall: Callable[[], datetime] = real_time
    ) -> None:
        self._tokens = Tokens(wall)
        super().__init__(settings or GcpSettings(), wall)

    def _begin(self) -> GcpAdministration:
        """Tokens stay: whoever holds one is no part of the set-up."""
        self._rules = ServiceControl(self._initial)
        return GcpAdministration(self._rules, self._tokens)

    def claims(self, request: Request) -> bool:
        """Service Control's two methods and the three ways to a token."""
        path = request.path
        return path in (_EXCHANGE_PATH, _GRANT_PATH) or bool(
            _SERVICE_PATH.fullmatch(path) or _IMPERSONATION_PATH.fullmatch(path)
        )

    def describe(self, request: Request) -> Call:
        """Labels each operation with its method, service, consumer, metric and operationId."""
        found = _SERVICE_PATH.fullmatch(request.path)
        if found is None:
            return Call(self.name, SIGN_IN)
        method = found["method"]
        try:
            body = read_json(request.body, self._rules.settings.max_body_bytes)
        except GoogleError:
            return Call(self.name, method)
        rows = body.get("operations") if method == "report" else [body.get("operation")]
        place = {"method": method, "service": found["service"]}
        records = rows if isinstance(rows, list) else []
        return Call(self.name, method, tuple({**place, **_labels(row)} for row in records))

    def answer(self, request: Request, *, now: datetime, unprocessed: frozenset[int]) -> Answer:
        """Serves one call."""
        try:
            if request.method != "POST":
                raise GoogleError(Code.NOT_FOUND, "only POST is served")
            found = _SERVICE_PATH.fullmatch(request.path)
            if found is None:
                return self._give_token(request)
            service = self._admit(request, found["service"], now)
            body = read_json(request.body, self._rules.settings.max_body_bytes)
            if found["method"] == "check":
                return self._check(service, body, now, failing=bool(unprocessed))
            return self._report(service, body, now, unprocessed)
        except TokenError as error:
            body = {"error": error.code, "error_description": error.description}
            return json_answer(error.status, body, error.code, _HEADERS)
        except GoogleError as error:
            return _error(error.code.name, error.code, error.message, HTTP_STATUS[error.code])

    def _give_token(self, request: Request) -> Answer:
        lifetime = self._rules.settings.seconds("token")
        found = _IMPERSONATION_PATH.fullmatch(request.path)
        if found is not None:
            authorization = request.headers.get("authorization", "")
            body = self._tokens.impersonate(found["email"], authorization, request.body, lifetime)
        elif request.path == _EXCHANGE_PATH:
            body = self._tokens.exchange(request.body, lifetime)
        else:
            body = self._tokens.grant(request.body, lifetime)
        return json_answer(HTTPStatus.OK, body, "Success", _HEADERS)

    def _admit(self, request: Request, name: str, now: datetime) -> Service:
        token = self._tokens.holder(request.headers.get("authorization", ""))
        service = self._rules.services.get(name)
        if not token.scopes & {SERVICE_CONTROL, CLOUD_PLATFORM}:
            raise GoogleError(Code.PERMISSION_DENIED, "insufficient authentication scopes")
        if service is None:
            raise GoogleError(Code.NOT_FOUND, f"Service '{name}' not found")
        if service.reporters and token.email not in service.reporters:
            raise GoogleError(
                Code.PERMISSION_DENIED,
                f"{token.email or 'the federated identity'} lacks "
                f"servicemanagement.services.report on {name}",
            )
        if not self._quota.admits(self._rules.settings, now, name):
            raise GoogleError(Code.RESOURCE_EXHAUSTED, "Quota exceeded")
        return service

    def _check(self, service: Service, body: Json, now: datetime, *, failing: bool) -> Answer:
        row = check_row(body)
        try:
            code, detail = self._rules.check(service, row, now)
        except OperationError as error:
            raise GoogleError(error.code, error.message) from error
        if failing:
            code, detail = "SERVICE_STATUS_UNAVAILABLE", "not processed"
        answer: Json = {"operationId": row["operationId"], "serviceConfigId": _CONFIG_ID}
        if code:
            subject = str(row.get("consumerId", ""))
            answer["checkErrors"] = [{"code": code, "subject": subject, "detail": detail}]
        log = {"method": "check", **_labels(row), "status": code or "OK"}
        return json_answer(HTTPStatus.OK, answer, "Success", _HEADERS, records=(log,))

    def _report(
        self, service: Service, body: Json, now: datetime, unprocessed: frozenset[int]
    ) -> Answer:
        rows = report_rows(body)
        outcomes = self._rules.report(service, rows, now=now, unprocessed=unprocessed)
        errors = [
            {
                "operationId": row["operationId"],
                "status": {"code": int(outcome.error.code), "message": outcome.error.message},
            }
            for row, outcome in zip(rows, outcomes, strict=True)
            if outcome.error is not None
        ]
        answer: Json = {"serviceConfigId": _CONFIG_ID}
        if errors:
            answer["reportErrors"] = errors
        return json_answer(
            HTTPStatus.OK,
            answer,
            "Success",
            _HEADERS,
            records=tuple(_log(row, each) for row, each in zip(rows, outcomes, strict=True)),
            facts=tuple(each.accepted.to_fact() for each in outcomes if each.accepted is not None),
        )

    def refuse(self, refusal: Refusal) -> Answer:
        """An injected refusal; `code` may be any name of `google.rpc.Code`."""
        code, message = _REFUSALS[refusal.kind]
        if refusal.code in Code.__members__:
            code = Code[refusal.code]
        status = refusal.status or HTTP_STATUS[code]
        return _error(refusal.code or code.name, code, refusal.message or message, status)

    def billed(self) -> list[BilledRecord]:
        """Everything that was added up, in the order of acceptance."""
        return self._rules.billed()

    def warnings(self) -> list[str]:
        """What was counted twice, late, with gaps, or for a later invoice."""
        return oddities.warnings(self._rules.bill, self._rules.settings)

    def _put_back(self, fact: Fact) -> None:
        self._rules.note(Accepted.from_fact(fact))

    def _empty_bill(self) -> None:
        self._rules.forget_bill()


def _labels(row: Any) -> dict[str, str]:
    if not isinstance(row, dict):
        return {}
    sets = row.get("metricValueSets")
    rows = sets if isinstance(sets, list) else []
    names = [each.get("metricName") for each in rows if isinstance(each, dict)]
    labels = {
        "consumer": row.get("consumerId"),
        "operation_id": row.get("operationId"),
        "dimension": str(names[0]).partition("/")[2] if names else None,
    }
    return {name: value for name, value in labels.items() if isinstance(value, str)}


def _log(row: Mapping[str, Any], outcome: Outcome) -> dict[str, str]:
    return {"method": "report", **_labels(row), "status": outcome.status}


def _error(outcome: str, code: Code, message: str, status: int) -> Answer:
    body = {"error": {"code": status, "message": message, "status": code.name}}
    return json_answer(status, body, outcome, _HEADERS)
