"""However late usage comes, the documents of an agreement add up to its net charge."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given

from builders import at
from invoicing_setup import DELAY, Invoicing, net_before, rated, rich_plan
from invoicing_strategies import Arrival, deals, known
from meterbridge.domain.invoicing.billing_documents import DocumentKind, DocumentReference
from meterbridge.domain.invoicing.invoice_lines import LineKind
from meterbridge.domain.invoicing.invoice_periods import is_over
from meterbridge.domain.money import exact_sum
from meterbridge.domain.pricing.agreement_terms import AgreementTerms
from meterbridge.domain.pricing.models import PerUnit
from meterbridge.domain.pricing.tiers import Tier, Volume
from pricing_setup import plan, priced, terms, used

D = Decimal


@given(deals())
def test_documents_add_up_to_the_net_charge_after_every_period(
    deal: tuple[AgreementTerms, list[Arrival]],
) -> None:
    given_terms, given_arrivals = deal
    invoicing = Invoicing(given_terms)
    for _ in range(6):
        period = invoicing.period
        if is_over(given_terms, period):
            break
        invoicing.close(known(given_arrivals, period.final_at(DELAY)))
        net = net_before(invoicing.last, period.end)
        assert exact_sum((invoicing.invoiced(), invoicing.account.rounding)) == net
        assert abs(invoicing.account.rounding) < D("0.01")
    everything = rated(given_terms, known(given_arrivals, at("2028-01-01T00")), at("2027-06-01T00"))
    assert net_before(everything, period.end) == net


@given(deals())
def test_every_document_adds_up_and_has_one_sign(
    deal: tuple[AgreementTerms, list[Arrival]],
) -> None:
    given_terms, given_arrivals = deal
    invoicing = Invoicing(given_terms)
    for _ in range(5):
        if is_over(given_terms, invoicing.period):
            break
        invoicing.close(known(given_arrivals, invoicing.period.final_at(DELAY)))
    for document in invoicing.documents:
        assert exact_sum(line.amount for line in document.lines) == document.total
        assert [line.number for line in document.lines] == list(range(1, len(document.lines) + 1))
        assert sum(1 for line in document.lines if line.kind is LineKind.ROUNDING) <= 1
        assert abs(document.rounding) < D("0.02")
        parts = (document.charges, document.deductions, document.adjustments, document.rounding)
        assert exact_sum(parts) == document.total
        if document.kind is DocumentKind.CREDIT_NOTE:
            assert document.total < 0
        else:
            assert document.total >= 0
            assert document.refers_to is None


def test_usage_that_comes_after_the_invoice_is_on_the_next_one_by_name() -> None:
    invoicing = Invoicing(terms(plan(priced(PerUnit(D("0.5")), name="Calls"))))
    early, late = used("2026-11-10T10", api=100), used("2026-11-30T23", api=7)
    (november,) = invoicing.close([early])
    (december,) = invoicing.close([early, late, used("2026-12-02T10", api=10)])

    assert november.total == D(50)
    own, adjustment = december.lines
    assert (own.kind, own.amount) == (LineKind.USAGE, D(5))
    assert (adjustment.kind, adjustment.quantity, adjustment.amount) == (
        LineKind.ADJUSTMENT,
        D(7),
        D("3.5"),
    )
    assert adjustment.description == "Calls: correction of 2026-11-01 to 2026-11-30"
    assert (adjustment.period_key, adjustment.since) == ("20261101", at("2026-12-04T00"))
    assert december.total == D("8.5")


def test_usage_that_lowers_a_volume_price_is_credited_with_reference_to_its_invoice() -> None:
    """90 × 2 = 180 are invoiced; 20 more make 110 × 1 = 110: 70 are given back."""
    price = Volume((Tier(D(100), D(2)), Tier(None, D(1))))
    invoicing = Invoicing(terms(plan(priced(price))))
    early, late = used("2026-11-10T10", api=90), used("2026-11-29T10", api=20)
    (november,) = invoicing.close([early])
    december, credit = invoicing.close([early, late, used("2026-12-10T10", api=1)])

    assert (november.total, december.total, credit.total) == (D(180), D(2), D(-70))
    assert credit.kind is DocumentKind.CREDIT_NOTE
    assert credit.id == "crn_agr_1_20261201-20261101"
    assert credit.refers_to == DocumentReference("inv_agr_1_20261101", "")
    assert (credit.period_start, credit.period_end) == (november.period_start, november.period_end)
    assert "changed after it was invoiced" in credit.reason


def test_late_usage_after_an_agreements_end_still_gets_a_document() -> None:
    given_terms = terms(plan(), end="2026-11-20T00")
    invoicing = Invoicing(given_terms)
    early, late = used("2026-11-10T10", api=3), used("2026-11-19T23", api=4)

    (november,) = invoicing.close([early])
    assert not is_over(given_terms, invoicing.period)
    (december,) = invoicing.close([early, late])

    assert (november.total, december.total) == (D(3), D(4))
    assert [line.kind for line in december.lines] == [LineKind.ADJUSTMENT]
    assert is_over(given_terms, invoicing.period)


def test_a_minimum_that_late_usage_uses_up_changes_lines_but_not_the_total() -> None:
    """78 of usage are made up to 500 with the fees; 10 more late only move 10 from one to the other."""
    only = rich_plan(trial=None, discounts=(), credits=())
    invoicing = Invoicing(terms(only))
    early, late = used("2026-11-10T10", gpu=4), used("2026-11-29T10", gpu=4)
    (november,) = invoicing.close([early])
    (december,) = invoicing.close([early, late])

    assert november.total == D(500)
    moved = {line.code: line.amount for line in december.lines if line.kind is LineKind.ADJUSTMENT}
    assert moved == {"gpu": D(10), "minimum_charge": D(-10)}
    assert december.total == D(500)


def test_what_a_person_gave_back_covers_a_later_correction() -> None:
    """180 invoiced, 50 given back; then usage lowers the charge by 70: only 20 more are credited."""
    price = Volume((Tier(D(100), D(2)), Tier(None, D(1))))
    invoicing = Invoicing(terms(plan(priced(price))))
    early, late = used("2026-11-10T10", api=90), used("2026-11-29T10", api=20)
    invoicing.close([early])
    invoicing.account = invoicing.account.with_goodwill("20261101", D(50))
    (credit,) = invoicing.close([early, late])

    assert [(line.kind, line.amount) for line in credit.lines] == [
        (LineKind.ADJUSTMENT, D(-70)),
        (LineKind.COVERED, D(50)),
    ]
    assert credit.total == D(-20)
    assert [each.goodwill for each in invoicing.account.periods] == [D(0), D(0)]


def test_a_correction_that_was_given_back_already_makes_no_document() -> None:
    price = Volume((Tier(D(100), D(2)), Tier(None, D(1))))
    invoicing = Invoicing(terms(plan(priced(price))))
    early, late = used("2026-11-10T10", api=90), used("2026-11-29T10", api=20)
    invoicing.close([early])
    invoicing.account = invoicing.account.with_goodwill("20261101", D(100))

    assert invoicing.close([early, late]) == []
    assert [each.goodwill for each in invoicing.account.periods] == [D(30), D(0)]
    assert invoicing.invoiced() == D(180)
