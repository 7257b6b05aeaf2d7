"""Publications on DynamoDB, beside the registry's own items."""

from __future__ import annotations

from functools import cached_property

from pynamodb.connection import Connection
from pynamodb.exceptions import DoesNotExist

from meterbridge.adapters.dynamodb import publication_items as items
from meterbridge.adapters.dynamodb.registry_items import (
    ByReference,
    RegistryItem,
    from_body,
    to_body,
)
from meterbridge.adapters.dynamodb.registry_writer import ABSENT, fitting, put_answer
from meterbridge.adapters.dynamodb.tables import bind, store_errors
from meterbridge.adapters.dynamodb.transactions import Transaction
from meterbridge.application.publication_ports import LineHead
from meterbridge.application.registry_admin import AlreadyExistsError, Answer
from meterbridge.domain.errors import NotFoundError, StaleVersionError
from meterbridge.domain.publishing.publication import Publication, PublicationLine


class DynamoPublicationStore:
    """The PublicationStore port."""

    def __init__(self, table_name: str) -> None:
        """Bind to the registry's table; nothing is called yet."""
        self._items = bind(RegistryItem, table_name)

    @cached_property
    def _connection(self) -> Connection:
        return Connection(connect_timeout_seconds=2, read_timeout_seconds=5)

    def publication(self, publication_id: str) -> Publication:
        """See PublicationStore."""
        item = self._find(items.PUBLICATIONS, publication_id)
        if item is None:
            raise NotFoundError(publication_id)
        return from_body(item.body, Publication)

    def publications(self, offering_id: str, after: str, limit: int) -> list[Publication]:
        """See PublicationStore."""
        with store_errors(f"publications of {offering_id}"):
            found = self._items.by_reference.query(
                items.of_offering(offering_id),
                range_key_condition=ByReference.ref_sk > after if after else None,
                limit=limit,
            )
            return [from_body(item.body, Publication) for item in found]

    def head(self, line: PublicationLine) -> LineHead:
        """See PublicationStore."""
        item = self._find(*items.line_key(line))
        return from_body(item.body, LineHead) if item is not None else LineHead()

    def add(self, publication: Publication, answer: Answer | None = None) -> None:
        """See PublicationStore."""
        change = self._change(answer)
        change.put(self._item(publication), ABSENT, AlreadyExistsError(publication.id))
        change.commit()

    def save(
        self, publication: Publication, head: LineHead | None = None, answer: Answer | None = None
    ) -> None:
        """See PublicationStore."""
        change = self._change(answer)
        change.put(
            self._item(publication),
            RegistryItem.version == publication.version - 1,
            StaleVersionError(f"{publication.id} has been changed meanwhile"),
        )
        if head is not None:
            pk, sk = items.line_key(publication.line)
            change.put(
                self._items(pk, sk, body=to_body(head), version=head.version),
                RegistryItem.version == head.version - 1 if head.version > 1 else ABSENT,
                StaleVersionError(f"another of the line of {publication.id} was applied meanwhile"),
            )
        change.commit()

    def _item(self, publication: Publication) -> RegistryItem:
        item = self._items(
            items.PUBLICATIONS,
            publication.id,
            body=fitting(to_body(publication)),
            version=publication.version,
        )
        item.ref_pk, item.ref_sk = items.of_offering(publication.offering_id), publication.id
        return item

    def _change(self, answer: Answer | None) -> Transaction:
        change = Transaction(self._connection)
        if answer is not None:
            put_answer(change, self._items, answer)
        return change

    def _find(self, pk: str, sk: str) -> RegistryItem | None:
        if not sk:
            return None
        with store_errors(f"registry {pk}"):
            try:
                return self._items.get(pk, sk, consistent_read=True)
            except DoesNotExist:
                return None
