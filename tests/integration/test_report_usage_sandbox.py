"""Use case, adapter and boto3 against a strict AWS Marketplace over HTTP, with faults on order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from builders import NOON, at, metering_record
from fakes.clock import FakeClock
from meterbridge.adapters.marketplaces.aws import AwsMarketplace
from meterbridge.adapters.marketplaces.aws_seller_account import metering_client
from meterbridge.adapters.marketplaces.pacing import CallPacer
from meterbridge.application.report_usage import Progress
from meterbridge.domain.agreements import AgreementState
from meterbridge.domain.errors import MarketplaceError
from meterbridge.domain.metering_record import MeteringRecord, RecordState
from reporting_setup import Reporting
from sandbox.marketplaces.client import SandboxControl
from sandbox.marketplaces.http_server import RunningSandbox, running_sandbox

LICENSE = "arn:aws:license-manager::444455556666:license:l-{}"
DIMENSIONS = [f"d{number:02d}" for number in range(30)]
ACCEPTED, CONFLICTED = RecordState.ACCEPTED, RecordState.CONFLICTED
REJECTED, EXPIRED = RecordState.REJECTED, RecordState.EXPIRED


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    with running_sandbox(seed=3) as sandbox:
        yield sandbox


@pytest.fixture
def control(running: RunningSandbox) -> SandboxControl:
    control = running.control
    control.reset()
    control.set_clock(NOON)
    control.aws.configure(calls_per_second=0)
    control.aws.register_product("prodcode123", DIMENSIONS)
    for buyer in ("agr_1", "agr_2"):
        control.aws.register_agreement(
            product_code="prodcode123",
            account_id="111122223333",
            license_arn=LICENSE.format(buyer),
            start=at("2026-11-01T00"),
        )
    return control


@pytest.fixture
def reporting(
    running: RunningSandbox, control: SandboxControl, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Reporting]:
    monkeypatch.setenv("AWS_ENDPOINT_URL_MARKETPLACE_METERING", running.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    client = metering_client("us-east-1")
    pacer = CallPacer(10_000, monotonic=lambda: 0.0, sleep=lambda _: None, jitter=lambda: 0.0)
    yield Reporting(marketplace=AwsMarketplace(client, pacer), clock=FakeClock(NOON))
    client.close()


def aws_records(
    count: int = 3, agreement_id: str = "agr_1", **changes: object
) -> list[MeteringRecord]:
    return [
        metering_record(
            agreement_id=agreement_id,
            code=code,
            quantity=f"{number}.25",
            buyer={
                "customer_aws_account_id": "111122223333",
                "license_arn": LICENSE.format(agreement_id),
            },
            **changes,
        )
        for number, code in enumerate(DIMENSIONS[:count])
    ]


def later(reporting: Reporting, control: SandboxControl, by: timedelta) -> Counter[object]:
    control.advance_clock(by)
    return Counter(reporting.later(by).counts)


def billed(control: SandboxControl) -> dict[tuple[str, str], Decimal]:
    return {
        (record.agreement, record.dimension): record.quantity for record in control.billed().records
    }


def expected(records: list[MeteringRecord]) -> dict[tuple[str, str], Decimal]:
    return {
        (record.buyer["license_arn"], record.key.dimension): record.quantity for record in records
    }


def test_a_full_hour_is_billed_exactly(reporting: Reporting, control: SandboxControl) -> None:
    records = [*aws_records(30), *aws_records(2, "agr_2")]
    reporting.add(*records)
    assert reporting.run().counts == Counter({ACCEPTED: 32})
    assert billed(control) == expected(records)
    assert len(control.calls()) == 2
    receipts = {reporting.ledger.record(record.key).receipt for record in records}
    assert len(receipts) == 32
    assert "" not in receipts


@pytest.mark.parametrize("loss", ["drop", "error"])
@pytest.mark.parametrize("resend", ["Success", "DuplicateRecord"])
def test_a_lost_acknowledgement_is_billed_once_and_ends_accepted(
    reporting: Reporting, control: SandboxControl, loss: str, resend: str
) -> None:
    control.aws.configure(identical_resend=resend)
    control.inject("lost_acknowledgement", loss=loss)
    records = aws_records(3)
    reporting.add(*records)
    assert reporting.run(rounds=1).counts == Counter({Progress.WAITING: 3})
    assert later(reporting, control, timedelta(minutes=5)) == Counter({ACCEPTED: 3})
    assert billed(control) == expected(records)
    assert control.billed().calls["statuses"].get("Success", 0) >= 3


@pytest.mark.parametrize(
    "fault",
    ["internal_error", "throttled", "connection_reset", "unprocessed"],
)
def test_a_passing_fault_is_over_in_the_same_run(
    reporting: Reporting, control: SandboxControl, fault: str
) -> None:
    control.inject(fault)
    records = aws_records(3)
    reporting.add(*records)
    assert reporting.run().counts == Counter({ACCEPTED: 3})
    assert billed(control) == expected(records)


def test_an_outage_of_a_day_less_an_hour_loses_nothing(
    reporting: Reporting, control: SandboxControl
) -> None:
    records = aws_records(3)
    reporting.add(*records)
    control.outage(until=NOON + timedelta(hours=21))
    assert reporting.run().counts == Counter({Progress.WAITING: 3})
    assert later(reporting, control, timedelta(hours=21)) == Counter({ACCEPTED: 3})
    assert billed(control) == expected(records)


def test_one_unknown_dimension_is_isolated_and_the_rest_of_the_batch_billed(
    reporting: Reporting, control: SandboxControl
) -> None:
    good = aws_records(24)
    bad = metering_record(code="not-listed", buyer=good[0].buyer)
    reporting.add(*good, bad)
    assert reporting.run().counts == Counter({ACCEPTED: 24, REJECTED: 1})
    assert billed(control) == expected(good)
    assert reporting.ledger.record(bad.key).reason.startswith("InvalidUsageDimensionException")


def test_a_record_outside_the_window_is_isolated(
    reporting: Reporting, control: SandboxControl
) -> None:
    """Its deadline was computed from rules that are not the marketplace's any more."""
    good = aws_records(5)
    old = metering_record(
        code="d09", hour=at("2026-11-23T11"), deadline=at("2026-12-01T00"), buyer=good[0].buyer
    )
    reporting.add(*good, old)
    assert reporting.run().counts == Counter({ACCEPTED: 5, EXPIRED: 1})
    assert billed(control) == expected(good)


def test_another_quantity_already_metered_is_a_conflict(
    reporting: Reporting, control: SandboxControl
) -> None:
    (record,) = aws_records(1)
    reporting.marketplace.submit(
        [reporting.marketplace.build(metering_record(code="d00", quantity="7", buyer=record.buyer))]
    )
    reporting.add(record)
    assert reporting.run().counts == Counter({CONFLICTED: 1})
    assert list(billed(control).values()) == [Decimal(7)]


def test_a_suspended_buyer_stops_their_agreement_only(
    reporting: Reporting, control: SandboxControl
) -> None:
    control.aws.suspend_agreement(LICENSE.format("agr_1"))
    stopped, other = aws_records(1), aws_records(1, "agr_2")
    reporting.add(*stopped, *other)
    assert reporting.run().counts == Counter({REJECTED: 1, ACCEPTED: 1})
    assert reporting.registry.agreement("agr_1").state is AgreementState.SUSPENDED
    assert reporting.registry.agreement("agr_2").state is AgreementState.ACTIVE
    assert billed(control) == expected(other)


def test_refused_after_a_lost_acknowledgement_the_record_stays_committed(
    reporting: Reporting, control: SandboxControl
) -> None:
    (record,) = aws_records(1)
    reporting.add(record)
    control.inject("lost_acknowledgement")
    reporting.run(rounds=1)
    control.aws.suspend_agreement(LICENSE.format("agr_1"))
    assert later(reporting, control, timedelta(minutes=5)) == Counter({CONFLICTED: 1})
    assert billed(control) == expected([record])


def test_without_access_nothing_is_sent_and_no_record_burnt(
    reporting: Reporting, control: SandboxControl
) -> None:
    control.inject("error", code="AccessDeniedException", status=400, message="no identity policy")
    records = aws_records(2)
    reporting.add(*records)
    summary = reporting.run()
    assert isinstance(summary.error, MarketplaceError)
    assert summary.counts == Counter({Progress.WAITING: 2})
    assert set(reporting.states(records)) == {RecordState.PENDING}
    assert later(reporting, control, timedelta(minutes=5)) == Counter({ACCEPTED: 2})


def test_nobody_listening_is_certain_not_to_have_booked_anything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_MARKETPLACE_METERING", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    client = metering_client("us-east-1")
    pacer = CallPacer(10_000, monotonic=lambda: 0.0, sleep=lambda _: None, jitter=lambda: 0.0)
    reporting = Reporting(marketplace=AwsMarketplace(client, pacer))
    records = aws_records(2)
    reporting.add(*records)
    reporting.run()
    client.close()
    assert set(reporting.states(records)) == {RecordState.PENDING}
    assert reporting.ledger.record(records[0].key).reason.startswith("EndpointConnectionError")
