"""Invoices and credit notes: what was charged, line by line, frozen once it is final."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from meterbridge.domain.channels import Channel
from meterbridge.domain.errors import InvariantError
from meterbridge.domain.invoicing.invoice_lines import (
    DEDUCTIONS,
    InvoiceLine,
    LineKind,
)
from meterbridge.domain.invoicing.marketplace_lines import MarketplaceLine
from meterbridge.domain.money import ZERO, Money, exact_sum

MAX_LINES = 5_000
"""Lines of one document: what fits into an answer and a stored document with room to spare."""


class DocumentKind(StrEnum):
    """An INVOICE is never negative, a CREDIT_NOTE never positive; amounts are signed on both."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"


class DocumentState(StrEnum):
    """A DRAFT is computed when asked for and says what is so now; a FINAL one never changes."""

    DRAFT = "draft"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class Seller:
    """Who invoices, as it is printed.

    Attributes:
        address: its lines.
        tax_id: as "VAT DE123456789".
    """

    name: str = ""
    address: tuple[str, ...] = ()
    tax_id: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who is invoiced.

    Attributes:
        reference: the buyer's ids on the marketplace.
    """

    customer_id: str
    name: str = ""
    reference: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is invoiced: the agreement and what it is of."""

    agreement_id: str
    product_id: str
    product_name: str
    channel: Channel
    offering_id: str
    offering_version: int
    plan_code: str
    plan_name: str = ""


@dataclass(frozen=True, slots=True)
class DocumentReference:
    """Another document."""

    id: str
    number: str


@dataclass(frozen=True, slots=True)
class BillingDocument:
    """An invoice or a credit note.

    Attributes:
        number: without gaps within its series; "" while it is a draft.
        period_key, period_start, period_end: what it is about.
        as_of: what was known then is in it.
        issued_at: when it became final.
        final_at: when a draft will.
        total: what it comes to, in whole minor units of the currency: the sum of its lines.
        rounding_before: exact amount that rounding had left of the agreement's documents before it.
        billed_by_marketplace, billed_directly: together the total; only the first is metered there.
        marketplace: what the marketplace's own lines say.
        refers_to: of a credit note, the invoice that it corrects.
        reason: of a credit note, for a person.
        issued_by: name of the key whose holder asked for it; "" when it was made by itself.

    Raises:
        InvariantError: its lines do not make its total, or it has too many: a defect.
    """

    id: str
    kind: DocumentKind
    state: DocumentState
    subject: Subject
    seller: Seller
    buyer: Buyer
    currency: str
    period_key: str
    period_start: datetime
    period_end: datetime
    as_of: datetime
    final_at: datetime
    lines: tuple[InvoiceLine, ...]
    total: Decimal
    billed_by_marketplace: Decimal
    billed_directly: Decimal
    rounding_before: Decimal = ZERO
    marketplace: tuple[MarketplaceLine, ...] = ()
    number: str = ""
    issued_at: datetime | None = None
    refers_to: DocumentReference | None = None
    reason: str = ""
    issued_by: str = ""

    def __post_init__(self) -> None:
        if len(self.lines) > MAX_LINES:
            raise InvariantError(f"{self.id} has {len(self.lines)} lines, more than {MAX_LINES}")
        if exact_sum(line.amount for line in self.lines) != self.total:
            raise InvariantError(f"{self.id}: its lines do not make {self.total}")
        if exact_sum((self.billed_by_marketplace, self.billed_directly)) != self.total:
            raise InvariantError(f"{self.id}: its shares do not make {self.total}")
        if Money(self.total, self.currency).rounded().amount != self.total:
            raise InvariantError(f"{self.id}: {self.total} is not in whole minor units")

    @property
    def exact_total(self) -> Decimal:
        """The sum of its lines before rounding."""
        return exact_sum(line.amount for line in self.lines if line.kind is not LineKind.ROUNDING)

    @property
    def charges(self) -> Decimal:
        """Subtotal of usage, fees and true-ups."""
        return self._sum(frozenset(LineKind) - DEDUCTIONS - _AFTER)

    @property
    def deductions(self) -> Decimal:
        """Subtotal of what trial, discounts, credits and the cap take off; negative."""
        return self._sum(DEDUCTIONS)

    @property
    def adjustments(self) -> Decimal:
        """Subtotal of what belongs to earlier periods or was credited."""
        return self._sum(frozenset({LineKind.ADJUSTMENT, LineKind.CREDITED, LineKind.COVERED}))

    @property
    def rounding(self) -> Decimal:
        """What rounding to the minor unit added or took."""
        return self._sum(frozenset({LineKind.ROUNDING}))

    @property
    def empty(self) -> bool:
        """Whether nothing at all is on it."""
        return not self.lines

    def line(self, number: int) -> InvoiceLine | None:
        """The line with this number."""
        return self.lines[number - 1] if 1 <= number <= len(self.lines) else None

    def final(self, number: str, at: datetime) -> BillingDocument:
        """As issued."""
        return replace(self, state=DocumentState.FINAL, number=number, issued_at=at)

    def _sum(self, kinds: frozenset[LineKind]) -> Decimal:
        return exact_sum(line.amount for line in self.lines if line.kind in kinds)


_AFTER = frozenset({LineKind.ADJUSTMENT, LineKind.CREDITED, LineKind.COVERED, LineKind.ROUNDING})


def invoice_id(agreement_id: str, period_key: str) -> str:
    """The id of a period's invoice, derived, so that two attempts make the same."""
    return f"inv_{agreement_id}_{period_key}"


def draft_id(agreement_id: str, period_key: str) -> str:
    """The id of a period's draft."""
    return f"draft_{agreement_id}_{period_key}"


def correction_id(agreement_id: str, issued_with: str, corrected: str) -> str:
    """The id of the credit note for one period that is made with the invoice of another."""
    return f"crn_{agreement_id}_{issued_with}-{corrected}"


def credit_note_id(agreement_id: str, at: datetime, token: str) -> str:
    """The id of a credit note that a person asked for.

    Args:
        token: letters and digits that nobody has.
    """
    return f"crn_{agreement_id}_{at:%Y%m%d}-{token}"


def agreement_of(document_id: str) -> tuple[str, str]:
    """The agreement in a document's id, and what tells the document from its others; "" for no id."""
    _, _, rest = document_id.partition("_")
    agreement_id, _, own = rest.rpartition("_")
    return agreement_id, own
