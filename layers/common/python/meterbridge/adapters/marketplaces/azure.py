"""Azure Marketplace: metering records through batchUsageEvent (contracts.md §2.1).

A usage event is named by resource, dimension and UTC hour; the first quantity for it wins, and a later
one is told it. So an unknown outcome is only ever resent identical, and the answer settles it.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Context, Decimal, InvalidOperation
from typing import Any

import msgspec
from urllib3 import BaseHTTPResponse, PoolManager
from urllib3.exceptions import HTTPError

from meterbridge.adapters.marketplaces.azure_outcomes import (
    EARLY,
    REFUSED_TOKEN,
    STATUSES,
    SURELY_NOT_BOOKED,
    verdict_of_failure,
    verdict_of_status,
)
from meterbridge.adapters.marketplaces.bearer_tokens import Tokens
from meterbridge.adapters.marketplaces.calls import (
    NO_RESULT,
    Part,
    Verdict,
    answered_alike,
    submit_in_parts,
    whole_second,
    without_repeats,
)
from meterbridge.adapters.marketplaces.connections import connection_pool as connection_pool
from meterbridge.adapters.marketplaces.pacing import CallPacer
from meterbridge.application.ports import ReportResult, Submission
from meterbridge.domain.errors import InvariantError, ProductRefusedError
from meterbridge.domain.metering_record import MeteringRecord, ReportOutcome
from meterbridge.domain.money import plain
from meterbridge.domain.offerings import Channel

PUBLIC_ENDPOINT = "https://marketplaceapi.microsoft.com"
MAX_EVENTS = 25

_PATH = "/api/batchUsageEvent?api-version=2018-08-31"
_QUANTITY = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]{1,6})?")
_DOUBLE = Context(prec=15)
"""What every double keeps. Azure's figures are doubles; more digits than these are noise."""

_HOUR_TEXT = len("2026-11-24T10")
_Identity = tuple[str, str, str]


class AzureMarketplace:
    """The Marketplace port for Azure.

    The pool must not retry by itself: what a failed call means is decided here.
    """

    channel = Channel.AZURE

    def __init__(
        self,
        pool: PoolManager,
        tokens: Tokens,
        pacer: CallPacer,
        *,
        endpoint: str = PUBLIC_ENDPOINT,
    ) -> None:
        """Report through a pool of connections, at the pace of a pacer."""
        self._pool = pool
        self._tokens = tokens
        self._pacer = pacer
        self._url = endpoint.rstrip("/") + _PATH

    def build(self, record: MeteringRecord) -> Submission:
        """A usage event.

        Raises:
            InvariantError: a quantity or a buyer that Azure cannot take. Zero is refused there, and
                a double keeps no more than 15 digits.
        """
        quantity = plain(record.quantity)
        digits = quantity.replace(".", "").strip("0")
        if not digits or not _QUANTITY.fullmatch(quantity) or len(digits) > _DOUBLE.prec:
            raise InvariantError(f"{record.key}: Azure takes no quantity of {quantity}")
        buyer = record.buyer
        resources = {
            name: buyer.get(field, "")
            for name, field in (("resourceId", "resource_id"), ("resourceUri", "resource_uri"))
            if buyer.get(field)
        }
        if len(resources) != 1 or not buyer.get("plan_id"):
            raise InvariantError(f"{record.key}: no resource or no plan of the buyer")
        return Submission(
            key=record.key,
            product_id=record.product_id,
            entry={
                **resources,
                "planId": buyer["plan_id"],
                "dimension": record.key.dimension,
                "effectiveStartTime": whole_second(record.reported_hour_start),
                "quantity": quantity,
            },
        )

    def submit(self, submissions: Sequence[Submission]) -> list[ReportResult]:
        """Report up to 25 events; each is judged alone, and a batch refused whole is halved.

        Raises:
            MarketplaceError: Azure could not be asked and nothing was booked.
            ProductRefusedError: it does not let our app report what is in a call.
            InvariantError: a batch that Azure would not take.
        """
        if not submissions:
            return []
        if len(submissions) > MAX_EVENTS:
            raise InvariantError(f"{len(submissions)} usage events in one batch")
        correlation_id = str(uuid.uuid4())
        return submit_in_parts(
            without_repeats(submissions, _identity_of),
            lambda part: self._call(part, correlation_id),
        )

    def _call(self, part: Part, correlation_id: str) -> Verdict | list[ReportResult]:
        """One call: the results, or what its failure means."""
        token = self._tokens.bearer()
        try:
            response = self._post(part, token, correlation_id)
            if response.status in REFUSED_TOKEN:
                response = self._post(part, self._tokens.renewed(token), correlation_id)
        except HTTPError as exc:
            return verdict_of_failure(exc)
        body = _read(response)
        if response.status == 200:
            self._pacer.answered()
            return _results(part, body, _request_id(response))
        code, detail = str(body.get("code", "")), str(body.get("message", ""))
        if response.status in REFUSED_TOKEN:
            raise ProductRefusedError(f"Azure refuses our app: {response.status} {code}: {detail}")
        verdict = replace(
            verdict_of_status(response.status, code, detail, response.headers),
            request_id=_request_id(response),
        )
        if verdict.throttled:
            self._pacer.throttled(verdict.retry_after)
        return verdict

    def _post(self, part: Part, token: str, correlation_id: str) -> BaseHTTPResponse:
        self._pacer.wait()
        return self._pool.request(
            "POST",
            self._url,
            body=msgspec.json.encode({"request": [_usage_event(each) for each in part]}),
            headers={
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json",
                "x-ms-requestid": str(uuid.uuid4()),
                "x-ms-correlationid": correlation_id,
            },
            redirect=False,
        )


def _usage_event(submission: Submission) -> dict[str, Any]:
    """The entry with its quantity as a JSON number, digit by digit as it was frozen."""
    entry = submission.entry
    return {**entry, "quantity": msgspec.Raw(entry["quantity"].encode())}


def _identity(event: Mapping[str, Any]) -> _Identity:
    """What Azure tells usage events apart by."""
    resource = event.get("resourceId") or event.get("resourceUri") or ""
    hour = str(event.get("effectiveStartTime", ""))[:_HOUR_TEXT]
    return str(resource).lower(), str(event.get("dimension", "")), hour


def _identity_of(submission: Submission) -> _Identity:
    return _identity(submission.entry)


def _read(response: BaseHTTPResponse) -> Mapping[str, Any]:
    """The body, empty where it is not a JSON object; numbers are decimals."""
    try:
        body = json.loads(response.data, parse_float=Decimal, parse_int=Decimal)
    except (ValueError, InvalidOperation, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _results(part: Part, body: Mapping[str, Any], request_id: str) -> list[ReportResult]:
    """One result per submission, matched by identity: no order is promised."""
    listed = body.get("result")
    answers = {
        _identity(answer): answer
        for answer in (listed if isinstance(listed, list) else [])
        if isinstance(answer, dict)
    }
    results = []
    for submission in part:
        answer = answers.get(_identity_of(submission))
        if answer is None:
            results += answered_alike([submission], NO_RESULT, request_id)
        else:
            results.append(_result(submission, answer, request_id))
    return results


def _result(submission: Submission, answer: Mapping[str, Any], request_id: str) -> ReportResult:
    status = str(answer.get("status", ""))
    outcome = STATUSES.get(status, ReportOutcome.RETRY)
    error = _member(answer, "error")
    accepted = _member(_member(error, "additionalInfo"), "acceptedMessage")
    told = _quantity(accepted.get("quantity")) if status == "Duplicate" else None
    if told is not None and told == Decimal(submission.entry["quantity"]):
        outcome = ReportOutcome.ALREADY_ACCEPTED
    return ReportResult(
        key=submission.key,
        outcome=outcome,
        code=status or "NoStatus",
        detail=str(error.get("message", "")),
        receipt=str(answer.get("usageEventId") or accepted.get("usageEventId") or ""),
        request_id=request_id,
        accepted_quantity=told,
        reached=status not in SURELY_NOT_BOOKED,
        may_be_early=status in EARLY,
    )


def _member(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    child = parent.get(name)
    return child if isinstance(child, dict) else {}


def _quantity(number: object) -> Decimal | None:
    """The decimal that a double of Azure's stands for."""
    return _DOUBLE.plus(number) if isinstance(number, Decimal) and number.is_finite() else None


def _request_id(response: BaseHTTPResponse) -> str:
    """Request and correlation id of a call, for Microsoft's support."""
    headers = response.headers
    ids = (headers.get("x-ms-requestid", ""), headers.get("x-ms-correlationid", ""))
    return "/".join(each for each in ids if each)
