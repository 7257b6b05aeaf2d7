"""The deployed function: stores on DynamoDB, boto3 to the sandbox, settings from the environment."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from builders import LICENSE_ARN, NOON, at, metering_record
from dynamodb import make_table, mocked_table
from fakes.clock import FakeClock
from lambda_setup import Context, emitted
from meterbridge.adapters.dynamodb.ledger_store import LedgerStore
from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.domain.agreements import AgreementState
from meterbridge.domain.errors import MarketplaceError, ProductRefusedError, SettingsError
from meterbridge.domain.metering_record import MeteringRecord, RecordState
from reporting_setup import Reporting
from sandbox.marketplaces.client import SandboxControl
from sandbox.marketplaces.http_server import running_sandbox

HANDLER = "report_usage_aws.handler"
ENVIRONMENT = {
    "LEDGER_TABLE": "Ledger",
    "REGISTRY_TABLE": "Registry",
    "REPORTING_MODE": "live",
    "MARKETPLACE_REGION": "us-east-1",
    "AWS_ENDPOINT_URL_MARKETPLACE_METERING": "",
    "AWS_ACCESS_KEY_ID": "any",
    "AWS_SECRET_ACCESS_KEY": "any",
}


@dataclass
class Deployment:
    """The function's surroundings and a way to import it afresh with them."""

    stored: Reporting
    control: SandboxControl
    start: Callable[..., ModuleType]


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    with mocked_table("Ledger", "pending"), running_sandbox() as sandbox:
        make_table("Registry", "ref", "by_reference")
        sandbox.control.set_clock(NOON)
        sandbox.control.aws.register_product("prodcode123", ["requests", "tokens"])
        sandbox.control.aws.register_agreement(
            product_code="prodcode123",
            account_id="111122223333",
            license_arn=LICENSE_ARN,
            start=at("2026-11-01T00"),
        )

        def start(**changes: str) -> ModuleType:
            endpoint = {"AWS_ENDPOINT_URL_MARKETPLACE_METERING": sandbox.url}
            for name, value in {**ENVIRONMENT, **endpoint, **changes}.items():
                monkeypatch.setenv(name, value)
            sys.modules.pop(HANDLER, None)
            module = importlib.import_module(HANDLER)
            # The logger of a service is one for the process; earlier tests captured its stream.
            for log_handler in module.logger.handlers:
                log_handler.stream = sys.stdout
            monkeypatch.setattr(module.FUNCTION, "clock", FakeClock(NOON))
            monkeypatch.setattr(module.FUNCTION, "backoff", lambda _: None)
            return module

        stored = Reporting(ledger=LedgerStore("Ledger"), registry=RegistryStore("Registry"))
        yield Deployment(stored, sandbox.control, start)
    sys.modules.pop(HANDLER, None)


def two_records() -> list[MeteringRecord]:
    return [metering_record(code=code, quantity="12.5") for code in ("requests", "tokens")]


def test_what_is_pending_is_billed_and_counted(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    records = two_records()
    deployment.stored.add(*records)
    assert deployment.start().handler({}, Context()) == {"accepted": 2}
    assert deployment.stored.states(records) == [RecordState.ACCEPTED] * 2
    assert [str(each.quantity) for each in deployment.control.billed().records] == ["12.5", "12.5"]
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
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    records = two_records()
    deployment.stored.add(*records)
    assert deployment.start(REPORTING_MODE="dry-run").handler({}, Context()) == {"waiting": 2}
    assert deployment.control.calls() == []
    assert deployment.stored.states(records) == [RecordState.PENDING] * 2
    output = capsys.readouterr().out
    assert output.count('"would submit"') == 2
    assert '"QuantityAsDecimal":"12.5"' in output
    assert '"RecordsAccepted"' not in output
    assert '"MinutesToDeadline":[1320.0]' in output


def test_a_refused_buyer_is_suspended_in_the_registry(deployment: Deployment) -> None:
    deployment.control.aws.suspend_agreement(LICENSE_ARN)
    deployment.stored.add(*two_records())
    assert deployment.start().handler({}, Context()) == {"held": 2}
    assert deployment.stored.registry.agreement("agr_1").state is AgreementState.SUSPENDED


def test_one_product_that_is_refused_fails_the_function_after_the_others_were_billed(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    denied = {"code": "AccessDeniedException", "status": 400, "match": {"dimension": "tokens"}}
    deployment.control.inject("error", count=None, **denied)
    billed, refused = two_records()
    refused = replace(refused, product_id="prd_other")
    deployment.stored.add(billed, refused)
    with pytest.raises(ProductRefusedError, match=r"prd_other: .*BatchMeterUsage"):
        deployment.start().handler({}, Context())
    assert deployment.stored.states([billed, refused]) == [
        RecordState.ACCEPTED,
        RecordState.PENDING,
    ]
    printed = capsys.readouterr()
    assert '"product_id":"prd_other"' in printed.out
    deployment.control.clear_faults()
    assert deployment.start().handler({}, Context()) == {"accepted": 1}


def test_without_access_the_function_fails_loudly_after_its_metrics(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment.control.inject("error", code="AccessDeniedException", status=400)
    records = two_records()
    deployment.stored.add(*records)
    with pytest.raises(MarketplaceError, match="BatchMeterUsage"):
        deployment.start().handler({}, Context())
    assert deployment.stored.states(records) == [RecordState.PENDING] * 2
    metrics = emitted(capsys)
    assert (metrics["ReportingFailures"], metrics["RecordsWaiting"]) == (1, 2)
    assert metrics["MinutesToDeadline"] == 22 * 60


def test_no_batch_is_begun_when_the_time_is_nearly_over(deployment: Deployment) -> None:
    class LastSeconds(Context):
        def get_remaining_time_in_millis(self) -> int:
            self.remaining -= 60_000
            return self.remaining

    deployment.stored.add(*two_records())
    assert deployment.start().handler({}, LastSeconds(remaining=120_000)) == {"waiting": 2}
    assert deployment.control.calls() == []


def test_killed_after_the_call_the_next_invocation_bills_nothing_twice(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = two_records()
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


def test_missing_settings_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    sys.modules.pop(HANDLER, None)
    with pytest.raises(SettingsError) as caught:
        importlib.import_module(HANDLER)
    assert str(caught.value) == (
        "LEDGER_TABLE is missing; REGISTRY_TABLE is missing; REPORTING_MODE is missing; "
        "MARKETPLACE_REGION is missing"
    )
