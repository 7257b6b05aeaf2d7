"""The rules of check and report over what is registered and what was billed; `now` comes from outside.

Reports are added. Only an operationId that is still remembered, with the same content, is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ..billed import BilledRecord
from ..clock import format_instant, parse_instant
from ..journal import Fact
from .catalog import CONSUMER, Entitlement, Service
from .errors import Code, OperationError, invalid_operation
from .operations import Operation, instant, read_operation
from .settings import GcpSettings

ACCEPTED, REPEATED = "OK", "Repeated"


@dataclass(frozen=True)
class Accepted:
    """An operation on the bill.

    Attributes:
        number: Its place on the bill, from 0.
        answers: How often it was answered OK, the first time included.
        last_seen: When that was last; the operationId is remembered from then.
    """

    number: int
    service: str
    operation_id: str
    content: str
    end: datetime
    last_seen: datetime
    rows: tuple[BilledRecord, ...]
    answers: int = 1

    def to_fact(self) -> Fact:
        """The operation as it is kept over a restart."""
        return {
            "kind": "accepted",
            "number": self.number,
            "service": self.service,
            "operation_id": self.operation_id,
            "content": self.content,
            "end": format_instant(self.end),
            "last_seen": format_instant(self.last_seen),
            "answers": self.answers,
            "rows": [row.to_json() for row in self.rows],
        }

    @classmethod
    def from_fact(cls, fact: Fact) -> Accepted:
        """Reads what `to_fact` wrote."""
        return cls(
            number=fact["number"],
            service=fact["service"],
            operation_id=fact["operation_id"],
            content=fact["content"],
            end=parse_instant(fact["end"]),
            last_seen=parse_instant(fact["last_seen"]),
            rows=tuple(BilledRecord.from_json(row) for row in fact["rows"]),
            answers=fact["answers"],
        )


@dataclass(frozen=True)
class Outcome:
    """The fate of one operation: accepted, repeated, or an error."""

    status: str
    error: OperationError | None = None
    accepted: Accepted | None = None


class ServiceControl:
    """Services, entitlements and the bill of one producer."""

    def __init__(self, settings: GcpSettings | None = None) -> None:
        self.settings = settings or GcpSettings()
        self.services: dict[str, Service] = {}
        self.entitlements: dict[str, Entitlement] = {}
        self.bill: list[Accepted] = []
        self._known: dict[tuple[str, str], int] = {}

    def note(self, accepted: Accepted) -> None:
        """Puts an operation on the bill, or takes the later view of one that is on it."""
        self.bill[accepted.number : accepted.number + 1] = [accepted]
        self._known[(accepted.service, accepted.operation_id)] = accepted.number

    def forget_bill(self) -> None:
        """Empties the bill, and forgets every operationId."""
        self.bill.clear()
        self._known.clear()

    def check(self, service: Service, row: Mapping[str, Any], now: datetime) -> tuple[str, str]:
        """What check says of a consumer: an error code and a detail, both empty for a go.

        Raises:
            OperationError: The operation cannot be read.
        """
        consumer_id = str(row.get("consumerId", ""))
        if not CONSUMER.fullmatch(consumer_id):
            return "CONSUMER_INVALID", f"{consumer_id!r} is no consumer"
        entitlement = self.entitlements.get(f"{service.name} {consumer_id}")
        if entitlement is None:
            return "NOT_FOUND", f"{consumer_id} has no entitlement for {service.name}"
        start = instant(row, "startTime")
        off_since = entitlement.off_since
        if entitlement.check_error and (off_since is None or start >= off_since):
            return entitlement.check_error, f"the service is off for {consumer_id}"
        if entitlement.end is not None and now >= entitlement.end:
            known = self.settings.check_knows_end or start >= entitlement.end
            if known:
                return "SERVICE_NOT_ACTIVATED", "the entitlement was cancelled"
        return "", ""

    def report(
        self,
        service: Service,
        rows: Sequence[Mapping[str, Any]],
        *,
        now: datetime,
        unprocessed: frozenset[int] = frozenset(),
    ) -> list[Outcome]:
        """Serves one report: one outcome per operation, in order."""
        return [
            _failed(OperationError(Code.UNAVAILABLE, "not processed"))
            if index in unprocessed
            else self._report(service, row, now)
            for index, row in enumerate(rows)
        ]

    def _report(self, service: Service, row: Mapping[str, Any], now: datetime) -> Outcome:
        try:
            operation = read_operation(row)
            entitlement = self._judge(service, operation, now)
            repeated = self._remembered(service.name, operation, now)
        except OperationError as error:
            return _failed(error)
        if repeated is not None:
            repeated = replace(repeated, answers=repeated.answers + 1, last_seen=now)
            self.note(repeated)
            return Outcome(REPEATED, accepted=repeated)
        accepted = Accepted(
            number=len(self.bill),
            service=service.name,
            operation_id=operation.id,
            content=operation.content,
            end=operation.end,
            last_seen=now,
            rows=_rows(service, entitlement, operation, now),
        )
        self.note(accepted)
        return Outcome(ACCEPTED, accepted=accepted)

    def _judge(self, service: Service, operation: Operation, now: datetime) -> Entitlement:
        for value in operation.values:
            owner, _, metric_id = value.metric_name.partition("/")
            metric = service.metrics.get(metric_id)
            if owner != service.name or metric is None:
                raise invalid_operation(f"{service.name} has no metric {value.metric_name!r}")
            if value.kind != metric.kind:
                raise invalid_operation(f"{value.metric_name} takes {metric.kind} values")
        if not CONSUMER.fullmatch(operation.consumer_id):
            raise invalid_operation(f"{operation.consumer_id!r} is no consumer")
        entitlement = self.entitlements.get(f"{service.name} {operation.consumer_id}")
        if entitlement is None:
            raise OperationError(Code.NOT_FOUND, f"{operation.consumer_id} has no entitlement")
        self._check_times(entitlement, operation, now)
        return entitlement

    def _check_times(self, entitlement: Entitlement, operation: Operation, now: datetime) -> None:
        settings = self.settings
        if operation.end > now + settings.seconds("future_skew"):
            raise invalid_operation("the usage is in the future")
        late_limit = settings.seconds("late_limit")
        if late_limit and now >= operation.end + late_limit:
            raise OperationError(Code.OUT_OF_RANGE, "the usage is too old")
        if operation.start < entitlement.start:
            raise invalid_operation("the usage is before the start of the entitlement")
        if entitlement.end is not None:
            if operation.end > entitlement.end:
                raise OperationError(Code.FAILED_PRECONDITION, "the usage is after the end")
            if now >= entitlement.end + settings.seconds("final_window"):
                raise OperationError(Code.FAILED_PRECONDITION, "the entitlement is closed")
        off_since = entitlement.off_since
        if off_since is not None and operation.end > off_since:
            raise OperationError(Code.FAILED_PRECONDITION, "the service is off for this consumer")

    def _remembered(self, service: str, operation: Operation, now: datetime) -> Accepted | None:
        position = self._known.get((service, operation.id))
        if position is None:
            return None
        known, settings = self.bill[position], self.settings
        memory = settings.seconds("memory")
        if memory and now >= known.last_seen + memory:
            return None
        if known.content == operation.content:
            return known if settings.deduplicates else None
        if settings.changed_resend == "refuse":
            raise OperationError(Code.ALREADY_EXISTS, "the operationId names another operation")
        return known if settings.changed_resend == "ignore" else None

    def billed(self) -> list[BilledRecord]:
        """Every value that was added up, in the order of acceptance."""
        return [
            replace(row, answers={ACCEPTED: accepted.answers})
            for accepted in self.bill
            for row in accepted.rows
        ]


def _failed(error: OperationError) -> Outcome:
    return Outcome(error.code.name, error=error)


def _rows(
    service: Service, entitlement: Entitlement, operation: Operation, now: datetime
) -> tuple[BilledRecord, ...]:
    rows = []
    for value in operation.values:
        metric_id = value.metric_name.partition("/")[2]
        rows.append(
            BilledRecord(
                marketplace="gcp",
                region="",
                agreement=entitlement.usage_reporting_id,
                buyer=entitlement.usage_reporting_id,
                product=service.name,
                dimension=metric_id,
                hour=operation.start.replace(minute=0, second=0, microsecond=0),
                used_at=operation.start,
                quantity=value.quantity,
                record_id=operation.id,
                received_at=now,
                unit_price=service.metrics[metric_id].unit_price,
            )
        )
    return tuple(rows)
