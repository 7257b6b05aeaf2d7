"""What every marketplace's adapter owes: the use case, the adapter and its own client against a
strict sandbox over HTTP, with faults on order. Siblings pass the same tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from math import ceil

import pytest

from builders import NOON, at
from fakes.clock import FakeClock
from marketplace_setups import (
    SETUPS,
    MarketplaceSetup,
    setup_record,
)
from meterbridge.application.report_usage import Progress
from meterbridge.domain.agreements import AgreementState
from meterbridge.domain.errors import InvariantError, MarketplaceError
from meterbridge.domain.metering_record import MeteringRecord, RecordState, ReportOutcome
from meterbridge.domain.policy import policy_at
from reporting_setup import Reporting
from sandbox.marketplaces.client import SandboxControl
from sandbox.marketplaces.http_server import RunningSandbox, running_sandbox

ACCEPTED, CONFLICTED = RecordState.ACCEPTED, RecordState.CONFLICTED
REJECTED, EXPIRED = RecordState.REJECTED, RecordState.EXPIRED


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    with running_sandbox(seed=3) as sandbox:
        yield sandbox


@pytest.fixture(params=SETUPS)
def setup(request: pytest.FixtureRequest) -> MarketplaceSetup:
    return SETUPS[request.param]


@pytest.fixture
def control(running: RunningSandbox, setup: MarketplaceSetup) -> SandboxControl:
    control = running.control
    control.reset()
    control.set_clock(NOON)
    setup.register(control)
    return control


@pytest.fixture
def reporting(
    running: RunningSandbox, control: SandboxControl, setup: MarketplaceSetup
) -> Iterator[Reporting]:
    with setup.connected(running.url) as marketplace:
        yield Reporting(marketplace=marketplace, clock=FakeClock(NOON), terms=setup.terms)


def later(reporting: Reporting, control: SandboxControl, by: timedelta) -> Counter[object]:
    control.advance_clock(by)
    return Counter(reporting.later(by).counts)


def billed(control: SandboxControl) -> dict[tuple[str, str], Decimal]:
    return {
        (record.agreement, record.dimension): record.quantity for record in control.billed().records
    }


def expected(
    setup: MarketplaceSetup, records: list[MeteringRecord]
) -> dict[tuple[str, str], Decimal]:
    return {
        (setup.reference(record.key.agreement_id), record.key.dimension): record.quantity
        for record in records
    }


def metering_calls(setup: MarketplaceSetup, control: SandboxControl) -> int:
    return sum(call["operation"] == setup.operation for call in control.calls())


def records_of(setup: MarketplaceSetup, count: int, **changes: object) -> list[MeteringRecord]:
    """Records that every marketplace takes; zero is not taken everywhere."""
    return [
        setup_record(setup, f"d{number:02d}", f"{number + 1}.25", **changes)
        for number in range(count)
    ]


class TestWhatIsBilled:
    def test_a_full_hour_is_billed_exactly(
        self, setup: MarketplaceSetup, reporting: Reporting, control: SandboxControl
    ) -> None:
        records = [
            *records_of(setup, 30),
            *records_of(setup, 2, agreement_id="agr_2"),
        ]
        reporting.add(*records)
        assert reporting.run().counts == Counter({ACCEPTED: 32})
        assert billed(control) == expected(setup, records)
        assert metering_calls(setup, control) == ceil(32 / policy_at(setup.channel, NOON).max_batch)
        receipts = {reporting.ledger.record(record.key).receipt for record in records}
        assert len(receipts) == 32
        assert "" not in receipts

    @pytest.mark.parametrize("quantity", ["0.1", "0.000001", "999999999.999999", "1234567.654321"])
    def test_a_quantity_arrives_to_the_last_digit(
        self,
        setup: MarketplaceSetup,
        reporting: Reporting,
        control: SandboxControl,
        quantity: str,
    ) -> None:
        record = setup_record(setup, "d00", quantity)
        reporting.add(record)
        assert reporting.run().counts == Counter({ACCEPTED: 1})
        assert list(billed(control).values()) == [Decimal(quantity)]

    def test_the_call_that_was_answered_can_be_named_to_support(
        self, setup: MarketplaceSetup, reporting: Reporting
    ) -> None:
        records = records_of(setup, 2)
        reporting.add(*records)
        reporting.run()
        (request_id,) = {reporting.ledger.record(record.key).request_id for record in records}
        assert bool(request_id) is setup.names_calls

    def test_so_can_a_call_that_failed(
        self, setup: MarketplaceSetup, reporting: Reporting, control: SandboxControl
    ) -> None:
        control.inject("internal_error", count=None)
        (record,) = records_of(setup, 1)
        reporting.add(record)
        reporting.run(rounds=1)
        stored = reporting.ledger.record(record.key)
        assert bool(stored.request_id) is setup.names_calls
        assert stored.reason != ""


class TestOneResultPerSubmission:
    def test_in_the_order_sent_or_any_other(
        self, setup: MarketplaceSetup, reporting: Reporting
    ) -> None:
        built = [reporting.marketplace.build(record) for record in records_of(setup, 25)]
        results = reporting.marketplace.submit(built)
        assert sorted(result.key for result in results) == sorted(each.key for each in built)

    def test_two_records_of_one_usage_are_answered_each(
        self, setup: MarketplaceSetup, reporting: Reporting, control: SandboxControl
    ) -> None:
        mine = setup_record(setup, "d00", "5")
        twin = replace(setup_record(setup, "d00", "5", "agr_2"), buyer=mine.buyer)
        twins = [reporting.marketplace.build(record) for record in (mine, twin)]
        results = reporting.marketplace.submit(twins)
        assert sorted(result.key.agreement_id for result in results) == ["agr_1", "agr_2"]
        assert len(control.billed().records) == (2 if setup.adds_up else 1)

    def test_nothing_is_asked_for_nothing(
        self, reporting: Reporting, control: SandboxControl
    ) -> None:
        assert reporting.marketplace.submit([]) == []
        assert control.calls() == []

    def test_more_than_a_call_takes_is_a_defect(
        self, setup: MarketplaceSetup, reporting: Reporting, control: SandboxControl
    ) -> None:
        most = policy_at(setup.channel, NOON).max_batch
        built = [reporting.marketplace.build(each) for each in records_of(setup, most + 1)]
        with pytest.raises(InvariantError, match=str(most + 1)):
            reporting.marketplace.submit(built)
        assert control.calls() == []

    def test_the_same_record_always_builds_the_same_entry_of_texts(
        self, setup: MarketplaceSetup, reporting: Reporting
    ) -> None:
        built = reporting.marketplace.build(setup_record(setup, "d00", "17.000"))
        assert built == reporting.marketplace.build(setup_record(setup, "d00", "17"))
        assert {type(text) for text in built.entry.values()} == {str}

    def test_a_record_without_a_buyer_cannot_be_built(
        self, setup: MarketplaceSetup, reporting: Reporting
    ) -> None:
        record = setup_record(setup, "d00", "5")
        with pytest.raises(InvariantError):
            reporting.marketplace.build(replace(record, buyer={}))


class TestUnknownOutcomes:
    @pytest.mark.parametrize("loss", ["drop", "error"])
    def test_a_lost_acknowledgement_is_billed_once_and_ends_accepted(
        self, setup: MarketplaceSetup, reporting: Reporting, control: SandboxControl, loss: str
    ) -> None:
        control.inject("lost_acknowledgement", loss=loss, operation=setup.operation)
        records = records_of(setup, 3)
        reporting.add(*records)
        assert reporting.run(rounds=1).counts == Counter({Progress.WAITING: 3})
        assert later(reporting, control, timedelta(minutes=5)) == Counter({ACCEPTED: 3})
        assert billed(control) == expected(setup, records)

    def test_a_resend_of_what_was_acknowledged_is_no_conflict(
        self, setup: MarketplaceSetup, reporting: Reporting, control: SandboxControl
    ) -> None:
        built = [reporting.marketplace.build(record) for record in records_of(setup, 3)]
        reporting.marketplace.submit(built)
        again = {result.outcome for result in reporting.marketplace.submit(built)}
        assert again <= {ReportOutcome.ACCEPTED, ReportOutcome.ALREADY_ACCEPTED}
        assert len(control.billed().records) == 3

    @pytest.mark.parametrize(
        "fault", ["internal_error", "throttled", "connection_reset", "unprocessed"]
    )
    def test_a_passing_fault_is_over_in_the_same_run(
        self, setup: MarketplaceSetup, reporting: Reporting, control: SandboxControl, fault: str
    ) -> None:
        control.inject(fault)
        records = records_of(setup, 3)
        reporting.add(*records)
        assert reporting.run().counts == Counter({ACCEPTED: 3})
        assert billed(control) == expected(setup, records)

    def test_an_outage_of_a_day_less_an_hour_loses_nothing(
        self, setup: MarketplaceSetup, reporting: Reporting, control: SandboxControl
    ) -> None:
        records = records_of(setup, 3)
        reporting.add(*records)
        control.outage(until=NOON + timedelta(hours=21))
        assert reporting.run().counts == Counter({Progress.WAITING: 3})
        assert later(reporting, control, timedelta(hours=21)) == Counter({ACCEPTED: 3})
        assert billed(control) == expected(setup, records)

    def test_refused_after_a_lost_acknowledgement_the_record_stays_committed_until_the_buyer_is_back(
        self, setup: MarketplaceSetup, reporting: Reporting, control: SandboxControl
    ) -> None:
        (record,) = records_of(setup, 1)
        reporting.add(record)
        control.inject("lost_acknowledgement", operation=setup.operation)
        reporting.run(rounds=1)
        setup.suspend(control, "agr_1")
        assert later(reporting, control, timedelta(minutes=5)) == Counter({Progress.HELD: 1})
        assert reporting.states([record]) == [RecordState.SUBMITTED]
        assert billed(control) == expected(setup, [record])
        setup.resume(control, "agr_1")
        # Where a resend may be added to the first send, a doubt of an hour is a person's matter.
        settled = policy_at(setup.channel, NOON).resend_window is None
        state = ACCEPTED if settled else CONFLICTED
        assert later(reporting, control, timedelta(hours=1)) == Counter({state: 1})
        assert billed(control) == expected(setup, [record])

    def test_throttled_is_certain_not_to_have_booked_anything(
        self, setup: MarketplaceSetup, reporting: Reporting, control: SandboxControl
    ) -> None:
        records = records_of(setup, 2)
        reporting.add(*records)
        control.inject("throttled", count=None)
        assert reporting.run(rounds=1).counts == Counter({Progress.WAITING: 2})
        assert set(reporting.states(records)) == {RecordState.PENDING}

    def test_nobody_listening_is_certain_not_to_have_booked_anything(
        self, setup: MarketplaceSetup, running: RunningSandbox, control: SandboxControl
    ) -> None:
        with setup.connected(running.url, nobody_listens=True) as marketplace:
            reporting = Reporting(marketplace=marketplace, terms=setup.terms)
            records = records_of(setup, 2)
            reporting.add(*records)
            assert reporting.run().counts == Counter({Progress.WAITING: 2})
        assert set(reporting.states(records)) == {RecordState.PENDING}
        assert "ConnectionError" in reporting.ledger.record(records[0].key).reason


class TestRefusals:
    def test_one_unknown_dimension_is_isolated_and_the_rest_of_the_batch_billed(
        self, setup: MarketplaceSetup, reporting: Reporting, control: SandboxControl
    ) -> None:
        good = records_of(setup, 24)
        bad = setup_record(setup, "not-listed", "5")
        reporting.add(*good, bad)
        assert reporting.run().counts == Counter({ACCEPTED: 24, REJECTED: 1})
        assert billed(control) == expected(setup, good)
        assert reporting.ledger.record(bad.key).reason.startswith(setup.unknown_dimension)

    def test_a_record_outside_the_window_is_isolated(
        self, setup: MarketplaceSetup, reporting: Reporting, control: SandboxControl
    ) -> None:
        """Its deadline was computed from rules that are not the marketplace's any more."""
        good = records_of(setup, 5)
        old = setup_record(
            setup, "d09", "5", hour=at("2026-11-23T11"), deadline=at("2026-12-01T00")
        )
        reporting.add(*good, old)
        assert reporting.run().counts == Counter({ACCEPTED: 5, EXPIRED: 1})
        assert billed(control) == expected(setup, good)

    def test_another_quantity_already_metered_is_a_conflict(
        self, setup: MarketplaceSetup, reporting: Reporting, control: SandboxControl
    ) -> None:
        build, submit = reporting.marketplace.build, reporting.marketplace.submit
        submit([build(setup_record(setup, "d00", "7"))])
        record = setup_record(setup, "d00", "5")
        reporting.add(record)
        assert reporting.run().counts == Counter({CONFLICTED: 1})
        assert list(billed(control).values()) == [Decimal(7)]
        told = Decimal(7) if setup.tells_accepted_quantity else None
        assert reporting.ledger.record(record.key).accepted_quantity == told

    def test_a_suspended_buyer_stops_their_agreement_only(
        self, setup: MarketplaceSetup, reporting: Reporting, control: SandboxControl
    ) -> None:
        setup.suspend(control, "agr_1")
        stopped = [setup_record(setup, "d00", "5")]
        other = [setup_record(setup, "d00", "5", "agr_2")]
        reporting.add(*stopped, *other)
        assert reporting.run().counts == Counter({Progress.HELD: 1, ACCEPTED: 1})
        assert reporting.states(stopped) == [RecordState.PENDING]
        assert reporting.registry.agreement("agr_1").stopped_by_marketplace
        assert reporting.registry.agreement("agr_2").state is AgreementState.ACTIVE
        assert billed(control) == expected(setup, other)

    def test_without_access_nothing_is_billed_and_no_record_burnt(
        self, setup: MarketplaceSetup, reporting: Reporting, control: SandboxControl
    ) -> None:
        setup.lock_out(control)
        records = records_of(setup, 2)
        reporting.add(*records)
        summary = reporting.run()
        assert isinstance(summary.error, MarketplaceError)
        assert summary.counts == Counter({Progress.WAITING: 2})
        assert set(reporting.states(records)) == {RecordState.PENDING}
        setup.register(control)
        assert later(reporting, control, timedelta(minutes=5)) == Counter({ACCEPTED: 2})

    def test_locked_out_in_the_middle_keeps_what_was_answered(
        self, setup: MarketplaceSetup, reporting: Reporting, control: SandboxControl
    ) -> None:
        first, second = records_of(setup, 1), [setup_record(setup, "d01", "5", "agr_2")]
        reporting.add(*first)
        reporting.run()
        setup.lock_out(control)
        reporting.add(*second)
        assert later(reporting, control, timedelta(minutes=5)) == Counter({Progress.WAITING: 1})
        assert reporting.states([*first, *second]) == [ACCEPTED, RecordState.PENDING]
