"""What the management use cases need of the ledger, beyond what the pipeline reads and writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from meterbridge.application.correction_ledger import CorrectionLedger
from meterbridge.application.registry_admin import Answer
from meterbridge.domain.deciding import DecisionEffect
from meterbridge.domain.decisions import Decision
from meterbridge.domain.metering_record import MeteringRecord, RecordKey, RecordState


@dataclass(frozen=True, slots=True)
class AttentionPlace:
    """Where a record is in the list of those that may wait for a person.

    Attributes:
        refused: among the REJECTED and EXPIRED, which come after the CONFLICTED.
    """

    refused: bool
    key: RecordKey

    @classmethod
    def of(cls, record: MeteringRecord) -> AttentionPlace:
        """A record's."""
        return cls(record.state is not RecordState.CONFLICTED, record.key)


class LedgerAdmin(CorrectionLedger, Protocol):
    """Decide about records, and list what was and what is to be decided."""

    def decide(self, effect: DecisionEffect, answer: Answer | None = None) -> None:
        """Write a decision, its record or records, the head, and the answer in one transaction.

        A decision is written once and never changed.

        Raises:
            StaleVersionError: the record or the head is not as it was read any more, or there is a
                record in the new hour. Nothing written.
            AnsweredError: a request with the same idempotency key was finished first.
        """

    def decisions(self, agreement_id: str, after: str, limit: int) -> list[Decision]:
        """Decisions of an agreement with an id greater than `after`, oldest first, strongly read."""

    def attention(self, after: AttentionPlace | None = None) -> Iterator[MeteringRecord]:
        """Records that may wait for a person, of all agreements. May lag behind.

        Those in conflict without another figure, then those refused and not taken back yet, each by
        agreement, hour and dimension. Of the refused ones some only wait for the next settlement.
        """
