"""One contract, two registries: the fake that use cases are tested with, and DynamoDB."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dynamodb import mocked_table
from fakes.registry import FakeRegistry
from meterbridge.adapters.dynamodb.registry_store import RegistryStore
from meterbridge.application.registry_admin import RegistryAdmin


@pytest.fixture(params=["fake", "dynamodb"])
def registry(request: pytest.FixtureRequest) -> Iterator[RegistryAdmin]:
    if request.param == "fake":
        yield FakeRegistry()
        return
    with mocked_table("Registry", "ref", "by_reference") as name:
        yield RegistryStore(name)
