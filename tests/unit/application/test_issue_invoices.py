"""Invoices become final three days after their period, once, whatever happens to the run."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from builders import agreement, at
from invoiced_world import InvoicedWorld
from invoicing_setup import DELAY, SELLER, rich_plan
from killing import Killed
from meterbridge.application.issue_invoices import issue_next
from meterbridge.application.read_invoices import drafts_of, read_document
from meterbridge.domain.agreements import AgreementState, AwsBuyerReference, Customer
from meterbridge.domain.errors import NotFoundError, StoreUnavailableError
from meterbridge.domain.invoicing.billing_documents import DocumentKind, DocumentState, Seller
from meterbridge.domain.invoicing.invoice_lines import LineKind
from meterbridge.domain.invoicing.invoicing_rules import InvoicingRules
from meterbridge.domain.invoicing.marketplace_lines import DifferenceCause
from meterbridge.domain.pricing.cycles import CycleKind
from meterbridge.domain.pricing.models import PerUnit
from meterbridge.domain.pricing.plan_terms import SubscriptionFee
from meterbridge.domain.pricing.tiers import Graduated, Tier, Volume
from pricing_setup import plan, priced
from rated_world import in_cents, natively

D = Decimal
CALLS = plan(priced(PerUnit(D("0.5")), name="Calls"), reporting=natively("api"))


def test_an_invoice_is_a_draft_until_three_days_after_its_month() -> None:
    world = InvoicedWorld(CALLS)
    world.use("2026-11-24T10", api=7)

    assert world.issue("2026-12-03T23:59").invoices == 0
    (draft,) = drafts_of(world.agreement, world.sources, world.clock.now())
    assert (draft.id, draft.state, draft.number) == (
        "draft_agr_1_20261101",
        DocumentState.DRAFT,
        "",
    )
    assert (draft.total, draft.final_at) == (D("3.5"), at("2026-12-04T00"))
    summary = world.issue("2026-12-04T00")

    assert (summary.invoices, summary.finished, summary.failing) == (1, True, 0)
    (invoice,) = world.documents()
    assert (invoice.number, invoice.total, invoice.issued_at) == (
        "MB-000001",
        D("3.5"),
        at("2026-12-04T00"),
    )
    assert invoice.seller == SELLER
    assert read_document("draft_agr_1_20261101", world.sources, world.clock.now()) == invoice
    assert world.issue().invoices == 0


def test_a_draft_of_a_month_to_come_or_of_nothing_is_not_there() -> None:
    world = InvoicedWorld(CALLS)

    assert list(drafts_of(world.agreement, world.sources, world.clock.now())) == []
    for unknown in ("draft_agr_1_20261201", "draft_agr_1_x", "draft_agr_2_20261101", "draft_"):
        with pytest.raises(NotFoundError):
            read_document(unknown, world.sources, world.clock.now())


def test_the_buyer_and_the_plan_are_named_as_they_are_then() -> None:
    world = InvoicedWorld(CALLS)
    world.registry.save_customer(Customer("acme", "Acme & Söhne"), 1)
    world.use("2026-11-24T10", api=7)
    world.issue("2026-12-04T00")
    world.registry.save_customer(Customer("acme", "Renamed"), 2)

    (invoice,) = world.documents()
    assert (invoice.buyer.name, invoice.subject.product_name) == ("Acme & Söhne", "LLM")
    assert invoice.buyer.reference["customer_aws_account_id"] == "111122223333"


def test_anniversary_months_are_invoiced_from_the_agreements_own_start() -> None:
    monthly = plan(priced(PerUnit(D(1))), cycle=CycleKind.ANNIVERSARY, reporting=natively("api"))
    world = InvoicedWorld(monthly, starts_at=at("2026-10-15T09:30"))
    world.use("2026-11-15T08", api=3)
    world.use("2026-11-15T09", api=4)

    world.issue("2026-11-18T08:59")
    assert world.documents() == []
    world.issue("2026-11-18T09:00")
    (october,) = world.documents()
    assert (october.id, october.total) == ("inv_agr_1_20261015", D(3))
    assert (october.period_start, october.period_end) == (
        at("2026-10-15T09"),
        at("2026-11-15T09"),
    )
    world.issue("2026-12-18T09:00")
    assert world.documents()[1].total == 4


def test_an_annual_agreement_is_invoiced_by_the_month() -> None:
    """12,000 in the year at most; the second month goes on in the year's tiers."""
    tiers = Graduated((Tier(D(10), D(2)), Tier(None, D(1))))
    yearly = plan(
        priced(tiers),
        cycle=CycleKind.ANNUAL,
        fees=(SubscriptionFee("base", D(1200)),),
        reporting=in_cents("api", "base"),
    )
    world = InvoicedWorld(yearly, starts_at=at("2026-09-01T00"))
    world.use("2026-09-10T10", api=8)
    world.use("2026-10-10T10", api=8)
    world.issue("2026-11-04T00")

    september, october = world.documents()
    assert (september.total, october.total) == (D(1216), D(10))
    assert [line.description for line in october.lines] == [
        "Api: tier 1 (up to 10)",
        "Api: tier 2 (over 10)",
    ]


def test_months_that_were_missed_are_caught_up_in_one_run() -> None:
    world = InvoicedWorld(CALLS, starts_at=at("2026-09-01T00"))
    for month in ("09", "10", "11"):
        world.use(f"2026-{month}-10T10", api=2)

    assert world.issue("2026-12-04T00").invoices == 3
    assert [each.period_key for each in world.documents()] == ["20260901", "20261001", "20261101"]
    assert [each.number for each in world.documents()] == ["MB-000001", "MB-000002", "MB-000003"]


def test_a_run_that_runs_out_of_time_is_gone_on_with() -> None:
    """Of five agreements with a fee, each takes two looks at the time that is left."""
    base = plan(fees=(SubscriptionFee("base", D(10)),), reporting=in_cents("api", "base"))
    world = InvoicedWorld(base)
    for number in range(2, 6):
        world.registry.add_customer(Customer(f"c{number}"))
        world.registry.add_agreement(
            agreement(
                id=f"agr_{number}",
                customer_id=f"c{number}",
                plan_code="p0",
                aws=AwsBuyerReference("111122223333", f"arn:{number}"),
            )
        )
    left = iter([True] * 6 + [False])
    first = world.issue("2026-12-04T00", may_go_on=lambda: next(left))
    run = world.invoices.run()
    second = world.issue()

    assert (first.invoices, first.finished, run.resume_after) == (3, False, "agr_3")
    assert (second.invoices, second.finished) == (2, True)
    assert world.invoices.run().resume_after == ""
    numbers = [world.documents(f"agr_{number}")[0].number for number in range(1, 6)]
    assert numbers == [f"MB-{number:06d}" for number in range(1, 6)]


def test_an_agreement_that_cannot_be_invoiced_is_noted_and_the_others_go_on() -> None:
    world = InvoicedWorld(CALLS)
    world.use("2026-11-24T10", api=7)
    product = world.registry.product
    missing: list[str] = ["prd_llm"]

    def product_of(product_id: str) -> Any:
        if product_id in missing:
            raise NotFoundError(product_id)
        return product(product_id)

    world.registry.product = product_of  # type: ignore[method-assign]
    failed = world.issue("2026-12-04T00")
    again = world.issue("2026-12-04T01")

    assert failed.failed == {"agr_1": "NotFoundError: prd_llm"}
    assert (again.failing, world.documents()) == (1, [])
    (failure,) = world.invoices.failures()
    assert (failure.agreement_id, failure.attempts) == ("agr_1", 2)
    assert failure.since == at("2026-12-04T00")
    missing.clear()
    done = world.issue("2026-12-04T02")
    assert (done.invoices, done.failing, world.invoices.failures()) == (1, 0, [])


def test_a_failure_that_somebody_else_has_overcome_does_not_stay() -> None:
    world = InvoicedWorld(CALLS)
    world.use("2026-11-24T10", api=7)
    world.issue("2026-12-04T00")
    world.invoices.note_failure("agr_1", "20261101", "late", world.clock.now())

    assert world.issue().failing == 0
    assert world.invoices.failures() == []


def test_nothing_becomes_final_while_it_is_not_known_who_the_seller_is() -> None:
    world = InvoicedWorld(CALLS)
    world.use("2026-11-24T10", api=7)
    world.rules = InvoicingRules(Seller())

    assert world.issue("2026-12-04T00").invoices == 0
    assert world.documents() == []


def test_a_pending_agreement_is_invoiced_only_once_it_is_accepted() -> None:
    world = InvoicedWorld(CALLS, state=AgreementState.PENDING)
    world.use("2026-11-24T10", api=7)

    assert world.issue("2026-12-04T00").invoices == 0
    world.change(state=AgreementState.ACTIVE)
    assert world.issue().invoices == 1


def test_a_store_that_fails_stops_the_run_and_the_next_one_goes_on() -> None:
    world = InvoicedWorld(CALLS)
    world.use("2026-11-24T10", api=7)
    issue = world.invoices.issue

    def failing(*_: Any) -> Any:
        raise StoreUnavailableError("down")

    world.invoices.issue = failing
    with pytest.raises(StoreUnavailableError):
        world.issue("2026-12-04T00")
    world.invoices.issue = issue

    assert world.invoices.failures() == []
    assert world.issue().invoices == 1


def test_a_run_that_is_killed_after_writing_does_not_write_again() -> None:
    world = InvoicedWorld(CALLS)
    world.use("2026-11-24T10", api=7)
    issue = world.invoices.issue

    def killed(*given: Any) -> Any:
        issue(*given)
        raise Killed

    world.invoices.issue = killed
    with pytest.raises(Killed):
        world.issue("2026-12-04T00")
    world.invoices.issue = issue

    assert world.issue().invoices == 0
    assert [each.number for each in world.documents()] == ["MB-000001"]


def test_of_two_runs_at_once_one_issues_and_the_other_finds_it_done() -> None:
    world = InvoicedWorld(CALLS)
    world.use("2026-11-24T10", api=7)
    world.go_to("2026-12-04T00")
    issue = world.invoices.issue

    def overtaken(*given: Any) -> Any:
        world.invoices.issue = issue
        assert world.issue().invoices == 1
        return issue(*given)

    world.invoices.issue = overtaken
    assert issue_next(world.agreement, world.sources, world.clock.now()) == ()
    assert [each.number for each in world.documents()] == ["MB-000001"]


def test_late_usage_is_on_the_next_invoice_and_a_lower_price_on_a_credit_note() -> None:
    """60 × 2 = 120; then 50 more in November make 110 × 1 = 110: 10 are given back."""
    price = Volume((Tier(D(100), D(2)), Tier(None, D(1))))
    world = InvoicedWorld(plan(priced(price), reporting=in_cents("api")))
    world.use("2026-11-24T10", api=60)
    world.issue("2026-12-04T00")
    world.use("2026-11-30T10", api=50)
    world.use("2026-12-24T10", api=1)
    summary = world.issue("2027-01-04T00")

    assert (summary.invoices, summary.credit_notes) == (1, 1)
    november, december, credit = (
        world.document(number) for number in ("MB-000001", "MB-000002", "MB-CN-000001")
    )
    assert (november.total, december.total, credit.total) == (D(120), D(2), D(-10))
    assert credit.kind is DocumentKind.CREDIT_NOTE
    assert credit.refers_to is not None
    assert credit.refers_to.number == "MB-000001"
    assert world.invoices.credited(november.id).corrected == 10


def test_an_invoice_says_what_the_marketplace_bills_and_why_it_is_another_amount() -> None:
    """57 of tiers less 20 % is 45.6, 50.3075 of GPU hours and 99 of a fee: 194.9075, less 50 of credits
    144.9075: 14,490 cents, and 0.0075 that are carried. The set-up fee of 250 is billed apart."""
    reporting = in_cents("api", "gpu", "base")
    terms = rich_plan(
        minimum=None,
        reporting=tuple(
            type(each)(each.channel, each.dimensions, frozenset({"setup"})) for each in reporting
        ),
    )
    world = InvoicedWorld(terms)
    for hour, api, gpu in (("03T10", 1500, "4.123"), ("20T09", 9000, 26), ("28T23", 2000, 0)):
        world.use(f"2026-11-{hour}", api=api, gpu=gpu)
        world.settle(f"2026-11-{hour[:2]}T23:59" if hour != "28T23" else "2026-11-29T00:30")
    world.settle("2026-12-01T01:00")
    world.issue("2026-12-04T00")

    (invoice,) = world.documents()
    (line,) = invoice.marketplace
    assert invoice.total == D("394.91")
    assert (invoice.billed_by_marketplace, invoice.billed_directly) == (D("144.91"), D(250))
    assert (line.quantity, line.unit_price, line.amount) == (D(14490), D("0.01"), D("144.9"))
    assert line.expected_amount == D("144.9075")
    assert line.differences == {DifferenceCause.CARRIED: D("0.0075")}


def test_final_documents_add_up_however_they_were_issued() -> None:
    world = InvoicedWorld(CALLS)
    world.use("2026-11-24T10", api="7.005")
    world.issue("2026-12-04T00")
    world.use("2026-11-30T23", api="1.001")
    world.use("2026-12-01T00", api="2")
    world.issue("2027-01-04T00")
    world.issue("2027-02-04T00")

    documents = world.documents()
    assert [each.total for each in documents] == [D("3.5"), D("1.5")]
    account = world.invoices.account("agr_1")
    assert sum(each.total for each in documents) + account.rounding == D("10.006") * D("0.5")
    kinds = [line.kind for line in documents[1].lines]
    assert kinds == [LineKind.USAGE, LineKind.ADJUSTMENT, LineKind.ROUNDING]
    assert world.clock.now() - DELAY == at("2027-02-01T00")
