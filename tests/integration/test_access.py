"""Where we are not let in: one product holds up no other, no record is judged, and somebody is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from builders import NOON, at, product
from fakes.clock import FakeClock
from gcp_setup import ACCOUNT, SERVICE, STARTED, consumer_of
from marketplace_setups import APP_ID, DIMENSIONS, SETUPS, AwsSetup, MarketplaceSetup, setup_record
from meterbridge.application.report_usage import Progress
from meterbridge.domain.agreements import AgreementState
from meterbridge.domain.errors import MarketplaceError, ProductRefusedError
from meterbridge.domain.metering_record import MeteringRecord, RecordState
from meterbridge.domain.offerings import Channel
from reporting_setup import Reporting
from sandbox.marketplaces.client import SandboxControl
from sandbox.marketplaces.http_server import RunningSandbox, running_sandbox

ACCEPTED, WAITING = RecordState.ACCEPTED, Progress.WAITING
OTHER_SERVICE = "other.gcpmarketplace.acme.example"
OTHER_REPORTER = "other@acme.iam.gserviceaccount.com"
MINUTES = timedelta(minutes=5)


@dataclass(frozen=True)
class Refusal:
    """One product, of the second buyer, for which the marketplace does not let us report.

    Attributes:
        cloud: the marketplace.
        word: its own word for that.
        whole_call: whether it refuses calls, so that one is enough to know.
    """

    cloud: str
    word: str
    whole_call: bool
    refuse: Callable[[SandboxControl], None]
    repair: Callable[[SandboxControl], None]
    service: str = OTHER_SERVICE

    @property
    def setup(self) -> MarketplaceSetup:
        return SETUPS[self.cloud]


def aws_access_denied(control: SandboxControl) -> None:
    match = {"license_arn": AwsSetup().reference("agr_2")}
    code = "AccessDeniedException"
    control.inject("error", count=None, code=code, status=400, match=match)


def azure_forbidden(control: SandboxControl) -> None:
    match = {"resource": SETUPS["azure"].reference("agr_2")}
    control.inject("error", count=None, code="Forbidden", status=403, match=match)


def azure_other_app(app_id: str) -> Callable[[SandboxControl], None]:
    def offer(control: SandboxControl) -> None:
        control.azure.register_offer("other", {"gold": DIMENSIONS}, app_id=app_id)
        control.azure.register_subscription(
            SETUPS["azure"].reference("agr_2"), offer_id="other", plan_id="gold"
        )

    return offer


def gcp_reporter(account: str) -> Callable[[SandboxControl], None]:
    def register(control: SandboxControl) -> None:
        metrics = [{"id": code, "kind": "double"} for code in DIMENSIONS]
        control.gcp.register_service(OTHER_SERVICE, metrics, reporters=[account])
        control.gcp.register_entitlement(
            service=OTHER_SERVICE, usage_reporting_id=consumer_of("agr_2"), start=STARTED
        )

    return register


def gcp_check_denied(control: SandboxControl) -> None:
    control.gcp.suspend_entitlement(consumer_of("agr_2"), "PERMISSION_DENIED", since=STARTED)


def gcp_check_allowed(control: SandboxControl) -> None:
    control.gcp.resume_entitlement(consumer_of("agr_2"))


def cleared(control: SandboxControl) -> None:
    control.clear_faults()


REFUSALS = {
    "aws": Refusal("aws", "AccessDeniedException", True, aws_access_denied, cleared),
    "azure-403": Refusal("azure", "403", True, azure_forbidden, cleared),
    "azure-offer": Refusal(
        "azure",
        "ResourceNotAuthorized",
        False,
        azure_other_app("33333333-2222-4333-8444-555555555555"),
        azure_other_app(APP_ID),
    ),
    "gcp-service": Refusal(
        "gcp", "PERMISSION_DENIED", True, gcp_reporter(OTHER_REPORTER), gcp_reporter(ACCOUNT)
    ),
    "gcp-check": Refusal(
        "gcp", "PERMISSION_DENIED", False, gcp_check_denied, gcp_check_allowed, SERVICE
    ),
}


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    with running_sandbox(seed=3) as sandbox:
        yield sandbox


def open_reporting(
    setup: MarketplaceSetup, running: RunningSandbox, service: str = OTHER_SERVICE
) -> Any:
    """A context with a reporting run that knows two products."""
    control = running.control
    control.reset()
    control.set_clock(NOON)
    setup.register(control)
    reporting = Reporting(clock=FakeClock(NOON), terms=setup.terms)
    listed = product(listings={Channel.AWS: "prodcode123", Channel.GCP: SERVICE})
    reporting.registry.save_product(listed, 1)
    other = product(id="prd_other", listings={Channel.AWS: "other", Channel.GCP: service})
    reporting.registry.add_product(other)
    connected = setup.connected(running.url, clock=reporting.clock, registry=reporting.registry)
    return reporting, connected


def later(reporting: Reporting, control: SandboxControl, by: timedelta = MINUTES) -> Any:
    control.advance_clock(by)
    return reporting.later(by)


def of_other_product(setup: MarketplaceSetup, count: int) -> list[MeteringRecord]:
    """Records of the second buyer, whose deadlines come first."""
    records = [
        setup_record(setup, DIMENSIONS[number % 30], "5", "agr_2", hour=at(f"2026-11-24T0{hour}"))
        for hour in range(1 + (count - 1) // 30)
        for number in range(min(30, count - 30 * hour))
    ]
    return [replace(record, product_id="prd_other") for record in records]


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
class TestOneProduct:
    def test_that_may_not_be_reported_stops_no_other_and_is_told_by_name(
        self, refusal: Refusal, running: RunningSandbox
    ) -> None:
        reporting, connected = open_reporting(refusal.setup, running, refusal.service)
        refusal.refuse(running.control)
        good = [setup_record(refusal.setup, code, "5") for code in DIMENSIONS[:3]]
        refused = of_other_product(refusal.setup, 2)
        with connected as reporting.marketplace:
            reporting.add(*refused, *good)
            summary = reporting.run()
            assert summary.counts == Counter({ACCEPTED: 3, WAITING: 2})
            assert isinstance(summary.error, ProductRefusedError)
            assert list(summary.refusals) == ["prd_other"]
            assert refusal.word in summary.refusals["prd_other"]
            assert "prd_other" in str(summary.error)
            assert summary.next_deadline == refused[0].deadline
            # No record is judged by it, no buyer stopped for it, and nothing is in doubt.
            assert set(reporting.states(refused)) == {RecordState.PENDING}
            assert {reporting.ledger.record(each.key).attempts for each in refused} == {0}
            assert reporting.registry.agreement("agr_2").state is AgreementState.ACTIVE
            for _ in range(3):
                assert later(reporting, running.control).counts == Counter({WAITING: 2})
            assert {reporting.ledger.record(each.key).attempts for each in refused} == {0}
            refusal.repair(running.control)
            repaired = later(reporting, running.control)
            assert repaired.counts == Counter({ACCEPTED: 2})
            assert (repaired.error, repaired.refusals) == (None, {})
        assert len(running.control.billed().records) == 5

    def test_is_asked_for_once_in_a_run_where_one_call_tells_it_all(
        self, refusal: Refusal, running: RunningSandbox
    ) -> None:
        reporting, connected = open_reporting(refusal.setup, running, refusal.service)
        refusal.refuse(running.control)
        records = of_other_product(refusal.setup, 210)
        with connected as reporting.marketplace:
            reporting.add(*records)
            before = len(running.control.calls())
            assert reporting.run().counts == Counter({WAITING: 210})
            calls = [
                call
                for call in running.control.calls()[before:]
                if call["operation"] in ("BatchMeterUsage", "batchUsageEvent", "check")
            ]
        if refusal.cloud in ("azure", "gcp") and refusal.whole_call:
            # A token that is refused is renewed once.
            assert len(calls) == 2
        elif refusal.whole_call:
            assert len(calls) == 1
        # The others are judged one by one: each is tried once, and not again in the same run.
        elif refusal.cloud == "azure":
            assert len(calls) == 9
        assert reporting.backoffs == []


@pytest.mark.parametrize("cloud", SETUPS)
def test_with_credentials_worth_nothing_no_doubt_piles_up_and_all_goes_out_after_the_repair(
    cloud: str, running: RunningSandbox
) -> None:
    setup = SETUPS[cloud]
    reporting, connected = open_reporting(setup, running)
    setup.lock_out(running.control)
    records = [
        setup_record(setup, code, "5", agreement_id)
        for code in DIMENSIONS[:30]
        for agreement_id in ("agr_1", "agr_2")
    ]
    with connected as reporting.marketplace:
        reporting.add(*records)
        for _ in range(6):
            summary = later(reporting, running.control, timedelta(hours=3))
            assert isinstance(summary.error, MarketplaceError)
            assert summary.counts == Counter({WAITING: 60})
        assert set(reporting.states(records)) == {RecordState.PENDING}
        assert {reporting.ledger.record(each.key).attempts for each in records} == {0}
        setup.register(running.control)
        assert later(reporting, running.control).counts == Counter({ACCEPTED: 60})
    assert len(running.control.billed().records) == 60
