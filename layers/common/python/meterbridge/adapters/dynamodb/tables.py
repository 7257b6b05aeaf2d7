"""What the DynamoDB stores share: models bound to a table, key ranges, and errors in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar, cast

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import PynamoDBException, TransactWriteError
from pynamodb.models import Model

from meterbridge.domain.errors import (
    InvariantError,
    MeterbridgeError,
    StaleVersionError,
    StoreUnavailableError,
)
from meterbridge.domain.windows import HOUR, hour_of, hour_text

_ModelT = TypeVar("_ModelT", bound=Model)

_WROTE_FIRST = frozenset({"ConditionalCheckFailedException", "TransactionConflictException"})
_WROTE_FIRST_REASONS = frozenset({"ConditionalCheckFailed", "TransactionConflict"})
_OUR_FAULT = frozenset({"ValidationException", "ItemCollectionSizeLimitExceededException"})
_OUR_FAULT_REASONS = frozenset({"ValidationError", "ItemCollectionSizeLimitExceeded"})


def bind(model: type[_ModelT], table_name: str, *, connections: int = 10) -> type[_ModelT]:
    """The model, bound to one table.

    A subclass of its own keeps two stores in one process apart.

    Args:
        model: a model without `Meta`.
        table_name: its table.
        connections: how many calls may run at once.
    """
    meta = type(
        "Meta",
        (),
        {
            "table_name": table_name,
            "max_pool_connections": connections,
            "connect_timeout_seconds": 2,
            "read_timeout_seconds": 5,
        },
    )
    members = {"Meta": meta, "__module__": model.__module__}
    metaclass: Any = type(model)
    return cast(type[_ModelT], metaclass(model.__name__, (model,), members))


def first_hour(moment: datetime) -> str:
    """Key text of the first hour that starts at a moment or later: how a range of hours begins."""
    hour = hour_of(moment)
    return hour_text(hour if hour == moment else hour + HOUR)


@contextmanager
def store_errors(what: str) -> Iterator[None]:
    """Turn whatever DynamoDB or the way to it raised into one of our errors.

    Args:
        what: what was being read or written, for the message.

    Raises:
        StaleVersionError: a condition failed, or another transaction holds the item.
        InvariantError: DynamoDB found the request itself wrong.
        StoreUnavailableError: anything else: throttling, a fault there, the network, a missing
            permission.
    """
    try:
        yield
    except (PynamoDBException, ClientError, BotoCoreError) as exc:
        raise _our_error(exc, what) from exc


def _our_error(exc: Exception, what: str) -> MeterbridgeError:
    code = _code_of(exc)
    if isinstance(exc, TransactWriteError) and code == "TransactionCanceledException":
        reasons = {reason.code for reason in exc.cancellation_reasons if reason is not None}
        if reasons & _OUR_FAULT_REASONS:
            return InvariantError(f"{what}: DynamoDB refused {sorted(reasons)}")
        if reasons & _WROTE_FIRST_REASONS:
            return StaleVersionError(f"{what}: somebody else wrote first")
        return StoreUnavailableError(f"{what}: transaction cancelled, {sorted(reasons)}")
    if code in _WROTE_FIRST:
        return StaleVersionError(f"{what}: somebody else wrote first")
    if code in _OUR_FAULT:
        return InvariantError(f"{what}: DynamoDB refused the request: {exc}")
    return StoreUnavailableError(f"{what}: {code or type(exc).__name__}")


def _code_of(exc: Exception) -> str | None:
    if isinstance(exc, PynamoDBException):
        return exc.cause_response_code
    if isinstance(exc, ClientError):
        return exc.response.get("Error", {}).get("Code")
    return None
