"""The ledger in DynamoDB, with what people decide about records.

A decision is one transaction over two tables: ledger and registry, where the answers to requests with
an idempotency key are kept.
"""

from __future__ import annotations

from collections.abc import Iterator

from pynamodb.expressions.condition import Condition

from meterbridge.adapters.dynamodb.correction_store import CorrectionStore
from meterbridge.adapters.dynamodb.ledger_items import (
    ATTENTION,
    DECISIONS,
    WAITING,
    HeadItem,
    head_to_item,
    sort_key,
)
from meterbridge.adapters.dynamodb.record_items import (
    DecisionItem,
    RecordItem,
    decision_from_text,
    decision_to_text,
    record_from_item,
    record_to_item,
)
from meterbridge.adapters.dynamodb.registry_writer import put_answer
from meterbridge.adapters.dynamodb.tables import bind, store_errors
from meterbridge.adapters.dynamodb.transactions import Transaction
from meterbridge.application.ledger_admin import AttentionPlace
from meterbridge.application.registry_admin import Answer
from meterbridge.domain.deciding import DecisionEffect
from meterbridge.domain.decisions import Decision
from meterbridge.domain.errors import StaleVersionError
from meterbridge.domain.metering_record import MeteringRecord, RecordState

_AFTER_DECISIONS = "decision$"
_REFUSED = RecordItem.state.is_in(RecordState.REJECTED.value, RecordState.EXPIRED.value)


class LedgerAdminStore(CorrectionStore):
    """The LedgerAdmin port."""

    def __init__(self, table_name: str, *, answers_table: str) -> None:
        """Bind to the tables; nothing is called yet.

        Args:
            table_name: the ledger.
            answers_table: the registry, which keeps answers.
        """
        super().__init__(table_name, answers_table=answers_table)
        self._decisions = bind(DecisionItem, table_name)

    def decide(self, effect: DecisionEffect, answer: Answer | None = None) -> None:
        """See LedgerAdmin."""
        decision, before, head = effect.decision, effect.before, effect.head
        change = Transaction(self._transactions)
        if answer is not None:
            put_answer(change, self._kept_answers(), answer)
        change.put(
            head_to_item(head, self._heads),
            HeadItem.version == head.version - 1,
            StaleVersionError(f"{head.agreement_id} has been settled meanwhile"),
        )
        change.put(
            record_to_item(effect.after, self._records),
            (RecordItem.state == before.state.value)
            & (RecordItem.attempts == before.attempts)
            & (RecordItem.absorbed == before.absorbed),
            StaleVersionError(f"{before.key} has changed meanwhile"),
        )
        if effect.new_record is not None:
            change.put(
                record_to_item(effect.new_record, self._records),
                RecordItem.pk.does_not_exist(),
                StaleVersionError(f"{effect.new_record.key} has been written meanwhile"),
            )
        change.put(
            self._decisions(
                decision.agreement_id,
                DECISIONS + decision.id,
                body=decision_to_text(decision),
            ),
            DecisionItem.pk.does_not_exist(),
            StaleVersionError(decision.id),
        )
        change.commit()

    def decisions(self, agreement_id: str, after: str, limit: int) -> list[Decision]:
        """See LedgerAdmin."""
        begin = DECISIONS + after
        with store_errors(f"decisions of {agreement_id}"):
            items = self._decisions.query(
                agreement_id,
                DecisionItem.sk.between(begin, _AFTER_DECISIONS),
                consistent_read=True,
                limit=limit + 1,
            )
            found = [decision_from_text(item.body) for item in items if item.sk > begin]
        return found[:limit]

    def attention(self, after: AttentionPlace | None = None) -> Iterator[MeteringRecord]:
        """See LedgerAdmin."""
        if after is None or not after.refused:
            yield from self._attention(ATTENTION, after, None)
        yield from self._attention(WAITING, after if after and after.refused else None, _REFUSED)

    def _attention(
        self, partition: str, after: AttentionPlace | None, among: Condition | None
    ) -> Iterator[MeteringRecord]:
        start = None
        if after is not None:
            start = RecordItem.pending_sk > f"{after.key.agreement_id}#{sort_key(after.key)}"
        with store_errors("records that wait for a person"):
            for item in self._records.pending.query(partition, start, among):
                yield record_from_item(item)
