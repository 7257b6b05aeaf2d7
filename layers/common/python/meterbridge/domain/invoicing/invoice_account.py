"""What an agreement was invoiced so far: the memory by which no late usage is lost or billed twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from meterbridge.domain.invoicing.billing_documents import DocumentReference
from meterbridge.domain.invoicing.invoice_periods import LATE_USAGE
from meterbridge.domain.invoicing.line_building import NOTHING_BILLED, Billed
from meterbridge.domain.money import ZERO, exact_sum


@dataclass(frozen=True, slots=True)
class InvoicedPeriod:
    """What was invoiced of a period.

    Attributes:
        billed: by code, exact: its invoice with all corrections since.
        invoice: the period's invoice; None where there was nothing to invoice.
        goodwill: what persons gave back of it, not covering a correction yet; not in `billed`.
    """

    index: int
    key: str
    start: datetime
    end: datetime
    closes: datetime
    billed: Mapping[str, Billed] = field(default_factory=dict)
    invoice: DocumentReference | None = None
    goodwill: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """All codes together."""
        return exact_sum(billed.amount for billed in self.billed.values())

    def missing(self, now: Mapping[str, Billed]) -> dict[str, Billed]:
        """What is to be billed more than was, by code; negative where it is less."""
        codes = sorted({*self.billed, *now})
        found = {
            code: now.get(code, NOTHING_BILLED).since(self.billed.get(code, NOTHING_BILLED))
            for code in codes
        }
        return {code: billed for code, billed in found.items() if billed != NOTHING_BILLED}


@dataclass(frozen=True, slots=True)
class InvoiceAccount:
    """Where invoicing an agreement stands.

    Attributes:
        version: counts its changes.
        next_index: of the first period that is not final yet.
        next_opens, next_closes: of that period.
        as_of: when what was invoiced last was read.
        periods: those of which usage may still come late, ascending.
        rounding: exact amount that is in lines and not in the documents' totals.
        last_invoice: the newest.
    """

    agreement_id: str
    version: int = 0
    next_index: int = 0
    next_opens: datetime | None = None
    next_closes: datetime | None = None
    as_of: datetime | None = None
    periods: tuple[InvoicedPeriod, ...] = ()
    rounding: Decimal = ZERO
    last_invoice: DocumentReference | None = None

    def period(self, key: str) -> InvoicedPeriod | None:
        """What was invoiced of a period that may still change."""
        return next((each for each in self.periods if each.key == key), None)

    def has_due(self, now: datetime, delay: timedelta, ends_at: datetime | None) -> bool:
        """Whether it may be time for the next invoice; a look at the terms tells for certain."""
        if self.next_closes is None or self.next_opens is None:
            return True
        over = ends_at is not None and self.next_opens >= ends_at + LATE_USAGE + timedelta(hours=1)
        return not over and now >= self.next_closes + delay

    def with_goodwill(self, key: str, amount: Decimal) -> InvoiceAccount:
        """After a person gave back an amount of a period's invoice."""
        periods = tuple(
            replace(each, goodwill=exact_sum((each.goodwill, amount))) if each.key == key else each
            for each in self.periods
        )
        return replace(self, version=self.version + 1, periods=periods)
