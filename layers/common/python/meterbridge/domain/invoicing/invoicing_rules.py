"""What a seller decides about invoices: who invoices, how they are numbered, when they are final."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from meterbridge.domain.invoicing.billing_documents import DocumentKind, Seller

DELAY = timedelta(days=3)
"""From a period's end until its invoice: all marketplaces have taken or refused its usage by then."""

PREFIX = "MB-"


@dataclass(frozen=True, slots=True)
class InvoicingRules:
    """The seller's rules.

    Attributes:
        prefix: of the numbers; another prefix begins another series at 1.
        delay: from a period's end to its invoice.
    """

    seller: Seller = field(default_factory=Seller)
    prefix: str = PREFIX
    delay: timedelta = DELAY

    @property
    def issues(self) -> bool:
        """Whether invoices become final: not before it is known who the seller is."""
        return bool(self.seller.name)

    def series(self, kind: DocumentKind) -> str:
        """The sequence that a document is numbered in."""
        return self.prefix if kind is DocumentKind.INVOICE else f"{self.prefix}CN-"


def number_in(series: str, place: int) -> str:
    """A number of a series, from 1."""
    return f"{series}{place:06d}"
