"""AWS's billing adjustments as contracts.md §1.4.5 states them, in memory and strict."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from botocore.session import get_session
from botocore.validate import ParamValidator

from fakes.clock import FakeClock
from meterbridge.application.billing_adjustments import (
    Adjustment,
    AdjustmentStatus,
    Invoice,
    SendOutcome,
    SendResult,
)
from meterbridge.domain.errors import MarketplaceError
from meterbridge.domain.windows import BillingPeriod

MODEL = get_session().get_service_model("marketplace-agreement")
_ENTRIES = MODEL.operation_model("BatchCreateBillingAdjustmentRequest").input_shape.members
_ENTRY = _ENTRIES["billingAdjustmentRequestEntries"].member


class FakeAdjustments:
    """The first request of a client token wins; nothing is taken twice.

    Attributes:
        agreements: AWS's id of the agreement by licence.
        invoiced: invoices by agreement and period.
        taken: adjustments by client token.
        lose_answers: how many of the next requests are taken without an answer.
        refuse: how the next requests are answered in place of being looked at.
        closed: nobody is let in.
    """

    def __init__(self, clock: FakeClock) -> None:
        self.agreements: dict[str, str] = {}
        self.invoiced: dict[tuple[str, BillingPeriod], list[Invoice]] = {}
        self.taken: dict[str, tuple[Adjustment, dict[str, str]]] = {}
        self.lose_answers = 0
        self.refuse: list[SendResult] = []
        self.closed = False
        self.sends = 0
        self._clock = clock

    def agreement_of(self, buyer: Mapping[str, str], period: BillingPeriod) -> str:
        self._let_in()
        return self.agreements.get(buyer["license_arn"], "")

    def invoices(self, agreement_id: str, period: BillingPeriod) -> Sequence[Invoice]:
        self._let_in()
        return [
            replace(each, adjustable=each.adjustable - self._given_back(each.id))
            for each in self.invoiced.get((agreement_id, period), [])
        ]

    def send(self, request: Mapping[str, str]) -> SendResult:
        self._let_in()
        self.sends += 1
        _require_valid(request)
        if self.refuse:
            return self.refuse.pop(0)
        token = request["clientToken"]
        if token in self.taken:
            adjustment, first = self.taken[token]
            if first != dict(request):
                return SendResult(SendOutcome.CONFLICT, detail="another request had this token")
            return SendResult(SendOutcome.RECEIVED, adjustment.id)
        amount = Decimal(request["adjustmentAmount"])
        invoice = self._invoice(request["agreementId"], request["originalInvoiceId"])
        if invoice is None or amount > invoice.adjustable - self._given_back(invoice.id):
            return SendResult(SendOutcome.REFUSED, detail="VALIDATION_EXCEPTION: no such invoice")
        adjustment = Adjustment(
            id=f"ba-{len(self.taken) + 1}",
            invoice_id=invoice.id,
            amount=amount,
            currency=request["currencyCode"],
            status=AdjustmentStatus.PENDING,
            created_at=self._clock.now(),
        )
        self.taken[token] = adjustment, dict(request)
        if self.lose_answers:
            self.lose_answers -= 1
            return SendResult(SendOutcome.UNKNOWN, detail="the answer was lost")
        return SendResult(SendOutcome.RECEIVED, adjustment.id)

    def adjustment(self, agreement_id: str, reference: str) -> Adjustment | None:
        self._let_in()
        return next((each for each, _ in self.taken.values() if each.id == reference), None)

    def adjustments(self, agreement_id: str) -> Sequence[Adjustment]:
        self._let_in()
        return [
            each for each, request in self.taken.values() if request["agreementId"] == agreement_id
        ]

    def decide(self, status: AdjustmentStatus, message: str = "") -> None:
        """AWS is done with all that is pending."""
        for token, (each, request) in self.taken.items():
            if each.status is AdjustmentStatus.PENDING:
                self.taken[token] = replace(each, status=status, message=message), request

    def paid_back(self) -> Decimal:
        """What buyers got or will get."""
        return sum(
            (
                each.amount
                for each, _ in self.taken.values()
                if each.status is not AdjustmentStatus.FAILED
            ),
            Decimal(0),
        )

    def invoice(self, agreement_id: str, period: BillingPeriod, most: str, issued: datetime) -> str:
        """AWS invoices a period; the invoice's id."""
        known = self.invoiced.setdefault((agreement_id, period), [])
        invoice_id = f"inv-{period}-{len(known) + 1}"
        known.append(Invoice(invoice_id, "USD", Decimal(most), issued))
        return invoice_id

    def _invoice(self, agreement_id: str, invoice_id: str) -> Invoice | None:
        return next(
            (
                each
                for (of, _), invoices in self.invoiced.items()
                for each in invoices
                if of == agreement_id and each.id == invoice_id
            ),
            None,
        )

    def _given_back(self, invoice_id: str) -> Decimal:
        return sum(
            (
                each.amount
                for each, _ in self.taken.values()
                if each.invoice_id == invoice_id and each.status is not AdjustmentStatus.FAILED
            ),
            Decimal(0),
        )

    def _let_in(self) -> None:
        if self.closed:
            raise MarketplaceError("not let in")


def _require_valid(request: Mapping[str, str]) -> None:
    """By the service model, patterns included, which botocore itself does not check."""
    report = ParamValidator().validate(dict(request), _ENTRY)
    if report.has_errors():
        raise AssertionError(report.generate_report())
    for name, value in request.items():
        shape = _ENTRY.members[name]
        pattern = shape.metadata.get("pattern")
        if pattern and not re.fullmatch(pattern, value):
            raise AssertionError(f"{name} {value!r} does not match {pattern}")
        if len(value) > shape.metadata.get("max", len(value)):
            raise AssertionError(f"{name} is too long")
        if getattr(shape, "enum", None) and value not in shape.enum:
            raise AssertionError(f"{name} {value!r} is none of {shape.enum}")
