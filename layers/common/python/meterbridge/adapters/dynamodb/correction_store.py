"""The ledger in DynamoDB, with corrections of what was billed too much.

A change of a correction that changes the books is one transaction with the ledger head; one that
answers a request is one transaction with the registry, where answers are kept.
"""

from __future__ import annotations

from collections.abc import Iterator

from meterbridge.adapters.dynamodb.correction_items import (
    AFTER_CORRECTIONS,
    CORRECTIONS,
    CorrectionItem,
    correction_from_item,
    correction_sort_key,
    correction_to_item,
    state_partition,
    state_sort_key,
)
from meterbridge.adapters.dynamodb.ledger_items import HeadItem, head_to_item
from meterbridge.adapters.dynamodb.ledger_store import LedgerStore
from meterbridge.adapters.dynamodb.registry_items import RegistryItem
from meterbridge.adapters.dynamodb.registry_writer import put_answer
from meterbridge.adapters.dynamodb.tables import bind, store_errors
from meterbridge.adapters.dynamodb.transactions import Transaction
from meterbridge.application.registry_admin import Answer
from meterbridge.domain.corrections import Correction, CorrectionKey, CorrectionState
from meterbridge.domain.errors import InvariantError, StaleVersionError
from meterbridge.domain.over_reported import CorrectionWrite


class CorrectionStore(LedgerStore):
    """The CorrectionLedger port."""

    def __init__(self, table_name: str, *, answers_table: str = "") -> None:
        """Bind to the tables; nothing is called yet.

        Args:
            table_name: the ledger.
            answers_table: the registry, which keeps answers; "" where nobody asks.
        """
        super().__init__(table_name)
        self._corrections = bind(CorrectionItem, table_name)
        self._answers = bind(RegistryItem, answers_table) if answers_table else None

    def correction(self, key: CorrectionKey) -> Correction | None:
        """See CorrectionLedger."""
        with store_errors(f"correction {key}"):
            try:
                item = self._corrections.get(
                    key.agreement_id, correction_sort_key(key), consistent_read=True
                )
            except self._corrections.DoesNotExist:
                return None
        return correction_from_item(item)

    def corrections(self, agreement_id: str) -> list[Correction]:
        """See CorrectionLedger."""
        with store_errors(f"corrections of {agreement_id}"):
            items = self._corrections.query(
                agreement_id,
                CorrectionItem.sk.between(CORRECTIONS, AFTER_CORRECTIONS),
                consistent_read=True,
            )
            return [correction_from_item(item) for item in items]

    def corrections_in(
        self, state: CorrectionState, after: CorrectionKey | None = None
    ) -> Iterator[Correction]:
        """See CorrectionLedger."""
        start = None if after is None else CorrectionItem.pending_sk > state_sort_key(after)
        with store_errors(f"corrections that are {state}"):
            for item in self._corrections.by_state.query(state_partition(state), start):
                yield correction_from_item(item)

    def write_correction(self, write: CorrectionWrite, answer: Answer | None = None) -> None:
        """See CorrectionLedger."""
        before, after, head = write.before, write.after, write.head
        change = Transaction(self._transactions)
        if answer is not None:
            put_answer(change, self._kept_answers(), answer)
        if head is not None:
            change.put(
                head_to_item(head, self._heads),
                HeadItem.version == head.version - 1,
                StaleVersionError(f"{head.agreement_id} has been settled meanwhile"),
            )
        change.put(
            correction_to_item(after, self._corrections),
            CorrectionItem.pk.does_not_exist()
            if before is None
            else CorrectionItem.version == before.version,
            StaleVersionError(f"{after.key} has changed meanwhile"),
        )
        change.commit()

    def _kept_answers(self) -> type[RegistryItem]:
        if self._answers is None:
            raise InvariantError("an answer is to be kept, but no table for answers was named")
        return self._answers
