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

from sandbox.demo.clouds import Cloud, clouds_of
from sandbox.demo.deals import create_offering
from sandbox.demo.seller import OFFERING, PLAN, Seller
from sandbox.local_cloud.cloud import LocalCloud
from sandbox.marketplaces.client import SandboxControl
from sandbox.marketplaces.http_server import running_sandbox

PATIENCE_SECONDS = 150


@dataclass
class Buyer:
    """A customer with an agreement.

    Attributes:
        reference: what the marketplace's bill names the agreement by.
    """

    id: str
    cloud: Cloud
    agreement_id: str
    reference: str


@dataclass
class Deployment:
    """The stack and everybody who talks to it."""

    cloud: LocalCloud
    control: SandboxControl
    clouds: dict[str, Cloud]
    seller: Seller
    producer: Seller
    numbers: Iterator[int]
    marketplace_url: str

    def new_buyer(
        self,
        channel: str = "aws",
        *,
        hours: int = 24,
        zero_records: bool = False,
        used_before: int = 0,
        offering: str = OFFERING,
        plan: str = PLAN,
    ) -> Buyer:
        """A buyer of its own for each test, so that tests do not meet.

        Args:
            hours: how long ago the agreement began.
            used_before: requests that are counted before the agreement is known here.
            offering, plan: what is bought: unit prices, or else terms.
        """
        number, cloud = next(self.numbers), self.clouds[channel]
        starts_at = (datetime.now(UTC) - timedelta(hours=hours)).replace(microsecond=0)
        if used_before:
            moment = closed_moment()
            self.send([llm_request(f"buyer-{number}", n, moment) for n in range(used_before)])
            self.cloud.invoke("CloseWindows", {})
        bought = cloud.admit(number, starts_at, plan)
        agreement_id = self.seller.add_customer(
            f"buyer-{number}",
            channel=channel,
            buyer=bought.fields,
            starts_at=starts_at,
            zero_records=zero_records,
            offering=offering,
            plan=plan,
        )
        return Buyer(f"buyer-{number}", cloud, agreement_id, bought.reference)

    def send(self, events: Sequence[Mapping[str, object]]) -> int:
        """Over HTTP; how many were accepted."""
        return self.producer.send(events)

    def requests_billed(self, buyer: Buyer) -> str:
        """What the marketplace has of the dimension `requests`."""
        return format(self.control.billed().quantity(buyer.reference, "requests"), "f")

    def buckets(self, buyer: Buyer, moment: datetime) -> dict[str, str]:
        """Where the units of `requests` are just now, folded or not, to wait for."""
        found = self.seller.statement(buyer.agreement_id, f"{moment:%Y-%m}")
        buckets: dict[str, str] = _requests_of(found)["buckets"]
        return buckets

    def books(self, buyer: Buyer, moment: datetime) -> dict[str, Any]:
        """The line of `requests` in the statement of a moment's month, recounted."""
        found = self.seller.statement(buyer.agreement_id, f"{moment:%Y-%m}", verify=True)
        assert found["balanced"] is True, found
        return _requests_of(found)

    def records(self, buyer: Buyer, moment: datetime) -> list[dict[str, Any]]:
        """An agreement's records of the hours around a moment."""
        start, end = (moment + timedelta(hours=hours) for hours in (-2, 2))
        found: list[dict[str, Any]] = self.seller.call(
            "GET",
            f"/v1/agreements/{buyer.agreement_id}/records"
            f"?start={text_of(start)}&end={text_of(end)}",
        )["items"]
        return found

    def wait_for(
        self, what: Callable[[], bool], *, hurry: bool = True, channel: str = "aws"
    ) -> None:
        """Wait until the deployed functions have brought something about.

        Args:
            hurry: wake the scheduled functions now and then, beside their schedules.
            channel: whose reporter to wake.

        Raises:
            AssertionError: they have not.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not what():
            assert time.monotonic() < deadline, "the functions did not bring it about"
            if hurry:
                self.cloud.invoke("CloseWindows", {})
                time.sleep(2)
                self.cloud.invoke(self.clouds[channel].function, {})
            time.sleep(1)


def llm_request(customer: Buyer | str, number: int, moment: datetime) -> dict[str, object]:
    """A usage event of a buyer, or of who has not bought yet."""
    subject = customer if isinstance(customer, str) else customer.id
    return {
        "specversion": "1.0",
        "id": f"{subject}-{number}",
        "source": "e2e",
        "type": "llm.request",
        "subject": subject,
        "time": text_of(moment),
        "data": {"context_tokens": 1000 + number, "generated_tokens": number},
    }


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder: Path = tmp_path_factory.mktemp("cloud")
    with (
        running_sandbox() as marketplace,
        LocalCloud(
            folder,
            marketplace_endpoint=marketplace.url,
            settings={"grace_minutes": "0", "seller_name": "Meterworks GmbH"},
        ) as cloud,
    ):
        control = marketplace.control
        clouds = clouds_of(control, "e2e-inference")
        for each in clouds.values():
            each.publish()
        cloud.deploy()
        seller = Seller(cloud.api_url, cloud.create_admin_key("e2e"))
        seller.set_up_catalog({each.channel: each.listing for each in clouds.values()})
        create_offering(seller)
        producer = Seller(cloud.api_url, seller.ingest_key())
        yield Deployment(cloud, control, clouds, seller, producer, count(1), marketplace.url)


def _requests_of(statement: Mapping[str, Any]) -> dict[str, Any]:
    return next(line for line in statement["lines"] if line["dimension"] == "requests")


def text_of(moment: datetime) -> str:
    """RFC 3339, as the API takes it."""
    return moment.isoformat().replace("+00:00", "Z")


def closed_moment() -> datetime:
    """In the middle of the last hour that is closed: the grace is zero here."""
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    return hour - timedelta(minutes=30)
