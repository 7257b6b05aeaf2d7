"""Faults on order: what goes wrong on the way to a marketplace, queued, limited and repeatable."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from .clock import format_instant, parse_instant
from .exchange import (
    SIGN_IN,
    BadControlRequestError,
    Call,
    Refusal,
    RefusalKind,
)


class FaultKind(StrEnum):
    """What can go wrong."""

    LOST_ACKNOWLEDGEMENT = "lost_acknowledgement"
    UNPROCESSED = "unprocessed"
    INTERNAL_ERROR = "internal_error"
    THROTTLED = "throttled"
    ERROR = "error"
    SLOW = "slow"
    CONNECTION_RESET = "connection_reset"
    OUTAGE = "outage"


class Loss(StrEnum):
    """How an answer is lost: the connection breaks, or a server error covers it."""

    DROP = "drop"
    ERROR = "error"


_REFUSING = {
    FaultKind.INTERNAL_ERROR: RefusalKind.INTERNAL_ERROR,
    FaultKind.THROTTLED: RefusalKind.THROTTLED,
    FaultKind.OUTAGE: RefusalKind.UNAVAILABLE,
    FaultKind.ERROR: RefusalKind.NAMED,
}


@dataclass(frozen=True)
class Fault:
    """An order for something to go wrong.

    Attributes:
        count: How many more calls it strikes; None for every one.
        marketplace: Strikes only this one; empty for any.
        operation: Strikes only calls of this operation. Without one, calls for a token are spared.
        match: Labels that one record of the call must all carry, such as `dimension`.
        call: Strikes only the call with this number, counted from 1 since the last reset.
        records: UNPROCESSED: how many of the matching records, drawn at random; None for all.
        loss: LOST_ACKNOWLEDGEMENT and OUTAGE: how the caller sees it.
        delay_seconds: SLOW: real seconds before the answer leaves; the work is done by then.
        until: The fault ends at this instant of the sandbox's clock.
        status, code, message: Override the marketplace's usual ones (ERROR needs `code`).
    """

    kind: FaultKind
    count: int | None = 1
    marketplace: str = ""
    operation: str = ""
    match: Mapping[str, str] = field(default_factory=dict)
    call: int | None = None
    records: int | None = None
    loss: Loss = Loss.DROP
    delay_seconds: Decimal = Decimal(0)
    until: datetime | None = None
    status: int | None = None
    code: str = ""
    message: str = ""
    fault_id: int = 0

    def matching(self, call: Call) -> list[int]:
        """The indexes of the records that carry every label of `match`."""
        return [
            index
            for index, labels in enumerate(call.records)
            if all(labels.get(label) == value for label, value in self.match.items())
        ]

    def strikes(self, call: Call, number: int) -> bool:
        """Whether this fault is meant for that call."""
        return (
            self.marketplace in ("", call.marketplace)
            and (self.operation or call.operation) == call.operation
            and (call.operation != SIGN_IN or self.operation == SIGN_IN)
            and self.call in (None, number)
            and (not self.match or bool(self.matching(call)))
        )

    def to_json(self) -> dict[str, Any]:
        """The fault as the control API shows it."""
        return {
            "id": self.fault_id,
            "kind": self.kind.value,
            "count": self.count,
            "marketplace": self.marketplace,
            "operation": self.operation,
            "match": dict(self.match),
            "call": self.call,
            "records": self.records,
            "loss": self.loss.value,
            "delay_seconds": str(self.delay_seconds),
            "until": format_instant(self.until) if self.until else None,
            "status": self.status,
            "code": self.code,
            "message": self.message,
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Fault:
        """Reads a fault as `to_json` writes it; what is left out takes its default.

        Raises:
            BadControlRequestError: A value is missing, unknown or of the wrong kind.
        """
        unknown = set(body) - {"id", *cls.__dataclass_fields__}
        if unknown:
            raise BadControlRequestError(f"a fault has no {', '.join(sorted(unknown))}")
        try:
            kind = FaultKind(body["kind"])
            fault = cls(
                kind=kind,
                count=_number(body, "count", None if kind is FaultKind.OUTAGE else 1),
                marketplace=str(body.get("marketplace", "")),
                operation=str(body.get("operation", "")),
                match={str(k): str(v) for k, v in dict(body.get("match", {})).items()},
                call=_number(body, "call"),
                records=_number(body, "records"),
                loss=Loss(body.get("loss", Loss.DROP)),
                delay_seconds=_delay(body),
                until=parse_instant(body["until"]) if body.get("until") else None,
                status=_number(body, "status"),
                code=str(body.get("code", "")),
                message=str(body.get("message", "")),
            )
        except (KeyError, TypeError, ValueError, ArithmeticError) as exc:
            raise BadControlRequestError(f"not a fault: {exc!r}") from exc
        if kind is FaultKind.OUTAGE and fault.until is None:
            raise BadControlRequestError("an outage needs `until`")
        if kind is FaultKind.ERROR and not fault.code:
            raise BadControlRequestError("an error needs its `code`")
        return fault


@dataclass(frozen=True)
class Verdict:
    """What the faults in the queue do to one call.

    Attributes:
        refusal: Refuse the call before anything is done.
        reset: Break the connection before anything is done.
        unprocessed: Indexes of the records to leave undone.
        loss: Do the work and lose the answer.
        delay_seconds: Real seconds to hold the answer back.
        struck: Faults that had their effect already.
        pending: Faults that take effect, and are used up, only if the call goes through.
    """

    refusal: Refusal | None = None
    reset: bool = False
    unprocessed: frozenset[int] = frozenset()
    loss: Loss | None = None
    delay_seconds: Decimal = Decimal(0)
    struck: tuple[Fault, ...] = ()
    pending: tuple[Fault, ...] = ()


class FaultPlan:
    """The queue of faults. The oldest that strikes a call is used first.

    Args:
        seed: Of the random draws, so that a run can be repeated.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._random = random.Random(seed)
        self._queue: list[Fault] = []
        self._ids = 0
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        """Queues a fault and returns it with its id."""
        with self._lock:
            self._ids += 1
            queued = replace(fault, fault_id=self._ids)
            self._queue.append(queued)
            return queued

    def queued(self) -> list[Fault]:
        """The faults that are still to come."""
        with self._lock:
            return list(self._queue)

    def clear(self) -> None:
        """Drops every fault and starts the random draws over."""
        with self._lock:
            self._queue.clear()
            self._random = random.Random(self._seed)

    def judge(self, call: Call, number: int, now: datetime) -> Verdict:
        """What happens to this call. Faults that act at once are used up by asking."""
        with self._lock:
            self._queue = [f for f in self._queue if f.until is None or now < f.until]
            striking = [fault for fault in self._queue if fault.strikes(call, number)]
            slow = _first(striking, FaultKind.SLOW)
            refusing = _first(striking, *_REFUSING, FaultKind.CONNECTION_RESET)
            struck = tuple(fault for fault in (slow, refusing) if fault)
            for fault in struck:
                self._use(fault)
            delay = slow.delay_seconds if slow else Decimal(0)
            if refusing is not None:
                return _refused(refusing, Verdict(delay_seconds=delay, struck=struck))
            part = _first(striking, FaultKind.UNPROCESSED)
            lost = _first(striking, FaultKind.LOST_ACKNOWLEDGEMENT)
            return Verdict(
                unprocessed=self._draw(part, call) if part else frozenset(),
                loss=lost.loss if lost else None,
                delay_seconds=delay,
                struck=struck,
                pending=tuple(fault for fault in (part, lost) if fault),
            )

    def went_through(self, verdict: Verdict) -> None:
        """Uses up the faults that waited for the call to go through."""
        with self._lock:
            for fault in verdict.pending:
                self._use(fault)

    def _draw(self, fault: Fault, call: Call) -> frozenset[int]:
        candidates = fault.matching(call)
        if fault.records is None:
            return frozenset(candidates)
        return frozenset(self._random.sample(candidates, min(fault.records, len(candidates))))

    def _use(self, fault: Fault) -> None:
        for position, queued in enumerate(self._queue):
            if queued.fault_id != fault.fault_id or queued.count is None:
                continue
            if queued.count <= 1:
                del self._queue[position]
            else:
                self._queue[position] = replace(queued, count=queued.count - 1)
            return


def _number(body: Mapping[str, Any], name: str, default: int | None = None) -> int | None:
    number = body.get(name, default)
    if number is not None and (type(number) is not int or number < 1):
        raise ValueError(f"{name} must be a whole number of at least 1, or null")
    return number


def _delay(body: Mapping[str, Any]) -> Decimal:
    delay = Decimal(str(body.get("delay_seconds", 0)))
    if not (delay.is_finite() and 0 <= delay <= 3600):
        raise ValueError("delay_seconds must be between 0 and 3600")
    return delay


def _first(faults: list[Fault], *kinds: FaultKind) -> Fault | None:
    return next((fault for fault in faults if fault.kind in kinds), None)


def _refused(fault: Fault, verdict: Verdict) -> Verdict:
    if fault.kind is FaultKind.CONNECTION_RESET:
        return replace(verdict, reset=True)
    if fault.kind is FaultKind.OUTAGE and fault.loss is Loss.DROP:
        return replace(verdict, reset=True)
    refusal = Refusal(_REFUSING[fault.kind], fault.status, fault.code, fault.message)
    return replace(verdict, refusal=refusal)
