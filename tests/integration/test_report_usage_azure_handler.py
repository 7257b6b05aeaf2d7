"""The deployed function: stores on DynamoDB, secret in Secrets Manager, HTTP to the sandbox."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType

import boto3
import pytest

from builders import NOON
from dynamodb import make_table, mocked_table
from fakes.clock import FakeClock
from lambda_setup import Context, emitted
from marketplace_setups import APP_ID, SETUPS, TENANT, setup_record
from meterbridge.adapters.dynamodb.ledger_store import LedgerStore
from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.domain.agreements import AgreementState
from meterbridge.domain.errors import MarketplaceError, SettingsError
from meterbridge.domain.metering_record import MeteringRecord, RecordState
from reporting_setup import Reporting
from sandbox.marketplaces.client import SandboxControl
from sandbox.marketplaces.http_server import running_sandbox

HANDLER = "report_usage_azure.handler"
AZURE = SETUPS["azure"]
ENVIRONMENT = {
    "LEDGER_TABLE": "Ledger",
    "REGISTRY_TABLE": "Registry",
    "REPORTING_MODE": "live",
    "AZURE_TENANT_ID": TENANT,
    "AZURE_CLIENT_ID": APP_ID,
}


@dataclass
class Deployment:
    """The function's surroundings and a way to import it afresh with them."""

    stored: Reporting
    control: SandboxControl
    start: Callable[..., ModuleType]


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    started: list[ModuleType] = []
    with mocked_table("Ledger", "pending"), running_sandbox() as sandbox:
        make_table("Registry", "ref", "by_reference")
        sandbox.control.set_clock(NOON)
        AZURE.register(sandbox.control)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        secrets = boto3.client("secretsmanager")
        arn = secrets.create_secret(Name="azure", SecretString="s3cret")["ARN"]

        def start(**changes: str) -> ModuleType:
            address = {
                "MARKETPLACE_ENDPOINT": sandbox.url,
                "AZURE_AUTHORITY": sandbox.url,
                "AZURE_SECRET_ARN": arn,
            }
            for name, value in {**ENVIRONMENT, **address, **changes}.items():
                monkeypatch.setenv(name, value)
            sys.modules.pop(HANDLER, None)
            module = importlib.import_module(HANDLER)
            # The logger of a service is one for the process; earlier tests captured its stream.
            for log_handler in module.logger.handlers:
                log_handler.stream = sys.stdout
            monkeypatch.setattr(module.FUNCTION, "clock", FakeClock(NOON))
            monkeypatch.setattr(module.FUNCTION, "backoff", lambda _: None)
            started.append(module)
            return module

        stored = Reporting(
            ledger=LedgerStore("Ledger"), registry=RegistryStore("Registry"), terms=AZURE.terms
        )
        yield Deployment(stored, sandbox.control, start)
        secrets.close()
        for module in started:
            module.TOKENS.close()
            module.POOL.clear()
    sys.modules.pop(HANDLER, None)


def two_records() -> list[MeteringRecord]:
    return [setup_record(AZURE, code, "12.5") for code in ("d00", "d01")]


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


def test_a_warm_function_asks_where_to_sign_in_and_for_a_token_once(deployment: Deployment) -> None:
    module = deployment.start()
    first, second = two_records()[0], setup_record(AZURE, "d00", "12.5", "agr_2")
    for record in (first, second):
        deployment.stored.add(record)
        assert module.handler({}, Context()) == {"accepted": 1}
    grants = [call for call in deployment.control.calls("azure") if call["operation"] == "token"]
    assert len(grants) == 2


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
    assert '"quantity":"12.5"' in output


def test_a_refused_buyer_is_suspended_in_the_registry(deployment: Deployment) -> None:
    AZURE.suspend(deployment.control, "agr_1")
    deployment.stored.add(*two_records())
    assert deployment.start().handler({}, Context()) == {"held": 2}
    assert deployment.stored.registry.agreement("agr_1").state is AgreementState.SUSPENDED


def test_without_access_the_function_fails_loudly_after_its_metrics(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    AZURE.lock_out(deployment.control)
    records = two_records()
    deployment.stored.add(*records)
    with pytest.raises(MarketplaceError, match="AADSTS7000215"):
        deployment.start().handler({}, Context())
    assert deployment.stored.states(records) == [RecordState.PENDING] * 2
    metrics = emitted(capsys)
    assert (metrics["ReportingFailures"], metrics["RecordsWaiting"]) == (1, 2)
    assert metrics["MinutesToDeadline"] == 22 * 60


def test_missing_settings_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    sys.modules.pop(HANDLER, None)
    with pytest.raises(SettingsError) as caught:
        importlib.import_module(HANDLER)
    assert str(caught.value) == (
        "LEDGER_TABLE is missing; REGISTRY_TABLE is missing; REPORTING_MODE is missing; "
        "AZURE_TENANT_ID is missing; AZURE_CLIENT_ID is missing"
    )
