"""A pool of connections whose answers are scripted, and the adapter around it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from io import BytesIO
from typing import Any

from urllib3 import HTTPResponse

from builders import metering_record
from meterbridge.adapters.marketplaces.azure import AzureMarketplace
from meterbridge.adapters.marketplaces.pacing import CallPacer
from meterbridge.application.ports import ReportResult, Submission
from meterbridge.domain.offerings import Channel

RESOURCE = "6f1c2f4e-0000-4000-8000-000000000001"
BUYER = {"resource_id": RESOURCE, "plan_id": "gold"}

Events = list[dict[str, Any]]
Respond = Callable[[Events], HTTPResponse]


def answer(body: Any, status: int = 200, **headers: str) -> HTTPResponse:
    """An answer with a JSON body, or with one as it is."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HTTPResponse(BytesIO(text), status=status, headers=named)


def refusal(status: int, code: str = "", **headers: str) -> Respond:
    """The whole call is refused."""
    return lambda _: answer({"code": code, "message": f"about {code}"}, status, **headers)


def accepted(events: Events) -> HTTPResponse:
    """Every event is stored."""
    return results(*({**each, "status": "Accepted", "usageEventId": _id(each)} for each in events))


def results(*rows: Mapping[str, Any]) -> HTTPResponse:
    return answer({"count": len(rows), "result": list(rows)})


def _id(event: Mapping[str, Any]) -> str:
    return f"id-{event['dimension']}"


@dataclass
class ScriptedPool:
    """Answers each call by a function of its events; remembers events, bodies and headers."""

    respond: Respond
    calls: list[Events] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)

    def request(
        self, _method: str, _url: str, *, body: bytes, headers: Mapping[str, str], **_: Any
    ) -> HTTPResponse:
        self.bodies.append(body)
        self.headers.append(headers)
        self.calls.append(
            json.loads(body, parse_float=lambda text: float(Decimal(text)))["request"]
        )
        return self.respond(self.calls[-1])


@dataclass
class NumberedTokens:
    """Tokens "token-1", "token-2", …, each until it is refused."""

    number: int = 1

    def bearer(self) -> str:
        return f"token-{self.number}"

    def renewed(self, refused: str) -> str:
        if refused == self.bearer():
            self.number += 1
        return self.bearer()


def pacer(pauses: list[float] | None = None) -> CallPacer:
    sleep = (lambda _: None) if pauses is None else pauses.append
    return CallPacer(10, monotonic=lambda: 0.0, sleep=sleep, jitter=lambda: 0.0)


def marketplace(pool: Any, pauses: list[float] | None = None) -> AzureMarketplace:
    return AzureMarketplace(pool, NumberedTokens(), pacer(pauses))


def azure_record(**changes: Any) -> Any:
    return metering_record(**{"channel": Channel.AZURE, "buyer": BUYER, **changes})


def submissions(*codes: str) -> list[Submission]:
    build = marketplace(None).build
    return [build(azure_record(code=code)) for code in codes]


def submit(respond: Respond, *codes: str) -> tuple[dict[str, ReportResult], ScriptedPool]:
    pool = ScriptedPool(respond)
    found: Sequence[ReportResult] = marketplace(pool).submit(submissions(*codes))
    assert len(found) == len(codes)
    return {result.key.dimension: result for result in found}, pool
