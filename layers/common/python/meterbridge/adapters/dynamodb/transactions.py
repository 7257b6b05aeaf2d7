"""DynamoDB transactions in which every failed condition has an error of its own."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from pynamodb.connection import Connection
from pynamodb.exceptions import TransactWriteError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from meterbridge.adapters.dynamodb.tables import store_errors
from meterbridge.domain.errors import MeterbridgeError, StoreUnavailableError

MAX_ITEMS = 100
"""DynamoDB's own limit of a transaction."""

_ATTEMPTS = 6
_FIRST_PAUSE_SECONDS = 0.02
_CONTENDED = frozenset({"TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError"})


class Transaction:
    """All or nothing. Each write states its condition and the error that its failure means.

    Where several conditions fail, checks are named before deletions, puts and updates, each in the
    order they were added.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._checks: list[tuple[type[Model], str, str, Condition]] = []
        self._deletes: list[tuple[Model, Condition]] = []
        self._puts: list[tuple[Model, Condition]] = []
        self._updates: list[tuple[Model, list[Action], Condition]] = []
        self._failures: dict[str, list[MeterbridgeError]] = {
            "check": [],
            "delete": [],
            "put": [],
            "update": [],
        }

    def check(
        self, model: type[Model], pk: str, sk: str, condition: Condition, failure: MeterbridgeError
    ) -> None:
        """Only if an item satisfies a condition."""
        self._checks.append((model, pk, sk, condition))
        self._failures["check"].append(failure)

    def delete(self, item: Model, condition: Condition, failure: MeterbridgeError) -> None:
        """Delete an item."""
        self._deletes.append((item, condition))
        self._failures["delete"].append(failure)

    def put(self, item: Model, condition: Condition, failure: MeterbridgeError) -> None:
        """Write an item as a whole."""
        self._puts.append((item, condition))
        self._failures["put"].append(failure)

    def update(
        self,
        item: Model,
        actions: Sequence[Action],
        condition: Condition,
        failure: MeterbridgeError,
    ) -> None:
        """Change attributes of an item."""
        self._updates.append((item, list(actions), condition))
        self._failures["update"].append(failure)

    def commit(self) -> None:
        """Write everything, waiting out other transactions on the same items for a moment.

        Raises:
            MeterbridgeError: the failure of the first condition that did not hold. Nothing written.
            StoreUnavailableError: not known to be written.
        """
        for attempt in range(_ATTEMPTS):
            with store_errors("transaction"):
                try:
                    self._write()
                except TransactWriteError as exc:
                    self._raise_failure(exc)
                else:
                    return
            time.sleep(random.uniform(0, _FIRST_PAUSE_SECONDS * 2**attempt))  # noqa: S311
        raise StoreUnavailableError("transaction: contended")

    def _write(self) -> None:
        with TransactWrite(connection=self._connection) as transaction:
            for model, pk, sk, condition in self._checks:
                transaction.condition_check(model, pk, sk, condition=condition)
            for item, condition in self._deletes:
                transaction.delete(item, condition=condition)
            for item, condition in self._puts:
                transaction.save(item, condition=condition)
            for item, actions, condition in self._updates:
                transaction.update(item, actions=actions, condition=condition)

    def _raise_failure(self, exc: TransactWriteError) -> None:
        """Return only if the transaction may be sent again."""
        codes = [reason.code if reason else None for reason in exc.cancellation_reasons]
        failures = [failure for kind in self._failures.values() for failure in kind]
        for code, failure in zip(codes, failures, strict=False):
            if code == "ConditionalCheckFailed":
                raise failure from exc
        if not _CONTENDED & set(codes):
            raise exc
