"""Corrections: money back for what the marketplace accepted beyond what is due.

A marketplace takes no record back (contracts.md §1.1.7). What was reported too much is made up for by
later usage; where none comes until the period is final, or the agreement is over, a correction is
drafted: a billing adjustment on AWS (§1.4.5), a request to the support of the others. A person
approves it, and nothing is asked of a marketplace before:

    DRAFTED ──▶ APPROVED ──▶ SUBMITTED ──▶ COMPLETED | FAILED
        │           ├──────────────────────▶ COMPLETED
        └───────────┴──▶ WITHDRAWN

From its approval on it counts in the books as given back (see correcting.py), so that no usage makes
up for it a second time; FAILED and WITHDRAWN take that back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID, uuid5

from meterbridge.domain.channels import Channel
from meterbridge.domain.errors import InvariantError
from meterbridge.domain.money import Money, exact_sum, subtract
from meterbridge.domain.windows import BillingPeriod

_NAMESPACE = UUID("5b0c2c57-6a1c-5a5f-9a5e-1f2b7d1f9a10")


class CorrectionState(StrEnum):
    """Where a correction is in its life.

    WITHDRAWN: later usage made up for it, or a person decided against it. FAILED: the marketplace
    refused it.
    """

    DRAFTED = "drafted"
    APPROVED = "approved"
    SUBMITTED = "submitted"
    COMPLETED = "completed"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


IN_FORCE = frozenset(
    {CorrectionState.APPROVED, CorrectionState.SUBMITTED, CorrectionState.COMPLETED}
)
"""States in which its quantity counts as given back."""


@dataclass(frozen=True, slots=True, order=True)
class CorrectionKey:
    """Identity of a correction: derived from what it corrects, never drawn.

    Attributes:
        number: 1 for a period's first; the next once that is decided about.
    """

    agreement_id: str
    dimension: str
    period: BillingPeriod
    number: int

    def __post_init__(self) -> None:
        if self.number < 1:
            raise InvariantError(f"{self.agreement_id}: no correction has the number {self.number}")

    def __str__(self) -> str:
        """Its id in the API, as "agr_1.2026-10.1.requests"."""
        return f"{self.agreement_id}.{self.period}.{self.number}.{self.dimension}"

    @classmethod
    def parse(cls, text: str) -> CorrectionKey:
        """The reverse of str.

        Raises:
            ValueError: not such an id.
        """
        agreement_id, period, number, dimension = text.split(".", 3)
        if not number.isascii() or not number.isdigit() or number.startswith("0"):
            raise ValueError(f"{number!r} is no number of a correction")
        if not agreement_id or not dimension or str(BillingPeriod.parse(period)) != period:
            raise ValueError(f"{text!r} is no correction")
        return cls(agreement_id, dimension, BillingPeriod.parse(period), int(number))

    @property
    def client_token(self) -> str:
        """What makes a repeated request the same for the marketplace."""
        return str(uuid5(_NAMESPACE, str(self)))


@dataclass(frozen=True, slots=True)
class CorrectionFigures:
    """What the books said of the period when it was drafted, in metered quantity.

    Attributes:
        accepted: by the marketplace.
        corrected: of that given back by earlier corrections.
        metered: due by usage.
        made_up: of what is over, what usage of other periods makes up for.
        settled_at: the settlement that found it.
    """

    accepted: Decimal
    corrected: Decimal
    metered: Decimal
    made_up: Decimal
    settled_at: datetime

    @property
    def over_reported(self) -> Decimal:
        """What was accepted beyond what is due."""
        return subtract(self.accepted, exact_sum((self.corrected, self.metered)))

    @property
    def quantity(self) -> Decimal:
        """What is left to be given back."""
        return subtract(self.over_reported, self.made_up)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changed a correction; without an id it was Meterbridge itself."""

    key_id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class CorrectionChange:
    """One change of a correction: kept for good.

    Attributes:
        state: what it became.
        quantity: what it was over, then.
    """

    at: datetime
    state: CorrectionState
    quantity: Decimal
    reason: str
    by: Actor


@dataclass(frozen=True, slots=True)
class Correction:
    """A quantity that was reported too much, what it cost, and what becomes of it.

    Attributes:
        quantity: in metered quantity; above zero.
        units: the same in the marketplace's units, to 12 decimal places.
        amount: what the buyer was charged for it, unrounded, before tax.
        figures: how the quantity came about.
        history: every change, oldest first.
        version: counts changes.
        marketplace_agreement_id: the marketplace's own id of the agreement, once known.
        invoice_id: the marketplace's id of the invoice to adjust, once known.
        request: the frozen request, from the first send on.
        attempts: sends begun.
        first_sent_at: when the first began.
        reference: the marketplace's id for the request: adjustment or support case.
        note: what it waits for or why it failed, for a person.
    """

    key: CorrectionKey
    channel: Channel
    product_id: str
    quantity: Decimal
    units: Decimal
    amount: Money
    figures: CorrectionFigures
    created_at: datetime
    history: tuple[CorrectionChange, ...]
    state: CorrectionState = CorrectionState.DRAFTED
    version: int = 1
    marketplace_agreement_id: str = ""
    invoice_id: str = ""
    request: Mapping[str, str] = field(default_factory=dict)
    attempts: int = 0
    first_sent_at: datetime | None = None
    reference: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if self.quantity <= 0 or self.amount.amount <= 0:
            raise InvariantError(f"{self.key}: nothing to give back")

    @property
    def in_force(self) -> bool:
        """Whether its quantity counts as given back."""
        return self.state in IN_FORCE

    @property
    def declined(self) -> bool:
        """Whether a person decided that it is not to be given back."""
        last = self.history[-1]
        return self.state is CorrectionState.WITHDRAWN and bool(last.by.key_id)
