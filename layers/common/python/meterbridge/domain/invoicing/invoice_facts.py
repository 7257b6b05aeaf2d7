"""What the documents of a period are made of, read before they are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from meterbridge.domain.invoicing.billing_documents import Buyer, Seller, Subject
from meterbridge.domain.invoicing.marketplace_lines import MarketplaceLine, reported_codes
from meterbridge.domain.pricing.agreement_terms import AgreementTerms
from meterbridge.domain.pricing.plan_terms import PlanTerms
from meterbridge.domain.pricing.rated import RatedHour
from meterbridge.domain.windows import HOUR


@dataclass(frozen=True, slots=True)
class InvoiceFacts:
    """What a period's documents are made of.

    Attributes:
        hours: rated hours of the period and of all earlier ones that may have changed.
        marketplace: the marketplace's own lines of the period.
        delay: from a period's end to its invoice.
        as_of: when the usage was read.
    """

    terms: AgreementTerms
    subject: Subject
    seller: Seller
    buyer: Buyer
    hours: Sequence[RatedHour]
    marketplace: tuple[MarketplaceLine, ...]
    delay: timedelta
    as_of: datetime

    def hours_of(self, start: datetime, end: datetime) -> list[RatedHour]:
        """Those in [start, end)."""
        return [hour for hour in self.hours if start <= hour.hour < end]

    def plan_of(self, moment: datetime) -> PlanTerms:
        """The terms in force at a moment; after the agreement's end, those of its last hour."""
        end = self.terms.span.end_hour
        known = moment if end is None else min(moment, end - HOUR)
        return self.terms.plan_of(self.terms.cycle(max(known, self.terms.span.first_hour)))

    def metered_codes(self, moment: datetime) -> frozenset[str]:
        """What is billed through the marketplace's metering, by the terms of a moment."""
        return reported_codes(self.plan_of(moment), self.subject.channel)
