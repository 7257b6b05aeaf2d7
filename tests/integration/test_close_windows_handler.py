"""The deployed sweep: what it measures of deadlines and freshness, and that it always sweeps."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import boto3
import pytest

from builders import GRACE, LICENSE_ARN, NOON, at
from deadline_setup import Watched
from dynamodb import REGION, make_table, mocked_table
from fakes.clock import FakeClock
from lambda_setup import Context, measured
from meterbridge.adapters.dynamodb.ledger_store import LedgerStore
from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.adapters.dynamodb.usage_log_store import UsageLogStore
from meterbridge.adapters.dynamodb.usage_store import UsageStore
from meterbridge.application.settle_agreements import settle_agreement
from meterbridge.domain.agreements import AwsBuyerReference
from meterbridge.domain.errors import StoreUnavailableError
from meterbridge.domain.events import UsageEvent
from meterbridge.domain.partitions import ShardPlan
from meterbridge.domain.usage_log import pack_events
from meterbridge.lambda_runtime.deadlines import MAX_NAMED_AGREEMENTS

HANDLER = "close_windows.handler"
AWS = (("channel", "aws"),)
FRESH = ("UsageFreshness", ())


@pytest.fixture
def sweep(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The function, imported over empty tables, at noon."""
    with mocked_table("Ledger", "pending"):
        make_table("Registry", "ref", "by_reference")
        for name in ("UsageLog", "Usage"):
            make_table(name)
        queue = boto3.client("sqs", region_name=REGION).create_queue(QueueName="settle")
        for variable, value in (
            ("REGISTRY_TABLE", "Registry"),
            ("LEDGER_TABLE", "Ledger"),
            ("USAGE_TABLE", "Usage"),
            ("USAGE_LOG_TABLE", "UsageLog"),
            ("SETTLE_QUEUE_URL", queue["QueueUrl"]),
            ("GRACE_MINUTES", "15"),
        ):
            monkeypatch.setenv(variable, value)
        sys.modules.pop(HANDLER, None)
        module = importlib.import_module(HANDLER)
        for log_handler in module.logger.handlers:
            log_handler.stream = sys.stdout
        monkeypatch.setattr(module, "CLOCK", FakeClock(NOON))
        yield module
    sys.modules.pop(HANDLER, None)


@pytest.fixture
def stored(sweep: ModuleType) -> Watched:
    """One customer's agreement in those tables."""
    return Watched(
        NOON,
        registry=RegistryStore("Registry"),  # type: ignore[arg-type]
        usage=UsageStore("Usage"),
        log=UsageLogStore("UsageLog"),
        ledger=LedgerStore("Ledger"),
    )


def send(stored: Watched, moment: str, received: str, subject: str = "acme") -> None:
    name = f"{moment}/{subject}"
    event = UsageEvent("prd_llm", "app", name, "llm.request", subject, at(moment), {})
    stored.log.append(pack_events([event], ShardPlan()), at(received))


def run(sweep: ModuleType, moment: str) -> dict[str, Any]:
    sweep.CLOCK.set(at(moment))
    answer: dict[str, Any] = sweep.handler({}, Context())
    return answer


def settle(stored: Watched, moment: str, agreement_id: str = "agr_1") -> None:
    stored.clock.set(at(moment))
    settle_agreement(
        agreement_id,
        registry=stored.registry,
        usage=stored.usage,
        ledger=stored.ledger,
        clock=stored.clock,
        grace=GRACE,
    )


def left(capsys: pytest.CaptureFixture[str]) -> dict[tuple[tuple[str, str], ...], float]:
    """Minutes to the deadline by dimensions."""
    metrics = measured(capsys)
    return {which: value for (name, which), value in metrics.items() if name == "MinutesToDeadline"}


def test_with_nothing_at_risk_freshness_is_0_and_no_deadline_is_written(
    sweep: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    run(sweep, "2026-11-24T12:20")
    assert measured(capsys) == {
        FRESH: 0,
        ("FoldFailures", ()): 0,
        ("EventConflicts", ()): 0,
    }


def test_usage_that_is_not_folded_yet_is_as_old_as_its_receipt(
    sweep: ModuleType, stored: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    send(stored, "2026-11-24T12:01", "2026-11-24T12:02:30")
    send(stored, "2026-11-24T11:59", "2026-11-24T12:08:00")
    run(sweep, "2026-11-24T12:20")
    assert measured(capsys)[FRESH] == 17 * 60 + 30
    run(sweep, "2026-11-24T12:21")
    assert measured(capsys)[FRESH] == 0


def test_usage_that_no_settlement_takes_is_seen_though_the_reporter_has_no_record(
    sweep: ModuleType, stored: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    settle(stored, "2026-11-24T11:20")
    send(stored, "2026-11-24T11:10", "2026-11-24T11:10")
    run(sweep, "2026-11-24T12:20")
    assert left(capsys) == {}
    run(sweep, "2026-11-24T12:29")
    assert left(capsys) == {}
    run(sweep, "2026-11-24T12:30")
    named = (("agreement_id", "agr_1"), ("channel", "aws"))
    assert left(capsys) == {AWS: 22 * 60 + 30, named: 22 * 60 + 30}
    run(sweep, "2026-11-25T10:59:30")
    assert left(capsys) == {AWS: 0, named: 0}
    settle(stored, "2026-11-25T10:59:40")
    run(sweep, "2026-11-25T10:59:50")
    assert left(capsys) == {}


def test_a_record_that_was_not_sent_is_seen_though_no_reporter_runs(
    sweep: ModuleType, stored: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    settle(stored, "2026-11-24T10:20")
    send(stored, "2026-11-24T10:10", "2026-11-24T10:10")
    run(sweep, "2026-11-24T11:16")
    assert left(capsys) == {}
    settle(stored, "2026-11-24T11:17")
    run(sweep, "2026-11-24T11:31:59")
    assert left(capsys) == {}
    run(sweep, "2026-11-24T11:32")
    assert left(capsys)[AWS] == 22 * 60 + 28


def test_the_last_usage_of_an_agreement_raises_no_alarm_while_it_is_flushed_in_time(
    sweep: ModuleType, stored: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    settle(stored, "2026-11-24T11:20")
    send(stored, "2026-11-24T12:05", "2026-11-24T12:05")
    stored.end(at("2026-11-24T12:10"))
    for moment in ("12:06", "12:11", "12:26", "12:39"):
        run(sweep, f"2026-11-24T{moment}")
        assert left(capsys) == {}
    run(sweep, "2026-11-24T12:40")
    assert left(capsys)[AWS] == 30


def test_only_the_most_urgent_agreements_are_named(
    sweep: ModuleType, stored: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    settle(stored, "2026-11-24T09:20")
    for number in range(MAX_NAMED_AGREEMENTS + 3):
        reference = AwsBuyerReference("111122223333", f"{LICENSE_ARN}{number}")
        stored.add_agreement(f"agr_{number:02d}x", f"customer {number}", aws=reference)
        settle(stored, "2026-11-24T09:20", f"agr_{number:02d}x")
        send(stored, "2026-11-24T09:10", "2026-11-24T09:10", f"customer {number}")
        if number == 22:
            stored.change("agr_22x", ends_at=at("2026-11-25T07:00"))
    run(sweep, "2026-11-24T10:40")
    capsys.readouterr()
    run(sweep, "2026-11-24T10:45")
    found = left(capsys)
    named = [dict(which)["agreement_id"] for which in found if which != AWS]
    assert sorted(named) == [*(f"agr_{number:02d}x" for number in range(19)), "agr_22x"]
    assert found[AWS] == 21 * 60 + 15


@pytest.mark.parametrize("broken", ["usage_freshness", "waiting_agreements"])
def test_it_sweeps_also_when_it_cannot_measure_and_then_fails_loudly(
    sweep: ModuleType, stored: Watched, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    send(stored, "2026-11-24T10:10", "2026-11-24T10:10")

    def fail(*_: Any, **__: Any) -> None:
        raise StoreUnavailableError("set to fail")

    monkeypatch.setattr(sweep, broken, fail)
    with pytest.raises(StoreUnavailableError):
        run(sweep, "2026-11-24T11:20")
    assert stored.usage.cursor("closed") == "2026-11-24T10:00:00+00:00"


def test_what_was_measured_is_written_also_when_the_sweep_fails(
    sweep: ModuleType,
    stored: Watched,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settle(stored, "2026-11-24T10:20")
    send(stored, "2026-11-24T10:10", "2026-11-24T10:10")

    def fail(**_: Any) -> None:
        raise StoreUnavailableError("set to fail")

    monkeypatch.setattr(sweep, "close_windows", fail)
    with (
        pytest.warns(UserWarning, match="No application metrics"),
        pytest.raises(StoreUnavailableError),
    ):
        run(sweep, "2026-11-24T11:20")
    assert measured(capsys) == {FRESH: 70 * 60}
