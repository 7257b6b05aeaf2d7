"""What every deployed reporting function owes: stores on DynamoDB, its marketplace's own client to
the sandbox, settings from the environment. Siblings pass the same tests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from lambda_setup import Context, emitted
from meterbridge.adapters.dynamodb.ledger_store import LedgerStore
from meterbridge.domain.agreements import AgreementState
from meterbridge.domain.errors import MarketplaceError, SettingsError
from meterbridge.domain.metering_record import MeteringRecord, RecordState
from reporting_functions import FUNCTIONS, Deployment, FunctionSetup, deployed


@pytest.fixture(params=FUNCTIONS)
def setup(request: pytest.FixtureRequest) -> FunctionSetup:
    return FUNCTIONS[request.param]


@pytest.fixture
def deployment(setup: FunctionSetup, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    with deployed(setup, monkeypatch) as deployment:
        yield deployment


def test_what_is_pending_is_billed_and_counted(
    deployment: Deployment, setup: FunctionSetup, capsys: pytest.CaptureFixture[str]
) -> None:
    records = setup.records()
    deployment.stored.add(*records)
    assert deployment.start().handler({}, Context()) == {"accepted": 2}
    assert deployment.stored.states(records) == [RecordState.ACCEPTED] * 2
    billed = tuple(str(each.quantity) for each in deployment.control.billed().records)
    assert billed == setup.quantities
    assert emitted(capsys) == {
        "RecordsAccepted": 2,
        "RecordsConflicted": 0,
        "RecordsRejected": 0,
        "RecordsExpired": 0,
        "RecordsWaiting": 0,
        "ReportingFailures": 0,
        "AgreementsSuspended": 0,
    }


def test_a_dry_run_sends_nothing_changes_nothing_and_says_what_it_would_do(
    deployment: Deployment, setup: FunctionSetup, capsys: pytest.CaptureFixture[str]
) -> None:
    records = setup.records()
    deployment.stored.add(*records)
    assert deployment.start(REPORTING_MODE="dry-run").handler({}, Context()) == {"waiting": 2}
    assert deployment.control.calls() == []
    assert deployment.stored.states(records) == [RecordState.PENDING] * 2
    output = capsys.readouterr().out
    assert output.count('"would submit"') == 2
    assert setup.wire in output
    assert '"RecordsAccepted"' not in output
    assert f'"MinutesToDeadline":[{setup.minutes_to_deadline}.0]' in output


def test_a_refused_buyer_is_suspended_in_the_registry(
    deployment: Deployment, setup: FunctionSetup
) -> None:
    setup.suspend(deployment.control)
    deployment.stored.add(*setup.records())
    assert deployment.start().handler({}, Context()) == {"held": 2}
    assert deployment.stored.registry.agreement("agr_1").state is AgreementState.SUSPENDED


def test_without_access_the_function_fails_loudly_after_its_metrics(
    deployment: Deployment, setup: FunctionSetup, capsys: pytest.CaptureFixture[str]
) -> None:
    setup.lock_out(deployment.control)
    records = setup.records()
    deployment.stored.add(*records)
    with pytest.raises(MarketplaceError, match=setup.locked_out):
        deployment.start().handler({}, Context())
    assert deployment.stored.states(records) == [RecordState.PENDING] * 2
    metrics = emitted(capsys)
    assert (metrics["ReportingFailures"], metrics["RecordsWaiting"]) == (1, 2)
    assert metrics["MinutesToDeadline"] == setup.minutes_to_deadline


def test_no_batch_is_begun_when_the_time_is_nearly_over(
    deployment: Deployment, setup: FunctionSetup
) -> None:
    class LastSeconds(Context):
        def get_remaining_time_in_millis(self) -> int:
            self.remaining -= 60_000
            return self.remaining

    deployment.stored.add(*setup.records())
    assert deployment.start().handler({}, LastSeconds(remaining=120_000)) == {"waiting": 2}
    assert deployment.control.calls() == []


def test_killed_after_the_call_the_next_invocation_bills_nothing_twice(
    deployment: Deployment, setup: FunctionSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = setup.records()
    deployment.stored.add(*records)
    module = deployment.start()

    class KilledError(BaseException):
        pass

    real_save = LedgerStore.save

    def save(self: LedgerStore, record: MeteringRecord, **expected: Any) -> None:
        if record.state is RecordState.ACCEPTED:
            raise KilledError
        real_save(self, record, **expected)

    with monkeypatch.context() as patch:
        patch.setattr(LedgerStore, "save", save)
        with pytest.warns(UserWarning, match="No application"), pytest.raises(KilledError):
            module.handler({}, Context())
    assert deployment.stored.states(records) == [RecordState.SUBMITTED] * 2
    module.FUNCTION.clock.advance(timedelta(minutes=5))
    assert module.handler({}, Context()) == {"accepted": 2}
    assert len(deployment.control.billed().records) == 2


def test_missing_settings_are_all_named(
    setup: FunctionSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in setup.environment:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingsError) as caught:
        setup.import_afresh()
    assert str(caught.value) == setup.missing
