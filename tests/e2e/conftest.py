"""The real stack, deployed once into the local cloud by the real CDK CLI, for all tests here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from sandbox.demo.seller import DIMENSIONS, Seller
from sandbox.local_cloud.cloud import LocalCloud
from sandbox.marketplaces.client import SandboxControl
from sandbox.marketplaces.http_server import running_sandbox

PRODUCT_CODE = "e2e-inference"
PATIENCE_SECONDS = 150


@dataclass
class Buyer:
    """A customer with an agreement."""

    id: str
    agreement_id: str
    license_arn: str


@dataclass
class Deployment:
    """The stack and everybody who talks to it."""

    cloud: LocalCloud
    control: SandboxControl
    seller: Seller
    producer: Seller
    numbers: Iterator[int]

    def new_buyer(self) -> Buyer:
        """A buyer of its own for each test, so that tests do not meet."""
        number = next(self.numbers)
        account, license_arn = f"{200000000000 + number}", _license(number)
        starts_at = (datetime.now(UTC) - timedelta(days=1)).replace(microsecond=0)
        self.control.aws.register_agreement(
            product_code=PRODUCT_CODE,
            account_id=account,
            license_arn=license_arn,
            start=starts_at,
        )
        customer = f"buyer-{number}"
        agreement_id = self.seller.add_customer(
            customer, account_id=account, license_arn=license_arn, starts_at=starts_at
        )
        return Buyer(customer, agreement_id, license_arn)

    def send(self, events: Sequence[Mapping[str, object]]) -> int:
        """Over HTTP; how many were accepted."""
        return self.producer.send(events)

    def requests_billed(self, buyer: Buyer) -> str:
        """What the marketplace has of the dimension `requests`."""
        return format(self.control.billed().quantity(buyer.license_arn, "requests"), "f")

    def books(self, buyer: Buyer, moment: datetime) -> dict[str, Any]:
        """The line of `requests` in the statement of a moment's month, recounted."""
        found = self.seller.statement(buyer.agreement_id, f"{moment:%Y-%m}", verify=True)
        assert found["balanced"] is True
        return next(line for line in found["lines"] if line["dimension"] == "requests")

    def wait_for(self, what: Callable[[], bool], *, hurry: bool = True) -> None:
        """Wait until the deployed functions have brought something about.

        Args:
            hurry: wake the scheduled functions now and then, beside their schedules.

        Raises:
            AssertionError: they have not.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not what():
            assert time.monotonic() < deadline, "the functions did not bring it about"
            if hurry:
                self.cloud.invoke("CloseWindows", {})
                time.sleep(2)
                self.cloud.invoke("ReportUsageAws", {})
            time.sleep(1)


def llm_request(buyer: Buyer, number: int, moment: datetime) -> dict[str, object]:
    """A usage event."""
    return {
        "specversion": "1.0",
        "id": f"{buyer.id}-{number}",
        "source": "e2e",
        "type": "llm.request",
        "subject": buyer.id,
        "time": moment.isoformat().replace("+00:00", "Z"),
        "data": {"context_tokens": 1000 + number, "generated_tokens": number},
    }


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder: Path = tmp_path_factory.mktemp("cloud")
    with (
        running_sandbox() as marketplace,
        LocalCloud(
            folder, marketplace_endpoint=marketplace.url, settings={"grace_minutes": "0"}
        ) as cloud,
    ):
        control = marketplace.control
        control.aws.register_product(PRODUCT_CODE, [{"key": code} for code in DIMENSIONS])
        cloud.deploy()
        seller = Seller(cloud.api_url, cloud.create_admin_key("e2e"))
        seller.set_up_catalog(PRODUCT_CODE)
        producer = Seller(cloud.api_url, seller.ingest_key())
        yield Deployment(cloud, control, seller, producer, count(1))


def _license(number: int) -> str:
    return f"arn:aws:license-manager::444455556666:license:l-{number:032x}"
