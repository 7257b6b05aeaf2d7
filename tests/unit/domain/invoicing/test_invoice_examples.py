"""Invoices computed by hand, to the cent and to the last digit."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from builders import at
from invoicing_setup import Invoicing, rich_plan, rows
from meterbridge.domain.invoicing.billing_documents import DocumentKind
from meterbridge.domain.invoicing.invoice_lines import LineKind
from meterbridge.domain.pricing.models import (
    Dimensional,
    GroupPrice,
    Package,
    Percentage,
    Waterfall,
    WaterfallStep,
)
from meterbridge.domain.pricing.models import PerUnit as Each
from meterbridge.domain.pricing.plan_terms import SeatFee, SpendCap, TopUp
from meterbridge.domain.pricing.tiers import Tier, Volume
from pricing_setup import plan, priced, terms, used

D = Decimal

USAGE = (
    used("2026-11-03T10", api=400, gpu="4.123"),
    used("2026-11-03T11", api=1100),
    used("2026-11-20T09", api=9000, gpu=26),
    used("2026-11-28T23", api=2000),
)
"""api: 12,500, of which 500 are included. gpu: 30.123, of which 10 are on trial."""


def test_tiers_trial_discount_credits_minimum_and_fees_come_to_450_dollars() -> None:
    """1,000 × 0.01 + 9,000 × 0.005 + 2,000 × 0.001 = 57, less 20 % = 45.6; 20.123 × 2.5 = 50.3075;
    fees 99 + 250; together 444.9075, made up to 500 by 55.0925; less 50 of credits."""
    (invoice,) = Invoicing(terms(rich_plan())).close(USAGE)

    assert rows(invoice) == [
        ("API calls: included in the plan", "500", "0", "0"),
        ("API calls: tier 1 (up to 1,000)", "1000", "0.01", "10"),
        ("API calls: tier 2 (over 1,000 up to 10,000)", "9000", "0.005", "45"),
        ("API calls: tier 3 (over 10,000)", "2000", "0.001", "2"),
        ("GPU hours: free trial", "10.000", "0", "0"),
        ("GPU hours", "20.123", "2.5", "50.3075"),
        ("Base: subscription fee", "0", "", "99"),
        ("Setup: one-off fee", "0", "", "250"),
        ("Minimum charge: made up to the minimum charge", "0", "", "55.0925"),
        ("Discount: launch (20 %)", "0", "", "-11.4"),
        ("Prepaid credits: welcome", "0", "", "-50"),
    ]
    assert invoice.kind is DocumentKind.INVOICE
    assert invoice.charges == D("511.4")
    assert invoice.deductions == D("-61.4")
    assert (invoice.rounding, invoice.total) == (D(0), D(450))
    assert (invoice.billed_by_marketplace, invoice.billed_directly) == (D(0), D(450))


def test_the_one_rounding_is_a_line_and_what_it_left_comes_back() -> None:
    """444.9075 − 50 = 394.9075: 394.91 with 0.0025 of rounding. In December 20.123 × 2.5 = 50.3075
    and the fee of 99 come to 149.3075; less the 0.0025 billed too much that is 149.305: 149.31."""
    invoicing = Invoicing(terms(rich_plan(minimum=None)))
    (november,) = invoicing.close(USAGE)
    december = used("2026-12-05T10", gpu="20.123")
    (second,) = invoicing.close([*USAGE, december])

    assert november.lines[-1].kind is LineKind.ROUNDING
    assert november.lines[-1].description == "Rounding to the smallest unit of USD"
    assert (november.rounding, november.total) == (D("0.0025"), D("394.91"))
    assert second.exact_total == D("149.3075")
    assert second.rounding_before == D("-0.0025")
    assert (second.rounding, second.total) == (D("0.0025"), D("149.31"))
    assert "with what was left by earlier documents" in second.lines[-1].description
    assert invoicing.account.rounding == D("-0.005")


@pytest.mark.parametrize(
    ("price", "quantity", "expected"),
    [
        (
            Volume((Tier(D(100), D(2)), Tier(None, D("1.5"), name="bulk"))),
            150,
            [("Api: all at the price of bulk (over 100)", "150", "1.5", "225")],
        ),
        (
            Package(D(1000), D(5)),
            2500,
            [("Api: packages of 1,000, each one begun", "3", "5", "15")],
        ),
        (Each(D(8), per=D(1000)), 2500, [("Api: per 1,000", "2.500000000000", "8", "20")]),
        (
            Percentage(D("2.9"), D("0.3"), minimum=D(10)),
            100,
            [
                ("Api: 2.9 % of the amount", "100", "0.029", "2.9"),
                ("Api: 0.30 USD for each event", "2", "0.3", "0.6"),
                ("Api: made up to its minimum", "0", "", "6.5"),
            ],
        ),
        (
            Waterfall(
                (WaterfallStep("first", D(10), Each(D(1))), WaterfallStep("rest", None, Each(D(2))))
            ),
            25,
            [("Api, first", "10", "1", "10"), ("Api, rest", "15", "2", "30")],
        ),
    ],
)
def test_every_model_says_in_words_how_its_amount_came_about(
    price: object, quantity: int, expected: list[tuple[str, str, str, str]]
) -> None:
    given = terms(plan(priced(price)))  # type: ignore[arg-type]
    used_in = [
        used("2026-11-03T10", api=quantity // 2, api_events=1),
        used("2026-11-04T10", api=quantity - quantity // 2, api_events=1),
    ]

    (invoice,) = Invoicing(given).close(used_in)

    assert rows(invoice) == expected


def test_seats_cap_and_top_up_have_lines_of_their_own() -> None:
    """Seats that nobody has cost nothing. An empty wallet is topped up by 20 at once, which pay 20 of
    the 80 used on the third; the cap of 50 leaves room for 20 more, which pay too. 80 + 40 − 40 = 80,
    of which 50 are billed."""
    capped = plan(
        fees=(SeatFee("seats", D(10), prorate=False),),
        top_up=TopUp(D(20), threshold=D(0)),
        spend_cap=SpendCap(D(50)),
    )
    (invoice,) = Invoicing(terms(capped)).close([used("2026-11-03T10", api=80)])

    assert [(line.kind, line.amount) for line in invoice.lines] == [
        (LineKind.USAGE, D(80)),
        (LineKind.TOP_UP, D(40)),
        (LineKind.CREDIT, D(-20)),
        (LineKind.CREDIT, D(-20)),
        (LineKind.OVER_CAP, D(-30)),
    ]
    assert invoice.lines[2].description == "Prepaid credits: top_up of 2026-11-01"
    assert invoice.lines[4].description == "Beyond the spend cap of 50.00 USD, not billed"
    assert invoice.total == D(50)


def test_a_month_with_nothing_in_it_has_no_invoice() -> None:
    invoicing = Invoicing(terms(plan()))

    assert invoicing.close([]) == []
    assert invoicing.account.next_index == 1
    assert invoicing.close([used("2026-12-03T10", api=7)])[0].total == D(7)


def test_a_month_of_included_usage_has_an_invoice_over_nothing() -> None:
    (invoice,) = Invoicing(terms(rich_plan(fees=(), minimum=None))).close(
        [used("2026-11-03T10", api=300)]
    )

    assert rows(invoice) == [("API calls: included in the plan", "300", "0", "0")]
    assert invoice.total == 0


def test_the_first_month_of_an_agreement_begins_with_it() -> None:
    started = terms(rich_plan(minimum=None), starts_at=at("2026-11-16T00"))
    (invoice,) = Invoicing(started).close([])

    assert (invoice.period_start, invoice.period_end) == (at("2026-11-16T00"), at("2026-12-01T00"))
    assert invoice.period_key == "20261101"
    assert invoice.lines[0].amount == D("49.5")


def test_groups_with_prices_of_their_own_have_lines_of_their_own() -> None:
    price = Dimensional((GroupPrice(("eu",), Each(D(3))),), Each(D(2)))
    (invoice,) = Invoicing(terms(plan(priced(price)))).close(
        [used("2026-11-03T10", api={("eu",): 5, ("us",): 1, ("asia",): 2})]
    )

    assert rows(invoice) == [("Api", "3", "2", "6"), ("Api (eu)", "5", "3", "15")]


@pytest.mark.parametrize(
    ("currency", "total", "rounding"),
    [("JPY", "1", "0.3333"), ("USD", "0.67", "0.0033"), ("KWD", "0.667", "0.0003")],
)
def test_each_currency_is_rounded_once_to_its_own_smallest_unit(
    currency: str, total: str, rounding: str
) -> None:
    """2 × 0.33335 = 0.6667, to whole yen, cents, and thousandths of a dinar."""
    sold = replace(plan(priced(Each(D("0.33335")))), currency=currency)
    (invoice,) = Invoicing(terms(sold)).close([used("2026-11-03T10", api=2)])

    assert (invoice.currency, invoice.total, invoice.rounding) == (currency, D(total), D(rounding))
    assert invoice.lines[-1].description == f"Rounding to the smallest unit of {currency}"
