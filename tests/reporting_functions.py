"""The deployed reporting functions, and what their common tests need to know of each of them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import boto3
import pytest

from builders import NOON, at
from dynamodb import make_table, mocked_table
from fakes.clock import FakeClock
from gcp_setup import ACCOUNT, AUDIENCE, GcpReporting, consumer_of, gcp_records, prepare
from marketplace_setups import APP_ID, SETUPS, TENANT, setup_record
from meterbridge.adapters.dynamodb.ledger_store import LedgerStore
from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.domain.metering_record import MeteringRecord
from reporting_setup import Reporting
from sandbox.marketplaces.client import SandboxControl
from sandbox.marketplaces.http_server import running_sandbox

_TABLES = {"LEDGER_TABLE": "Ledger", "REGISTRY_TABLE": "Registry", "REPORTING_MODE": "live"}
_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}


@dataclass(frozen=True)
class FunctionSetup:
    """One marketplace's reporting function.

    Attributes:
        environment: its settings, other than where the marketplace is.
        reached: the settings by which the sandbox at an address is reached.
        stored: what it reports from, given the stores.
        register: two buyers in the sandbox, and the seller let in.
        records: two records of one agreement, of the `quantities`.
        suspend: the buyer of that agreement does not pay.
        lock_out: the seller's credentials are worth nothing any more.
        locked_out: what the function fails with then.
        wire: a part of what it sends for the first record.
        minutes_to_deadline: of the records, from noon.
        missing: the fault of an environment with nothing in it.
        close: ends the connections of the imported module.
    """

    name: str
    environment: Mapping[str, str]
    reached: Callable[[str], Mapping[str, str]]
    stored: Callable[..., Reporting]
    register: Callable[[SandboxControl], None]
    records: Callable[[], list[MeteringRecord]]
    suspend: Callable[[SandboxControl], None]
    lock_out: Callable[[SandboxControl], None]
    quantities: tuple[str, str]
    locked_out: str
    wire: str
    minutes_to_deadline: int
    missing: str
    close: Callable[[ModuleType], None] = lambda _: None

    @property
    def handler(self) -> str:
        return f"report_usage_{self.name}.handler"

    def import_afresh(self) -> ModuleType:
        sys.modules.pop(self.handler, None)
        return importlib.import_module(self.handler)


def _set_up(name: str, **own: Any) -> FunctionSetup:
    """A function whose marketplace is set up as for its adapter's tests."""
    setup = SETUPS[name]
    return FunctionSetup(
        name=name,
        stored=partial(Reporting, terms=setup.terms),
        register=setup.register,
        records=lambda: [setup_record(setup, code, "12.5") for code in ("d00", "d01")],
        suspend=lambda control: setup.suspend(control, "agr_1"),
        lock_out=setup.lock_out,
        quantities=("12.5", "12.5"),
        minutes_to_deadline=22 * 60,
        **own,
    )


def _azure_at(url: str) -> Mapping[str, str]:
    with closing(boto3.client("secretsmanager", region_name="us-east-1")) as secrets:
        arn = secrets.create_secret(Name="azure", SecretString="s3cret")["ARN"]
    return {"MARKETPLACE_ENDPOINT": url, "AZURE_AUTHORITY": url, "AZURE_SECRET_ARN": arn}


def _close_azure(module: ModuleType) -> None:
    module.TOKENS.close()
    module.POOL.clear()


AWS = _set_up(
    "aws",
    environment={**_TABLES, **_CREDENTIALS, "MARKETPLACE_REGION": "us-east-1"},
    reached=lambda url: {"AWS_ENDPOINT_URL_MARKETPLACE_METERING": url},
    locked_out="BatchMeterUsage",
    wire='"QuantityAsDecimal":"12.5"',
    missing=(
        "LEDGER_TABLE is missing; REGISTRY_TABLE is missing; REPORTING_MODE is missing; "
        "MARKETPLACE_REGION is missing"
    ),
)
AZURE = _set_up(
    "azure",
    environment={
        **_TABLES,
        "AZURE_TENANT_ID": TENANT,
        "AZURE_CLIENT_ID": APP_ID,
        "AWS_DEFAULT_REGION": "us-east-1",
    },
    reached=_azure_at,
    locked_out="AADSTS7000215",
    wire='"quantity":"12.5"',
    missing=(
        "LEDGER_TABLE is missing; REGISTRY_TABLE is missing; REPORTING_MODE is missing; "
        "AZURE_TENANT_ID is missing; AZURE_CLIENT_ID is missing"
    ),
    close=_close_azure,
)
GCP = FunctionSetup(
    name="gcp",
    environment={
        **_TABLES,
        **_CREDENTIALS,
        "GCP_AUDIENCE": AUDIENCE,
        "GCP_SERVICE_ACCOUNT": ACCOUNT,
        "GCP_SECRET_ARN": "",
        "GCP_USER_LABELS": "",
        "AWS_DEFAULT_REGION": "us-east-1",
    },
    reached=lambda url: {"MARKETPLACE_ENDPOINT": url},
    stored=GcpReporting,
    register=prepare,
    records=partial(gcp_records, 2),
    suspend=lambda control: control.gcp.suspend_entitlement(
        consumer_of("agr_1"), since=at("2026-11-24T10")
    ),
    lock_out=lambda control: control.inject("error", code="PERMISSION_DENIED", count=None),
    quantities=("1", "2"),
    locked_out="Service Control refuses us",
    wire='"int64Value":"1"',
    minutes_to_deadline=46 * 60,
    missing="LEDGER_TABLE is missing; REGISTRY_TABLE is missing; REPORTING_MODE is missing",
)
FUNCTIONS: Mapping[str, FunctionSetup] = {each.name: each for each in (AWS, AZURE, GCP)}


@dataclass
class Deployment:
    """The function's surroundings and a way to import it afresh with them."""

    stored: Reporting
    control: SandboxControl
    start: Callable[..., ModuleType]


@contextmanager
def deployed(setup: FunctionSetup, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """One function with stores on DynamoDB, its own client to the sandbox, and noon on its clock."""
    started: list[ModuleType] = []
    with mocked_table("Ledger", "pending"), running_sandbox() as sandbox:
        make_table("Registry", "ref", "by_reference")
        sandbox.control.set_clock(NOON)
        setup.register(sandbox.control)
        reached = setup.reached(sandbox.url)

        def start(**changes: str) -> ModuleType:
            for name, value in {**setup.environment, **reached, **changes}.items():
                monkeypatch.setenv(name, value)
            module = setup.import_afresh()
            # The logger of a service is one for the process; earlier tests captured its stream.
            for log_handler in module.logger.handlers:
                log_handler.stream = sys.stdout
            monkeypatch.setattr(module.FUNCTION, "clock", FakeClock(NOON))
            monkeypatch.setattr(module.FUNCTION, "backoff", lambda _: None)
            started.append(module)
            return module

        stored = setup.stored(ledger=LedgerStore("Ledger"), registry=RegistryStore("Registry"))
        yield Deployment(stored, sandbox.control, start)
        for module in started:
            setup.close(module)
    sys.modules.pop(setup.handler, None)
