"""What the adapters' common suite needs to know of each marketplace: a buyer's words, and no more."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol
from unittest.mock import patch

from builders import NOON, at, metering_record
from fakes.clock import FakeClock
from gcp_setup import ACCOUNT, SERVICE, STARTED, FixedListings, consumer_of, google_tokens
from meterbridge.adapters.marketplaces.aws import AwsMarketplace
from meterbridge.adapters.marketplaces.aws_seller_account import metering_client
from meterbridge.adapters.marketplaces.azure import AzureMarketplace, connection_pool
from meterbridge.adapters.marketplaces.azure_credentials import AzureApp, AzureTokens, by_secret
from meterbridge.adapters.marketplaces.gcp import GcpMarketplace
from meterbridge.adapters.marketplaces.gcp_client import ServiceControl
from meterbridge.adapters.marketplaces.gcp_listings import RegistryListings
from meterbridge.adapters.marketplaces.pacing import CallPacer
from meterbridge.application.ports import Marketplace
from meterbridge.domain.agreements import (
    AwsBuyerReference,
    AzureBuyerReference,
    GcpBuyerReference,
)
from meterbridge.domain.metering_record import MeteringRecord
from meterbridge.domain.offerings import Channel, QuantityKind
from sandbox.marketplaces.client import SandboxControl

DIMENSIONS = [f"d{number:02d}" for number in range(30)]
BUYERS = ("agr_1", "agr_2")
TENANT = "11111111-2222-4333-8444-555555555555"
APP_ID = "22222222-2222-4333-8444-555555555555"


def unpaced() -> CallPacer:
    """Calls as fast as the test can."""
    return CallPacer(10_000, monotonic=lambda: 0.0, sleep=lambda _: None, jitter=lambda: 0.0)


class MarketplaceSetup(Protocol):
    """One marketplace in the sandbox, with two buyers and thirty dimensions.

    Attributes:
        unknown_dimension: its word for a dimension that is not listed.
        operation: its word for reporting, on the sandbox's log.
        tells_accepted_quantity: whether a conflict tells the quantity that holds the hour.
        names_calls: whether its answers carry an id of the call.
        adds_up: whether two agreements' records of one usage are both billed.
    """

    channel: Channel
    unknown_dimension: str
    operation: str
    tells_accepted_quantity: bool
    names_calls: bool
    adds_up: bool

    def register(self, control: SandboxControl) -> None:
        """Registers the buyers, and lets the seller in."""

    def connected(
        self, url: str, *, nobody_listens: bool = False, clock: Any = None, registry: Any = None
    ) -> Any:
        """A context with the adapter; where nobody listens it is let in all the same."""

    def terms(self, agreement_id: str) -> dict[str, Any]:
        """Channel and buyer of an agreement."""

    def reference(self, agreement_id: str) -> str:
        """The agreement on the sandbox's bill."""

    def suspend(self, control: SandboxControl, agreement_id: str) -> None:
        """The buyer does not pay."""

    def resume(self, control: SandboxControl, agreement_id: str) -> None:
        """The buyer pays again."""

    def end(self, control: SandboxControl, agreement_id: str, at: datetime) -> None:
        """The buyer cancelled at that time."""

    def lock_out(self, control: SandboxControl) -> None:
        """The seller's credentials are worth nothing any more."""


class AwsSetup:
    channel = Channel.AWS
    unknown_dimension = "InvalidUsageDimensionException"
    operation = "BatchMeterUsage"
    tells_accepted_quantity = False
    names_calls = True
    adds_up = False
    account = "111122223333"

    def register(self, control: SandboxControl) -> None:
        control.clear_faults()
        control.aws.configure(calls_per_second=0)
        control.aws.register_product("prodcode123", DIMENSIONS)
        for buyer in BUYERS:
            control.aws.register_agreement(
                product_code="prodcode123",
                account_id=self.account,
                license_arn=self.reference(buyer),
                start=at("2026-11-01T00"),
            )

    @contextmanager
    def connected(
        self, url: str, *, nobody_listens: bool = False, **_: Any
    ) -> Iterator[Marketplace]:
        address = {
            "AWS_ENDPOINT_URL_MARKETPLACE_METERING": "http://127.0.0.1:9"
            if nobody_listens
            else url,
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
        }
        with patch.dict(os.environ, address):
            client = metering_client("us-east-1")
        yield AwsMarketplace(client, unpaced())
        client.close()

    def terms(self, agreement_id: str) -> dict[str, Any]:
        return {"aws": AwsBuyerReference(self.account, self.reference(agreement_id))}

    def reference(self, agreement_id: str) -> str:
        return f"arn:aws:license-manager::444455556666:license:l-{agreement_id}"

    def suspend(self, control: SandboxControl, agreement_id: str) -> None:
        control.aws.suspend_agreement(self.reference(agreement_id))

    def resume(self, control: SandboxControl, agreement_id: str) -> None:
        control.aws.resume_agreement(self.reference(agreement_id))

    def end(self, control: SandboxControl, agreement_id: str, at: datetime) -> None:
        control.aws.end_agreement(self.reference(agreement_id), at)

    def lock_out(self, control: SandboxControl) -> None:
        control.inject("error", count=None, code="AccessDeniedException", status=400)


class AzureSetup:
    channel = Channel.AZURE
    unknown_dimension = "InvalidDimension"
    operation = "batchUsageEvent"
    tells_accepted_quantity = True
    names_calls = True
    adds_up = False

    def register(self, control: SandboxControl) -> None:
        control.azure.register_app(TENANT, APP_ID, client_secret="s3cret")
        control.azure.register_offer("llm", {"gold": DIMENSIONS}, app_id=APP_ID)
        for buyer in BUYERS:
            control.azure.register_subscription(
                self.reference(buyer), offer_id="llm", plan_id="gold"
            )

    @contextmanager
    def connected(
        self, url: str, *, nobody_listens: bool = False, **_: Any
    ) -> Iterator[Marketplace]:
        pool = connection_pool(8)
        tokens = AzureTokens(by_secret(AzureApp(TENANT, APP_ID, url), KeptSecret("s3cret")))
        endpoint = "http://127.0.0.1:9" if nobody_listens else url
        yield AzureMarketplace(pool, tokens, unpaced(), endpoint=endpoint)
        tokens.close()
        pool.clear()

    def terms(self, agreement_id: str) -> dict[str, Any]:
        buyer = AzureBuyerReference("gold", resource_id=self.reference(agreement_id))
        return {"channel": Channel.AZURE, "aws": None, "azure": buyer}

    def reference(self, agreement_id: str) -> str:
        return f"6f1c2f4e-0000-4000-8000-{BUYERS.index(agreement_id):012d}"

    def suspend(self, control: SandboxControl, agreement_id: str) -> None:
        control.azure.suspend(self.reference(agreement_id))

    def resume(self, control: SandboxControl, agreement_id: str) -> None:
        control.azure.reinstate(self.reference(agreement_id))

    def end(self, control: SandboxControl, agreement_id: str, at: datetime) -> None:
        control.azure.unsubscribe(self.reference(agreement_id), at)

    def lock_out(self, control: SandboxControl) -> None:
        control.azure.register_app(TENANT, APP_ID, client_secret="another")
        control.azure.revoke_tokens()


class GcpSetup:
    channel = Channel.GCP
    unknown_dimension = "INVALID_ARGUMENT"
    operation = "report"
    tells_accepted_quantity = False
    names_calls = False
    adds_up = True

    def register(self, control: SandboxControl) -> None:
        control.gcp.configure(late_limit_seconds=24 * 3600)
        self._register_service(control, ACCOUNT)
        for buyer in BUYERS:
            control.gcp.register_entitlement(
                service=SERVICE, usage_reporting_id=consumer_of(buyer), start=STARTED
            )

    def _register_service(self, control: SandboxControl, reporter: str) -> None:
        metrics = [{"id": code, "kind": "double"} for code in DIMENSIONS]
        control.gcp.register_service(SERVICE, metrics, reporters=[reporter])

    @contextmanager
    def connected(
        self, url: str, *, nobody_listens: bool = False, clock: Any = None, registry: Any = None
    ) -> Iterator[Marketplace]:
        pool = connection_pool(8)
        endpoint = "http://127.0.0.1:9" if nobody_listens else url
        service_control = ServiceControl(
            pool, google_tokens(url, pool), unpaced(), endpoint=endpoint
        )
        clock = clock or FakeClock(NOON)
        listings = FixedListings() if registry is None else RegistryListings(registry, clock)
        yield GcpMarketplace(service_control, listings, clock)
        pool.clear()

    def terms(self, agreement_id: str) -> dict[str, Any]:
        buyer = GcpBuyerReference(consumer_of(agreement_id))
        return {"channel": Channel.GCP, "aws": None, "gcp": buyer}

    def reference(self, agreement_id: str) -> str:
        return consumer_of(agreement_id)

    def suspend(self, control: SandboxControl, agreement_id: str) -> None:
        control.gcp.suspend_entitlement(consumer_of(agreement_id), since=STARTED)

    def resume(self, control: SandboxControl, agreement_id: str) -> None:
        control.gcp.resume_entitlement(consumer_of(agreement_id))

    def end(self, control: SandboxControl, agreement_id: str, at: datetime) -> None:
        control.gcp.cancel_entitlement(consumer_of(agreement_id), at)

    def lock_out(self, control: SandboxControl) -> None:
        self._register_service(control, "other@acme.iam.gserviceaccount.com")


class KeptSecret:
    """A secret that can be replaced."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.reads = 0

    def read(self) -> str:
        self.reads += 1
        return self.text


SETUPS: Mapping[str, MarketplaceSetup] = {
    "aws": AwsSetup(),
    "azure": AzureSetup(),
    "gcp": GcpSetup(),
}


def setup_record(
    setup: MarketplaceSetup, code: str, quantity: str, agreement_id: str = "agr_1", **changes: Any
) -> MeteringRecord:
    """A record as a settlement of that agreement writes it."""
    (buyer,) = (value for value in setup.terms(agreement_id).values() if hasattr(value, "charged"))
    return metering_record(
        agreement_id=agreement_id,
        code=code,
        quantity=quantity,
        channel=setup.channel,
        quantity_kind=QuantityKind.DECIMAL,
        buyer={name: text for name, text in _fields(buyer).items() if text},
        **changes,
    )


def _fields(buyer: Any) -> dict[str, str]:
    return {name: getattr(buyer, name) for name in buyer.__slots__}
