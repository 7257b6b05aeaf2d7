"""The management API, over DynamoDB where what is stored matters and over fakes where it does not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api_setup import Api, make_api
from dynamodb import mocked_table
from http_api import Client
from meterbridge.adapters.dynamodb.registry_store import RegistryStore


@pytest.fixture
def api() -> Api:
    return make_api()


@pytest.fixture
def call(api: Api) -> Client:
    """An admin of all products."""
    return api.client()


@pytest.fixture(params=["fake", "dynamodb"])
def stored(request: pytest.FixtureRequest) -> Iterator[Api]:
    if request.param == "fake":
        yield make_api()
        return
    with mocked_table("Registry", "ref", "by_reference") as name:
        yield make_api(RegistryStore(name))
