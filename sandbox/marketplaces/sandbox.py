"""The sandbox itself, without HTTP: marketplaces behind one clock, one fault plan and one lock."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from .billed import BilledRecord
from .calls import CallLog, LoggedCall
from .clock import SandboxClock
from .exchange import (
    Answer,
    Controlled,
    Json,
    Marketplace,
    Refusal,
    RefusalKind,
    Request,
)
from .faults import FaultPlan, Loss, Verdict
from .journal import Fact, Journal

_CLOCK = "clock"


@dataclass(frozen=True)
class Delivery:
    """How an answer goes out; without one the connection is broken instead."""

    answer: Answer | None
    delay_seconds: Decimal = Decimal(0)


class MarketplaceSandbox:
    """Serves calls to several marketplaces one at a time, and everything about them on request.

    Args:
        marketplaces: The marketplaces to serve; the first that claims a request gets it.
        clock: The time all of them see.
        seed: Of the random draws of faults.
        state: A file that keeps registrations, the clock and what was billed over a restart;
            faults and the call log are not kept.
    """

    def __init__(
        self,
        marketplaces: Sequence[Marketplace],
        *,
        clock: SandboxClock | None = None,
        seed: int = 0,
        state: Path | None = None,
    ) -> None:
        self.clock = clock or SandboxClock()
        self.faults = FaultPlan(seed)
        self._calls = CallLog()
        self._marketplaces = {marketplace.name: marketplace for marketplace in marketplaces}
        self._journal = Journal(state)
        self._lock = threading.RLock()
        for fact in self._journal.read():
            self._replay(fact)

    def _replay(self, fact: Fact) -> None:
        if fact["of"] == _CLOCK:
            self.clock.restore(fact)
        else:
            self._marketplaces[fact["of"]].replay(fact)

    def serve(self, request: Request) -> Delivery | None:
        """Serves one call to a marketplace; None when no marketplace claims it."""
        marketplace = next((m for m in self._marketplaces.values() if m.claims(request)), None)
        if marketplace is None:
            return None
        with self._lock:
            return self._serve(marketplace, request)

    def _serve(self, marketplace: Marketplace, request: Request) -> Delivery:
        now = self.clock.now()
        call = marketplace.describe(request)
        number = self._calls.next_number(marketplace.name)
        verdict = self.faults.judge(call, number, now)
        struck = verdict.struck
        answer = self._decide(marketplace, request, verdict)
        sent: Answer | None = None if verdict.reset else answer
        if verdict.refusal is None and not verdict.reset and answer.status < 300:
            self.faults.went_through(verdict)
            struck += verdict.pending
            if verdict.loss is Loss.DROP:
                sent = None
            elif verdict.loss is Loss.ERROR:
                sent = marketplace.refuse(Refusal(RefusalKind.INTERNAL_ERROR))
        self._journal.append({"of": marketplace.name, **fact} for fact in answer.facts)
        self._calls.add(
            LoggedCall(
                marketplace=marketplace.name,
                number=number,
                at=now,
                operation=call.operation,
                status=answer.status,
                outcome="ConnectionReset" if verdict.reset else answer.outcome,
                acknowledged=sent is answer,
                faults=tuple(fault.kind.value for fault in struck),
                records=answer.records or call.records,
            )
        )
        return Delivery(sent, verdict.delay_seconds)

    def _decide(self, marketplace: Marketplace, request: Request, verdict: Verdict) -> Answer:
        if verdict.refusal is not None:
            return marketplace.refuse(verdict.refusal)
        if verdict.reset:
            return marketplace.refuse(Refusal(RefusalKind.UNAVAILABLE))
        return marketplace.answer(request, now=self.clock.now(), unprocessed=verdict.unprocessed)

    def control(self, name: str, method: str, path: Sequence[str], body: Json) -> Controlled | None:
        """Hands a control request to the marketplace `name`; None when there is no such one."""
        with self._lock:
            marketplace = self._marketplaces.get(name)
            if marketplace is None:
                return None
            controlled = marketplace.control(method, path, body, self.clock.now())
            self._journal.append({"of": name, **fact} for fact in controlled.facts)
            return controlled

    def keep_clock(self) -> None:
        """Notes the clock's setting, so that it survives a restart."""
        with self._lock:
            self._journal.append([{"of": _CLOCK, **self.clock.to_fact()}])

    def billed(self) -> list[BilledRecord]:
        """What every marketplace will invoice."""
        with self._lock:
            return [record for m in self._marketplaces.values() for record in m.billed()]

    def warnings(self) -> list[str]:
        """What the marketplaces find odd about it."""
        with self._lock:
            return [warning for m in self._marketplaces.values() for warning in m.warnings()]

    def calls(self) -> list[LoggedCall]:
        """Every call since the last reset."""
        with self._lock:
            return self._calls.all()

    def call_summary(self) -> Json:
        """Counts of calls by outcome and of records by status."""
        with self._lock:
            return self._calls.summary()

    def reset(self, *, keep_setup: bool = False) -> None:
        """Forgets bills, calls and faults.

        Registrations, settings and the clock's setting go too, unless the set-up is kept.
        """
        with self._lock:
            if not keep_setup:
                self.clock.reset()
            self.faults.clear()
            self._calls.reset()
            kept = [{"of": _CLOCK, **self.clock.to_fact()}]
            for name, marketplace in self._marketplaces.items():
                facts = marketplace.reset(keep_setup=keep_setup)
                kept.extend({"of": name, **fact} for fact in facts)
            self._journal.replace(kept)
