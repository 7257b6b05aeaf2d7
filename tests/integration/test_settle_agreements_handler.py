"""The deployed settlement: after it, what is to be given back is drafted."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest

from builders import agreement, at, metering_record, offering, product
from correction_setup import OCTOBER
from dynamodb import make_table, mocked_table
from fakes.clock import FakeClock
from lambda_setup import Context, emitted
from meterbridge.adapters.dynamodb.correction_store import CorrectionStore
from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.domain.agreements import Customer
from meterbridge.domain.corrections import CorrectionState
from meterbridge.domain.ledger_head import LedgerHead, Position
from meterbridge.domain.metering_record import RecordState
from meterbridge.domain.meters import Aggregation, Meter
from meterbridge.domain.windows import BillingPeriod

HANDLER = "settle_agreements.handler"
NOW = at("2026-12-08T12:20")


@pytest.fixture
def settling(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The function over an agreement with 5 requests too many of October."""
    with mocked_table("Ledger", "pending"):
        make_table("Registry", "ref", "by_reference")
        make_table("Usage")
        for variable in ("Registry", "Ledger", "Usage"):
            monkeypatch.setenv(f"{variable.upper()}_TABLE", variable)
        sys.modules.pop(HANDLER, None)
        module = importlib.import_module(HANDLER)
        for log_handler in module.logger.handlers:
            log_handler.stream = sys.stdout
        monkeypatch.setattr(module, "CLOCK", FakeClock(NOW))
        fill(RegistryStore("Registry"), CorrectionStore("Ledger"))
        yield module
    sys.modules.pop(HANDLER, None)


def fill(registry: RegistryStore, ledger: CorrectionStore) -> None:
    registry.add_product(product())
    registry.add_meter(
        Meter("mtr_requests", "prd_llm", "requests", "llm.request", Aggregation.COUNT)
    )
    registry.add_offering(offering(), {"mtr_requests": 1})
    registry.add_customer(Customer("acme"))
    registry.add_agreement(agreement(starts_at=at("2026-10-01T00")))
    record = metering_record(hour=at("2026-10-20T10"), quantity="20")
    over = Position(Decimal(15), Decimal(20), Decimal(-5))
    head = LedgerHead(
        agreement_id="agr_1",
        version=1,
        live_from=BillingPeriod(2026, 11),
        settled_at=NOW,
        settled_through=at("2026-12-08T10"),
        opening={"requests": {OCTOBER: Decimal(-5)}},
        sealed={"requests": {OCTOBER: Decimal(15)}},
        positions={"requests": {OCTOBER: over}},
    )
    ledger.commit(head, expected_version=0, new_records=[record])
    accepted = record.finished(RecordState.ACCEPTED, at=record.deadline)
    ledger.save(accepted, expected_state=RecordState.PENDING, expected_attempts=0)


def message(agreement_id: str) -> dict[str, Any]:
    return {"Records": [{"messageId": "m1", "body": agreement_id, "eventSource": "aws:sqs"}]}


def test_what_is_to_be_given_back_is_drafted_once(
    settling: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert settling.handler(message("agr_1"), Context()) == {"batchItemFailures": []}
    assert emitted(capsys)["UnbalancedStatements"] == 0
    assert settling.handler(message("agr_1"), Context()) == {"batchItemFailures": []}
    (draft,) = CorrectionStore("Ledger").corrections("agr_1")
    assert (str(draft.key), draft.quantity) == ("agr_1.2026-10.1.requests", 5)
    assert (draft.state, draft.version) == (CorrectionState.DRAFTED, 1)


def test_a_draft_that_cannot_be_stored_is_left_to_the_next_delivery(
    settling: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(settling, "LEDGER", Unreachable("Ledger"))
        answer = settling.handler(message("agr_1"), Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    settling.handler(message("agr_1"), Context())
    assert len(CorrectionStore("Ledger").corrections("agr_1")) == 1


class Unreachable(CorrectionStore):
    """Gone once the agreement is settled."""

    def corrections(self, agreement_id: str) -> Any:
        return CorrectionStore("Missing").corrections(agreement_id)
