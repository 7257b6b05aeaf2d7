"""Agreements to invoice, without any store: terms and usage in, documents out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from meterbridge.domain.channels import Channel
from meterbridge.domain.invoicing.billing_documents import (
    BillingDocument,
    Buyer,
    Seller,
    Subject,
)
from meterbridge.domain.invoicing.invoice_account import InvoiceAccount
from meterbridge.domain.invoicing.invoice_facts import InvoiceFacts
from meterbridge.domain.invoicing.invoice_periods import InvoicePeriod, period_at
from meterbridge.domain.invoicing.issuing import issue
from meterbridge.domain.money import exact_sum
from meterbridge.domain.pricing.advance import advance
from meterbridge.domain.pricing.agreement_terms import AgreementTerms
from meterbridge.domain.pricing.models import PerUnit
from meterbridge.domain.pricing.plan_terms import (
    CreditRule,
    Discount,
    Entitlement,
    FreeTrial,
    MinimumCharge,
    OneOffFee,
    PlanTerms,
    SubscriptionFee,
    TrialKind,
)
from meterbridge.domain.pricing.rated import MeteredHour, RatedHour
from meterbridge.domain.pricing.rating_state import RatingState
from meterbridge.domain.pricing.tiers import Graduated, Tier
from pricing_setup import plan, priced

D = Decimal
DELAY = timedelta(days=3)
SELLER = Seller(
    name="Meterworks GmbH",
    address=("Lindenstraße 12", "10969 Berlin", "Germany"),
    tax_id="VAT DE123456789",
    email="billing@meterworks.example",
)
BUYER = Buyer("acme", "Acme Corporation", {"customer_aws_account_id": "111122223333"})

TIERS = Graduated((Tier(D(1000), D("0.01")), Tier(D(10000), D("0.005")), Tier(None, D("0.001"))))


def rich_plan(**changes: Any) -> PlanTerms:
    """Tiers, included quantity, trial, discount, credits, minimum and fees at once."""
    values: dict[str, Any] = {
        "fees": (SubscriptionFee("base", D(99)), OneOffFee("setup", D(250))),
        "trial": FreeTrial(TrialKind.QUANTITY, quantities={"gpu": D(10)}),
        "discounts": (Discount("launch", percent=D(20), codes=frozenset({"api"})),),
        "credits": (CreditRule("welcome", D(50)),),
        "minimum": MinimumCharge(D(500)),
    }
    return plan(
        priced(TIERS, "api", name="API calls", entitlement=Entitlement(D(500))),
        priced(PerUnit(D("2.5")), "gpu", name="GPU hours"),
        **{**values, **changes},
    )


def subject(**changes: Any) -> Subject:
    values: dict[str, Any] = {
        "agreement_id": "agr_1",
        "product_id": "prd_llm",
        "product_name": "LLM",
        "channel": Channel.MANUAL,
        "offering_id": "off_std",
        "offering_version": 1,
        "plan_code": "std",
        "plan_name": "Standard",
    }
    return Subject(**{**values, **changes})


def facts(
    terms: AgreementTerms, hours: Sequence[RatedHour], as_of: datetime, **changes: Any
) -> InvoiceFacts:
    values: dict[str, Any] = {
        "terms": terms,
        "subject": subject(),
        "seller": SELLER,
        "buyer": BUYER,
        "hours": hours,
        "marketplace": (),
        "delay": DELAY,
        "as_of": as_of,
    }
    return InvoiceFacts(**{**values, **changes})


def rated(
    terms: AgreementTerms, metered: Iterable[MeteredHour], through: datetime
) -> list[RatedHour]:
    """All hours of an agreement up to one, rated from its start."""
    known = sorted((each for each in metered if each.hour <= through), key=lambda each: each.hour)
    return advance(terms, RatingState(), known, through=through)[1]


@dataclass
class Invoicing:
    """An agreement that is invoiced month after month, from whatever usage is known then."""

    terms: AgreementTerms
    account: InvoiceAccount = field(default_factory=lambda: InvoiceAccount("agr_1"))
    documents: list[BillingDocument] = field(default_factory=list)
    last: list[RatedHour] = field(default_factory=list)

    @property
    def period(self) -> InvoicePeriod:
        """The next one."""
        return period_at(self.terms, self.account.next_index)

    def close(self, metered: Iterable[MeteredHour]) -> list[BillingDocument]:
        """Make the next period final, three days after its end."""
        period = self.period
        as_of = period.final_at(DELAY)
        through = as_of - timedelta(hours=1)
        self.last = rated(self.terms, metered, through)
        made = issue(period, self.account, facts(self.terms, self.last, as_of))
        found = [
            document.final(f"T-{len(self.documents) + place}", as_of)
            for place, document in enumerate(made.documents)
        ]
        self.documents += found
        self.account = made.account
        return found

    def invoiced(self) -> Decimal:
        """Sum of all totals."""
        return exact_sum(document.total for document in self.documents)


def net_before(hours: Iterable[RatedHour], end: datetime) -> Decimal:
    """Net charge of the hours before a moment."""
    return exact_sum(hour.net.amount for hour in hours if hour.hour < end)


def rows(document: BillingDocument) -> list[tuple[str, str, str, str]]:
    """Description, units, unit price and amount of each line, as texts."""
    return [
        (
            line.description,
            f"{line.units:f}",
            "" if line.unit_price is None else f"{line.unit_price:f}",
            f"{line.amount.normalize():f}",
        )
        for line in document.lines
    ]
