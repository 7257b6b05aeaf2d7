"""Use case, adapter and google-auth against a strict Google over HTTP, with faults on order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from urllib3 import PoolManager

from builders import NOON, at
from gcp_setup import (
    HOUR,
    SERVICE,
    GcpReporting,
    consumer_of,
    double_record,
    gcp_record,
    gcp_records,
    gcp_reporting,
    google_tokens,
    prepare,
    small_pool,
)
from meterbridge.application.report_usage import Progress
from meterbridge.domain.agreements import AgreementState
from meterbridge.domain.errors import MarketplaceError
from meterbridge.domain.metering_record import MeteringRecord, RecordState
from sandbox.marketplaces.client import SandboxControl
from sandbox.marketplaces.http_server import RunningSandbox, running_sandbox

ACCEPTED, CONFLICTED = RecordState.ACCEPTED, RecordState.CONFLICTED
REJECTED, EXPIRED = RecordState.REJECTED, RecordState.EXPIRED
MINUTES = timedelta(minutes=5)


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    with running_sandbox(seed=3) as sandbox:
        yield sandbox


@pytest.fixture
def control(running: RunningSandbox) -> SandboxControl:
    prepare(running.control)
    return running.control


@pytest.fixture
def pool() -> Iterator[PoolManager]:
    with small_pool() as pool:
        yield pool


@pytest.fixture
def reporting(running: RunningSandbox, control: SandboxControl, pool: PoolManager) -> GcpReporting:
    return gcp_reporting(running.url, pool)


def later(reporting: GcpReporting, control: SandboxControl, by: timedelta) -> Counter[object]:
    control.advance_clock(by)
    return Counter(reporting.later(by).counts)


def billed(control: SandboxControl) -> dict[tuple[str, str], Decimal]:
    """What Google adds up, by consumer and metric."""
    totals = control.billed(marketplace="gcp").totals
    return {(total.agreement, total.dimension): total.quantity for total in totals}


def expected(records: list[MeteringRecord]) -> dict[tuple[str, str], Decimal]:
    totals: dict[tuple[str, str], Decimal] = {}
    for record in records:
        place = (record.buyer["usage_reporting_id"], record.key.dimension)
        totals[place] = totals.get(place, Decimal(0)) + record.quantity
    return totals


def operations(control: SandboxControl) -> Counter[str]:
    return Counter(call["operation"] for call in control.calls("gcp"))


def test_a_full_hour_is_billed_exactly(reporting: GcpReporting, control: SandboxControl) -> None:
    records = [*gcp_records(30), *gcp_records(2, "agr_2"), double_record("0.1")]
    reporting.add(*records)
    assert reporting.run().counts == Counter({ACCEPTED: 33})
    assert billed(control) == expected(records)
    # Federation in two steps, one check for each buyer, one report.
    assert operations(control) == Counter({"token": 2, "check": 2, "report": 1})
    for record in records:
        stored = reporting.ledger.record(record.key)
        assert stored.receipt == stored.submission["operationId"]


@pytest.mark.parametrize("loss", ["drop", "error"])
def test_a_lost_acknowledgement_is_resent_identical_and_added_once(
    reporting: GcpReporting, control: SandboxControl, loss: str
) -> None:
    control.inject("lost_acknowledgement", operation="report", loss=loss)
    records = gcp_records(3)
    reporting.add(*records)
    assert reporting.run(rounds=1).counts == Counter({Progress.WAITING: 3})
    assert set(reporting.states(records)) == {RecordState.SUBMITTED}
    assert later(reporting, control, MINUTES) == Counter({ACCEPTED: 3})
    assert billed(control) == expected(records)
    assert {tuple(r.answers.items()) for r in control.billed().records} == {(("OK", 2),)}


def test_the_sandbox_would_show_a_second_bill_under_another_id(
    reporting: GcpReporting, control: SandboxControl
) -> None:
    (record,) = gcp_records(1)
    reporting.add(record)
    reporting.run()
    built = reporting.marketplace.build(record)
    random_id = replace(built, entry={**built.entry, "operationId": "a-random-one"})
    reporting.marketplace.submit([random_id])
    assert list(billed(control).values()) == [2 * record.quantity]
    assert any("overlaps" in each for each in control.billed().warnings)


@pytest.mark.parametrize(
    "fault", ["internal_error", "throttled", "connection_reset", "unprocessed"]
)
@pytest.mark.parametrize("operation", ["check", "report"])
def test_a_passing_fault_is_over_in_the_same_run(
    reporting: GcpReporting, control: SandboxControl, fault: str, operation: str
) -> None:
    control.inject(fault, operation=operation)
    records = gcp_records(3)
    reporting.add(*records)
    assert reporting.run().counts == Counter({ACCEPTED: 3})
    assert billed(control) == expected(records)


def test_operations_left_undone_are_sent_again_alone(
    reporting: GcpReporting, control: SandboxControl
) -> None:
    control.inject("unprocessed", operation="report", records=2)
    records = gcp_records(5)
    reporting.add(*records)
    assert reporting.run().counts == Counter({ACCEPTED: 5})
    assert [len(c["records"]) for c in control.calls() if c["operation"] == "report"] == [5, 2]
    assert billed(control) == expected(records)


def test_throttling_never_loses_usage(reporting: GcpReporting, control: SandboxControl) -> None:
    control.inject("throttled", operation="report", count=4)
    records = gcp_records(3)
    reporting.add(*records)
    assert reporting.run().counts == Counter({Progress.WAITING: 3})
    assert set(reporting.states(records)) == {RecordState.PENDING}
    for _ in range(2):
        later(reporting, control, MINUTES)
    assert set(reporting.states(records)) == {ACCEPTED}
    assert billed(control) == expected(records)


@pytest.mark.parametrize("hours", [3, 20, 30])
@pytest.mark.parametrize("loss", ["error", "drop"])
def test_an_outage_loses_nothing(
    reporting: GcpReporting, control: SandboxControl, hours: int, loss: str
) -> None:
    records = gcp_records(3)
    reporting.add(*records)
    control.outage(until=NOON + hours * HOUR, loss=loss)
    assert reporting.run().counts == Counter({Progress.WAITING: 3})
    assert later(reporting, control, hours * HOUR) == Counter({ACCEPTED: 3})
    assert billed(control) == expected(records)


def test_one_unknown_metric_is_refused_alone(
    reporting: GcpReporting, control: SandboxControl
) -> None:
    good, bad = gcp_records(24), gcp_record(code="not-listed")
    reporting.add(*good, bad)
    assert reporting.run().counts == Counter({ACCEPTED: 24, REJECTED: 1})
    assert billed(control) == expected(good)
    assert reporting.ledger.record(bad.key).reason.startswith("INVALID_ARGUMENT")


def test_a_call_refused_whole_is_halved_until_the_cause_is_alone(
    reporting: GcpReporting, control: SandboxControl
) -> None:
    records = gcp_records(8)
    reporting.add(*records)
    control.inject(
        "error",
        operation="report",
        code="INVALID_ARGUMENT",
        count=None,
        match={"dimension": "d05"},
    )
    assert reporting.run().counts == Counter({ACCEPTED: 7, REJECTED: 1})
    control.clear_faults()
    assert billed(control) == expected([r for r in records if r.key.dimension != "d05"])


@pytest.mark.parametrize("code", ["BILLING_DISABLED", "SERVICE_NOT_ACTIVATED", "PROJECT_DELETED"])
def test_a_buyer_whose_service_is_off_stops_their_agreement_only(
    reporting: GcpReporting, control: SandboxControl, code: str
) -> None:
    control.gcp.suspend_entitlement(consumer_of("agr_1"), code, since=at("2026-11-24T10"))
    stopped, before, other = (
        gcp_records(2),
        gcp_record(hour=at("2026-11-24T09")),
        gcp_records(1, "agr_2"),
    )
    reporting.add(*stopped, before, *other)
    # Usage from before the service went off is still billed.
    assert reporting.run().counts == Counter({Progress.HELD: 2, ACCEPTED: 2})
    assert set(reporting.states(stopped)) == {RecordState.PENDING}
    assert reporting.registry.agreement("agr_1").state is AgreementState.SUSPENDED
    assert reporting.registry.agreement("agr_2").state is AgreementState.ACTIVE
    assert billed(control) == expected([before, *other])


def test_refused_by_check_after_a_lost_acknowledgement_the_record_stays_committed(
    reporting: GcpReporting, control: SandboxControl
) -> None:
    (record,) = gcp_records(1)
    reporting.add(record)
    control.inject("lost_acknowledgement", operation="report")
    reporting.run(rounds=1)
    control.gcp.suspend_entitlement(consumer_of("agr_1"), since=at("2026-11-24T10"))
    assert later(reporting, control, MINUTES) == Counter({Progress.HELD: 1})
    assert reporting.states([record]) == [RecordState.SUBMITTED]
    assert billed(control) == expected([record])


def test_the_tail_after_a_cancellation_goes_out_without_a_check(
    reporting: GcpReporting, control: SandboxControl
) -> None:
    ended_at = NOON - timedelta(minutes=20)
    control.gcp.cancel_entitlement(consumer_of("agr_1"), ended_at)
    tail = gcp_record(hour=at("2026-11-24T11"), reported_hour_end=ended_at)
    reporting.add(tail, ends_at=ended_at)
    assert reporting.run().counts == Counter({ACCEPTED: 1})
    assert operations(control)["check"] == 0
    assert billed(control) == expected([tail])
    assert reporting.ledger.record(tail.key).submission["endTime"] == "2026-11-24T11:40:00Z"


def test_usage_after_the_end_is_not_taken_and_stops_nobody_else(
    reporting: GcpReporting, control: SandboxControl
) -> None:
    ended_at = NOON - timedelta(minutes=20)
    control.gcp.cancel_entitlement(consumer_of("agr_1"), ended_at)
    reporting.add(gcp_record(hour=at("2026-11-24T11")), ends_at=ended_at)
    assert reporting.run().counts == Counter({REJECTED: 1})
    assert billed(control) == {}


def test_a_check_holds_for_a_minute_and_longer_while_check_is_in_trouble(
    reporting: GcpReporting, control: SandboxControl
) -> None:
    hours = [at(f"2026-11-24T{hour:02d}") for hour in (10, 9, 8, 7)]
    first, second, third, fourth = (gcp_record(hour=hour) for hour in hours)
    reporting.marketplace.submit([reporting.marketplace.build(first)])
    reporting.marketplace.submit([reporting.marketplace.build(second)])
    assert operations(control)["check"] == 1
    reporting.clock.advance(timedelta(minutes=2))
    control.inject("internal_error", operation="check", count=None)
    (result,) = reporting.marketplace.submit([reporting.marketplace.build(third)])
    assert (result.code, operations(control)["check"]) == ("OK", 2)
    reporting.clock.advance(timedelta(hours=1))
    (result,) = reporting.marketplace.submit([reporting.marketplace.build(fourth)])
    assert (result.code, result.reached) == ("INTERNAL", False)


def test_while_check_is_down_it_is_asked_once_for_a_whole_batch(
    reporting: GcpReporting, control: SandboxControl
) -> None:
    control.inject("internal_error", operation="check", count=None)
    records = [gcp_record(buyer) for buyer in ("agr_1", "agr_2")]
    reporting.add(*records)
    assert reporting.run(rounds=1).counts == Counter({Progress.WAITING: 2})
    assert operations(control) == Counter({"token": 2, "check": 1})
    assert set(reporting.states(records)) == {RecordState.PENDING}


class TestGettingIn:
    def test_a_revoked_token_is_replaced_at_once(
        self, reporting: GcpReporting, control: SandboxControl
    ) -> None:
        reporting.add(*gcp_records(2), gcp_record("agr_2", "d01"))
        reporting.run(max_records=1)
        control.gcp.revoke_tokens()
        assert later(reporting, control, MINUTES) == Counter({ACCEPTED: 2})

    def test_a_token_without_permission_is_replaced_too(
        self, reporting: GcpReporting, control: SandboxControl
    ) -> None:
        """It may be of a key that was exchanged since; one more try tells."""
        control.inject("error", code="PERMISSION_DENIED", status=403)
        reporting.add(*gcp_records(2))
        assert reporting.run().counts == Counter({ACCEPTED: 2})
        # Each time the federated one and the service account's.
        assert operations(control) == Counter({"token": 4, "check": 2, "report": 1})

    @pytest.mark.parametrize(
        "fault",
        [
            {"code": "UNAUTHENTICATED", "count": None},
            {"code": "PERMISSION_DENIED", "count": None},
            {"code": "unauthorized", "operation": "token", "status": 401},
        ],
    )
    def test_without_access_nothing_is_sent_and_no_record_burnt(
        self, reporting: GcpReporting, control: SandboxControl, fault: dict[str, object]
    ) -> None:
        control.inject("error", **fault)  # type: ignore[arg-type]
        records = gcp_records(2)
        reporting.add(*records)
        summary = reporting.run()
        assert isinstance(summary.error, MarketplaceError)
        assert summary.counts == Counter({Progress.WAITING: 2})
        assert set(reporting.states(records)) == {RecordState.PENDING}
        control.clear_faults()
        assert later(reporting, control, MINUTES) == Counter({ACCEPTED: 2})

    def test_a_service_account_that_is_not_linked_burns_no_record(
        self, reporting: GcpReporting, control: SandboxControl
    ) -> None:
        control.gcp.register_service(SERVICE, ["d00"], reporters=["other@acme.example"])
        records = gcp_records(1)
        reporting.add(*records)
        assert "lacks servicemanagement.services.report" in str(reporting.run().error)
        assert reporting.states(records) == [RecordState.PENDING]

    def test_a_wrong_pool_provider_burns_no_record(
        self, running: RunningSandbox, control: SandboxControl, pool: PoolManager
    ) -> None:
        tokens = google_tokens(running.url, pool, audience="//iam.googleapis.com/nothing")
        reporting = gcp_reporting(running.url, pool, tokens=tokens)
        records = gcp_records(1)
        reporting.add(*records)
        assert "Google gives no token" in str(reporting.run().error)
        assert reporting.states(records) == [RecordState.PENDING]
        assert operations(control) == Counter({"token": 1})

    def test_nobody_listening_is_certain_not_to_have_booked_anything(
        self, running: RunningSandbox, pool: PoolManager, control: SandboxControl
    ) -> None:
        tokens = google_tokens(running.url, pool)
        reporting = gcp_reporting("http://127.0.0.1:9", pool, tokens=tokens)
        records = gcp_records(2)
        reporting.add(*records)
        reporting.run()
        assert set(reporting.states(records)) == {RecordState.PENDING}
        assert reporting.ledger.record(records[0].key).reason.startswith("NewConnectionError")


def test_user_labels_reach_the_report_and_not_the_check(
    running: RunningSandbox, control: SandboxControl, pool: PoolManager
) -> None:
    reporting = gcp_reporting(running.url, pool, label_agreements=True)
    (record,) = gcp_records(1)
    reporting.add(record)
    assert reporting.run().counts == Counter({ACCEPTED: 1})
    assert reporting.ledger.record(record.key).submission["resourceName"] == "agr_1"
