"""A strict Azure without HTTP: urllib3's `request` over the sandbox's rules."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from io import BytesIO
from typing import Any

from urllib3 import HTTPResponse
from urllib3.exceptions import NewConnectionError, ProtocolError, ReadTimeoutError

from fakes.clock import FakeClock
from meterbridge.domain.offerings import Dimension
from sandbox.marketplaces.azure.catalog import Offer, State, Subscription
from sandbox.marketplaces.azure.events import read_batch
from sandbox.marketplaces.azure.metering import AzureMetering
from sandbox.marketplaces.azure.wire import to_wire
from sandbox.marketplaces.billed import BilledRecord
from worlds.trouble import (
    BOOKED,
    FAULT,
    FORBIDDEN,
    LOST,
    NO_TROUBLE,
    PARTIAL,
    REFUSED,
    SILENT,
    THROTTLED,
    TIMEOUT,
    Trouble,
)

STATUS = {THROTTLED: 429, FORBIDDEN: 403, FAULT: 500}
ABORTED = ProtocolError("Connection aborted.")


def answer(status: int, body: Any = None) -> HTTPResponse:
    text = b"" if body is None else json.dumps(body, default=float).encode()
    return HTTPResponse(BytesIO(text), status=status)


def fail_without_answer(kind: str) -> None:
    """Raise what urllib3 raises."""
    if kind == REFUSED:
        raise NewConnectionError(None, "refused")  # type: ignore[arg-type]
    if kind == TIMEOUT:
        raise ReadTimeoutError(None, "/", "timed out")  # type: ignore[arg-type]


class Token:
    """A token that is always good, until somebody says that it is not."""

    def bearer(self) -> str:
        return "token"

    def renewed(self, refused: str) -> str:
        return refused


@dataclass
class StrictAzure:
    """The one call of batchUsageEvent."""

    clock: FakeClock
    metering: AzureMetering = field(default_factory=AzureMetering)
    lose_answers: int = 0
    refuse: int = 0

    def request(
        self, _method: str, _url: str, *, body: bytes, headers: Mapping[str, str], **_: Any
    ) -> HTTPResponse:
        if self.refuse:
            return answer(self.refuse)
        response = self.meter(body)
        if self.lose_answers:
            self.lose_answers -= 1
            raise ABORTED
        return response

    def meter(self, body: bytes, *, partial: bool = False) -> HTTPResponse:
        """What the sandbox makes of a call."""
        now = self.clock.now()
        rows = read_batch(body, self.metering.settings)
        undone = frozenset(range(0, len(rows), 2)) if partial else frozenset[int]()
        results = self.metering.meter(rows, client_id="app", now=now, unprocessed=undone)
        return answer(200, {"result": [to_wire(result, now) for result in reversed(results)]})

    def report_by_hand(
        self, resource: str, dimension: str, hour: datetime, quantity: Decimal
    ) -> None:
        """Somebody else of the seller's reports for an hour, past us."""
        event = {
            "resourceId": resource,
            "planId": "std",
            "dimension": dimension,
            "effectiveStartTime": hour.isoformat(),
            "quantity": quantity,
        }
        self.metering.meter([event], client_id="app", now=self.clock.now())


def resource_number(number: int) -> str:
    return f"6f1c2f4e-0000-4000-8000-{number:012d}"


class AzureSide(StrictAzure):
    """Azure with its buyers, and with trouble."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.trouble = Trouble(clock)
        self._resources: dict[str, str] = {}

    def list_product(self, dimensions: Sequence[Dimension]) -> None:
        plan = dict.fromkeys((each.code for each in dimensions), None)
        self.metering.offers["llm"] = Offer("llm", {"std": plan})

    def sell(self, subject: str, start: datetime) -> dict[str, str]:
        """A buyer's subscription; the ids to report with. Azure does not ask when it began."""
        resource = resource_number(len(self._resources))
        self._resources[subject] = resource
        self.metering.subscriptions[resource] = Subscription(resource, "llm", "std")
        return {"plan_id": "std", "resource_id": resource}

    def suspend(self, subject: str, *, suspended: bool) -> None:
        if self._subscription(subject).state is not State.UNSUBSCRIBED:
            self._change(subject, state=State.SUSPENDED if suspended else State.SUBSCRIBED)

    def cancel(self, subject: str, at: datetime) -> None:
        self._change(subject, state=State.UNSUBSCRIBED, unsubscribed_at=at)

    def _subscription(self, subject: str) -> Subscription:
        return self.metering.subscriptions[self._resources[subject]]

    def _change(self, subject: str, **changes: Any) -> None:
        changed = replace(self._subscription(subject), **changes)
        self.metering.subscriptions[changed.key] = changed

    def rows(self, subject: str) -> list[BilledRecord]:
        """What the buyer is charged for."""
        bill = self.metering.bill.values()
        return [row for row in bill if row.agreement == self._resources[subject]]

    def report_elsewhere(self, subject: str, code: str, hour: datetime, quantity: int) -> None:
        """Another program of the seller reports for an hour, if Azure takes it."""
        self.report_by_hand(self._resources[subject], code, hour, Decimal(quantity))

    def request(
        self, _method: str, _url: str, *, body: bytes, headers: Mapping[str, str], **_: Any
    ) -> HTTPResponse:
        kind = self.trouble.of_next_call()
        fail_without_answer(kind)
        if kind in STATUS:
            return answer(STATUS[kind])
        if kind == SILENT:
            return answer(200, {"result": []})
        assert kind in (NO_TROUBLE, PARTIAL, *BOOKED)
        response = self.meter(body, partial=kind == PARTIAL)
        if kind in BOOKED:
            if kind == LOST:
                raise ABORTED
            return answer(500)
        return response
