"""POST /v1/events: CloudEvents → usage log."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from typing import Any

import msgspec
from aws_lambda_powertools.utilities.typing import LambdaContext

from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.adapters.dynamodb.usage_log_store import UsageLogStore
from meterbridge.application.ingest_usage import IngestResult, ShardPlans, ingest_usage
from meterbridge.domain.api_keys import Scope
from meterbridge.domain.errors import InvalidInputError, StoreUnavailableError
from meterbridge.lambda_runtime.callers import caller_of
from meterbridge.lambda_runtime.clock import SystemClock
from meterbridge.lambda_runtime.cloud_events_http import events_of
from meterbridge.lambda_runtime.observability import Metric, count, make_logger, make_metrics
from meterbridge.lambda_runtime.problems import CONTENT_TYPE, SECURITY_HEADERS, Fault, Problem
from meterbridge.lambda_runtime.settings import load, variable


@dataclass(frozen=True, slots=True)
class Settings:
    """This function's environment."""

    usage_log_table: str = variable("USAGE_LOG_TABLE")
    registry_table: str = variable("REGISTRY_TABLE")


SETTINGS = load(Settings, os.environ)
CLOCK = SystemClock()
LOG = UsageLogStore(SETTINGS.usage_log_table)
PLANS = ShardPlans(RegistryStore(SETTINGS.registry_table), CLOCK)
logger = make_logger()
metrics = make_metrics()

_STATUS = {
    "body_too_large": 413,
    "too_many_events": 413,
    "unsupported_media_type": 415,
    "unsupported_encoding": 415,
}
_UNAVAILABLE = Problem(
    503,
    "store_unavailable",
    "not known to be stored; send the same request again",
    headers={"Retry-After": "2"},
)
_LONG_LIST = 1_000
_SHORT_ID = 64
"""Ids are cut to this length in lists longer than that: the answer must fit in 6 MB."""


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Answer a request of an HTTP API (payload format 2.0)."""
    caller = caller_of(event)
    result = IngestResult(accepted=0)
    if caller is None:
        answer = Problem(401, "unauthorized", "an API key is required").response()
    elif Scope.INGEST not in caller.scopes:
        answer = Problem(403, "forbidden", "this key may not send usage").response()
    else:
        try:
            result = ingest_usage(
                events_of(event), products=caller.products, log=LOG, plans=PLANS, clock=CLOCK
            )
            answer = _answer(result)
        except InvalidInputError as exc:
            answer = _unreadable(exc).response()
        except StoreUnavailableError as exc:
            logger.error("usage log not written", reason=str(exc))
            answer = _UNAVAILABLE.response()
    _observe(result)
    return answer


def _unreadable(fault: InvalidInputError) -> Problem:
    errors = [Fault(fault.pointer, fault.code, fault.detail)] if fault.pointer else []
    return Problem(_STATUS.get(fault.code, 400), fault.code, fault.detail, errors)


def _observe(result: IngestResult) -> None:
    rejected = result.rejected
    count(
        metrics,
        {Metric.EVENTS_ACCEPTED: result.accepted, Metric.EVENTS_REJECTED: len(rejected)},
    )
    if rejected:
        codes = Counter(rejection.code for rejection in rejected)
        logger.warning("events rejected", codes=codes)


def _answer(result: IngestResult) -> dict[str, Any]:
    id_length = _SHORT_ID if len(result.rejected) > _LONG_LIST else None
    rejected = [
        {
            "index": rejection.index,
            "id": rejection.id[:id_length],
            "code": rejection.code,
            "detail": rejection.detail,
        }
        for rejection in result.rejected
    ]
    body: dict[str, Any] = {"accepted": result.accepted, "rejected": rejected}
    if result.accepted:
        return _response(202, "application/json", body)
    problem = (
        Problem(422, "no_event_accepted", "no event of the batch can be accepted")
        if rejected
        else Problem(422, "no_events", "the batch is empty")
    )
    return _response(422, CONTENT_TYPE, {**problem.body(), **body})


def _response(status: int, content_type: str, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"Content-Type": content_type, **SECURITY_HEADERS},
        "body": msgspec.json.encode(body).decode(),
        "isBase64Encoded": False,
    }
