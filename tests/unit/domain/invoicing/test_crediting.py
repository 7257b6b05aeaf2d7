"""What persons give back: never more than a line or an invoice, and never twice for one thing."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import at
from invoicing_setup import DELAY, Invoicing, net_before, rich_plan
from invoicing_strategies import Arrival, deals, known
from meterbridge.domain.errors import InvariantError
from meterbridge.domain.invoicing.billing_documents import BillingDocument
from meterbridge.domain.invoicing.crediting import (
    CreditedLines,
    LineCredit,
    credit_faults,
    credit_note,
)
from meterbridge.domain.invoicing.invoice_periods import is_over, period_at
from meterbridge.domain.money import exact_sum
from meterbridge.domain.pricing.agreement_terms import AgreementTerms
from pricing_setup import terms, used

D = Decimal


def invoice() -> BillingDocument:
    """52.05 of usage, 99 and 250 of fees, less 50 of credits: 351.05."""
    (found,) = Invoicing(terms(rich_plan(minimum=None, discounts=()))).close(
        [used("2026-11-03T10", api=1500, gpu="26.82")]
    )
    return found


def codes(document: BillingDocument, *wanted: LineCredit, given: CreditedLines) -> list[str]:
    return [fault.code for fault in credit_faults(document, wanted, given)]


def test_a_deduction_and_a_line_of_nothing_have_nothing_to_give_back() -> None:
    document = invoice()
    nothing = CreditedLines(document.id)
    by_amount = {line.amount: line.number for line in document.lines}

    assert document.total == D("351.05")
    for amount in (D(-50), D(0)):
        credit = LineCredit(by_amount[amount], D("0.01"))
        assert codes(document, credit, given=nothing) == ["more_than_line"]
    full = LineCredit(by_amount[D(250)], D(250))
    assert codes(document, full, given=nothing) == []


def test_lines_together_never_give_back_more_than_the_invoice() -> None:
    document = invoice()
    by_amount = {line.amount: line.number for line in document.lines}
    fees = (LineCredit(by_amount[D(250)], D(250)), LineCredit(by_amount[D(99)], D(99)))

    assert codes(document, *fees, given=CreditedLines(document.id)) == []
    corrected = CreditedLines(document.id).with_correction(D(10))
    assert codes(document, *fees, given=corrected) == ["more_than_invoice"]
    before = CreditedLines(document.id).plus([LineCredit(by_amount[D(250)], D("0.01"))])
    assert codes(document, *fees, given=before) == ["more_than_line"]


def test_what_was_billed_directly_is_given_back_first() -> None:
    document = invoice()
    by_amount = {line.amount: line.number for line in document.lines}
    note = credit_note(
        document,
        [LineCredit(by_amount[D(250)], D(250))],
        document_id="crn_agr_1_20261210-a",
        reason="r",
        issued_by="me",
        at=at("2026-12-10T00"),
    )
    assert (note.total, note.billed_directly, note.billed_by_marketplace) == (
        D(-250),
        D(-250),
        D(0),
    )


def test_a_credit_note_cannot_be_credited() -> None:
    draft = invoice()
    with pytest.raises(InvariantError):
        credit_note(
            credit_note(
                draft, [], document_id="crn_agr_1_1-1", reason="", issued_by="", at=draft.as_of
            ),
            [],
            document_id="crn_agr_1_1-2",
            reason="",
            issued_by="",
            at=draft.as_of,
        )


@given(deals(), st.lists(st.integers(0, 100), min_size=6, max_size=6))
def test_documents_are_the_net_charge_and_what_persons_gave_back_covers_corrections_once(
    deal: tuple[AgreementTerms, list[Arrival]], shares: list[int]
) -> None:
    """After each month a share of its invoice is given back. What a correction takes off is covered
    by that as far as it goes; the rest is the documents'."""
    given_terms, given_arrivals = deal
    invoicing = Invoicing(given_terms)
    nets: dict[str, Decimal] = {}
    goodwill: dict[str, Decimal] = {}
    covered = D(0)
    for share in shares:
        period = invoicing.period
        if is_over(given_terms, period):
            break
        earlier = [period_at(given_terms, index) for index in range(period.index)]
        found = invoicing.close(known(given_arrivals, period.final_at(DELAY)))
        for each in (*earlier, period):
            now = net_before(invoicing.last, each.end) - net_before(invoicing.last, each.start)
            less = nets.get(each.key, now) - now
            nets[each.key] = now
            if less >= D("0.005"):
                used_up = min(less, goodwill[each.key])
                goodwill[each.key] -= used_up
                covered += used_up
        own = [each for each in found if each.id.startswith("inv_") and each.total > 0]
        goodwill[period.key] = D(0)
        for document in own:
            amount = (document.total * share / 100).quantize(D("0.01"))
            goodwill[period.key] += amount
            invoicing.account = invoicing.account.with_goodwill(period.key, amount)
        net = net_before(invoicing.last, period.end)
        assert exact_sum((invoicing.invoiced(), invoicing.account.rounding)) == net + covered
        kept = {each.key: each.goodwill for each in invoicing.account.periods}
        assert kept == {key: goodwill[key] for key in kept}
