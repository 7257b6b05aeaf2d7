"""A report to Google that is killed anywhere, or run twice, is added up exactly once.

The rules are the sandbox's own, without HTTP.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import NOON
from fakes.clock import FakeClock
from gcp_setup import SERVICE, STARTED, GcpReporting, consumer_of, gcp_records
from killing import Fuse, Fused, Killed
from meterbridge.adapters.marketplaces.calls import Verdict
from meterbridge.adapters.marketplaces.gcp import GcpMarketplace
from meterbridge.adapters.marketplaces.gcp_listings import RegistryListings
from meterbridge.adapters.marketplaces.gcp_outcomes import verdict_of_call
from meterbridge.domain.metering_record import MeteringRecord, RecordState
from sandbox.marketplaces.gcp.catalog import Entitlement, Metric, Service
from sandbox.marketplaces.gcp.errors import OperationError
from sandbox.marketplaces.gcp.operations import check_row, report_rows
from sandbox.marketplaces.gcp.service_control import ServiceControl as Rules

FAULTS = ("none", "lost", "refused", "throttled", "half")


class StrictGoogle:
    """Service Control over the sandbox's rules; its faults may be scripted per report."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.rules = Rules()
        metrics = {f"d{number:02d}": Metric(f"d{number:02d}") for number in range(30)}
        self.service = Service(SERVICE, metrics)
        self.script: list[str] = []
        self.reports = 0
        for agreement_id in ("agr_1", "agr_2"):
            entitlement = Entitlement(SERVICE, consumer_of(agreement_id), STARTED)
            self.rules.entitlements[entitlement.reference] = entitlement

    def call(self, _service: str, method: str, body: bytes) -> Verdict | Mapping[str, Any]:
        request, now = json.loads(body), self.clock.now()
        if method == "check":
            return self._check(check_row(request))
        self.reports += 1
        rows = report_rows(request)
        fault = self.script.pop(0) if self.script else "none"
        if fault in ("refused", "throttled"):
            return verdict_of_call(503 if fault == "refused" else 429, {}, {})
        undone = frozenset(range(0, len(rows), 2)) if fault == "half" else frozenset[int]()
        outcomes = self.rules.report(self.service, rows, now=now, unprocessed=undone)
        if fault == "lost":
            return verdict_of_call(500, {}, {})
        return {
            "reportErrors": [
                {"operationId": row["operationId"], "status": {"code": int(outcome.error.code)}}
                for row, outcome in zip(rows, outcomes, strict=True)
                if outcome.error is not None
            ]
        }

    def _check(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            code, _ = self.rules.check(self.service, row, self.clock.now())
        except OperationError as exc:
            raise AssertionError("a check that cannot be read") from exc
        return {"checkErrors": [{"code": code}]} if code else {}

    def throttled(self, _verdict: Verdict) -> None:
        """Nobody waits here."""

    def added(self) -> dict[tuple[str, str], Decimal]:
        totals: dict[tuple[str, str], Decimal] = {}
        for row in self.rules.billed():
            place = (row.agreement, row.dimension)
            totals[place] = totals.get(place, Decimal(0)) + row.quantity
        return totals


class Reporter:
    """A reporting run that can be killed at every write and every call."""

    def __init__(self) -> None:
        self.fuse = Fuse()
        self.reporting = GcpReporting(clock=FakeClock(NOON))
        self.google = StrictGoogle(self.reporting.clock)
        self.records: list[MeteringRecord] = [*gcp_records(4), *gcp_records(3, "agr_2")]
        self.reporting.add(*self.records)
        self.reporting.ledger = Fused(self.reporting.ledger, self.fuse, "save")
        listings = RegistryListings(self.reporting.registry, self.reporting.clock)
        control: Any = Fused(self.google, self.fuse, "call")
        self.reporting.marketplace = GcpMarketplace(control, listings, self.reporting.clock)

    def run_killed(self, at: int | None) -> bool:
        self.fuse.arm(at)
        try:
            self.reporting.run()
        except Killed:
            return True
        finally:
            self.fuse.arm(None)
        return False

    def expected(self) -> dict[tuple[str, str], Decimal]:
        return {
            (record.buyer["usage_reporting_id"], record.key.dimension): record.quantity
            for record in self.records
        }


def test_killed_before_or_after_any_write_or_call_everything_is_added_once() -> None:
    step, killed = 0, True
    while killed:
        reporter = Reporter()
        killed = reporter.run_killed(step)
        reporter.reporting.later()
        assert reporter.google.added() == reporter.expected()
        assert set(reporter.reporting.states(reporter.records)) == {RecordState.ACCEPTED}
        step += 1
    # 7 marks, 2 checks, 1 report and 7 results, each with a before and an after, and one unharmed.
    assert step == 2 * (7 + 2 + 1 + 7) + 1


@pytest.mark.parametrize("fault", FAULTS)
def test_a_second_report_in_the_middle_of_the_first_adds_nothing(fault: str) -> None:
    for step in range(0, 2 * (7 + 2 + 1 + 7), 3):
        reporter = Reporter()
        reporter.google.script = [fault]
        reporter.fuse.arm(step, lambda reporter=reporter: reporter.reporting.run())  # type: ignore[misc]
        reporter.reporting.run()
        reporter.fuse.arm(None)
        reporter.reporting.later()
        assert reporter.google.added() == reporter.expected()


@given(
    st.lists(st.sampled_from(FAULTS), max_size=12),
    st.lists(st.integers(0, 60), max_size=4),
    st.lists(st.integers(1, 120), min_size=4, max_size=4),
)
@settings(max_examples=150)
def test_whatever_happens_nothing_is_added_twice_and_what_was_added_stays_committed(
    script: list[str], kills: list[int], minutes: list[int]
) -> None:
    reporter = Reporter()
    reporter.google.script = list(script)
    for kill_at in kills:
        reporter.run_killed(kill_at)
        reporter.reporting.clock.advance(timedelta(minutes=minutes[0]))
    for pause in minutes[1:]:
        reporter.reporting.later(timedelta(minutes=pause))
    added, expected = reporter.google.added(), reporter.expected()
    for record in reporter.records:
        place = (record.buyer["usage_reporting_id"], record.key.dimension)
        stored = reporter.reporting.ledger.record(record.key)
        if place in added:
            assert stored.committed
            assert added[place] == expected[place]
        if stored.state is RecordState.ACCEPTED:
            assert place in added
        if stored.state is RecordState.PENDING:
            assert place not in added
    if not reporter.google.script:
        reporter.reporting.later()
        added = reporter.google.added()
        for record in reporter.records:
            place = (record.buyer["usage_reporting_id"], record.key.dimension)
            state = reporter.reporting.ledger.record(record.key).state
            assert added.get(place) == expected[place] or state is RecordState.CONFLICTED


@pytest.mark.parametrize(
    ("fault", "minutes", "state", "reports"),
    [
        ("lost", 59, RecordState.ACCEPTED, 2),
        ("lost", 60, RecordState.CONFLICTED, 1),
        ("throttled", 60, RecordState.ACCEPTED, 2),
    ],
)
def test_an_unknown_outcome_is_resent_for_one_hour_only(
    fault: str, minutes: int, state: RecordState, reports: int
) -> None:
    reporter = Reporter()
    reporter.google.script = [fault]
    reporter.reporting.run(rounds=1)
    reporter.reporting.later(timedelta(minutes=minutes), rounds=1)
    assert set(reporter.reporting.states(reporter.records)) == {state}
    assert reporter.google.reports == reports
    assert reporter.google.added() == reporter.expected()
