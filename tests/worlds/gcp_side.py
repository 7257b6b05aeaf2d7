"""A strict Google without HTTP: urllib3's `request` over the sandbox's rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from urllib3 import HTTPResponse

from fakes.clock import FakeClock
from meterbridge.domain.offerings import Dimension, QuantityKind
from sandbox.marketplaces.billed import BilledRecord
from sandbox.marketplaces.gcp.catalog import Entitlement, Metric, Service
from sandbox.marketplaces.gcp.operations import check_row, read_json, report_rows
from sandbox.marketplaces.gcp.service_control import ServiceControl
from worlds.azure_side import ABORTED, STATUS, answer, fail_without_answer
from worlds.trouble import BOOKED, LOST, NO_TROUBLE, PARTIAL, SILENT, Trouble

SERVICE = "assistant.gcpmarketplace.acme.example"
_KINDS = {QuantityKind.INTEGER: "int64", QuantityKind.DECIMAL: "double"}


class GcpSide:
    """Service Control's check and report, with its buyers, and with trouble."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.rules = ServiceControl()
        self.trouble = Trouble(clock)
        self._service = Service(SERVICE, {})
        self._consumers: dict[str, str] = {}

    def list_product(self, dimensions: Sequence[Dimension]) -> None:
        metrics = {one.code: Metric(one.code, _KINDS[one.quantity_kind]) for one in dimensions}
        self._service = Service(SERVICE, metrics)

    def sell(self, subject: str, start: datetime) -> dict[str, str]:
        """A buyer's entitlement; the id to report with."""
        consumer = f"project_number:{100 + len(self._consumers)}"
        self._consumers[subject] = consumer
        entitlement = Entitlement(SERVICE, consumer, start)
        self.rules.entitlements[entitlement.reference] = entitlement
        return {"usage_reporting_id": consumer}

    def suspend(self, subject: str, *, suspended: bool) -> None:
        if suspended:
            self._change(subject, check_error="BILLING_DISABLED", off_since=self.clock.now())
        else:
            self._change(subject, check_error="", off_since=None)

    def cancel(self, subject: str, at: datetime) -> None:
        self._change(subject, end=at)

    def _change(self, subject: str, **changes: Any) -> None:
        reference = f"{SERVICE} {self._consumers[subject]}"
        entitlement = replace(self.rules.entitlements[reference], **changes)
        self.rules.entitlements[reference] = entitlement

    def rows(self, subject: str) -> list[BilledRecord]:
        """What the buyer is charged for: every operation that was added up."""
        return [row for row in self.rules.billed() if row.agreement == self._consumers[subject]]

    def request(
        self, _method: str, url: str, *, body: bytes, headers: Mapping[str, str], **_: Any
    ) -> HTTPResponse:
        check, now = url.endswith(":check"), self.clock.now()
        kind = self.trouble.of_next_call(books=not check)
        fail_without_answer(kind)
        if kind in STATUS:
            return answer(STATUS[kind])
        if kind == SILENT:
            return answer(200)
        assert kind in (NO_TROUBLE, PARTIAL, *BOOKED)
        request = read_json(body, self.rules.settings.max_body_bytes)
        if check:
            code, _ = self.rules.check(self._service, check_row(request), now)
            response = answer(200, {"checkErrors": [{"code": code}]} if code else {})
        else:
            response = self._report(report_rows(request), now, partial=kind == PARTIAL)
        if kind in BOOKED:
            if kind == LOST:
                raise ABORTED
            return answer(500)
        return response

    def _report(
        self, rows: Sequence[Mapping[str, Any]], now: datetime, *, partial: bool
    ) -> HTTPResponse:
        undone = frozenset(range(0, len(rows), 2)) if partial else frozenset[int]()
        outcomes = self.rules.report(self._service, rows, now=now, unprocessed=undone)
        errors = [
            {"operationId": row["operationId"], "status": {"code": int(outcome.error.code)}}
            for row, outcome in zip(rows, outcomes, strict=True)
            if outcome.error is not None
        ]
        return answer(200, {"reportErrors": errors} if errors else {})
