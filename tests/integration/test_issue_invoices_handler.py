"""The issuing function as deployed: what it answers, and the metrics that the alarms look at."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from os import environ
from types import ModuleType
from unittest.mock import patch

import pytest

from builders import agreement, at, dimension, offering, product
from dynamodb import make_table, mocked_table
from lambda_setup import Context, emitted
from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.adapters.dynamodb.usage_store import UsageStore
from meterbridge.domain.agreements import Customer
from meterbridge.domain.errors import SettingsError
from meterbridge.domain.meter_states import SumState
from meterbridge.domain.partitions import Partition
from meterbridge.domain.usage import FoldHead, FoldPosition, HourlyUsage
from usage_events import meter

SETTINGS = {
    "REGISTRY_TABLE": "Registry",
    "USAGE_TABLE": "Usage",
    "LEDGER_TABLE": "Ledger",
    "INVOICES_TABLE": "Invoices",
    "SELLER_NAME": "Meterworks GmbH",
    "SELLER_ADDRESS": "Lindenstraße 12 | 10969 Berlin |",
    "INVOICE_PREFIX": "INV-",
    "INVOICE_DAYS": "5",
}


def load(**changes: str) -> ModuleType:
    with patch.dict(environ, {**SETTINGS, **changes}):
        sys.modules.pop("issue_invoices.handler", None)
        return importlib.import_module("issue_invoices.handler")


@pytest.fixture
def usage() -> Iterator[None]:
    """Seven requests at 0.01 in January 2026, by a customer with an agreement that has ended."""
    with mocked_table("Registry", "ref", "by_reference"):
        make_table("Ledger", "pending")
        make_table("Usage")
        make_table("Invoices", "listed")
        registry = RegistryStore("Registry")
        registry.add_product(product())
        registry.add_meter(meter(id="mtr_requests"))
        registry.add_offering(offering(dimension()), {"mtr_requests": 1})
        registry.add_customer(Customer("acme", "Acme"))
        registry.add_agreement(
            agreement(starts_at=at("2026-01-01T00"), ends_at=at("2026-02-01T00"))
        )
        hour, position = at("2026-01-10T10"), FoldPosition(1, 1)
        states = {"mtr_requests": {(): SumState(Decimal(7))}}
        row = HourlyUsage("prd_llm", "acme", hour, states, position, hour, hour)
        head = FoldHead(Partition(hour, 0), position, "1", hour, hour, 1, 0, 0)
        UsageStore("Usage").advance(head, [row])
        yield


def test_a_run_issues_what_is_due_and_the_next_one_nothing(
    usage: None, capsys: pytest.CaptureFixture[str]
) -> None:
    module = load()
    first = module.handler({}, Context())
    metrics = emitted(capsys)
    second = module.handler({}, Context())
    store = module.SOURCES.invoices

    assert datetime.now(UTC) > at("2026-02-06T00")
    assert first == {
        "issues": True,
        "invoices": 1,
        "credit_notes": 0,
        "failing": 0,
        "finished": True,
    }
    assert second["invoices"] == 0
    assert metrics == {"InvoicesIssued": 1, "CreditNotesIssued": 0, "InvoicesFailed": 0}
    invoice = store.document(store.numbered("INV-000001"))
    assert invoice.total == Decimal("0.07")
    assert invoice.seller.address == ("Lindenstraße 12", "10969 Berlin")
    assert (invoice.final_at, invoice.buyer.name) == (at("2026-02-06T00"), "Acme")


def test_an_invoice_that_cannot_be_made_is_counted_until_it_can(
    usage: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load()
    with monkeypatch.context() as patched:
        patched.setattr("meterbridge.domain.invoicing.billing_documents.MAX_LINES", 0)
        failed = module.handler({}, Context())
        metrics = emitted(capsys)
    again = module.handler({}, Context())

    assert (failed["failing"], failed["invoices"]) == (1, 0)
    assert metrics["InvoicesFailed"] == 1
    assert (again["failing"], again["invoices"]) == (0, 1)


def test_without_a_seller_nothing_is_issued(usage: None) -> None:
    answer = load(SELLER_NAME="").handler({}, Context())

    assert (answer["issues"], answer["invoices"]) == (False, 0)


def test_a_delay_that_is_no_number_is_refused() -> None:
    with pytest.raises(SettingsError, match="INVOICE_DAYS must be a whole number of days"):
        load(INVOICE_DAYS="three")
