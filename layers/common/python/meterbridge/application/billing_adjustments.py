"""What submitting a correction needs of a marketplace that takes them by API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from meterbridge.domain.windows import BillingPeriod


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice of an agreement.

    Attributes:
        adjustable: the most that may still be given back of it.
    """

    id: str
    currency: str
    adjustable: Decimal
    issued_at: datetime


class AdjustmentStatus(StrEnum):
    """Where the marketplace is with an adjustment."""

    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Adjustment:
    """An adjustment that the marketplace knows."""

    id: str
    invoice_id: str
    amount: Decimal
    currency: str
    status: AdjustmentStatus
    created_at: datetime
    message: str = ""


class SendOutcome(StrEnum):
    """What became of a request.

    RECEIVED: the marketplace has it, from this send or an earlier one. REFUSED: this send was not
    taken and will not be. CONFLICT: it contradicts something over there, perhaps an earlier send.
    UNKNOWN: it may have been taken. NOT_SENT: this send surely was not looked at.
    """

    RECEIVED = "received"
    REFUSED = "refused"
    CONFLICT = "conflict"
    UNKNOWN = "unknown"
    NOT_SENT = "not_sent"


@dataclass(frozen=True, slots=True)
class SendResult:
    """The answer to a request.

    Attributes:
        reference: the marketplace's id for the adjustment, when received.
        detail: for a person.
    """

    outcome: SendOutcome
    reference: str = ""
    detail: str = ""


class BillingAdjustments(Protocol):
    """Money back through a marketplace's API.

    Every method raises MarketplaceError where the marketplace could not be asked, or does not let us.
    """

    def agreement_of(self, buyer: Mapping[str, str], period: BillingPeriod) -> str:
        """The marketplace's id of the agreement that billed a buyer in a period; "" where none did.

        Args:
            buyer: as Agreement.buyer_reference.
        """

    def invoices(self, agreement_id: str, period: BillingPeriod) -> Sequence[Invoice]:
        """Invoices of usage of a period, oldest first."""

    def send(self, request: Mapping[str, str]) -> SendResult:
        """Ask for an adjustment. The same request again is the same adjustment."""

    def adjustment(self, agreement_id: str, reference: str) -> Adjustment | None:
        """As the marketplace has it now; None where it knows no such."""

    def adjustments(self, agreement_id: str) -> Sequence[Adjustment]:
        """All of an agreement."""
