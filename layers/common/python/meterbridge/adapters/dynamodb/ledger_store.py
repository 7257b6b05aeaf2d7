"""The ledger in DynamoDB: metering records and each agreement's settlement head."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from pynamodb.connection import Connection
from pynamodb.transactions import TransactWrite

from meterbridge.adapters.dynamodb.ledger_items import (
    DUE,
    HEAD,
    RATING,
    RECORDS,
    WAITING,
    HeadItem,
    RatingItem,
    head_from_item,
    head_to_item,
    pending_key,
    rating_from_text,
    rating_to_text,
    sort_key,
)
from meterbridge.adapters.dynamodb.record_items import (
    RecordItem,
    record_from_item,
    record_to_item,
)
from meterbridge.adapters.dynamodb.tables import bind, first_hour, store_errors
from meterbridge.domain.errors import InvariantError
from meterbridge.domain.ledger_head import LedgerHead
from meterbridge.domain.metering_record import MeteringRecord, RecordKey, RecordState
from meterbridge.domain.offerings import Channel
from meterbridge.domain.pricing.rating_state import RatingState
from meterbridge.domain.settlement import MAX_NEW_RECORDS
from meterbridge.domain.windows import BillingPeriod, hour_text

MAX_ACTIONS = 100
"""DynamoDB takes at most 100 actions in one transaction."""

_UNABSORBED = (
    RecordItem.state.is_in(RecordState.REJECTED.value, RecordState.EXPIRED.value)
    | (
        (RecordItem.state == RecordState.CONFLICTED.value)
        & RecordItem.accepted_quantity.exists()
        & (RecordItem.pending_pk == WAITING)
    )
) & (RecordItem.absorbed == False)  # noqa: E712 - builds a condition

_AFTER_RECORDS = "record$"
_CONNECTIONS = 32


class LedgerStore:
    """The Ledger port on one DynamoDB table."""

    def __init__(self, table_name: str) -> None:
        """Bind to a table; nothing is called yet."""
        self._records = bind(RecordItem, table_name, connections=_CONNECTIONS)
        self._heads = bind(HeadItem, table_name)
        self._ratings = bind(RatingItem, table_name)
        self._transactions = Connection()

    def head(self, agreement_id: str) -> LedgerHead | None:
        """See Ledger."""
        with store_errors(f"ledger head {agreement_id}"):
            try:
                item = self._heads.get(agreement_id, HEAD, consistent_read=True)
            except self._heads.DoesNotExist:
                return None
        return head_from_item(item)

    def heads(self, agreement_ids: Iterable[str]) -> dict[str, LedgerHead]:
        """See Ledger."""
        keys = {(agreement_id, HEAD) for agreement_id in agreement_ids}
        with store_errors("ledger heads"):
            found = [
                head_from_item(item) for item in self._heads.batch_get(keys, consistent_read=True)
            ]
        return {head.agreement_id: head for head in found}

    def records(
        self, agreement_id: str, start: datetime | None = None, end: datetime | None = None
    ) -> list[MeteringRecord]:
        """See Ledger."""
        low = RECORDS if start is None else RECORDS + first_hour(start)
        # No record has a bare "record#<hour>" as its key, so the inclusive bound excludes `end`.
        high = _AFTER_RECORDS if end is None else RECORDS + first_hour(end)
        if low >= high:
            return []
        with store_errors(f"records of {agreement_id}"):
            items = self._records.query(
                agreement_id, RecordItem.sk.between(low, high), consistent_read=True
            )
            return [record_from_item(item) for item in items]

    def record(self, key: RecordKey) -> MeteringRecord | None:
        """See Ledger."""
        with store_errors(f"record {key}"):
            try:
                item = self._records.get(key.agreement_id, sort_key(key), consistent_read=True)
            except self._records.DoesNotExist:
                return None
        return record_from_item(item)

    def commit(
        self,
        head: LedgerHead,
        *,
        expected_version: int,
        new_records: Sequence[MeteringRecord],
        absorbed: Sequence[RecordKey] = (),
        rating_states: Mapping[BillingPeriod, RatingState] = MappingProxyType({}),
    ) -> None:
        """See Ledger.

        Raises:
            InvariantError: more writes than one transaction takes.
        """
        actions = len(new_records) + len(absorbed) + len(rating_states) + 1
        if len(new_records) > MAX_NEW_RECORDS or actions > MAX_ACTIONS:
            raise InvariantError(f"{head.agreement_id}: {actions} writes in one transaction")
        known_version = (
            HeadItem.version == expected_version
            if expected_version
            else HeadItem.pk.does_not_exist()
        )
        with (
            store_errors(f"settlement of {head.agreement_id}"),
            TransactWrite(connection=self._transactions) as transaction,
        ):
            transaction.save(head_to_item(head, self._heads), condition=known_version)
            for record in new_records:
                transaction.save(
                    record_to_item(record, self._records), condition=RecordItem.pk.does_not_exist()
                )
            for period, state in rating_states.items():
                transaction.save(
                    self._ratings(
                        head.agreement_id, f"{RATING}{period}", body=rating_to_text(state)
                    )
                )
            for key in absorbed:
                transaction.update(
                    self._records(key.agreement_id, sort_key(key)),
                    actions=[
                        RecordItem.absorbed.set(True),
                        RecordItem.pending_pk.remove(),
                        RecordItem.pending_sk.remove(),
                    ],
                    condition=_UNABSORBED,
                )

    def waiting(self) -> Iterator[str]:
        """See Ledger."""
        with store_errors("waiting agreements"):
            items = self._heads.waiting_index.query(
                WAITING, attributes_to_get=["pending_pk", "pending_sk"]
            )
            last = ""
            for item in items:
                agreement_id = str(item.pending_sk).split("#", 1)[0]
                if agreement_id != last:
                    yield agreement_id
                last = agreement_id

    def due(self, before: datetime) -> Iterator[str]:
        """See Ledger."""
        with store_errors("due agreements"):
            items = self._heads.waiting_index.query(
                DUE,
                HeadItem.pending_sk < hour_text(before),
                attributes_to_get=["pending_pk", "pending_sk"],
            )
            for item in items:
                yield str(item.pending_sk).split("#", 1)[1]

    def rating_state(self, agreement_id: str, period: BillingPeriod) -> RatingState | None:
        """See Ledger."""
        with store_errors(f"rating of {agreement_id} before {period}"):
            try:
                item = self._ratings.get(agreement_id, f"{RATING}{period}", consistent_read=True)
            except self._ratings.DoesNotExist:
                return None
        return rating_from_text(item.body)

    def pending(self, channel: Channel, limit: int) -> list[MeteringRecord]:
        """See Ledger."""
        with store_errors(f"pending records of {channel}"):
            items = self._records.pending.query(pending_key(channel), limit=limit)
            return [record_from_item(item) for item in items]

    def save(
        self, record: MeteringRecord, *, expected_state: RecordState, expected_attempts: int
    ) -> None:
        """See Ledger."""
        with store_errors(f"record {record.key}"):
            record_to_item(record, self._records).save(
                (RecordItem.state == expected_state.value)
                & (RecordItem.attempts == expected_attempts)
            )
