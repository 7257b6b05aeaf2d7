"""An in-memory ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from threading import RLock

from meterbridge.domain.errors import InvariantError, StaleVersionError
from meterbridge.domain.ledger_head import LedgerHead
from meterbridge.domain.metering_record import OPEN_STATES, MeteringRecord, RecordKey, RecordState
from meterbridge.domain.offerings import Channel

MAX_NEW_RECORDS = 90


class FakeLedger:
    """Records and heads in dicts; every method is atomic."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._heads: dict[str, LedgerHead] = {}
        self._records: dict[RecordKey, MeteringRecord] = {}

    def head(self, agreement_id: str) -> LedgerHead | None:
        with self._lock:
            return self._heads.get(agreement_id)

    def records(
        self, agreement_id: str, start: datetime | None = None, end: datetime | None = None
    ) -> list[MeteringRecord]:
        with self._lock:
            found = [
                record
                for key, record in self._records.items()
                if key.agreement_id == agreement_id
                and (start is None or key.hour >= start)
                and (end is None or key.hour < end)
            ]
        return sorted(found, key=lambda record: (record.key.hour, record.key.dimension))

    def record(self, key: RecordKey) -> MeteringRecord | None:
        with self._lock:
            return self._records.get(key)

    def commit(
        self,
        head: LedgerHead,
        *,
        expected_version: int,
        new_records: Sequence[MeteringRecord],
        absorbed: Sequence[RecordKey] = (),
    ) -> None:
        if len(new_records) > MAX_NEW_RECORDS or len(new_records) + len(absorbed) + 1 > 100:
            raise InvariantError("too many writes for one transaction")
        with self._lock:
            current = self._heads.get(head.agreement_id)
            if (current.version if current else 0) != expected_version:
                raise StaleVersionError(head.agreement_id)
            for record in new_records:
                if record.key in self._records:
                    raise StaleVersionError(str(record.key))
            for key in absorbed:
                known = self._records.get(key)
                if known is None or not known.unabsorbed:
                    raise StaleVersionError(str(key))
            self._heads[head.agreement_id] = head
            self._records.update({record.key: record for record in new_records})
            for key in absorbed:
                self._records[key] = replace(self._records[key], absorbed=True)

    def waiting(self) -> Iterator[str]:
        with self._lock:
            heads = {head.agreement_id for head in self._heads.values() if head.waiting}
            records = {
                record.key.agreement_id for record in self._records.values() if record.unabsorbed
            }
        return iter(sorted(heads | records))

    def pending(self, channel: Channel, limit: int) -> list[MeteringRecord]:
        with self._lock:
            waiting = [
                record
                for record in self._records.values()
                if record.channel is channel and record.state in OPEN_STATES
            ]
        return sorted(waiting, key=lambda record: (record.open_until, record.key))[:limit]

    def save(
        self, record: MeteringRecord, *, expected_state: RecordState, expected_attempts: int
    ) -> None:
        with self._lock:
            known = self._records.get(record.key)
            if (
                known is None
                or known.state is not expected_state
                or known.attempts != expected_attempts
            ):
                raise StaleVersionError(str(record.key))
            self._records[record.key] = record
