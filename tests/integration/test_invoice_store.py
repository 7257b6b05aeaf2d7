"""The store of invoices and its fake keep the same promises; numbers have no gap and no double."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from threading import RLock
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient

from builders import at
from dynamodb import REGION, make_table, mocked_table
from fakes.invoice_store import FakeInvoiceStore
from fakes.registry import FakeRegistry
from invoicing_setup import DELAY, SELLER, facts, rated, subject
from killing import Killed
from meterbridge.adapters.dynamodb.invoice_admin import InvoiceAdminStore
from meterbridge.adapters.dynamodb.transactions import Transaction
from meterbridge.application.invoice_ports import DocumentQuery, IssuingRun
from meterbridge.domain.errors import (
    InvariantError,
    NotFoundError,
    StaleVersionError,
    StoreUnavailableError,
)
from meterbridge.domain.invoicing.billing_documents import BillingDocument, DocumentKind
from meterbridge.domain.invoicing.crediting import CreditedLines, LineCredit, credit_note
from meterbridge.domain.invoicing.invoice_account import InvoiceAccount
from meterbridge.domain.invoicing.invoice_periods import period_at
from meterbridge.domain.invoicing.invoicing_rules import InvoicingRules
from meterbridge.domain.invoicing.issuing import Issue, issue
from meterbridge.domain.pricing.models import PerUnit
from pricing_setup import plan, priced, terms, used

D = Decimal
TABLE, ANSWERS = "Invoices", "Registry"
RULES = InvoicingRules(SELLER)
ISSUED = at("2026-12-04T00")


def made_for(
    agreement_id: str, account: InvoiceAccount | None = None, *, dimensions: int = 1
) -> Issue:
    """What is to be issued of an agreement's next period: 7 calls, or several dimensions."""
    codes = [f"d{number:04d}" for number in range(dimensions)]
    given = terms(plan(*(priced(PerUnit(D(2)), code) for code in codes)))
    before = account or InvoiceAccount(agreement_id)
    period = period_at(given, before.next_index)
    as_of = period.final_at(DELAY)
    hours = rated(
        given,
        [
            used("2026-11-10T10", **dict.fromkeys(codes, 7)),
            used("2026-12-10T10", **dict.fromkeys(codes, 9)),
        ],
        as_of - timedelta(hours=1),
    )
    return issue(
        period, before, facts(given, hours, as_of, subject=subject(agreement_id=agreement_id))
    )


@pytest.fixture
def real() -> Iterator[InvoiceAdminStore]:
    with mocked_table(TABLE, "listed"):
        make_table(ANSWERS, "ref", "by_reference")
        yield InvoiceAdminStore(TABLE, answers_table=ANSWERS)


@pytest.fixture(params=["fake", "dynamodb"])
def store(request: pytest.FixtureRequest) -> Any:
    if request.param == "fake":
        return FakeInvoiceStore(FakeRegistry())
    return request.getfixturevalue("real")


def listed(store: Any, **changes: Any) -> list[str]:
    query = DocumentQuery(frozenset({"prd_llm"}), **changes)
    return [summary.number for summary in store.documents(query, "")]


def test_a_document_comes_back_as_it_was_issued(store: Any) -> None:
    (invoice,) = store.issue(made_for("agr_1"), RULES, ISSUED)

    assert invoice.number == "MB-000001"
    assert invoice.issued_at == ISSUED
    assert store.document("inv_agr_1_20261101") == invoice
    assert store.numbered("MB-000001") == "inv_agr_1_20261101"
    account = store.account("agr_1")
    assert (account.version, account.next_index) == (1, 1)
    assert account.last_invoice.number == account.periods[0].invoice.number == "MB-000001"
    assert store.accounts(["agr_1", "agr_2"]) == {"agr_1": account}


@pytest.mark.parametrize(
    "unknown", ["", "x", "inv_agr_1_20250101", "inv__", "draft_agr_1_20261101"]
)
def test_what_is_not_there_is_not_found(store: Any, unknown: str) -> None:
    store.issue(made_for("agr_1"), RULES, ISSUED)

    with pytest.raises(NotFoundError):
        store.document(unknown)
    with pytest.raises(NotFoundError):
        store.numbered("MB-000002")


def test_a_period_is_issued_once_whoever_tries_again(store: Any) -> None:
    made = made_for("agr_1")
    store.issue(made, RULES, ISSUED)

    with pytest.raises(StaleVersionError):
        store.issue(made, RULES, ISSUED)

    (other,) = store.issue(made_for("agr_2"), RULES, ISSUED)
    assert other.number == "MB-000002"
    assert sorted(listed(store)) == ["MB-000001", "MB-000002"]


def test_every_series_counts_for_itself_and_a_new_prefix_begins_at_one(store: Any) -> None:
    store.issue(made_for("agr_1"), RULES, ISSUED)
    (second,) = store.issue(made_for("agr_2"), replace(RULES, prefix="2027-"), ISSUED)
    note = credit(store, "inv_agr_1_20261101", "5")
    (third,) = store.issue(made_for("agr_3"), RULES, ISSUED)

    assert (second.number, note.number, third.number) == (
        "2027-000001",
        "MB-CN-000001",
        "MB-000002",
    )


def credit(store: Any, invoice_id: str, amount: str, token: str = "abc") -> BillingDocument:
    invoice = store.document(invoice_id)
    given = [LineCredit(1, D(amount))]
    note = credit_note(
        invoice,
        given,
        document_id=f"crn_{invoice.subject.agreement_id}_20261210-{token}",
        reason="goodwill",
        issued_by="me",
        at=at("2026-12-10T00"),
    )
    account = store.account(invoice.subject.agreement_id).with_goodwill(
        invoice.period_key, D(amount)
    )
    credited = store.credited(invoice_id).plus(given)
    return store.credit(note, credited, account, RULES, at("2026-12-10T00"), lambda _: None)


def test_a_credit_note_is_written_with_what_was_credited(store: Any) -> None:
    store.issue(made_for("agr_1"), RULES, ISSUED)
    note = credit(store, "inv_agr_1_20261101", "5")

    assert store.document(note.id) == note
    assert note.refers_to is not None
    assert note.refers_to.number == "MB-000001"
    assert store.credited("inv_agr_1_20261101") == CreditedLines("inv_agr_1_20261101", 1, {1: D(5)})
    assert store.account("agr_1").periods[0].goodwill == 5
    stale = CreditedLines("inv_agr_1_20261101").plus([LineCredit(1, D(1))])
    with pytest.raises(StaleVersionError):
        store.credit(
            replace(note, id="crn_agr_1_20261210-def"), stale, None, RULES, ISSUED, lambda _: None
        )
    assert sorted(listed(store)) == ["MB-000001", "MB-CN-000001"]


def test_lists_are_by_agreement_in_order_and_of_all_newest_first(store: Any) -> None:
    for agreement_id in ("agr_1", "agr_2"):
        store.issue(made_for(agreement_id), RULES, ISSUED)
    store.issue(made_for("agr_1", store.account("agr_1")), RULES, at("2027-01-04T00"))
    credit(store, "inv_agr_1_20261101", "5")

    own = store.of_agreement("agr_1", "", 10)
    assert [each.number for each in own] == ["MB-000001", "MB-000003", "MB-CN-000001"]
    assert [each.id for each in store.of_agreement("agr_1", own[0].id, 1)] == [own[1].id]
    assert listed(store) == ["MB-000003", "MB-CN-000001", "MB-000002", "MB-000001"]
    assert listed(store, kind=DocumentKind.CREDIT_NOTE) == ["MB-CN-000001"]
    assert listed(
        store, issued_from=ISSUED + timedelta(days=1), issued_before=at("2027-01-01T00")
    ) == ["MB-CN-000001"]
    query = DocumentQuery(frozenset({"prd_llm"}))
    first, *rest = store.documents(query, "")
    assert list(store.documents(query, first.place)) == rest
    assert list(store.documents(DocumentQuery(frozenset({"prd_other"})), "")) == []
    assert list(store.documents(DocumentQuery(frozenset()), "")) == []


def test_failures_are_kept_until_they_are_cleared(store: Any) -> None:
    store.note_failure("agr_1", "20261101", "no meter", at("2026-12-04T01"))
    store.note_failure("agr_1", "20261101", "no meter", at("2026-12-04T02"))
    store.note_failure("agr_2", "", "no plan", at("2026-12-04T02"))

    first, second = store.failures()
    assert (first.agreement_id, first.attempts) == ("agr_1", 2)
    assert (first.since, first.failed_at) == (at("2026-12-04T01"), at("2026-12-04T02"))
    assert store.failures({"agr_2"}) == [second]
    store.clear_failure("agr_1")
    store.clear_failure("agr_3")
    assert store.failures() == [second]


def test_the_last_run_is_kept(store: Any) -> None:
    assert store.run() is None
    run = IssuingRun(ISSUED, "agr_7", 3, 1, 0)
    store.save_run(run)
    assert store.run() == run


def test_a_document_of_5000_lines_is_kept_in_parts_and_one_more_line_is_refused(store: Any) -> None:
    (invoice,) = store.issue(made_for("agr_1", dimensions=5000), RULES, ISSUED)

    assert len(invoice.lines) == 5000
    assert store.document(invoice.id) == invoice
    with pytest.raises(InvariantError, match="5001 lines"):
        made_for("agr_2", dimensions=5001)


def test_many_issuers_at_once_leave_no_gap_and_no_double(
    real: InvoiceAdminStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every agreement is issued by two at the same time; 24 documents get the numbers 1 to 24."""
    # moto takes one call at a time; between calls the threads go as they like.
    one_at_a_time, call = RLock(), BaseClient._make_api_call

    def locked(client: BaseClient, *args: Any) -> Any:
        with one_at_a_time:
            return call(client, *args)

    monkeypatch.setattr(BaseClient, "_make_api_call", locked)
    stores = [InvoiceAdminStore(TABLE, answers_table=ANSWERS) for _ in range(4)]

    def attempt(job: int) -> int:
        made = made_for(f"agr_{job % 24}")
        for _ in range(50):
            try:
                return len(stores[job % 4].issue(made, RULES, ISSUED))
            except StoreUnavailableError:
                continue
            except StaleVersionError:
                return 0
        raise AssertionError("never issued")

    with ThreadPoolExecutor(8) as pool:
        issued = list(pool.map(attempt, range(48)))

    assert sum(issued) == 24
    assert sorted(listed(real)) == [f"MB-{number:06d}" for number in range(1, 25)]
    assert {real.numbered(f"MB-{number:06d}") for number in range(1, 25)} == {
        f"inv_agr_{number}_20261101" for number in range(24)
    }


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_issuer_that_is_killed_leaves_all_or_nothing(
    real: InvoiceAdminStore, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    commit = Transaction.commit

    def killed(transaction: Transaction) -> None:
        if moment == "after":
            commit(transaction)
        raise Killed

    made = made_for("agr_1")
    with monkeypatch.context() as patched:
        patched.setattr(Transaction, "commit", killed)
        with pytest.raises(Killed):
            real.issue(made, RULES, ISSUED)

    if moment == "before":
        assert (real.account("agr_1"), listed(real)) == (None, [])
        real.issue(made, RULES, ISSUED)
    else:
        with pytest.raises(StaleVersionError):
            real.issue(made, RULES, ISSUED)
    real.issue(made_for("agr_2"), RULES, ISSUED)
    assert sorted(listed(real)) == ["MB-000001", "MB-000002"]


def test_a_number_stands_in_exactly_one_item_beside_its_document(real: InvoiceAdminStore) -> None:
    real.issue(made_for("agr_1"), RULES, ISSUED)
    items = boto3.client("dynamodb", region_name=REGION).scan(TableName=TABLE)["Items"]

    assert sorted((item["pk"]["S"], item["sk"]["S"]) for item in items) == [
        ("agreement#agr_1", "account"),
        ("agreement#agr_1", "document#20261101#inv"),
        ("agreement#agr_1", "part#20261101#inv#0000"),
        ("number#MB-000001", "number"),
        ("series#MB-", "counter"),
    ]
