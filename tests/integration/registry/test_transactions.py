"""Transactions that DynamoDB does not take at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from builders import product
from dynamodb import mocked_table
from meterbridge.adapters.dynamodb import transactions
from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.domain.errors import InvariantError, NotFoundError, StoreUnavailableError
from registry_setup import meter


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[RegistryStore]:
    monkeypatch.setattr(transactions.time, "sleep", lambda _seconds: None)
    with mocked_table("Registry", "ref", "by_reference") as name:
        yield RegistryStore(name)


def failing(
    store: RegistryStore, monkeypatch: pytest.MonkeyPatch, failures: Sequence[Exception]
) -> list[str]:
    """Let the next transactions fail so; answers the calls that were made."""
    client = store._connection.client
    real, left, calls = client._make_api_call, list(failures), []

    def call(operation: str, request: dict[str, Any]) -> Any:
        calls.append(operation)
        if left:
            raise left.pop(0)
        return real(operation, request)

    monkeypatch.setattr(client, "_make_api_call", call)
    return calls


def cancelled(*codes: str) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": "TransactionCanceledException", "Message": ""},
            "CancellationReasons": [{"Code": code} for code in codes],  # type: ignore[typeddict-unknown-key]
        },
        "TransactWriteItems",
    )


def test_a_contended_transaction_is_sent_again(
    store: RegistryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [cancelled("TransactionConflict"), cancelled("ThrottlingError", "None")]
    calls = failing(store, monkeypatch, failures)
    store.add_product(product())
    assert calls == ["TransactWriteItems"] * 3
    assert store.product("prd_llm") == product()


def test_contention_that_does_not_end_is_the_stores_fault(
    store: RegistryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = failing(store, monkeypatch, [cancelled("TransactionConflict")] * 20)
    with pytest.raises(StoreUnavailableError):
        store.add_product(product())
    assert len(calls) == 6


def test_a_failed_condition_counts_more_than_contention(
    store: RegistryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(
        store, monkeypatch, [cancelled("TransactionConflict", "ConditionalCheckFailed", "None")]
    )
    with pytest.raises(NotFoundError):
        store.add_meter(meter())


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (EndpointConnectionError(endpoint_url="https://dynamodb"), StoreUnavailableError),
        (ClientError({"Error": {"Code": "ThrottlingException"}}, "x"), StoreUnavailableError),
        (ClientError({"Error": {"Code": "InternalServerError"}}, "x"), StoreUnavailableError),
        (cancelled("ValidationError"), InvariantError),
    ],
)
def test_other_failures_are_told_apart(
    store: RegistryStore,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
    error: type[Exception],
) -> None:
    failing(store, monkeypatch, [failure])
    with pytest.raises(error):
        store.add_product(product())
