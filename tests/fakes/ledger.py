"""An in-memory ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from threading import RLock
from types import MappingProxyType
from typing import Any

from fakes.registry import FakeRegistry
from meterbridge.application.ledger_admin import AttentionPlace
from meterbridge.application.registry_admin import Answer
from meterbridge.domain.corrections import Correction, CorrectionKey, CorrectionState
from meterbridge.domain.deciding import DecisionEffect
from meterbridge.domain.decisions import Decision
from meterbridge.domain.errors import InvariantError, StaleVersionError
from meterbridge.domain.ledger_head import LedgerHead
from meterbridge.domain.metering_record import OPEN_STATES, MeteringRecord, RecordKey, RecordState
from meterbridge.domain.offerings import Channel
from meterbridge.domain.over_reported import CorrectionWrite
from meterbridge.domain.pricing.rating_state import RatingState
from meterbridge.domain.windows import BillingPeriod

MAX_NEW_RECORDS = 90


class FakeLedger:
    """Records and heads in dicts; every method is atomic."""

    def __init__(self, registry: FakeRegistry | None = None) -> None:
        """Args: registry: where answers to requests with an idempotency key are kept."""
        self._registry = registry
        self._lock = RLock()
        self._decisions: dict[tuple[str, str], Decision] = {}
        self._heads: dict[str, LedgerHead] = {}
        self._records: dict[RecordKey, MeteringRecord] = {}
        self._ratings: dict[tuple[str, BillingPeriod], dict[str, Any]] = {}
        self._corrections: dict[CorrectionKey, Correction] = {}

    def head(self, agreement_id: str) -> LedgerHead | None:
        with self._lock:
            return self._heads.get(agreement_id)

    def heads(self, agreement_ids: Iterable[str]) -> dict[str, LedgerHead]:
        with self._lock:
            return {each: self._heads[each] for each in agreement_ids if each in self._heads}

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
        rating_states: Mapping[BillingPeriod, RatingState] = MappingProxyType({}),
    ) -> None:
        actions = len(new_records) + len(absorbed) + len(rating_states) + 1
        if len(new_records) > MAX_NEW_RECORDS or actions > 100:
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
            for period, state in rating_states.items():
                self._ratings[head.agreement_id, period] = state.to_wire()
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

    def due(self, before: datetime) -> Iterator[str]:
        with self._lock:
            heads = [
                (head.due_at, head.agreement_id)
                for head in self._heads.values()
                if head.due_at is not None and head.due_at < before and not head.waiting
            ]
        return iter([agreement_id for _, agreement_id in sorted(heads)])

    def rating_state(self, agreement_id: str, period: BillingPeriod) -> RatingState | None:
        with self._lock:
            wire = self._ratings.get((agreement_id, period))
        return None if wire is None else RatingState.from_wire(wire)

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

    def decide(self, effect: DecisionEffect, answer: Answer | None = None) -> None:
        keeping = self._registry.answering(answer) if self._registry else nullcontext()
        with keeping, self._lock:
            current = self._heads.get(effect.head.agreement_id)
            if current is None or current.version != effect.head.version - 1:
                raise StaleVersionError(effect.head.agreement_id)
            if self._records.get(effect.before.key) != effect.before:
                raise StaleVersionError(str(effect.before.key))
            if effect.new_record is not None and effect.new_record.key in self._records:
                raise StaleVersionError(str(effect.new_record.key))
            decision = effect.decision
            if (decision.agreement_id, decision.id) in self._decisions:
                raise StaleVersionError(decision.id)
            self._decisions[decision.agreement_id, decision.id] = decision
            self._heads[effect.head.agreement_id] = effect.head
            for record in (effect.after, effect.new_record):
                if record is not None:
                    self._records[record.key] = record

    def decisions(self, agreement_id: str, after: str, limit: int) -> list[Decision]:
        with self._lock:
            found = [
                decision
                for (of, number), decision in sorted(self._decisions.items())
                if of == agreement_id and number > after
            ]
        return found[:limit]

    def attention(self, after: AttentionPlace | None = None) -> Iterator[MeteringRecord]:
        with self._lock:
            found = [
                record
                for record in self._records.values()
                if not record.absorbed
                and record.state
                in (RecordState.CONFLICTED, RecordState.REJECTED, RecordState.EXPIRED)
                and not record.told_another
            ]
        found.sort(key=lambda record: _order(AttentionPlace.of(record)))
        first = None if after is None else _order(after)
        return iter(
            [each for each in found if first is None or _order(AttentionPlace.of(each)) > first]
        )

    def correction(self, key: CorrectionKey) -> Correction | None:
        with self._lock:
            return self._corrections.get(key)

    def corrections(self, agreement_id: str) -> list[Correction]:
        with self._lock:
            found = [
                each for each in self._corrections.values() if each.key.agreement_id == agreement_id
            ]
        return sorted(found, key=lambda each: _correction_order(each.key))

    def corrections_in(
        self, state: CorrectionState, after: CorrectionKey | None = None
    ) -> Iterator[Correction]:
        with self._lock:
            found = [each for each in self._corrections.values() if each.state is state]
        found.sort(key=lambda each: _correction_order(each.key))
        first = None if after is None else _correction_order(after)
        return iter(
            [each for each in found if first is None or _correction_order(each.key) > first]
        )

    def write_correction(self, write: CorrectionWrite, answer: Answer | None = None) -> None:
        keeping = self._registry.answering(answer) if answer and self._registry else nullcontext()
        before, after, head = write.before, write.after, write.head
        with keeping, self._lock:
            known = self._corrections.get(after.key)
            if (known.version if known else None) != (before.version if before else None):
                raise StaleVersionError(str(after.key))
            if head is not None:
                current = self._heads.get(head.agreement_id)
                if current is None or current.version != head.version - 1:
                    raise StaleVersionError(head.agreement_id)
                self._heads[head.agreement_id] = head
            self._corrections[after.key] = after


def _correction_order(key: CorrectionKey) -> tuple[str, str, str, int]:
    return key.agreement_id, str(key.period), key.dimension, key.number


def _order(place: AttentionPlace) -> tuple[bool, str, datetime, str]:
    return place.refused, place.key.agreement_id, place.key.hour, place.key.dimension
