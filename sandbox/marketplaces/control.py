"""The control API under `/_sandbox/…`, in JSON: clock, faults, calls, the bill, and registrations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from .billed import BilledRecord, totals
from .clock import format_instant, parse_instant
from .exchange import BadControlRequestError, Json
from .faults import Fault
from .sandbox import MarketplaceSandbox

PREFIX = "/_sandbox/"
_BILL_FILTERS = ("marketplace", "region", "agreement", "buyer", "product", "dimension")


class ControlApi:
    """Answers control requests over one sandbox."""

    def __init__(self, sandbox: MarketplaceSandbox) -> None:
        self._sandbox = sandbox

    def serve(self, method: str, path: str, query: Mapping[str, str], body: bytes) -> Json:
        """Serves one control request.

        Raises:
            BadControlRequestError: It cannot be carried out; the message says why.
        """
        request = _read(body)
        parts = path.removeprefix(PREFIX).strip("/").split("/")
        match method, *parts:
            case "GET", "health":
                return {"status": "ok"}
            case "GET", "clock":
                return self._clock()
            case ("PUT", "clock") | ("POST", "clock", "advance") | ("DELETE", "clock"):
                return self._set_clock(method, request)
            case "GET", "faults":
                return {"faults": [fault.to_json() for fault in self._sandbox.faults.queued()]}
            case "POST", "faults":
                return self._sandbox.faults.add(Fault.from_json(request)).to_json()
            case "DELETE", "faults":
                self._sandbox.faults.clear()
                return {"faults": []}
            case "GET", "calls":
                return self._calls(query)
            case "GET", "billed":
                return self._billed(query)
            case "POST", "reset":
                self._sandbox.reset(keep_setup=request.get("keep_setup") is True)
                return {"status": "reset"}
        return self._delegate(method, parts, request)

    def _clock(self) -> Json:
        clock = self._sandbox.clock
        return {"now": format_instant(clock.now()), "frozen": clock.frozen}

    def _set_clock(self, method: str, request: Json) -> Json:
        clock = self._sandbox.clock
        try:
            if method == "PUT":
                clock.set(parse_instant(request["now"]), frozen=request.get("frozen", True) is True)
            elif method == "POST":
                microseconds = int(Decimal(str(request["seconds"])) * 1_000_000)
                clock.advance(timedelta(microseconds=microseconds))
            else:
                clock.reset()
        except (KeyError, TypeError, ValueError, ArithmeticError) as exc:
            raise BadControlRequestError(f"the clock cannot be set to that: {exc!r}") from exc
        self._sandbox.keep_clock()
        return self._clock()

    def _calls(self, query: Mapping[str, str]) -> Json:
        calls = self._sandbox.calls()
        marketplace = query.get("marketplace")
        return {
            "summary": self._sandbox.call_summary(),
            "calls": [call.to_json() for call in calls if marketplace in (None, call.marketplace)],
        }

    def _billed(self, query: Mapping[str, str]) -> Json:
        unknown = set(query) - set(_BILL_FILTERS)
        if unknown:
            raise BadControlRequestError(f"the bill has no {', '.join(sorted(unknown))}")
        records = [record for record in self._sandbox.billed() if _matches(record, query)]
        return {
            "records": [record.to_json() for record in records],
            "totals": [total.to_json() for total in totals(records)],
            "warnings": self._sandbox.warnings(),
            "calls": self._sandbox.call_summary(),
        }

    def _delegate(self, method: str, parts: Sequence[str], request: Json) -> Json:
        controlled = self._sandbox.control(parts[0], method, parts[1:], request)
        if controlled is None:
            raise BadControlRequestError(f"there is no {method} {PREFIX}{'/'.join(parts)}")
        return controlled.body


def _matches(record: BilledRecord, query: Mapping[str, str]) -> bool:
    return all(getattr(record, name) == wanted for name, wanted in query.items())


def _read(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        request = json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError) as exc:
        raise BadControlRequestError("the body is not JSON") from exc
    if not isinstance(request, dict):
        raise BadControlRequestError("the body must be a JSON object")
    return request
