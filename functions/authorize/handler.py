"""API key → who is calling. The HTTP API asks before every route.

A call without an Authorization header never gets here: API Gateway answers 401 by itself. To an
answer of False it answers 403.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from meterbridge.adapters.api_keys import digest_of, secret_in
from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.application.authorize_call import authorize_call
from meterbridge.lambda_runtime.callers import caller_to_context
from meterbridge.lambda_runtime.clock import SystemClock
from meterbridge.lambda_runtime.observability import make_logger
from meterbridge.lambda_runtime.settings import load, variable


@dataclass(frozen=True, slots=True)
class Settings:
    """Environment of the function."""

    registry_table: str = variable("REGISTRY_TABLE")


SETTINGS = load(Settings, os.environ)
LOGGER = make_logger()
REGISTRY = RegistryStore(SETTINGS.registry_table)
CLOCK = SystemClock()


@LOGGER.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer in the simple format of an HTTP API's Lambda authorizer (payload 2.0)."""
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    secret = secret_in(headers.get("authorization", ""))
    if not secret:
        return {"isAuthorized": False, "context": {}}
    http = event["requestContext"]["http"]
    caller = authorize_call(
        digest_of(secret), http["method"], event["rawPath"], keys=REGISTRY, clock=CLOCK
    )
    if caller is None:
        return {"isAuthorized": False, "context": {}}
    return {"isAuthorized": True, "context": caller_to_context(caller)}
