from __future__ import annotations

from collections.abc import Iterator

import pytest

from integration.sandbox.publisher import Publisher
from integration.sandbox.seller import Seller
from sandbox.marketplaces.http_server import RunningSandbox, running_sandbox


@pytest.fixture(scope="session")
def running() -> Iterator[RunningSandbox]:
    with running_sandbox(seed=7) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def connected_seller(running: RunningSandbox) -> Iterator[Seller]:
    seller = Seller(running)
    yield seller
    seller.close()


@pytest.fixture
def seller(connected_seller: Seller) -> Seller:
    connected_seller.set_up()
    return connected_seller


@pytest.fixture
def publisher(running: RunningSandbox) -> Publisher:
    publisher = Publisher(running)
    publisher.set_up()
    return publisher
