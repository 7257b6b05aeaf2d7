"""The metering record: one quantity, for one agreement, dimension and hour, as reported.

A record's key is derived, never drawn; its quantity, time and buyer are frozen when it is written
and every send of it is the same. States:

    PENDING ──▶ SUBMITTED ──▶ ACCEPTED | CONFLICTED | REJECTED | EXPIRED
        └───────────────────────────────────────────▶ REJECTED | EXPIRED

PENDING has never been sent. SUBMITTED is written before the call, so a record in that state may
or may not be known to the marketplace; it is only ever resent identical. REJECTED and EXPIRED are
known not to be billed: they leave the committed sum and their quantity bills itself again.
CONFLICTED is final with a doubt: the marketplace holds another quantity for the hour, or its window
closed while the outcome of a send was unknown. It stays committed, so that no buyer pays twice. Where
the marketplace told its quantity, the next settlement takes that for committed, and bills the rest.
WRITTEN_OFF is a person's decision: it stays committed, so that nothing bills it again (deciding.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from meterbridge.domain.errors import InvariantError
from meterbridge.domain.money import ZERO, exact_sum, multiply, subtract
from meterbridge.domain.offerings import Channel, QuantityKind
from meterbridge.domain.windows import HOUR, BillingPeriod, hour_text

if TYPE_CHECKING:
    from meterbridge.domain.decisions import Decision


class RecordState(StrEnum):
    """Where a metering record is in its life."""

    PENDING = "pending"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    CONFLICTED = "conflicted"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WRITTEN_OFF = "written_off"


COMMITTED_STATES = frozenset(
    {
        RecordState.PENDING,
        RecordState.SUBMITTED,
        RecordState.ACCEPTED,
        RecordState.CONFLICTED,
        RecordState.WRITTEN_OFF,
    }
)
OPEN_STATES = frozenset({RecordState.PENDING, RecordState.SUBMITTED})


class ReportOutcome(StrEnum):
    """What one marketplace said of one submission. See the table in style.md terms in each adapter."""

    ACCEPTED = "accepted"
    ALREADY_ACCEPTED = "already_accepted"
    CONFLICT = "conflict"
    NOT_ENTITLED = "not_entitled"
    EXPIRED = "expired"
    INVALID = "invalid"
    NOT_AUTHORIZED = "not_authorized"
    RETRY = "retry"


@dataclass(frozen=True, slots=True, order=True)
class RecordKey:
    """Identity of a record: (agreement, dimension, hour)."""

    agreement_id: str
    dimension: str
    hour: datetime

    def __str__(self) -> str:
        return f"{self.agreement_id}/{self.dimension}/{hour_text(self.hour)}"


@dataclass(frozen=True, slots=True)
class MeteringRecord:
    """A quantity to be reported, and what became of it.

    Attributes:
        key: what it is; the marketplace accepts one per key.
        channel: the marketplace.
        product_id: whose listing; a batch holds one product.
        quantity: in the marketplace's units.
        units_per_quantity: metered quantity that one unit stands for.
        allocations: metered quantity it settles, by billing period; negative where it makes up for
            an earlier over-report. Their sum is quantity × units_per_quantity.
        reported_hour_start: moment put on the wire: the hour's start, or the agreement's within it.
        reported_hour_end: end of the time it covers, where the agreement ended within the hour; None
            for the hour's end.
        quantity_kind: of the listed dimension; Google's metrics have a type of number each.
        deadline: last moment at which the marketplace still takes it.
        buyer: buyer reference on the wire, frozen.
        state, reason: where it stands, and why, for a person.
        attempts: sends begun.
        absorbed: a settlement, or a decision, has taken in that the marketplace did not book what was
            written: of a REJECTED or EXPIRED record nothing, of a CONFLICTED one its own figure.
        receipt: the marketplace's id for it.
        request_id: the marketplace's id of the call that was answered last, for its support.
        submission: the frozen request entry, as first sent.
        resend_until: while the outcome of a send is unknown, the moment until which it may be sent
            again; None where the deadline alone says so.
        accepted_quantity: the marketplace's own figure where it told one.
        re_dated_from: hour of the record whose quantity a person had billed in this hour instead.
        decision: what a person decided about it.
        refused_at: when the marketplace said last that the buyer is not entitled.
    """

    key: RecordKey
    channel: Channel
    product_id: str
    quantity: Decimal
    units_per_quantity: Decimal
    allocations: Mapping[BillingPeriod, Decimal]
    reported_hour_start: datetime
    deadline: datetime
    buyer: Mapping[str, str]
    created_at: datetime
    state: RecordState = RecordState.PENDING
    reason: str = ""
    attempts: int = 0
    absorbed: bool = False
    receipt: str = ""
    request_id: str = ""
    submission: Mapping[str, str] = field(default_factory=dict)
    accepted_quantity: Decimal | None = None
    submitted_at: datetime | None = None
    finished_at: datetime | None = None
    resend_until: datetime | None = None
    quantity_kind: QuantityKind = QuantityKind.INTEGER
    reported_hour_end: datetime | None = None
    re_dated_from: datetime | None = None
    decision: Decision | None = None
    refused_at: datetime | None = None

    def __post_init__(self) -> None:
        if exact_sum(self.allocations.values()) != self.metered:
            raise InvariantError(f"{self.key}: allocations do not add up to its quantity")

    @property
    def metered(self) -> Decimal:
        """The metered quantity that this record stands for."""
        return multiply(self.quantity, self.units_per_quantity)

    @property
    def covered_until(self) -> datetime:
        """End of the time that it covers, exclusive."""
        return self.reported_hour_end or self.key.hour + HOUR

    @property
    def committed(self) -> bool:
        """Whether it counts as billed or about to be."""
        return self.state in COMMITTED_STATES

    @property
    def told_another(self) -> bool:
        """Whether it is in conflict with a quantity that is known."""
        return (
            self.state is RecordState.CONFLICTED
            and self.accepted_quantity is not None
            and self.accepted_quantity != self.quantity
        )

    @property
    def unabsorbed(self) -> bool:
        """Whether the marketplace is known to hold another quantity, and no settlement knows yet."""
        return not self.absorbed and (self.told_another or not self.committed)

    def counted(self, *, absorbed: bool) -> Mapping[BillingPeriod, Decimal]:
        """Metered quantity that counts as billed or about to be, by period.

        What is known changes only with a settlement, so that its books change with its version.

        Args:
            absorbed: whether a settlement has taken in what the marketplace holds.
        """
        if absorbed and not self.committed:
            return {}
        if not absorbed or self.accepted_quantity is None:
            return self.allocations
        return self._accepted_allocations(self.accepted_quantity)

    def _accepted_allocations(self, accepted: Decimal) -> dict[BillingPeriod, Decimal]:
        """As written, less what was not accepted, newest period first, or more in its own period."""
        found = dict(self.allocations)
        missing = subtract(self.metered, multiply(accepted, self.units_per_quantity))
        if missing < 0:
            own = BillingPeriod.of(self.key.hour)
            found[own] = subtract(found.get(own, ZERO), missing)
            return found
        for period, amount in sorted(found.items(), reverse=True):
            taken = min(max(amount, ZERO), missing)
            found[period] = subtract(amount, taken)
            missing = subtract(missing, taken)
        return found

    @property
    def open_until(self) -> datetime:
        """The moment from which it is not sent any more."""
        return self.deadline if self.resend_until is None else min(self.deadline, self.resend_until)

    def submitted(
        self,
        submission: Mapping[str, str],
        *,
        at: datetime,
        resend_window: timedelta | None = None,
    ) -> MeteringRecord:
        """About to be sent (again). The first submission stays for ever.

        Args:
            resend_window: how long after the first send of unknown outcome it may be sent again.

        Raises:
            InvariantError: it has a result already, or another submission was sent before.
        """
        self._require_open("submitted")
        if self.submission and dict(self.submission) != dict(submission):
            raise InvariantError(f"{self.key}: a resend must be identical to the first send")
        return replace(
            self,
            state=RecordState.SUBMITTED,
            submission=submission,
            attempts=self.attempts + 1,
            submitted_at=at,
            resend_until=at + resend_window
            if resend_window is not None and self.state is RecordState.PENDING
            else self.resend_until,
        )

    def unsent(self) -> MeteringRecord:
        """The last send is known not to have reached the books: as if it had not been begun.

        Only the very first attempt can be taken back; later ones leave the doubt of the earlier.
        """
        self._require_open("taken back")
        if self.attempts != 1:
            return replace(self, attempts=self.attempts)
        return replace(
            self, state=RecordState.PENDING, attempts=0, submitted_at=None, resend_until=None
        )

    def finished(
        self,
        state: RecordState,
        *,
        at: datetime,
        reason: str = "",
        receipt: str = "",
        request_id: str = "",
        accepted_quantity: Decimal | None = None,
    ) -> MeteringRecord:
        """With its final state.

        Raises:
            InvariantError: it has a result already, or the state is not one that a report ends in.
        """
        self._require_open(state)
        if state in OPEN_STATES or state is RecordState.WRITTEN_OFF:
            raise InvariantError(f"{self.key}: {state} is no result of a report")
        return replace(
            self,
            state=state,
            reason=reason,
            receipt=receipt,
            request_id=request_id,
            finished_at=at,
            accepted_quantity=accepted_quantity,
        )

    def _require_open(self, what: str) -> None:
        if self.state not in OPEN_STATES:
            raise InvariantError(f"{self.key} is {self.state} and cannot become {what}")
