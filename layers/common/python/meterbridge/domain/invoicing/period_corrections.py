"""What became of periods since they were invoiced: late usage, changed terms, by code."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from meterbridge.domain.invoicing.invoice_account import InvoiceAccount, InvoicedPeriod
from meterbridge.domain.invoicing.invoice_facts import InvoiceFacts
from meterbridge.domain.invoicing.invoice_lines import InvoiceLine, LineKind
from meterbridge.domain.invoicing.line_building import Billed, billed_by_code
from meterbridge.domain.invoicing.line_wording import describe_adjustment
from meterbridge.domain.money import Money, exact_sum


class PeriodCorrections:
    """What an account's periods come to now, less what was invoiced of them."""

    def __init__(self, account: InvoiceAccount, facts: InvoiceFacts) -> None:
        self._account = account
        self._facts = facts
        self._billed = {
            each.key: billed_by_code(facts.hours_of(each.start, each.end))
            for each in account.periods
        }

    def billed(self, period: InvoicedPeriod) -> dict[str, Billed]:
        """What the period comes to now."""
        return self._billed[period.key]

    def missing(self, period: InvoicedPeriod) -> Decimal:
        """Exact amount that is to be billed more; negative where it is less."""
        found = period.missing(self._billed[period.key])
        return exact_sum(billed.amount for billed in found.values())

    def is_less(self, period: InvoicedPeriod) -> bool:
        """Whether it comes to less, by at least half a minor unit: less makes no credit note."""
        currency = self._facts.plan_of(period.start).currency
        return Money(self.missing(period), currency).rounded().amount < 0

    def lines(self, period: InvoicedPeriod) -> list[InvoiceLine]:
        """A line for each code that changed; a code's line may be negative where the sum is not."""
        plan = self._facts.plan_of(period.start)
        text = span_text(period.start, period.end)
        return [
            InvoiceLine(
                kind=LineKind.ADJUSTMENT,
                description=describe_adjustment(plan, code, text),
                amount=billed.amount,
                code=code,
                quantity=billed.quantity,
                period_key=period.key,
                period_start=period.start,
                period_end=period.end,
                since=self._account.as_of,
            )
            for code, billed in period.missing(self._billed[period.key]).items()
        ]

    def direct_amount(self, lines: list[InvoiceLine]) -> Decimal:
        """What of adjustments is not billed through the marketplace's metering."""
        return exact_sum(
            line.amount
            for line in lines
            if line.kind is LineKind.ADJUSTMENT
            and line.period_start is not None
            and line.code not in self._facts.metered_codes(line.period_start)
        )


def span_text(start: datetime, end: datetime) -> str:
    """Days of a span, the last included, as "2026-10-01 to 2026-10-31"."""
    last = max(start, end - timedelta(seconds=1))
    return f"{start:%Y-%m-%d} to {last:%Y-%m-%d}"
