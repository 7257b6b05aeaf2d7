"""Books whose usage can be put right afterwards, and the corrections that come of it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from builders import NOON, at
from decision_setup import Books
from meterbridge.domain.channels import Channel
from meterbridge.domain.corrections import (
    Actor,
    Correction,
    CorrectionChange,
    CorrectionFigures,
    CorrectionKey,
    CorrectionState,
)
from meterbridge.domain.metering_record import OPEN_STATES, RecordState
from meterbridge.domain.money import ZERO, Money, exact_sum
from meterbridge.domain.over_reported import (
    CorrectionWrite,
    Overview,
    ReportedFrom,
    draft_corrections,
    due_corrections,
)
from meterbridge.domain.policy import policy_at
from meterbridge.domain.windows import BillingPeriod

OCTOBER = BillingPeriod(2026, 10)
NOVEMBER = BillingPeriod(2026, 11)
ANNA = Actor("key_anna", "Anna")
AFTER_OCTOBER = "2026-12-08T12:20"
"""No event of October is accepted any more."""


class Correcting(Books):
    """Books of an agreement that began in October; corrections are kept in a dict."""

    def __init__(self, usage: dict[str, str], **changes: Any) -> None:
        now = changes.pop("now", "2026-10-10T12:20")
        super().__init__(usage, now=now, **{"starts_at": at("2026-10-01T00"), **changes})
        self.known: dict[CorrectionKey, Correction] = {}

    def mend(self, hour: str, quantity: str) -> None:
        """The meter is put right: so much was used in an hour."""
        self.usage[at(hour)] = Decimal(quantity)

    def accept_all(self) -> None:
        """The marketplace accepts every open record."""
        for record in self.ledger.records("agr_1"):
            if record.state in OPEN_STATES:
                self.finish(record.finished(RecordState.ACCEPTED, at=record.deadline))

    def bill(self, now: str | None = None) -> None:
        """Settle, and have everything accepted."""
        self.settle(now)
        self.accept_all()
        self.settle()

    @property
    def overview(self) -> Overview:
        moment = self.clock.now()
        return Overview(
            agreement=self.agreement,
            reported=(ReportedFrom(self.agreement.starts_at, (self.dimension,)),),
            head=self.head,
            records=self.ledger.records("agr_1"),
            corrections=list(self.known.values()),
            policy=policy_at(self.agreement.channel, moment),
            now=moment,
        )

    def draft(self) -> Sequence[CorrectionWrite]:
        """Draft, and keep what was drafted."""
        writes = list(draft_corrections(self.overview))
        for write in writes:
            self.write(write)
        return writes

    def due(self, period: BillingPeriod = OCTOBER) -> Decimal:
        found = due_corrections(self.overview, self.dimension.code)
        return found[period].quantity if period in found else ZERO

    def write(self, write: CorrectionWrite) -> Correction:
        """As one transaction does."""
        before = write.before
        assert self.known.get(write.after.key) == before
        assert write.after.version == (before.version + 1 if before else 1)
        self.known[write.after.key] = write.after
        if write.head is not None:
            self.ledger.commit(write.head, expected_version=write.head.version - 1, new_records=())
        return write.after

    def accepted(self) -> Decimal:
        """What the marketplace has booked."""
        return exact_sum(
            record.metered
            for record in self.ledger.records("agr_1")
            if record.state is RecordState.ACCEPTED
        )

    def given_back(self) -> Decimal:
        """What the corrections in force give back."""
        return exact_sum(each.quantity for each in self.known.values() if each.in_force)


def correction(**changes: Any) -> Correction:
    """A draft over 5 requests of October."""
    values: dict[str, Any] = {
        "key": CorrectionKey("agr_1", "requests", OCTOBER, 1),
        "channel": Channel.AWS,
        "product_id": "prd_llm",
        "quantity": Decimal(5),
        "units": Decimal(5),
        "amount": Money(Decimal("0.05"), "USD"),
        "figures": CorrectionFigures(Decimal(20), ZERO, Decimal(15), ZERO, NOON),
        "created_at": NOON,
        "history": (CorrectionChange(NOON, CorrectionState.DRAFTED, Decimal(5), "over", Actor()),),
    }
    return Correction(**{**values, **changes})
