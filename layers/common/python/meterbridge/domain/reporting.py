"""What a marketplace's answer makes of a metering record: one table, and no I/O.

A send is in doubt while it is not known whether the marketplace booked it. Doubt decides every
refusal: a record that was surely never booked becomes REJECTED or EXPIRED and bills itself again; one
that may have been booked stays committed as CONFLICTED, so that no buyer pays twice.

    answer                     surely not booked before     an earlier send in doubt
    accepted, already accepted ACCEPTED (CONFLICTED if the marketplace tells another quantity)
    conflict                   CONFLICTED                   ACCEPTED: the other record is our own
    invalid                    REJECTED                     CONFLICTED
    expired                    EXPIRED                      CONFLICTED
    not entitled, not reached  PENDING, as if never sent    SUBMITTED
    retry, not reached         PENDING, as if never sent    SUBMITTED
    retry, perhaps reached     SUBMITTED                    SUBMITTED

Who is not entitled today may be tomorrow: a record waits for that until its deadline. `not authorized`
is about us, not about the record, and read like a retry. So is a refusal that may mean a time in the
future, while the hour is barely over: our clock may be ahead of the marketplace's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from meterbridge.domain.errors import InvariantError
from meterbridge.domain.metering_record import MeteringRecord, RecordState, ReportOutcome

ASKED_AGAIN_AFTER = timedelta(hours=1)
"""How long a refused buyer is left alone before one record asks whether they are entitled again."""

_BARELY_OVER = timedelta(minutes=30)
"""How long after its end an hour may still be in the future by a marketplace's clock."""

_WAITING = frozenset(
    {ReportOutcome.RETRY, ReportOutcome.NOT_ENTITLED, ReportOutcome.NOT_AUTHORIZED}
)

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

    @property
    def may_be_early(self) -> bool:
        """Whether its refusal may mean that the usage lies in the future."""


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
    early = answer.may_be_early and at < record.covered_until + _BARELY_OVER
    if answer.outcome in _WAITING or early:
        waiting = record if answer.reached else record.unsent()
        refused = answer.outcome is ReportOutcome.NOT_ENTITLED
        return replace(
            waiting,
            reason=reason_of(answer),
            request_id=answer.request_id,
            refused_at=at if refused else record.refused_at,
        )
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
        case ReportOutcome.INVALID:
            return RecordState.CONFLICTED if may_be_booked else RecordState.REJECTED
        case _:
            raise InvariantError(f"{record.key}: {answer.outcome} is not a result")


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
