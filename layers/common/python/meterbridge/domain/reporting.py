"""What a marketplace's answer makes of a metering record: one table, and no I/O.

A send is in doubt while it is not known whether the marketplace booked it. Doubt decides every
refusal: a record that was surely never booked becomes REJECTED or EXPIRED and bills itself again; one
that may have been booked stays committed as CONFLICTED, so that no buyer pays twice.

    answer                     surely not booked before     an earlier send in doubt
    accepted, already accepted ACCEPTED (CONFLICTED if the marketplace tells another quantity)
    conflict                   CONFLICTED                   ACCEPTED: the other record is our own
    not entitled, invalid      REJECTED                     CONFLICTED
    expired                    EXPIRED                      CONFLICTED
    retry, not reached         PENDING, as if never sent    SUBMITTED
    retry, perhaps reached     SUBMITTED                    SUBMITTED
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from meterbridge.domain.agreements import AgreementState
from meterbridge.domain.errors import InvariantError
from meterbridge.domain.metering_record import MeteringRecord, RecordState, ReportOutcome

REPORTED_STATES = frozenset({AgreementState.ACTIVE, AgreementState.ENDED})
"""Agreements whose records are sent. A suspended one's wait: if it is resumed in time they go out as
they are; if not, their deadline makes them EXPIRED (or CONFLICTED, when in doubt) and what was never
billed bills itself again in the first hour after it was resumed."""

_DEADLINE_PASSED = "the marketplace's window closed before it was sent"
_DEADLINE_PASSED_IN_DOUBT = (
    "the marketplace's window closed while the outcome of a send was unknown"
)
_MAX_REASON = 500


class Answer(Protocol):
    """What a marketplace said of one submission (see ReportResult in ports)."""

    @property
    def outcome(self) -> ReportOutcome:
        """What it means for us."""

    @property
    def code(self) -> str:
        """The marketplace's own word."""

    @property
    def detail(self) -> str:
        """For a person."""

    @property
    def receipt(self) -> str:
        """Its id for the record."""

    @property
    def request_id(self) -> str:
        """Its id of the call."""

    @property
    def accepted_quantity(self) -> Decimal | None:
        """Its figure, where it told one."""

    @property
    def reached(self) -> bool:
        """False only where this send was surely not booked."""


def in_doubt(record: MeteringRecord) -> bool:
    """Whether the marketplace may know the record already."""
    return record.state is RecordState.SUBMITTED


def next_record(
    record: MeteringRecord, answer: Answer, *, had_doubt: bool, at: datetime
) -> MeteringRecord:
    """The record after an answer.

    Args:
        record: as marked SUBMITTED for the send that was answered.
        answer: what the marketplace said of this send.
        had_doubt: whether an earlier send was in doubt when this one was marked.
        at: when the answer came.

    Raises:
        InvariantError: the record was not marked as sent.
    """
    if record.state is not RecordState.SUBMITTED:
        raise InvariantError(f"{record.key} was answered without having been sent")
    if answer.outcome is ReportOutcome.RETRY:
        waiting = record if answer.reached else record.unsent()
        return replace(waiting, reason=reason_of(answer), request_id=answer.request_id)
    state = _final_state(record, answer, had_doubt)
    return record.finished(
        state,
        at=at,
        reason="" if state is RecordState.ACCEPTED else reason_of(answer),
        receipt=answer.receipt,
        request_id=answer.request_id,
        accepted_quantity=answer.accepted_quantity,
    )


def _final_state(record: MeteringRecord, answer: Answer, had_doubt: bool) -> RecordState:
    told = answer.accepted_quantity
    other_quantity = told is not None and told != record.quantity
    may_be_booked = had_doubt or answer.reached
    match answer.outcome:
        case ReportOutcome.ACCEPTED | ReportOutcome.ALREADY_ACCEPTED:
            return RecordState.CONFLICTED if other_quantity else RecordState.ACCEPTED
        case ReportOutcome.CONFLICT:
            ours = had_doubt and not other_quantity
            return RecordState.ACCEPTED if ours else RecordState.CONFLICTED
        case ReportOutcome.EXPIRED:
            return RecordState.CONFLICTED if may_be_booked else RecordState.EXPIRED
        case ReportOutcome.NOT_ENTITLED | ReportOutcome.INVALID:
            return RecordState.CONFLICTED if may_be_booked else RecordState.REJECTED
        case ReportOutcome.RETRY:
            raise InvariantError(f"{record.key}: a retry is not a result")


def closed_at_deadline(record: MeteringRecord, *, at: datetime) -> MeteringRecord:
    """A record whose window is over, without another send.

    Asking once more would settle no doubt: the marketplace refuses by time before it looks further.
    """
    if in_doubt(record):
        return record.finished(RecordState.CONFLICTED, at=at, reason=_DEADLINE_PASSED_IN_DOUBT)
    return record.finished(RecordState.EXPIRED, at=at, reason=_DEADLINE_PASSED)


def refused_unsent(record: MeteringRecord, reason: str, *, at: datetime) -> MeteringRecord:
    """A record that cannot be put into the marketplace's words, and so was never sent."""
    return record.finished(RecordState.REJECTED, at=at, reason=reason[:_MAX_REASON])


def batches(records: Iterable[MeteringRecord], size: int) -> list[list[MeteringRecord]]:
    """Records in batches of one product each, in the order of each batch's first record."""
    found: list[list[MeteringRecord]] = []
    filling: dict[str, list[MeteringRecord]] = {}
    for record in records:
        batch = filling.get(record.product_id)
        if batch is None or len(batch) == size:
            batch = filling[record.product_id] = []
            found.append(batch)
        batch.append(record)
    return found


def reason_of(answer: Answer) -> str:
    """The marketplace's words for a person, of a length that can be stored."""
    return f"{answer.code}: {answer.detail}"[:_MAX_REASON] if answer.detail else answer.code
