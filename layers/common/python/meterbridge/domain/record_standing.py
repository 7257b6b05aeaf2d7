"""Where a metering record stands for a person: what can still be decided about it, and by whom."""

from __future__ import annotations

from enum import StrEnum

from meterbridge.domain.agreements import Agreement
from meterbridge.domain.book import is_held
from meterbridge.domain.ledger_head import LedgerHead
from meterbridge.domain.metering_record import OPEN_STATES, MeteringRecord, RecordState


class RecordStanding(StrEnum):
    """Where a record stands for a person; see the table."""

    IN_DOUBT = "in_doubt"
    HELD = "held"
    RELEASED = "released"
    IN_FLIGHT = "in_flight"
    ACCEPTED = "accepted"
    ADOPTED = "adopted"
    TAKEN_BACK = "taken_back"
    WRITTEN_OFF = "written_off"


def standing_of(
    record: MeteringRecord, agreement: Agreement, head: LedgerHead | None
) -> RecordStanding:
    """Where a record stands for a person."""
    if record.state in OPEN_STATES:
        return RecordStanding.IN_FLIGHT
    if record.state is RecordState.ACCEPTED:
        return RecordStanding.ACCEPTED
    if record.state is RecordState.WRITTEN_OFF:
        return RecordStanding.WRITTEN_OFF
    if record.state is RecordState.CONFLICTED:
        return RecordStanding.ADOPTED if record.told_another else RecordStanding.IN_DOUBT
    if record.absorbed:
        return RecordStanding.TAKEN_BACK
    never_read_again = head is not None and is_sealed(record, head)
    return (
        RecordStanding.HELD
        if is_held(record, agreement) or never_read_again
        else RecordStanding.RELEASED
    )


def awaits_person(record: MeteringRecord, standing: RecordStanding) -> bool:
    """Whether nothing goes on with it by itself, or what goes on is not what was meant."""
    rejected = standing is RecordStanding.RELEASED and record.state is RecordState.REJECTED
    return rejected or standing in (RecordStanding.IN_DOUBT, RecordStanding.HELD)


def is_sealed(record: MeteringRecord, head: LedgerHead) -> bool:
    """Whether no settlement reads the record any more: it is summed up in the opening balance."""
    return record.key.hour < head.live_from.start
